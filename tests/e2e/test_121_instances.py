"""Engines that the supervisor starts because a proxy asks for it: one process group, one port and one row of the page for each."""
import json
import os
import signal

import pytest

from played_proxy import PlayedProxy
from process import state_of
from waiting import SLACK, until


@pytest.fixture
def proxy(sidecar, engines):
    """A played proxy above a supervisor with one played engine, not yet started; the models a/a, b/b and c/c are in the cache."""
    for model in ("a/a", "b/b", "c/c"):
        engines.cache.model(model)
    engines.add()
    return PlayedProxy(sidecar)


def test_an_engine_is_started_is_ready_and_is_stopped(sidecar, engines, proxy):
    proxy.start()
    proxy.start_engine("a/a", length=2048)
    row = proxy.wait_row("a/a", "ready")
    assert row["engine"] == "played" and not row["quantized"] and row["was_ready"] and 0 < row["started_ms"] <= row["ready_ms"]
    started = engines.wait("started", model="a/a")
    assert started["pid"] == row["pid"] and engines.wait("listening")["port"] == row["port"]
    assert started["argv"][-2:] == ["--length", "2048"] and os.path.join("snapshots", "0123") in " ".join(started["argv"])
    assert os.getpgid(row["pid"]) == row["pid"] and os.getpgid(row["pid"]) != os.getpgid(sidecar.process.pid)
    proxy.start_engine("a/a")  # it is there: nothing
    proxy.start_engine("b/b")
    assert proxy.wait_row("b/b", "ready")["port"] != row["port"]
    assert len(engines.journal("started", model="a/a")) == 1
    proxy.stop_engine("a/a")
    assert proxy.wait_row("a/a", "down")["reason"] == ""
    until(lambda: not state_of(row["pid"]), 5, "its process is gone")
    assert proxy.row("b/b")["state"] == "ready"
    assert sidecar.stop() == 0


def test_an_engine_is_given_no_secret_of_the_hubs(sidecar, engines, proxy):
    sidecar.env["HF_TOKEN"] = "hf_abcdefghijklmnop"
    proxy.start()
    proxy.start_engine("a/a")
    row = proxy.wait_row("a/a", "ready")
    with open(f"/proc/{row['pid']}/environ", "rb") as file:
        assert b"hf_abcdefghijklmnop" not in file.read()
    assert not sidecar.process.logged("hf_abcdefghijklmnop")


def test_an_engine_looks_for_a_model_where_it_was_pulled_to(sidecar, engines, proxy):
    """Transformers is told a name, and finds the rest in the cache that its environment names."""
    del sidecar.env["HF_HUB_CACHE"]
    sidecar.configure("program:preload", environment=f"HF_HUB_CACHE={engines.cache.path}")
    proxy.start()
    proxy.start_engine("a/a")
    proxy.wait_row("a/a", "ready")
    assert engines.wait("started")["env"]["HF_HUB_CACHE"] == engines.cache.path


def test_what_it_says_is_in_the_log_under_its_own_name(sidecar, engines, proxy):
    engines.script(exit_while_loading={"code": 3, "says": ["loading", "ValueError: no \"config\" is good enough"]})
    proxy.start()
    proxy.start_engine("a/a")
    row = proxy.wait_row("a/a", "failed")
    assert row["reason"] == "exit code 3: ValueError: no 'config' is good enough"
    assert row["pid"] == 0 and not row["was_ready"] and row["ready_ms"] == 0
    sidecar.process.wait_log(r'engine_failed model=a/a engine=played reason="exit code 3: ValueError')
    sidecar.process.wait_log(r"program=played:a/a .*ValueError: no")
    assert len(engines.starts()) == 1  # it is not started again by itself


def test_a_row_that_failed_is_used_again(engines, proxy):
    engines.script(exit_while_loading={"code": 1, "times": 1})
    proxy.start()
    proxy.start_engine("a/a")
    failed = proxy.wait_row("a/a", "failed")
    proxy.start_engine("a/a")
    row = proxy.wait_row("a/a", "ready")
    assert row["number"] > failed["number"] and row["reason"] == "" and len(proxy.rows()) == 1


def test_one_that_dies_while_it_serves_is_told_and_nobody_elses_affair(engines, proxy):
    proxy.start()
    proxy.start_engine("a/a")
    proxy.start_engine("b/b")
    row, other = proxy.wait_row("a/a", "ready"), proxy.wait_row("b/b", "ready")
    os.kill(row["pid"], signal.SIGKILL)
    gone = proxy.wait_row("a/a", "failed")
    assert gone["was_ready"] and gone["reason"].startswith("killed by signal 9 (Killed)")
    assert proxy.row("b/b") == other
    assert state_of(other["pid"]) not in ("", "Z")


@pytest.mark.parametrize("command, words", [
    ("there-is-no-such-engine %(path)s --port %(port)s", "there-is-no-such-engine can't be started: No such file or directory; install it, or set command in [engine:broken]"),
    ("/etc/passwd %(path)s --port %(port)s", "/etc/passwd can't be started: Permission denied; install it, or set command in [engine:broken]"),
    ("sh -c 'exit 0' x %(path)s %(port)s", "exit code 0"),
    ("sh -c 'echo it is done; kill -ABRT $$' x %(path)s %(port)s", "killed by signal 6 (Aborted): it is done"),
])
def test_one_that_never_comes_up_says_why(sidecar, proxy, command, words):
    sidecar.configure("engine:broken", command=command)
    sidecar.configure("models", engines="broken")
    proxy.start()
    proxy.start_engine("a/a", "broken")
    assert proxy.wait_row("a/a", "failed")["reason"] == words


def test_one_that_takes_too_long_is_killed_with_all_that_it_started(sidecar, engines, proxy):
    sidecar.configure("engine:played", start_timeout="1s", stop_timeout="500ms")
    engines.script(load_s=600, ignore_term=True)
    proxy.start()
    proxy.start_engine("a/a")
    pid = engines.wait("listening")["pid"]
    sidecar.process.wait_log(r"state program=played:a/a from=starting to=stopping cause=start_timeout")
    assert proxy.row("a/a")["state"] in ("starting", "failed")  # nobody has told it to stop
    row = proxy.wait_row("a/a", "failed")
    assert row["reason"].startswith("not ready within 1") and not row["was_ready"]
    until(lambda: not state_of(pid), 5, "its process is gone")


def test_a_port_that_another_takes_first_is_not_the_end(sidecar, proxy):
    taken = sidecar.write("taken.py", """
import os, socket, sys
mark = sys.argv[1] + ".tried"
tries = os.path.getsize(mark) if os.path.exists(mark) else 0
open(mark, "a").write(".")
if tries < int(sys.argv[2]):
    sys.exit("ERROR:    [Errno 98] error while attempting to bind on address ('127.0.0.1', " + sys.argv[3] + "): address already in use")
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[3])), Handler).serve_forever()
""")
    for name, times in (("twice", 2), ("always", 3)):
        sidecar.configure(f"engine:{name}", command=f"python3 {taken} {os.path.join(sidecar.directory, name)} {times} %(port)s %(path)s")
    sidecar.configure("models", engines="twice, always")
    proxy.start()
    proxy.start_engine("a/a", "twice")
    row = proxy.wait_row("a/a", "ready")
    ports = [line.split("port=")[1].split()[0] for line in sidecar.process.logged("engine_port model=a/a")]
    assert len(ports) == 2 and len({*ports, str(row["port"])}) == 3
    proxy.start_engine("b/b", "always")
    assert "address already in use" in proxy.wait_row("b/b", "failed")["reason"]


@pytest.mark.parametrize("words, reason", [
    (["a/a", "unheard-of", {}], "[engine:unheard-of] is not in the configuration"),
    (["a/a", "played", {"revision": "main"}], "its revision"),
    (["a/a", "played", {"length": 0}], "its length"),
    (["a/a", "played", {"precision": "q8"}], "its precision"),
    (["a/a", "played", {"file": "../../../x.gguf"}], "its file"),
])
def test_what_is_not_declared_is_refused_in_a_row(engines, proxy, words, reason):
    proxy.start()
    model, engine, more = words
    proxy.start_engine(model, engine, **more)
    assert reason in proxy.wait_row("a/a", "failed")["reason"]
    assert not engines.journal()


@pytest.mark.parametrize("model", ["../../etc/passwd", "a/b/c", "-rf", ""])
def test_names_that_are_none_of_a_hubs_start_nothing(sidecar, engines, proxy, model):
    proxy.start()
    proxy.start_engine(model)
    sidecar.process.wait_log("engine_refused")
    assert not proxy.rows() and not engines.journal()


def test_there_are_no_more_than_the_configuration_lets_be(sidecar, engines, proxy):
    sidecar.configure("models", max_cache_models="1")
    proxy.start()
    for model in ("a/a", "b/b"):
        proxy.start_engine(model)
        proxy.wait_row(model, "ready")
    proxy.start_engine("c/c")
    proxy.stop_engine("a/a")
    proxy.wait_row("a/a", "down")
    assert not proxy.row("c/c") and not engines.journal("started", model="c/c")  # who asks finds on the page that there was no place
    proxy.start_engine("c/c")
    proxy.wait_row("c/c", "ready")


def test_a_stop_of_everything_ends_engines_behind_the_proxy(sidecar, engines, proxy):
    engines.script(ignore_term=True)
    sidecar.configure("supervisor", shutdown_timeout="3s")
    proxy.start()
    for model in ("a/a", "b/b"):
        proxy.start_engine(model)
        proxy.wait_row(model, "ready")
    assert sidecar.stop() == 0
    ends = [line.split("program=")[1].split()[0] for line in sidecar.process.logged(r" exited .*program=(proxy|played)")]
    assert ends[0] == "proxy" and sorted(ends[1:]) == ["played:a/a", "played:b/b"], sidecar.process.tail()
    assert not sidecar.programs()


def test_a_proxy_that_dies_leaves_them_to_the_next_one(sidecar, proxy):
    proxy.start()
    proxy.start_engine("a/a")
    row = proxy.wait_row("a/a", "ready")
    since = len(sidecar.process.log)
    os.kill(sidecar.pid_of("proxy"), signal.SIGKILL)
    sidecar.process.wait_log(r"state program=proxy from=starting to=ready", since=since)
    assert proxy.row("a/a") == row


def test_a_reload_keeps_whose_engine_is_the_same(sidecar, engines, proxy):
    engines.add("other")
    proxy.start()
    proxy.start_engine("a/a")
    proxy.start_engine("b/b", "other")
    kept, changed = proxy.wait_row("a/a", "ready"), proxy.wait_row("b/b", "ready")
    sidecar.configure("engine:played", idle_timeout="1h", stop_timeout="1s")
    sidecar.configure("engine:other", environment="OTHER=1")
    sidecar.settings = {"engine:zero": {"command": "zero %(path)s %(port)s"}, **sidecar.settings}  # the places of the others move
    sidecar.write_ini()
    since = len(sidecar.process.log)
    assert sidecar.ctl("reload").returncode == 0
    sidecar.process.wait_log(r"changed program=other:b/b")
    until(lambda: not state_of(changed["pid"]), 5, "the one that has changed is gone")
    sidecar.process.wait_log(r"state program=proxy from=starting to=ready", since=since)
    row = proxy.wait_row("a/a", "ready")
    assert row["pid"] == kept["pid"] and row["engine"] == "played"
    sidecar.configure("models", serve="no")
    sidecar.write_ini()
    assert sidecar.ctl("reload").returncode == 0
    until(lambda: not state_of(kept["pid"]), 5, "it is gone with [models] serve")


def test_idle_action_stop_ends_them(sidecar, engines, proxy):
    sidecar.configure("supervisor", idle_timeout="500ms", idle_action="stop", log_level="debug")
    proxy.start()
    proxy.ask(line={"in_flight_n": 1})
    proxy.start_engine("a/a")
    pid = proxy.wait_row("a/a", "ready")["pid"]
    proxy.ask(line={"in_flight_n": 0})
    proxy.wait_row("a/a", "down")
    until(lambda: not state_of(pid), 5, "its process is gone")
    since = len(sidecar.process.logged("falling from=awake to=asking"))
    proxy.start_engine("b/b")  # and so is the next one; between them nobody was asked
    proxy.wait_row("b/b", "ready")
    assert len(sidecar.process.logged("falling from=awake to=asking")) == since
    proxy.wait_row("b/b", "down")
    assert sidecar.process.popen.poll() is None


def test_sidecarctl_shows_them(sidecar, engines, proxy):
    engines.script(models={"b/b": {"exit_while_loading": {"code": 1, "says": ["OSError: no such file"]}}})
    proxy.start()
    proxy.start_engine("a/a", precision="q4")
    proxy.start_engine("b/b")
    row = proxy.wait_row("a/a", "ready")
    proxy.wait_row("b/b", "failed")
    told = {one["model"]: one for one in json.loads(sidecar.ctl("status", "--json").stdout)["instances"]}
    assert told["a/a"]["engine"] == "played" and told["a/a"]["state"] == "ready" and told["a/a"]["pid"] == row["pid"]
    assert told["a/a"]["port"] == row["port"] and told["a/a"]["quantized"] is True and told["a/a"]["rss_bytes"] > 0 and told["a/a"]["load_ms"] >= 0
    assert told["b/b"]["state"] == "failed" and told["b/b"]["reason"] == "exit code 1: OSError: no such file" and told["b/b"]["load_ms"] is None
    assert "OSError: no such file" in sidecar.ctl("tail", "played:b/b").stdout and not sidecar.ctl("tail", "played:a/a").stdout
    assert sidecar.ctl("tail", "played:c/c").returncode != 0
    shown = sidecar.ctl("status").stdout
    assert "a/a" in shown and "played" in shown and "b/b: exit code 1: OSError: no such file" in shown


# ---- jobs of the hub ----

def test_a_job_of_the_hub_works_on_the_proxys_socket(sidecar, proxy):
    proxy.put("ollama-preload", 'read line; echo "$line" | tr a-z A-Z; echo "$@"; [ -n "$SIDECAR_CONFIG_FD" ] && grep -c models /proc/self/fd/$SIDECAR_CONFIG_FD')
    proxy.start()
    said = proxy.ask(hub='{"do":"list"}\n')["said"].splitlines()
    assert said == ['{"DO":"LIST"}', f"--hub -c {sidecar.ini}", said[2]] and int(said[2]) > 0


def test_a_job_goes_on_when_nobody_listens(sidecar, proxy):
    done = os.path.join(sidecar.directory, "done")
    go = os.path.join(sidecar.directory, "go")
    os.mkfifo(go)
    proxy.put("ollama-preload", f"trap '' PIPE; read line; read x <{go}; echo said; echo $line >{done}")
    sidecar.configure("supervisor", idle_timeout=f"{SLACK:g}s", idle_action="exit")
    proxy.start()
    proxy.ask(hub="pull\n", leave=True)
    since = len(sidecar.process.log)
    os.kill(sidecar.pid_of("proxy"), signal.SIGKILL)
    sidecar.process.wait_log(r"state program=proxy from=starting to=ready", since=since)
    with open(go, "w", encoding="utf-8") as file:
        file.write("\n")
    until(lambda: os.path.exists(done), 5, "the job has ended its work")
    assert sidecar.process.wait() == 0  # idle from then on, and not before


def test_there_are_no_more_jobs_than_eight(sidecar, proxy):
    proxy.put("ollama-preload", "sleep 600")
    proxy.start()
    for _ in range(8):
        proxy.ask(hub="", leave=True)
    said = json.loads(proxy.ask(hub="")["said"])
    assert said["code"] == "busy" and said["status"] == 503 and said["retry_after_s"] > 0
    assert sidecar.stop() == 0 and not sidecar.programs()


def test_a_job_that_cant_be_started_says_so(sidecar, proxy):
    os.unlink(os.path.join(proxy.folder, "ollama-preload"))
    sidecar.env["PATH"] = "/usr/bin:/bin"
    proxy.start()
    said = json.loads(proxy.ask(hub="")["said"])
    assert said["code"] == "system" and "ollama-preload can't be started: No such file or directory" in said["error"]


def test_without_serve_there_are_neither_jobs_nor_engines(sidecar, engines, proxy):
    sidecar.configure("models", serve="no")
    proxy.start()
    said = json.loads(proxy.ask(hub="")["said"])
    assert said["status"] == 501 and "[models] serve = yes" in said["error"]
    proxy.start_engine("a/a")
    assert not proxy.rows() and not engines.journal()
