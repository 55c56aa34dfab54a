"""The Replit workspace: start.sh as its run command, and what Replit reads of it: .replit and replit.nix."""
import base64
import json
import os
import re
import resource
import shutil
import struct
import subprocess
import time
import zlib

import pytest

from freezing import Signals
from sidecar import BUILD, ROOT
from test_22_trust import Net
from test_45_adversity import pass_time
from test_54_gaps import pids_of
from waiting import SLACK
from workspace import PROGRAMS, Workspace

LISTENS = r" proxy listening "
TEXT_MODEL = "mistral:7b-instruct-q4_0"
WANTED = {"OLLAMA_NUM_PARALLEL": "1", "OLLAMA_MAX_QUEUE": "64", "OLLAMA_KEEP_ALIVE": "5m", "OLLAMA_CONTEXT_LENGTH": "2048"}


@pytest.fixture
def workspace(folder):
    """A Workspace, not yet started; afterwards nothing of it may be left."""
    made = Workspace(folder)
    made.backend.script(tokens=3, token_delay_ms=5, pull_bytes=1000)
    yield made
    complaints = made.clean_up()
    assert not complaints, "\n".join(complaints + [process.tail() for process in made.processes])


def environment_of(pid):
    """What a process was given."""
    with open(f"/proc/{pid}/environ", "rb") as file:
        return dict(entry.split("=", 1) for entry in file.read().decode().split("\0") if "=" in entry)


def generate(workspace, model=TEXT_MODEL, **more):
    """The usual request."""
    return workspace.generate(model, **more)


# the files that Replit reads

def test_r0_1_dot_replit_runs_start_sh_and_publishes_the_door_alone():
    tomllib = pytest.importorskip("tomllib")
    with open(os.path.join(ROOT, ".replit"), "rb") as file:
        told = tomllib.load(file)
    assert told["run"] == "bash start.sh" and os.access(os.path.join(ROOT, "start.sh"), os.X_OK)
    assert {"build", "data"} <= set(told["hidden"])
    assert told["ports"] == [{"localPort": 3000, "externalPort": 80}]
    assert told["nix"]["channel"].startswith("stable-")


def nix(folder, *words):
    """nix-instantiate, with whatever it wants to keep in a folder of ours."""
    if not shutil.which("nix-instantiate"):
        pytest.skip("there is no nix-instantiate: `make check-deps` installs it (nix-bin)")
    env = {"PATH": os.environ["PATH"], "HOME": folder, **{f"NIX_{name}_DIR": os.path.join(folder, "nix", name.lower())
                                                          for name in ("STORE", "STATE", "LOG", "CONF")}}
    done = subprocess.run(["nix-instantiate", *words], env=env, capture_output=True, text=True, timeout=30 * SLACK, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def evaluate(folder, packages):
    """What replit.nix comes to with these packages."""
    stub = "{ " + " ".join(f'{name} = {value};' for name, value in packages.items()) + " }"
    text = nix(folder, "--eval", "--strict", "--json", "--readonly-mode", "--expr",
               f"let told = import {os.path.join(ROOT, 'replit.nix')} {{ pkgs = {stub}; }}; in told // {{ deps = map toString told.deps; }}")
    return json.loads(text)


def stubs(*more):
    """Packages as nixpkgs has them: most are in one place, some in several."""
    plain = {name: f'{{ outPath = "/nix/{name}"; }}' for name in ("cjson", "inih", "jq", "gcc", "gnumake", "gzip", *more)}
    return {**plain, "curl": '{ outPath = "/nix/curl-bin"; dev = "/nix/curl-dev"; out = "/nix/curl"; }',
            "llhttp": '{ outPath = "/nix/llhttp"; dev = "/nix/llhttp-dev"; out = "/nix/llhttp"; }'}


def test_r0_3_replit_nix_parses_and_evaluates_with_ollama_and_without(folder):
    nix(folder, "--parse", os.path.join(ROOT, "replit.nix"))
    without, whole = evaluate(folder, stubs()), evaluate(folder, stubs("ollama"))
    assert set(whole["deps"]) - set(without["deps"]) == {"/nix/ollama"} and whole["env"] == without["env"]
    assert {"/nix/curl-bin", "/nix/jq", "/nix/gcc", "/nix/gnumake", "/nix/gzip"} <= set(without["deps"]) and len(whole["deps"]) <= 9
    headers = re.findall(r"-isystem (\S+)", whole["env"]["REPLIT_CPPFLAGS"])
    assert set(headers) == {"/nix/curl-dev/include", "/nix/cjson/include", "/nix/inih/include", "/nix/llhttp-dev/include"}
    for name in ("curl", "cjson", "inih", "llhttp"):
        assert f"-L/nix/{name}/lib -Wl,-rpath,/nix/{name}/lib" in whole["env"]["REPLIT_LDFLAGS"]


# starting

def bare_path(workspace) -> str:
    """A PATH of what start.sh needs, and no ollama."""
    folder = workspace.path("data", "tools")
    os.makedirs(folder)
    for name in ("bash", "sh", "dirname", "cat", "mkdir", "mv", "rm", "chmod", "cp", "ln", "find", "nproc", "jq", "cc", "make", "python3", "env"):
        if shutil.which(name):
            os.symlink(shutil.which(name), os.path.join(folder, name))
    return folder


def test_r0_3_without_ollama_it_says_what_to_do_and_never_takes_the_stand_in(workspace):
    workspace.is_built()
    workspace.env["PATH"] = bare_path(workspace)
    done = workspace.run_start()
    assert done.returncode == 1 and not done.stdout
    assert "there is no ollama" in done.stderr and "channel" in done.stderr and "OLLAMA_INSTALL=yes" in done.stderr


def test_r0_3_ollama_s_own_installer_is_run_where_that_is_wanted(workspace):
    workspace.env.update(PATH=bare_path(workspace), OLLAMA_INSTALL="yes")
    workspace.is_built()
    ollama = os.path.join(ROOT, "tests", "standin", "ollama")
    workspace.tool("curl", f"""echo "$@" >>{workspace.path("data", "asked")}
echo 'ln -s {ollama} {workspace.path("data", "bin", "ollama")}'""")
    workspace.start()
    workspace.process.wait_log(LISTENS)
    with open(workspace.path("data", "asked"), encoding="utf-8") as file:
        assert file.read() == "-fsSL https://ollama.com/install.sh\n"
    assert workspace.stop() == 0


@pytest.mark.parametrize("curl, told", [("exit 22", "could not be fetched"), ("echo 'echo no room >&2; exit 1'", "installer failed"),
                                        ("echo true", "no ollama on PATH")])
def test_an_installer_that_fails_is_told(workspace, curl, told):
    workspace.env.update(PATH=bare_path(workspace), OLLAMA_INSTALL="yes")
    workspace.is_built()
    workspace.tool("curl", curl)
    done = workspace.run_start()
    assert done.returncode == 1 and told in done.stderr, done.stderr


def test_r0_2_ollama_gets_the_environment_of_a_small_machine(workspace):
    workspace.is_built().start()
    workspace.process.wait_log(r" ready after_ms=")
    got = environment_of(workspace.pid_of("ollama"))
    assert WANTED.items() <= got.items()
    assert got["OLLAMA_HOST"] == f"0.0.0.0:{workspace.backend.port}" and got["OLLAMA_MODELS"] == workspace.path("data", "models")
    assert workspace.stop() == 0


def test_what_is_set_already_stays_and_what_is_empty_does_not_count(workspace):
    workspace.env.update(OLLAMA_NUM_PARALLEL="2", OLLAMA_CONTEXT_LENGTH="1024", OLLAMA_MODEL_CACHE_DIR=workspace.path("data", "mine"),
                         OLLAMA_KEEP_ALIVE="", OLLAMA_PRELOAD_MODELS="none")
    workspace.is_built().start()
    workspace.process.wait_log(r" ready after_ms=")
    got = environment_of(workspace.pid_of("ollama"))
    assert got["OLLAMA_NUM_PARALLEL"] == "2" and got["OLLAMA_CONTEXT_LENGTH"] == "1024" and got["OLLAMA_KEEP_ALIVE"] == "5m"
    assert got["OLLAMA_MODELS"] == workspace.path("data", "mine")
    assert not workspace.backend.requests("/api/pull")
    assert workspace.stop() == 0


@pytest.fixture
def alone(workspace):
    """A network of its own, with the ports that a workspace has."""
    for tool in ("unshare", "nsenter", "ip"):
        if not shutil.which(tool):
            pytest.skip(f"there is no {tool}")
    net = Net("network of " + workspace.mark)
    if not net.is_up:
        net.close()
        pytest.skip(f"no network namespace can be made: {net.why}")
    workspace.before = ["nsenter", f"--net=/proc/{net.popen.pid}/ns/net"]
    workspace.fixed_ports()
    yield net
    workspace.clean_up()
    net.close()


def test_r0_1_a_first_start_with_nothing_pulled_on_the_ports_of_a_workspace(workspace, alone):
    workspace.env["PORT"] = "8080"  # of another program of its owner's
    del workspace.env["HOME"]
    workspace.is_built().start()
    workspace.process.wait_log(LISTENS + r"address=0\.0\.0\.0:3000 ")
    alone.call(workspace.wait_ready)
    (listening,) = workspace.backend.journal("listening")
    assert listening["port"] == 8000
    (pull,) = workspace.backend.requests("/api/pull")
    assert json.loads(pull["body"])["model"] == TEXT_MODEL
    health = alone.call(workspace.health)
    assert health["status"] == "ok" and health["models"]["ready"] == [TEXT_MODEL]
    assert [alone.call(workspace.ask, "GET", path).status for path in ("/live", "/ready")] == [200, 200]
    answer = alone.call(generate, workspace)
    assert answer.status == 200 and answer.json["response"] == "t0 t1 t2 "
    assert workspace.stop() == 0 and not workspace.programs()


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv") or not os.access("/usr/bin/python3", os.X_OK),
                    reason="root alone can become another user, by setpriv, for whom the stand-in needs /usr/bin/python3")
def test_as_a_workspace_s_own_user_whose_other_shells_find_it(workspace):
    workspace.env["PATH"] = os.path.join(ROOT, "tests", "standin") + ":/usr/bin:/bin"
    del workspace.env["SIDECAR_SUPERVISOR_CONTROL_SOCKET"]
    workspace.is_built()
    become = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]
    if subprocess.run([*become, "test", "-x", os.path.realpath(workspace.path("build", "sidecarctl"))], check=False).returncode:
        pytest.skip("others may not read this checkout")
    os.chmod(workspace.directory, 0o755)
    subprocess.run(["chown", "-R", "12345:12345", workspace.directory], check=True)
    workspace.before = become
    workspace.start()
    workspace.process.wait_log(r" ready after_ms=")
    shell = {"PATH": "/usr/bin:/bin", "HOME": workspace.directory}
    status = subprocess.run([*become, "build/sidecarctl", "-c", "deploy/profiles/replit.ini", "--json", "status"], env=shell, cwd=workspace.folder,
                            capture_output=True, text=True, timeout=10 * SLACK, check=False)
    assert status.returncode == 0 and json.loads(status.stdout)["state"] == "running", status.stderr
    assert workspace.stop() == 0 and os.path.exists(workspace.path("data", "state"))


def test_r0_10_a_page_of_the_workspace_may_ask_and_no_other(workspace):
    workspace.env.update(REPLIT_DOMAINS="app.example.com,me.replit.app", REPLIT_DEV_DOMAIN="abc.id.repl.co", REPLIT_ORIGINS="https://*.example.org")
    workspace.is_built().start()
    workspace.process.wait_log(r" ready after_ms=")
    for origin, status in [("http://localhost:5173", 200), ("http://127.0.0.1", 200), ("https://app.example.com", 200),
                           ("https://me.replit.app", 200), ("https://abc.id.repl.co", 200), ("https://mine.example.org", 200),
                           ("http://app.example.com", 403), ("https://replit.app", 403), ("https://other.replit.app", 403), ("file://", 403),
                           ("app://x", 403), ("tauri://localhost", 403), ("vscode-webview://x", 403), ("http://0.0.0.0:3000", 403),
                           ("null", 403), ("https://example.org", 403)]:
        answer = workspace.ask("GET", "/api/tags", headers=[("Origin", origin)])
        assert answer.status == status, (origin, answer.status)
        assert answer.header("Access-Control-Allow-Origin") == (origin if status == 200 else None)


def test_without_domains_there_is_this_machine_alone(workspace):
    workspace.is_built().start()
    workspace.process.wait_log(r" ready after_ms=")
    assert not workspace.process.logged("warning|WARNING"), workspace.process.tail()
    assert workspace.ask("GET", "/api/tags", headers=[("Origin", "http://localhost:1")]).status == 200
    assert workspace.ask("GET", "/api/tags", headers=[("Origin", "https://me.replit.app")]).status == 403


@pytest.mark.parametrize("behind, end", [("\n", "\n"), ("\n", ""), (" # ollama's\n", " # why?\n"), ("\r\n", "\r\n")])
def test_ollama_s_own_port_that_replit_publishes_is_warned_of(workspace, behind, end):
    workspace.is_built()
    with open(workspace.path(".replit"), "a", encoding="utf-8", newline="") as file:
        file.write(f"\n[[ports]]\nlocalPort = {workspace.backend.port}{behind}externalPort = 3001{end}")
    workspace.start()
    workspace.process.wait_log(rf"WARNING: \.replit publishes Ollama's own port {workspace.backend.port} as 3001")


@pytest.mark.parametrize("presets, pulled", [
    ({"small": {"for": "text", "model": ["llama3.2:1b"]}, "vision": {"for": "image", "model": "llava:7b"}}, "llama3.2:1b"),
    ({"vision": {"model": "llava:7b"}, "cheap_text": {"model": "qwen3:4b"}}, "qwen3:4b")])
def test_the_text_preset_s_model_is_pulled_first(workspace, presets, pulled):
    workspace.write_to("models.json", json.dumps(presets))
    workspace.is_built().start()
    workspace.process.wait_log(r" ready after_ms=")
    assert [json.loads(entry["body"])["model"] for entry in workspace.backend.requests("/api/pull")] == [pulled]


@pytest.mark.parametrize("presets", [{"small_text": {"model": "llama3.2:1b"}, "vision": {"model": "llava:7b"}},
                                     {"cheap_text": {"model": ["one", "two"]}}], ids=["no text preset", "one of several"])
def test_without_one_model_for_text_nothing_is_pulled_before_it_is_asked_for(workspace, presets):
    workspace.write_to("models.json", json.dumps(presets))
    workspace.is_built().start()
    workspace.process.wait_log(r" ready after_ms=")
    assert not workspace.backend.requests("/api/pull")


# what the owner asks

def png(width=2, height=3) -> bytes:
    """A small picture."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes(3 * width) for _ in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def told(workspace, command):
    """The text of a whole answer to a command of a shell in the workspace."""
    done = subprocess.run([*workspace.before, "sh", "-c", command], env=workspace.environment(), cwd=workspace.folder,
                          capture_output=True, text=True, timeout=25 * SLACK, check=False)
    values = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
    assert done.returncode == 0 and len(values) == 4 and values[-1]["done"], done.stderr + done.stdout
    return "".join(value["response"] for value in values)


def commands_of(name):
    """What a reader is told to type."""
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return re.findall(r"^    (curl -N http://localhost:3000/generate .+)$", file.read(), re.MULTILINE)


def the_owner_asks(workspace):
    """The two commands of R0.12, as they stand in README.md and README.pt.md; Ollama gets the presets and the very image."""
    with open(workspace.path("exemplo.jpg"), "wb") as file:
        file.write(png())
    assert commands_of("docs/replit.md") == commands_of("README.md")
    for name in ("README.md", "README.pt.md"):
        text, image = commands_of(name)
        assert told(workspace, text) == told(workspace, image) == "t0 t1 t2 ", name
    asked = [json.loads(entry["body"]) for entry in workspace.backend.requests("/api/generate") if '"prompt"' in entry["body"]]
    options = {"num_batch": 256, "use_mmap": True}
    for text, image, prompts in zip(asked[::2], asked[1::2], [("Say hello", "What is in this picture?"), ("Diga olá", "O que há nesta imagem?")]):
        assert (text["model"], text["options"]) == (TEXT_MODEL, {"num_ctx": 1024, **options})
        assert (image["model"], image["options"]) == ("llava:7b", {"num_ctx": 2048, **options})
        assert (text["prompt"], image["prompt"]) == prompts
        assert "images" not in text and [base64.b64decode(text, validate=True) for text in image["images"]] == [png()]
    loaded = [entry["model"] for entry in workspace.backend.journal("loaded")]
    assert len(asked) == 4 and loaded == [TEXT_MODEL, "llava:7b"]  # each once, the second when an image came


def test_r0_12_the_owner_s_two_commands_with_both_models_there(workspace, alone):  # pylint: disable=unused-argument
    workspace.installed = f"{TEXT_MODEL},llava:7b"
    workspace.is_built().start()
    workspace.process.wait_log(r" ready after_ms=")
    the_owner_asks(workspace)
    assert not workspace.backend.requests("/api/pull")
    assert workspace.stop() == 0


def test_r0_12_from_nothing_pulled_to_the_owner_s_two_commands_answered(workspace, alone):  # pylint: disable=unused-argument
    workspace.backend.script(tokens=3, token_delay_ms=5, pull_bytes=1000, models={"liuhaotian": {"pull_error": "unknown_model"}})
    workspace.is_built().start()
    workspace.process.wait_log(LISTENS)  # and no later: who asks is held
    the_owner_asks(workspace)
    pulled = [json.loads(entry["body"])["model"] for entry in workspace.backend.requests("/api/pull")]
    assert pulled == [TEXT_MODEL, "liuhaotian", "llava:7b"]
    assert workspace.stop() == 0


# hibernating

def test_r0_11_it_hibernates_and_wakes_at_any_time(workspace):
    workspace.env["SIDECAR_SUPERVISOR_IDLE_TIMEOUT"] = "1s"
    workspace.backend.script(tokens=30, token_delay_ms=20, pull_bytes=1000)
    workspace.is_built().start()
    workspace.process.wait_log(r" ready after_ms=")
    way, pids = Signals(), pids_of(workspace, "all")  # the preloader may be on its way out
    with workspace.connect() as connection:  # in the middle of an answer
        answer = connection.request("POST", "/api/generate", {"model": TEXT_MODEL, "prompt": "x"})
        values = answer.objects()
        assert next(values)[1]["response"] == "t0 "
        way.freeze(pids)
        pass_time(2)
        way.thaw(pids)
        assert [value for _, value in values][-1]["done"] and answer.clean
    workspace.process.wait_log(r" resumed by_ms=")
    workspace.wait_health(lambda health: health.get("state") == "asleep", 10)
    assert workspace.health()["status"] == "ok" and workspace.health()["code"] == 200
    pids = pids_of(workspace, "supervisor") + pids_of(workspace, "proxy")  # while Ollama sleeps
    way.freeze(pids)
    pass_time(2)
    way.thaw(pids)
    assert workspace.health()["state"] == "asleep"
    assert generate(workspace).status == 200
    workspace.process.wait_log(r" awake ollama=ready ")
    assert workspace.stop() == 0


def test_sigterm_ends_everything_while_a_request_waits_for_the_first_pull(workspace):
    workspace.backend.script(pull_bytes=10**9, pull_rate_bytes_s=1000)
    workspace.is_built().start()
    workspace.backend.wait("request", path="/api/pull")
    with workspace.connect() as connection:
        connection.send("POST", "/api/generate", {"model": TEXT_MODEL, "prompt": "x"})
        workspace.wait_health(lambda health: health["requests"]["held"] == 1)
        assert workspace.stop() == 0
    assert not workspace.programs()


# building

def recorded_make(workspace):
    """`make` only notes what it was asked for, and makes the programs of the tests."""
    links = "\n".join(f'rm -f build/{name}; ln -s {os.path.realpath(workspace.path("build", name))} build/{name}' for name in PROGRAMS)
    workspace.tool("make", f'echo "$@" >>{workspace.path("data", "made")}\n{links}')
    workspace.tool("apt-get", "exit 1")  # of no use in a workspace


def made(workspace):
    """How often it was asked, and the last time for what."""
    try:
        with open(workspace.path("data", "made"), encoding="utf-8") as file:
            lines = file.read().splitlines()
        return len(lines), lines[-1].split()
    except FileNotFoundError:
        return 0, []


def start_and_stop(workspace):
    """A start that comes as far as its own log."""
    done = workspace.run_start("--check")
    assert done.returncode == 0, done.stderr
    return done


def test_it_builds_only_when_needed(workspace):
    workspace.env.update(REPLIT_CPPFLAGS="-isystem /nix/a/include", REPLIT_LDFLAGS="-L/nix/a/lib")
    recorded_make(workspace.is_built())
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start_and_stop(workspace)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert made(workspace) == (0, [])
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5 * SLACK  # of a processor's time
    later = time.time() + 5

    def edited():
        os.utime(workspace.write_to("proxy/mine.c", ""), (later, later))

    def other_libraries():
        workspace.env["REPLIT_CPPFLAGS"] = "-isystem /nix/b/include"

    def gone_from_the_store():
        os.remove(workspace.path("build", "ollama-proxy"))
        workspace.write_to("build/ollama-proxy", "#!/nix/gone/sh\n", 0o755)

    for count, (change, is_anew) in enumerate([(edited, False), (lambda: os.remove(workspace.path("build", "sidecarctl")), False),
                                               (other_libraries, True), (gone_from_the_store, True)], 1):
        change()
        start_and_stop(workspace)
        number, words = made(workspace)
        assert number == count and ("-B" in words) == is_anew and words[-1] == "all", (count, number, words)
        os.utime(workspace.path("proxy", "mine.c"), (0, 0))
        start_and_stop(workspace)
        assert made(workspace)[0] == count, words
    assert "CPPFLAGS= -isystem" in " ".join(words)


def test_a_build_that_fails_is_shown_whole_and_says_what_to_do(workspace):
    workspace.env["REPLIT_CPPFLAGS"] = "-isystem /nowhere"
    workspace.tool("make", "seq 300 >&2; echo 'fatal error: ini.h: No such file' >&2; exit 2")
    done = workspace.run_start()
    assert done.returncode == 1 and "\n1\n2\n" in done.stderr and "\n300\nfatal error: ini.h" in done.stderr
    assert "replit.nix" in done.stderr and "reload the workspace" in done.stderr
    os.remove(workspace.path("data", "bin", "make"))
    workspace.env["PATH"] = bare_path(workspace)
    os.remove(os.path.join(workspace.env["PATH"], "cc"))
    workspace.tool("ollama", "exit 1")
    done = workspace.run_start()
    assert done.returncode == 1 and "could not be built" in done.stderr, done.stderr
    workspace.tool("make", "exit 3")
    assert workspace.run_start().returncode == 1  # it is no build that a later start would take for done


def fake_store(folder):
    """What replit.nix names, in places where no compiler looks by itself; {package: its value in Nix}."""
    def link(target, *names):
        os.makedirs(os.path.join(folder, *names[:-1]), exist_ok=True)
        os.symlink(target, os.path.join(folder, *names))

    def find(*candidates):
        found = next(filter(os.path.exists, candidates), None)
        return found or pytest.skip(f"there is no {candidates[0]}")

    libraries = "/usr/lib/" + subprocess.run(["cc", "-print-multiarch"], capture_output=True, text=True, check=True).stdout.strip()
    includes = libraries.replace("/lib/", "/include/")
    link(find(f"{includes}/curl", "/usr/include/curl"), "curl-dev", "include", "curl")
    link(find("/usr/include/cjson"), "cjson", "include", "cjson")
    link(find("/usr/include/ini.h"), "inih", "include", "ini.h")
    for package, library in (("curl", "libcurl.so"), ("cjson", "libcjson.so"), ("inih", "libinih.so")):
        link(find(f"{libraries}/{library}", f"/usr/lib/{library}"), package, "lib", library)
    shutil.copy(find("/usr/share/include/llhttp/llhttp.h"), os.path.join(folder, "curl-dev"))
    os.makedirs(os.path.join(folder, "llhttp", "lib"))
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-w", f"-I{folder}/curl-dev", "-o", f"{folder}/llhttp/lib/libllhttp.so", "-Wl,-soname,libllhttp.so",
                    *(find(f"/usr/share/llhttp/{name}.c") for name in ("api", "http", "llhttp"))], check=True, timeout=60 * SLACK)
    link(f"{folder}/curl-dev/llhttp.h", "llhttp-dev", "include", "llhttp.h")
    value = '{{ outPath = "{0}/{1}"; }}'.format
    return {**{name: value(folder, name) for name in ("cjson", "inih", "jq", "gcc", "gnumake", "gzip")},
            "curl": f'{{ outPath = "{folder}/curl-bin"; dev = "{folder}/curl-dev"; out = "{folder}/curl"; }}',
            "llhttp": f'{{ outPath = "{folder}/llhttp"; dev = "{folder}/llhttp-dev"; }}'}


@pytest.mark.skipif(BUILD.endswith("san"), reason="the same as without a sanitizer")
@pytest.mark.limit(200)
def test_it_is_built_by_what_replit_nix_names_alone(workspace, folder):
    """Headers where compilers look are hidden in a mount namespace, and pkg-config knows nothing, as in a workspace."""
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace can be made here")
    store = os.path.join(folder, "store")
    workspace.env.update(evaluate(folder, fake_store(store))["env"], CFLAGS="-O0 -g0 -U_FORTIFY_SOURCE", PKG_CONFIG="false")
    # what the store's links lead to is put aside before it is hidden
    hide = f"""mount --make-rprivate / && cd {store} && for link in $(find . -path '*/include/*' -type l); do
to=$(readlink -f "$link") && cp -r "$to" "$link.copy" && rm "$link" && mv "$link.copy" "$link" && case $to in {store}/*) continue ;; esac
if [ -d "$to" ]; then mount -t tmpfs none "$to"; else mount --bind /dev/null "$to"; fi; done
mount -t tmpfs none /usr/share/llhttp && cd {workspace.folder} && exec "$@"
"""
    workspace.before = ["unshare", "-m", "sh", "-ec", hide, "sh"]
    workspace.tool("apt-get", "echo this is no Debian >&2; exit 1")
    done = workspace.run_start("--check", timeout=180)
    assert done.returncode == 0, done.stderr
    assert "start.sh: building" in done.stderr
    linked = subprocess.run(["readelf", "-d", workspace.path("build", "ollama-proxy")], capture_output=True, text=True, check=True).stdout
    assert f"{store}/llhttp/lib" in linked and "[libllhttp.so]" in linked
    again = workspace.run_start("--check")
    assert again.returncode == 0 and "building" not in again.stderr
