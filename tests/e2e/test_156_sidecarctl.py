"""sidecarctl's verbs that ask the proxy: keys, requests, models, pulls, benchmarks, reasons."""
import http.server
import json
import os
import pty
import re
import select
import signal
import threading

import pytest

from sidecar import program
from waiting import SLACK

KEY = "sesame-owner-0123456789"


# keys

def test_the_key_of_the_environment_goes_along(sidecar):
    sidecar.configure("key:owner", secret=KEY, rights="inference, observe, manage")
    sidecar.boot(tokens=1)
    sidecar.env["SIDECAR_KEY"] = KEY
    run = sidecar.ctl("backends")
    assert run.returncode == 0 and run.stderr == "" and run.stdout.startswith("nobody waits"), run.stderr
    sidecar.env["SIDECAR_KEY"] = KEY + "x"
    run = sidecar.ctl("backends")
    assert run.returncode == 1 and run.stdout == "" and "(sidecarctl sends the key that SIDECAR_KEY of its environment has)" in run.stderr
    assert KEY not in run.stderr


@pytest.mark.parametrize("key", ["two words", "line\nX-Forwarded-For: 127.0.0.1", "k" * 4097, "schlüssel"])
def test_what_is_no_key_is_not_sent(sidecar, key):
    sidecar.boot(tokens=1)
    sidecar.env["SIDECAR_KEY"] = key
    run = sidecar.ctl("health")
    assert run.returncode == 100 and "SIDECAR_KEY of the environment is no key" in run.stderr and key not in run.stderr


def test_the_supervisor_knows_that_name(sidecar):
    sidecar.env["SIDECAR_KEY"] = KEY
    run = sidecar.boot(tokens=1).run("ollama-supervisor", "-c", sidecar.ini, "--check")
    assert run.returncode == 0 and "SIDECAR_KEY" not in run.stdout + run.stderr


# what the proxy tells, played

STATUS = {
    "version": "0.1.0", "at": "2026-01-01T12:30:05Z", "uptime_s": 62, "health": {"status": "ok", "state": "ready"}, "supervisor": None,
    "requests": {"in_flight": 1, "held": 0, "queued": 0, "more": 0, "recent": [],
                 "live": [{"id": "a1", "phase": "streaming", "phase_ms": 10, "age_ms": 20, "model": "m", "client": "10.0.0.9", "path": "/api/chat", "tokens": 3}]},
    "errors": [{"at": "2026-01-01T12:30:00Z", "from": "request", "what": "too many \x1b[2J wait", "do": "wait", "id": "b2"}],
    "series": {"step_s": 5, "tokens": [0, 10], "first_token_ms": [None, 250]}, "models": [{"name": "m", "state": "loaded"}],
}


class Played(http.server.ThreadingHTTPServer):
    """A proxy that answers as the table says, and keeps what it was asked."""

    def __init__(self, answers):
        self.answers, self.asked = answers, []
        super().__init__(("127.0.0.1", 0), Answerer)


class Answerer(http.server.BaseHTTPRequestHandler):
    """One request."""

    def answer(self):
        """(status, object) of the table, or lines."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.server.asked.append((self.command, self.path, self.headers.get("Content-Type"), body))
        status, told = self.server.answers.get((self.command, self.path), (404, {"error": "no such path"}))
        data = b"".join(json.dumps(line).encode() + b"\n" for line in (told if isinstance(told, list) else [told]))
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_DELETE = answer

    def log_message(self, *args):
        """Says nothing."""


@pytest.fixture
def played(sidecar):
    """played(answers) -> what is asked of that proxy; sidecarctl finds it by its configuration."""
    servers = []

    def play(answers):
        server = Played(answers)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sidecar.configure("proxy", listen=f"127.0.0.1:{server.server_port}")
        sidecar.write_ini()
        return server.asked

    yield play
    for server in servers:
        server.shutdown()
        server.server_close()


def ask(sidecar, *words):
    """sidecarctl, by the configuration."""
    return sidecar.run("sidecarctl", "-c", sidecar.ini, *words)


def test_requests_and_one_that_is_cancelled(sidecar, played):
    asked = played({("GET", "/sidecar/requests"): (200, {"requests": STATUS["requests"]}), ("DELETE", "/sidecar/requests/a1"): (200, {"status": "success"}),
                    ("DELETE", "/sidecar/requests/x"): (404, {"error": "there is no such request"})})
    run = ask(sidecar, "requests")
    assert run.returncode == 0 and re.search(r"^a1 +streaming +0.0s +0.0s +3 +m +10.0.0.9 +- +/api/chat$", run.stdout, re.M), run
    assert json.loads(ask(sidecar, "--json", "requests").stdout) == {"requests": STATUS["requests"]}
    run = ask(sidecar, "cancel", "a1")
    assert run.returncode == 0 and run.stdout == "a1 is cancelled\n"
    run = ask(sidecar, "cancel", "x")
    assert run.returncode == 1 and run.stderr == "sidecarctl: there is no such request\n"
    count = len(asked)
    assert ask(sidecar, "cancel", "..").returncode == ask(sidecar, "cancel", "a/b").returncode == 100 and len(asked) == count
    assert ("DELETE", "/sidecar/requests/a1", None, "") in asked


def test_models_are_listed_loaded_and_unloaded(sidecar, played):
    model = {"name": "m", "where": "ollama", "state": "on disk", "size_bytes": 2048}
    asked = played({("GET", "/sidecar/models"): (200, {"models": [model]}), ("POST", "/sidecar/models/load"): (200, {"status": "success", "load_ms": 2000}),
                    ("POST", "/sidecar/models/unload"): (507, {"error": {"message": "why"}})})
    assert re.search(r"^m +on disk +2.0 KiB +- +ollama +-$", ask(sidecar, "models").stdout, re.M)
    run = ask(sidecar, "load", 'm"')
    assert run.returncode == 0 and run.stdout == 'm" is loaded, after 2.0s\n'
    assert asked[-1] == ("POST", "/sidecar/models/load", "application/json", '{"model":"m\\""}')
    run = ask(sidecar, "unload", "m")
    assert run.returncode == 1 and run.stderr == "sidecarctl: why\n"


def test_top_shows_pictures(sidecar, played):
    played({("GET", "/sidecar/status"): (200, STATUS)})
    run = ask(sidecar, "top", "-n", "2")
    assert run.returncode == 0 and run.stdout.count("sidecar 0.1.0, up 1m02s, ok, ready") == 2 and "\x1b" not in run.stdout
    assert "models: m loaded" in run.stdout and "a1  streaming" in run.stdout
    assert len(ask(sidecar, "top", "--json", "-n", "2").stdout.splitlines()) == 2
    assert ask(sidecar, "top", "-n", "0").returncode == ask(sidecar, "top", "-n", "x").returncode == 100


def on_a_terminal(sidecar, *words):
    """What sidecarctl writes to one, and its exit code."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(sidecar.directory)
        os.execve(program("sidecarctl"), ["sidecarctl", "-c", sidecar.ini, *words], {**sidecar.environment(), "TERM": "xterm"})
    text = b""
    try:
        while select.select([fd], [], [], 10 * SLACK)[0]:
            text += os.read(fd, 65536)
    except OSError:
        pass  # its end
    os.close(fd)
    return text.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_terminal_gets_colours_unless_it_is_not_to(sidecar, played):
    played({("GET", "/sidecar/status"): (200, STATUS), ("GET", "/sidecar/requests"): (200, {"requests": STATUS["requests"]})})
    text, code = on_a_terminal(sidecar, "requests")
    assert code == 0 and "\x1b[32mstreaming\x1b[0m" in text, text
    assert "\x1b" not in on_a_terminal(sidecar, "--no-color", "requests")[0]
    text, code = on_a_terminal(sidecar, "top", "-n", "1")
    assert code == 0 and text.startswith("\x1b[H\x1b[?7l") and text.endswith("\x1b[?7h\x1b[J"), text


def test_why_tells_errors_as_text(sidecar, played):
    played({("GET", "/sidecar/status"): (200, STATUS), ("GET", "/health"): (503, {"status": "failed", "error": "ollama has failed: exit code 1"})})
    run = ask(sidecar, "why")
    assert run.returncode == 0 and run.stdout == (
        "ollama has failed: exit code 1\n  what to do: see its last lines: sidecarctl tail ollama\n"
        "\nbefore that:\n2026-01-01T12:30:00Z: too many ?[2J wait (request b2)\n  what to do: wait\n")
    assert [(row["from"], row["now"]) for row in json.loads(ask(sidecar, "--json", "why").stdout)["reasons"]] == [("health", True), ("request", False)]


def test_a_pull_of_a_model_server(sidecar, played):
    asked = played({("POST", "/api/pull"): (501, {"error": "there is none here"}), ("POST", "/pull"): (200, [{"status": "pulling manifest"}, {"status": "success"}])})
    run = ask(sidecar, "pull", "org/name")
    assert run.returncode == 0 and run.stdout == "org/name is there\n" and run.stderr == ""
    assert [row[1] for row in asked] == ["/api/pull", "/pull"] and json.loads(asked[1][3]) == {"model": "org/name", "stream": True}


@pytest.mark.parametrize("lines, text", [
    ([{"status": "pulling manifest"}, {"error": "no space \x1b"}], "no space ?"),
    ([{"status": "pulling manifest"}], "the answer ended, and did not say that the model is there"),
    (["x"], "the answer ended, and did not say that the model is there"),
])
def test_a_pull_that_fails(sidecar, played, lines, text):
    played({("POST", "/api/pull"): (200, lines)})
    run = ask(sidecar, "pull", "m")
    assert run.returncode == 1 and run.stderr == f"sidecarctl: {text}\n"


def test_a_benchmark_whose_answer_breaks_says_why(sidecar, played):
    played({("POST", "/api/generate"): (200, [{"response": "x", "done": False}, {"error": "its runner \x1b has ended"}])})
    run = ask(sidecar, "bench", "m")
    assert run.returncode == 1 and run.stdout == "" and run.stderr == "sidecarctl: its runner ? has ended\n"


def test_what_is_no_answer_of_ours(sidecar, played):
    played({("GET", "/sidecar/models"): (200, [1, 2])})
    run = ask(sidecar, "models")
    assert run.returncode == 1 and "was answered, but not by ollama-proxy" in run.stderr
    run = ask(sidecar, "requests")
    assert run.returncode == 1 and run.stderr == "sidecarctl: no such path\n"


@pytest.mark.parametrize("words", [("status", "-n", "3"), ("top", "--cold"), ("bench", "-f"), ("why", "--ready"), ("bench", "m", "n"), ("bench", "-n", "0"), ("pull",)])
def test_options_that_do_not_go_together(sidecar, words):
    sidecar.write_ini()
    run = ask(sidecar, *words)
    assert run.returncode == 100 and run.stdout == "" and run.stderr.startswith("sidecarctl: "), run


@pytest.mark.parametrize("words", [("health",), ("requests",), ("load", "m"), ("pull", "m"), ("bench", "m"), ("cancel", "x")])
def test_a_proxy_that_is_stopped_is_not_waited_for(sidecar, words):
    sidecar.boot("m", tokens=1)
    assert sidecar.ctl("stop", "proxy").returncode == 0
    sidecar.process.wait_log(r"program=proxy from=stopping to=down")
    run = sidecar.ctl(*words, timeout=4)  # whoever asks it is held by its listener
    assert run.returncode == 1 and run.stdout == "" and run.stderr == "sidecarctl: the proxy is stopped: sidecarctl start proxy starts it\n", run


# in front of an Ollama

def test_a_model_is_pulled(sidecar):
    sidecar.boot("")
    run = sidecar.ctl("pull", "new", timeout=30)
    assert run.returncode == 0 and run.stdout.endswith("new is there\n"), run
    assert "new:latest" in [model["name"] for model in sidecar.ask("GET", "/api/tags").json["models"]]


def test_a_benchmark_warm_and_cold(sidecar):
    sidecar.boot("m", tokens=8, token_delay_ms=10, first_token_delay_ms=30, load_s=0.3)
    run = sidecar.ctl("bench", "-n", "2", "m", timeout=30)
    assert run.returncode == 0, run
    assert re.search(r"^warm 2 +\d+ ms +\d+ ms +\d+ ms +[\d.]+ +[\d.]+$", run.stdout, re.M) and "warm, median" in run.stdout and "cold" not in run.stdout
    told = json.loads(sidecar.ctl("--json", "bench", "--cold", timeout=30).stdout)
    assert told["model"] == "m:latest" and len(told["rounds"]) == 3 and told["warm"]["tokens"] == 8
    assert told["cold"]["load_ms"] >= 300 > told["warm"]["load_ms"]  # the proxy has it loaded before it asks
    assert told["cold"]["first_token_ms"] >= 30 and told["warm"]["first_token_ms"] >= 30 and told["warm"]["tokens_per_s"] > 0
    bodies = [json.loads(row["body"]) for row in sidecar.backend.requests("/api/generate")]
    prompts = [body["prompt"] for body in bodies if body.get("prompt")]
    assert len(prompts) == len(set(prompts)) == 7  # of a load that does not count and two rounds, of a cold one and three
    assert [body["keep_alive"] for body in bodies if "prompt" not in body].count(0) == 1


def test_a_benchmark_of_nothing(sidecar):
    sidecar.boot("")
    run = sidecar.ctl("bench")
    assert run.returncode == 1 and "there is no model to be measured" in run.stderr
    run = sidecar.ctl("--json", "bench")
    assert run.returncode == 1 and run.stdout == ""
    run = sidecar.ctl("bench", "gone")
    assert run.returncode == 1 and "gone" in run.stderr


def test_why_says_what_has_failed(sidecar):
    sidecar.script_program("bad", "echo 'ERROR: the disk is full'; exit 3", required="no", restart="never")
    sidecar.boot(tokens=1)
    sidecar.process.wait_log(r"program=bad from=\w+ to=failed")
    run = sidecar.ctl("why")
    assert run.returncode == 0 and re.search(r"^bad has failed: exit code 3.*\n  what to do: ", run.stdout), run


def test_a_benchmark_of_an_ollama_that_has_failed_says_so_once(sidecar):
    sidecar.configure("program:ollama", command="false", required="no", max_restarts="0")
    sidecar.start()
    sidecar.process.wait_log(r"program=ollama from=\w+ to=failed")
    run = sidecar.ctl("bench")
    assert run.returncode == 1 and run.stderr.startswith("sidecarctl: ollama has failed: exit code 1") and run.stderr.count("\n") == 1, run


def test_why_of_a_proxy_that_is_stopped(sidecar):
    sidecar.boot(tokens=1)
    assert sidecar.ctl("stop", "proxy").returncode == 0
    sidecar.process.wait_log(r"program=proxy from=stopping to=down")
    run = sidecar.ctl("why", timeout=4)
    assert run.returncode == 0 and run.stdout == "the proxy is stopped: sidecarctl start proxy starts it\n" and run.stderr == "", run
    assert [row["from"] for row in json.loads(sidecar.ctl("--json", "why").stdout)["reasons"]] == ["proxy"]


def test_why_of_a_proxy_that_hangs(sidecar):
    sidecar.boot(tokens=1)
    pid = sidecar.pid_of("proxy")
    os.kill(pid, signal.SIGSTOP)
    run = sidecar.ctl("why")
    os.kill(pid, signal.SIGCONT)
    assert run.returncode == 0 and re.search(r"GET /health has no answer: .*\n  what to do: sidecarctl restart proxy ", run.stdout), run


def test_why_of_a_supervisor_that_does_not_run(sidecar):
    sidecar.write_ini()
    run = ask(sidecar, "why")
    assert run.returncode == 111 and run.stdout == "" and "nobody answers at " in run.stderr and "the end of its log says why" in run.stderr, run


def test_why_of_an_ollama_that_is_stopped(sidecar):
    sidecar.boot(tokens=1)
    assert sidecar.ctl("stop", "ollama").returncode == 0
    sidecar.process.wait_log(r"program=ollama from=stopping to=down")
    run = sidecar.ctl("why")
    assert run.returncode == 0 and re.fullmatch(r"\ds ago: ollama was told to stop\n  what to do: sidecarctl start ollama starts it, .*\n", run.stdout), run
    assert sidecar.generate().status == 200  # who needs it starts it
    assert sidecar.ctl("why").stdout.startswith("nothing is wrong now; what went wrong last:\n")


def test_a_new_key_as_json(sidecar):
    told = json.loads(sidecar.run("sidecarctl", "--json", "new-key").stdout)
    assert told["key"].startswith("sk-") and told["secret_hash"].startswith("sha256:")


# what the proxy itself tells

def test_a_request_is_seen_and_cancelled(sidecar):
    sidecar.boot("m", tokens=100000, token_delay_ms=20)
    with sidecar.connect(30) as client:
        answer = client.request("POST", "/api/generate", {"model": "m", "prompt": "x"}, headers=[("X-Request-Id", "mine")])
        objects = answer.objects()
        next(objects)
        run = sidecar.ctl("requests")
        assert run.returncode == 0 and re.search(r"^mine +streaming ", run.stdout, re.M) and run.stdout.startswith("1 in flight, "), run
        assert sidecar.ctl("cancel", "mine").stdout == "mine is cancelled\n"
        assert "error" in [value for _, value in objects][-1]
    run = sidecar.ctl("requests")
    assert re.search(r"^\d\d:\d\d:\d\d +cancelled +200 +mine ", run.stdout, re.M), run.stdout
    assert sidecar.ctl("cancel", "mine").returncode == 1


def test_a_model_comes_into_memory_and_goes(sidecar):
    sidecar.boot("m", tokens=1)
    run = sidecar.ctl("load", "m", timeout=30)
    assert run.returncode == 0 and run.stdout.startswith("m is loaded"), run
    assert re.search(r"^m:latest +loaded ", sidecar.ctl("models").stdout, re.M)
    assert sidecar.ctl("unload", "m").stdout == "m is unloaded\n"
    run = sidecar.ctl("load", "gone", timeout=30)
    assert run.returncode == 1 and "gone" in run.stderr, run


def test_top_and_why_of_the_proxy_itself(sidecar):
    sidecar.boot("m", tokens=1)
    assert sidecar.generate("gone").status == 404
    run = sidecar.ctl("top", "-n", "1")
    assert run.returncode == 0 and ", ok, ready, at 20" in run.stdout and re.search(r"^ollama +ready ", run.stdout, re.M), run
    run = sidecar.ctl("why")
    assert run.returncode == 0 and "gone" in run.stdout and "what to do: " in run.stdout, run
