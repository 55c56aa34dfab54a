"""`ollama-supervisor pull MODEL`: what an image's arguments ask for is run as `ollama-supervisor -- ollama pull MODEL` would."""
import json
import os
import signal

import pytest
from process import marked
from waiting import until

NOBODY = 65534
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
# Tells who it is and what it was given, and stays until it is asked to end with 7.
REPORT = """
import json, os, signal, sys
with open(sys.argv[1] + ".new", "w") as file:
    json.dump({"words": sys.argv[2:], "uid": os.getuid(), "gid": os.getgid(), "cwd": os.getcwd(), "env": dict(os.environ),
               "nofile": __import__("resource").getrlimit(7)[0]}, file)
os.rename(sys.argv[1] + ".new", sys.argv[1])
if "stay" in sys.argv:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    print("up", flush=True)
    while True:
        signal.pause()
sys.exit(5)
"""


@pytest.fixture
def reporter(sidecar):
    """[program:ollama] is a script that reports; reporter.said() is what."""
    os.chmod(sidecar.directory, 0o777)
    path = os.path.join(sidecar.directory, "said.json")
    script = sidecar.write("report.py", REPORT)
    sidecar.configure("program:ollama", command=f"python3 {script} {path} serve")
    sidecar.write_ini()

    def said():
        with open(path, encoding="utf-8") as file:
            return json.load(file)

    sidecar.said = said
    return sidecar


def test_serve_is_as_no_argument(sidecar):
    """As the official image's command is."""
    sidecar.installed = "m"
    sidecar.start("ollama-supervisor", "serve")
    sidecar.wait_ready()
    assert sidecar.generate().status == 200
    assert sidecar.stop() == 0


def test_other_words_are_ollamas(sidecar):
    """Its client, against a server that runs already; nothing is said by us, and its exit code is ours."""
    sidecar.boot(models="m")
    sidecar.env["OLLAMA_HOST"] = f"127.0.0.1:{sidecar.port}"
    listed = sidecar.run("ollama-supervisor", "-c", sidecar.ini, "list")
    assert listed.returncode == 0 and listed.stdout.splitlines()[1].startswith("m:latest"), listed.stdout + listed.stderr
    assert not listed.stderr
    shown = sidecar.run("ollama-supervisor", "-c", sidecar.ini, "show", "no-such-model")
    assert shown.returncode == 1 and "not found" in shown.stderr


def test_the_command_is_that_of_the_program(reporter):
    """Its command without `serve`, its environment, folder, limits; and Ollama's address is left as it was given."""
    folder = os.path.join(reporter.directory, "there")
    os.mkdir(folder)
    reporter.configure("program:ollama", directory=folder, environment="MADE=up", limits="nofile=333")
    reporter.configure("environment", FROM_INI="yes")
    reporter.write_ini()
    run = reporter.run("ollama-supervisor", "-c", reporter.ini, "pull", "--insecure", "a b")
    assert run.returncode == 5, run.stderr
    said = reporter.said()
    assert said["words"] == ["pull", "--insecure", "a b"] and said["cwd"] == folder and said["nofile"] == 333
    assert (said["env"]["MADE"], said["env"]["FROM_INI"], said["env"]["OLLAMA_MAX_QUEUE"]) == ("up", "yes", "64")
    assert said["env"]["OLLAMA_HOST"] == reporter.env["OLLAMA_HOST"]


@ROOT
def test_it_is_the_programs_user(reporter):
    reporter.configure("program:ollama", user="nobody")
    reporter.write_ini()
    assert reporter.run("ollama-supervisor", "-c", reporter.ini, "list").returncode == 5
    said = reporter.said()
    assert said["uid"] == NOBODY and said["env"]["HOME"] == "/nonexistent" and said["env"]["USER"] == "nobody"


@ROOT
def test_a_step_that_fails_is_told(reporter):
    reporter.configure("program:ollama", directory="missing")
    reporter.write_ini()
    run = reporter.run("ollama-supervisor", "-c", reporter.ini, "list")
    assert run.returncode == 126 and "can't change to directory" in run.stderr, run.stderr


def test_signals_are_passed_on(reporter):
    process = reporter.start("ollama-supervisor", "run", "stay")
    process.wait_log("^up$")
    process.kill(signal.SIGTERM)
    assert process.wait() == 7
    until(lambda: not marked(reporter.mark), 2, "nothing to be left")


def test_mistakes_in_the_configuration_refuse_it(reporter):
    reporter.configure("supervisor", idle_timeout="soon")
    reporter.write_ini()
    run = reporter.run("ollama-supervisor", "-c", reporter.ini, "list")
    assert run.returncode == 100 and "idle_timeout" in run.stderr and not os.path.exists(os.path.join(reporter.directory, "said.json"))


@pytest.mark.parametrize("option", ["--check", "--dump"])
def test_options_that_have_no_meaning_before_it(reporter, option):
    run = reporter.run("ollama-supervisor", "-c", reporter.ini, option, "list")
    assert run.returncode == 100 and f"{option} has no meaning before list" in run.stderr


@pytest.mark.parametrize("name", ["ollama-proxy", "ollama-preload"])
def test_the_other_programs_take_no_words(sidecar, name):
    run = sidecar.run(name, "list")
    assert run.returncode == 100 and "unknown argument list" in run.stderr
