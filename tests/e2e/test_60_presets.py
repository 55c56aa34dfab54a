"""models.json: its mistakes, each with line and column; reload, all or nothing; the proxy has what was accepted, whatever the file is by then."""
import json
import os
import re
import signal
import subprocess

import pytest

from process import state_of
from sidecar import ROOT, program
from waiting import SLACK, until

GOOD = '{\n  "cheap_text": {"model": "m", "options": {"num_ctx": 1024, "batch_size": 256}}\n}\n'
OTHER = GOOD.replace("1024", "2048")

# What is in the file, and what is told of it.
MISTAKES = [
    ("nothing", "", ["1: error: column 1: the file ends here, and is empty"]),
    ("no object", "[]", ["1: error: column 1: the file is to begin with {"]),
    ("unknown member", '{"a": {"model": "m", "modle": "x"}}', ['1: error: column 22: preset "a": unknown member "modle"; did you mean model?']),
    ("no model", '{\n "a": {}}', ['2: error: column 2: preset "a" names no model: add "model": "NAME"']),
    ("wrong kind", '{"a": 1}', ['1: error: column 7: preset "a" must be an object']),
    ("bad model", '{"a": {"model": ["m",\n"../x"]}}', ['2: error: column 1: preset "a": "../x" is no model\'s name']),
    ("empty list", '{"a": {"model": []}}', ['1: error: column 17: preset "a": the list of models is empty']),
    ("empty name", '{"": {"model": "m"}}', ["1: error: column 2: a preset needs a name"]),
    ("twice", '{"a": {"model": "m"},\n"a": {"model": "m"}}', ['2: error: column 1: preset "a" stands twice, first in line 1']),
    ("two for one", '{"a": {"model": "m", "for": "text"},\n"cheap_text": {"model": "m"}}',
     ['2: error: column 1: preset "cheap_text" is for requests without an image by its name, and so is "a" in line 1']),
    ("for what", '{"a": {"model": "m", "for": "video"}}', ['1: error: column 29: preset "a": for must be "text" or "image"']),
    ("no object of options", '{"a": {"model": "m", "options": [1]}}', ['1: error: column 33: preset "a": options must be an object']),
    ("nested options", '{"a": {"model": "m", "options": {"x": {}}}}', ['1: error: column 39: preset "a": the option x must be a string, a number']),
    ("text for a number", '{"a": {"model": "m", "options": {"num_ctx": "1"}}}', ['1: error: column 45: preset "a": the option num_ctx must be a number']),
    ("both batches", '{"a": {"model": "m", "options": {"batch_size": 1,\n"num_batch": 2}}}',
     ['2: error: column 1: preset "a": num_batch is the batch_size of line 1 under another name']),
    ("system", '{"a": {"model": "m", "system": 1}}', ['1: error: column 32: preset "a": system must be a string']),
    ("keep_alive", '{"a": {"model": "m", "keep_alive": "soon"}}', ['1: error: column 36: preset "a": keep_alive must be a number of seconds']),
    ("too many", "{" + ",\n".join(f'"a{n}": {{"model": "m"}}' for n in range(17)) + "}", ["17: error: column 1: more than 16 presets"]),
    ("trailing bytes", GOOD + "}", ["4: error: column 1: something stands behind the closing bracket"]),
    ("trailing comma", '{"a": {"model": "m"},\n}', ["2: error: column 1: a comma stands before this bracket"]),
    ("comment", '{\n  // m is small\n"a": {"model": "m"}}', ["2: error: column 3: JSON has no comments"]),
    ("no end", '{"a": {"model": "m"}', ["1: error: column 21: the file ends here, and a closing bracket is missing"]),
    ("open string", '{"a": {"model": "m}}\n', ["1: error: column 17: this string does not end in its line"]),
    ("NUL", b'{"a": \0}', ["1: error: column 7: a NUL byte: this is no text file, or UTF-16"]),
    ("UTF-16", '{"a": {"model": "m"}}'.encode("utf-16"), ["1: error: column 4: a NUL byte: this is no text file, or UTF-16"]),
    ("Latin-1", '{"a": {"model": "m", "system": "é"}}'.encode("latin-1"), ["1: error: column 33: the byte 0xe9 is no UTF-8"]),
    ("deep", "[" * 60000, ["1: error: column 33: nested deeper than 32"]),
    ("all at once", '{"a": {"model": "-x", "for": 1,\n "keep_alive": true},\n"b": 2,\n}',
     ['1: error: column 17: preset "a": "-x" is no model\'s name', '1: error: column 30: preset "a": for must be',
      '2: error: column 16: preset "a": keep_alive', '3: error: column 6: preset "b" must be an object', "4: error: column 1: a comma"]),
]


def handed(pid: int) -> str:
    """What the supervisor has given to a proxy to read in the files' place: the presets are the last but one of it."""
    with open(f"/proc/{pid}/environ", "rb") as file:
        variables = dict(line.split("=", 1) for line in file.read().decode().split("\0") if "=" in line)
    with open(f"/proc/{pid}/fd/{variables['SIDECAR_CONFIG_FD']}", encoding="utf-8") as file:
        return file.read().split("\0")[-3]


def dumped(text: str) -> dict:
    """{name: preset} of a dump."""
    remarks = text.partition("\n; presets:\n")[2].partition("\n\n")[0]
    return {line[2:].partition("=")[0]: json.loads(line.partition("=")[2]) for line in remarks.splitlines()}


def in_force(sidecar) -> dict:
    """What the supervisor says."""
    run = sidecar.ctl("dump")
    assert run.returncode == 0, run.stdout + run.stderr
    return dumped(run.stdout)


@pytest.mark.parametrize("content, told", [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_each_mistake_is_told_with_its_place_and_nothing_starts(sidecar, content, told):
    path = sidecar.write("models.json", content)
    process = sidecar.start()
    assert process.wait() == 100
    lines = process.logged(re.escape(path))
    assert len(lines) == len(told), process.tail()
    for line in told:
        assert any(logged.startswith(f"{path}:{line}") for logged in lines), (line, lines)
    assert not sidecar.programs()


def test_mistakes_of_all_files_come_in_one_list(sidecar):
    path = sidecar.write("models.json", '{"a": {}}')
    sidecar.write("preload-models.txt", "../x\n")
    sidecar.configure("preload", models=None)
    sidecar.configure("proxy", max_queue="many")
    sidecar.write_ini()
    run = sidecar.run("ollama-supervisor", "-c", sidecar.ini, "--check")
    told = run.stdout + run.stderr
    assert run.returncode == 100 and f"{path}:1: error: column 2: preset" in told
    assert "preload-models.txt:1: error" in told and "[proxy] max_queue" in told and "3 mistakes" in told


def test_a_warning_is_told_and_starts_all_the_same(sidecar):
    path = sidecar.write("models.json", '{"a": {"model": "m", "options": {"num_ctz": 1}}}')
    sidecar.boot(tokens=1)
    assert sidecar.process.logged(re.escape(f'{path}:1: warning: column 34: preset "a": Ollama may not know the option num_ctz; did you mean num_ctx?'))
    assert in_force(sidecar)["a"]["options"] == {"num_ctz": 1}


@pytest.mark.parametrize("what", ["pipe", "folder", "large", "absent", "device"])
def test_what_can_not_be_read_holds_nobody_up(sidecar, what):
    path = os.path.join(sidecar.directory, "models.json")
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        os.mkdir(path)
    elif what == "large":
        sidecar.write("models.json", GOOD + " " * 65536)
    elif what == "absent":
        sidecar.configure("proxy", presets="models.json")
    else:
        os.symlink("/dev/zero", path)
    process = sidecar.start()
    assert process.wait(5) == 100
    assert process.logged(r"supervisor\.ini(:\d+)?: error: \[proxy\] presets: .*/models\.json can't be read: "), process.tail()


def test_without_a_file_there_are_none(sidecar):
    sidecar.boot(tokens=1)
    assert in_force(sidecar) == {} and sidecar.generate().status == 200


def test_where_the_file_is_may_be_said(sidecar):
    os.mkdir(os.path.join(sidecar.directory, "etc"))
    sidecar.write("models.json", "broken")  # not read
    sidecar.write("etc/some.json", GOOD)
    sidecar.configure("proxy", presets="etc/some.json")
    sidecar.boot(tokens=1)
    assert in_force(sidecar)["cheap_text"]["options"]["num_batch"] == 256
    sidecar.env["SIDECAR_PROXY_PRESETS"] = "none"
    run = sidecar.run("ollama-supervisor", "-c", sidecar.ini, "--dump")
    assert run.returncode == 0 and dumped(run.stdout) == {}
    del sidecar.env["SIDECAR_PROXY_PRESETS"]


def test_a_reload_puts_them_in_force_and_loses_nobody(sidecar):
    sidecar.write("models.json", GOOD)
    sidecar.boot(tokens=30, token_delay_ms=50)
    first = sidecar.pid_of("proxy")
    assert handed(first) == GOOD
    stream = sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "x"})
    sidecar.backend.wait("first_token")
    sidecar.write("models.json", OTHER)
    assert sidecar.ctl("reload").returncode == 0
    until(lambda: sidecar.pid_of("proxy") != first, 5, "the next proxy")
    assert handed(sidecar.pid_of("proxy")) == OTHER
    assert in_force(sidecar)["cheap_text"]["options"] == {"num_ctx": 2048, "num_batch": 256}
    answer = stream.result()
    assert answer.status == 200 and answer.clean and len(answer.body.splitlines()) == 31
    assert [line for line in sidecar.process.logged(r" changed ")] == sidecar.process.logged(r" changed program=proxy")
    second = sidecar.pid_of("proxy")
    assert sidecar.ctl("reload").returncode == 0  # the same once more
    assert sidecar.pid_of("proxy") == second
    os.unlink(os.path.join(sidecar.directory, "models.json"))
    assert sidecar.ctl("reload").returncode == 0
    until(lambda: sidecar.pid_of("proxy") != second, 5, "a proxy without presets")
    assert in_force(sidecar) == {}
    assert sidecar.stop() == 0


def test_a_reload_with_a_mistake_changes_nothing(sidecar):
    sidecar.write("models.json", GOOD)
    sidecar.configure("program:extra", command="sleep 600")
    sidecar.boot(tokens=1)
    sidecar.process.wait_log(r" exec program=extra")
    pids = [sidecar.pid_of(name) for name in ("ollama", "proxy", "extra")]
    path = sidecar.write("models.json", GOOD.replace("1024", '"1024"'))
    sidecar.configure("program:extra", command="sleep 601")
    sidecar.write_ini()
    run = sidecar.ctl("reload")
    mistake = f'{path}:2: error: column 55: preset "cheap_text": the option num_ctx must be a number, without quotes'
    assert run.returncode == 1 and mistake in run.stdout + run.stderr
    lines = len(sidecar.process.log)
    sidecar.process.kill(signal.SIGHUP)
    sidecar.process.wait_log(r" reload result=refused", since=lines)
    assert any("mistake" in line and "column 55" in line for line in sidecar.process.log[lines:])
    assert pids == [sidecar.pid_of(name) for name in ("ollama", "proxy", "extra")] and all(map(state_of, pids))
    assert in_force(sidecar)["cheap_text"]["options"]["num_ctx"] == 1024
    sidecar.write("models.json", GOOD)
    assert sidecar.ctl("reload").returncode == 0
    until(lambda: sidecar.pid_of("extra") != pids[2], 5, "the changed program")
    assert sidecar.pid_of("proxy") == pids[1]  # its file is as it was


@pytest.mark.parametrize("edit", ["broken", "other", "gone"])
def test_what_was_edited_and_not_reloaded_is_not_in_force_after_a_crash(sidecar, edit):
    sidecar.write("models.json", GOOD)
    sidecar.boot(tokens=1)
    first = sidecar.pid_of("proxy")
    if edit == "gone":
        os.unlink(os.path.join(sidecar.directory, "models.json"))
    else:
        sidecar.write("models.json", OTHER if edit == "other" else "{ broken")
    os.kill(first, signal.SIGKILL)
    until(lambda: sidecar.pid_of("proxy") != first, 5, "the next proxy")
    assert sidecar.generate().status == 200
    assert handed(sidecar.pid_of("proxy")) == GOOD and in_force(sidecar)["cheap_text"]["options"]["num_ctx"] == 1024
    assert sidecar.stop() == 0


def context_of(sidecar, prompt: str) -> int:
    """The num_ctx with which Ollama is asked for a POST /generate that says only this."""
    answer = sidecar.ask("POST", "/generate", {"prompt": prompt, "stream": False})
    assert answer.status == 200, answer.body
    bodies = [json.loads(entry["body"]) for entry in sidecar.backend.requests("/api/generate")]
    return next(body for body in bodies if body.get("prompt") == prompt)["options"]["num_ctx"]


def test_requests_have_the_presets_that_are_in_force(sidecar):
    sidecar.write("models.json", GOOD)
    sidecar.boot(tokens=1)
    assert context_of(sidecar, "at first") == 1024
    sidecar.write("models.json", OTHER)
    first = sidecar.pid_of("proxy")
    os.kill(first, signal.SIGKILL)
    until(lambda: sidecar.pid_of("proxy") != first, 5, "the next proxy")
    assert context_of(sidecar, "after a crash") == 1024
    assert sidecar.ctl("reload").returncode == 0
    until(lambda: sidecar.process.logged(r" drained "), 5, "the new proxy alone")
    assert context_of(sidecar, "after a reload") == 2048
    sidecar.write("models.json", "{ broken")
    assert sidecar.ctl("reload").returncode == 1
    assert context_of(sidecar, "after a refused one") == 2048
    assert sidecar.stop() == 0


def test_who_waits_with_a_preset_is_served_over_a_reload(sidecar):
    sidecar.write("models.json", GOOD)
    sidecar.boot(tokens=2, load_s=1)
    held = sidecar.background("POST", "/generate", {"prompt": "held"})
    sidecar.backend.wait("request", path="/api/embed")  # its load
    sidecar.write("models.json", "{}")
    assert sidecar.ctl("reload").returncode == 0
    answer = held.result()
    assert answer.status == 200 and answer.clean and json.loads(answer.body.splitlines()[-1])["done"]
    until(lambda: sidecar.process.logged(r" drained "), 5, "the old proxy's end")
    assert sidecar.ask("POST", "/generate", {"prompt": "none"}).status == 400  # there is no preset any more


def test_without_an_ini_models_json_beside_us_is_read(sidecar):
    sidecar.write("models.json", GOOD)
    sidecar.env.update(SIDECAR_SUPERVISOR_CONTROL_SOCKET=sidecar.socket, SIDECAR_SUPERVISOR_STATE_DIR=sidecar.directory + "/state",
                       SIDECAR_PROXY_LISTEN=f"127.0.0.1:{sidecar.port}", OLLAMA_PRELOAD_MODELS="none")
    sidecar.installed = "m"
    sidecar.process = sidecar.launch([program("ollama-supervisor")])
    sidecar.processes.append(sidecar.process)
    sidecar.wait_ready()
    sidecar.write("models.json", "{ broken")
    sidecar.write("supervisor.ini", "[bogus]\n")
    first = sidecar.pid_of("proxy")
    os.kill(first, signal.SIGKILL)
    until(lambda: sidecar.pid_of("proxy") != first, 5, "the next proxy")
    assert sidecar.generate().status == 200 and handed(sidecar.pid_of("proxy")) == GOOD
    assert sidecar.stop() == 0


def test_a_proxy_alone_reads_the_file(sidecar):
    path = sidecar.write("models.json", GOOD)
    sidecar.configure("proxy", backend=f"http://127.0.0.1:{sidecar.backend.port}")
    sidecar.write_ini()
    run = sidecar.run("ollama-proxy", "-c", sidecar.ini, "--dump")
    assert run.returncode == 0 and dumped(run.stdout) == {
        "cheap_text": {"for": "text", "model": ["m"], "options": {"num_ctx": 1024, "num_batch": 256}}}
    sidecar.write("models.json", '{"a": {}}')
    process = sidecar.start("ollama-proxy")
    assert process.wait() == 100 and process.logged(re.escape(f"{path}:1: error: column 2: preset"))


def test_sidecarctl_finds_the_supervisor_whatever_is_in_the_file(sidecar):
    sidecar.boot(tokens=1)
    sidecar.write("models.json", "{ broken")
    run = sidecar.run("sidecarctl", "-c", sidecar.ini, "reload")
    assert run.returncode == 1 and "models.json:1: error: column 3: " in run.stdout + run.stderr
    assert "what can be read of it" not in run.stderr


@pytest.mark.parametrize("ini", ["supervisor.ini", "deploy/profiles/attach.ini", "deploy/profiles/replit.ini"])
def test_what_is_shipped_has_the_owners_presets(sidecar, ini):
    """R0.6"""
    run = sidecar.run("ollama-supervisor", "-c", os.path.join(ROOT, ini), "--dump")
    presets = dumped(run.stdout)
    assert run.returncode == 0, run.stderr
    assert presets["cheap_text"] == {"for": "text", "model": ["mistral:7b-instruct-q4_0"], "options": {"num_ctx": 1024, "num_batch": 256}}
    assert presets["vision"] == {"for": "image", "model": ["liuhaotian", "llava:7b"], "options": {"num_ctx": 2048, "num_batch": 256}}
    assert presets["small_text"]["model"] == ["llama3.2:1b"] and "for" not in presets["small_text"]


def test_what_is_installed_has_them_too(sidecar):
    """They come with the first supervisor.ini."""
    where = os.path.join(sidecar.directory, "root")
    build = os.path.dirname(program("sidecarctl"))
    subprocess.run(["make", "-s", "-C", ROOT, "-o", "all", f"BUILD={build}", f"DESTDIR={where}", "install"],  # what is built is installed
                   check=True, timeout=20 * SLACK, stdout=subprocess.DEVNULL)
    run = sidecar.run("ollama-supervisor", "-c", os.path.join(where, "etc/ollama-sidecar/supervisor.ini"), "--dump")
    assert run.returncode == 0 and set(dumped(run.stdout)) == {"cheap_text", "vision", "small_text"}
