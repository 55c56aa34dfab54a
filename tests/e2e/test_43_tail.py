"""sidecarctl tail: what programs wrote last, and what they write."""
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from process import Process
from sidecar import program
from waiting import SLACK, until


def add(sidecar, name, script, **keys):
    """A program of the sidecar's that runs this Python script and then stays."""
    path = sidecar.write(f"{name}.py", script + "\nimport time; time.sleep(1000)\n")
    sidecar.configure(f"program:{name}", command=f"{sys.executable} -u {path}", required="no", **keys)


def add_speaker(sidecar, name="speaker"):
    """A program that says what is appended to its file NAME.say."""
    sidecar.write(f"{name}.say", "")
    add(sidecar, name, f"import time\nfile = open('{name}.say')\nwhile True:\n    print(file.read(), end='', flush=True); time.sleep(0.01)")

    def say(text):
        with open(os.path.join(sidecar.directory, f"{name}.say"), "a", encoding="utf-8") as file:
            file.write(text)
    return say


def tail(sidecar, *args):
    """A sidecarctl tail -f that runs beside the test."""
    follower = Process([program("sidecarctl"), "-s", sidecar.socket, "tail", "-f", *args], sidecar.environment(), sidecar.directory)
    sidecar.processes.append(follower)
    return follower


def wait_tailed(sidecar, text, *args):
    """Until the tail has this text; all of it."""
    return until(lambda: (lambda out: out if text in out else "")(sidecar.ctl("tail", "-n", "9999", *args).stdout), 5, f"{text!r} in the tail",
                 sidecar.process.tail)


def raw(sidecar, line):
    """A connection to the control socket that has said this line."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(10)
    sock.connect(sidecar.socket)
    sock.sendall(line.encode() + b"\n")
    return sock


def test_last_lines_of_all_and_of_one(sidecar):
    add(sidecar, "a", "for i in range(30): print('a line', i)")
    add(sidecar, "b", "print('only \\033[31mline\\033[0m of b')")
    sidecar.boot(tokens=1)
    wait_tailed(sidecar, "a | a line 29")
    wait_tailed(sidecar, "b | only line of b")
    assert sidecar.ctl("tail", "-n", "3", "a").stdout == "a | a line 27\na | a line 28\na | a line 29\n"
    assert len(sidecar.ctl("tail", "a").stdout.splitlines()) == 10
    assert sidecar.ctl("tail", "-n0").stdout == ""
    both = sidecar.ctl("tail", "-n", "100", "a", "b").stdout
    assert len(both.splitlines()) == 31 and "ollama" not in both
    assert "ollama | " in sidecar.ctl("tail", "-n", "9999").stdout  # quiet in the log, and there all the same
    assert not sidecar.process.logged("a line 29")


def test_json_lines(sidecar):
    add(sidecar, "a", "print('time=x level=WARN msg=\"quoted\"'); print('plain')")
    sidecar.boot(tokens=1)
    wait_tailed(sidecar, "plain", "a")
    records = [json.loads(line) for line in sidecar.ctl("--json", "tail", "a").stdout.splitlines()]
    assert [(r["name"], r["level"], r["line"]) for r in records] == [("a", "warning", 'time=x level=WARN msg="quoted"'), ("a", "debug", "plain")]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", r["at"]) for r in records)


def test_follower_sees_restart_and_reload_and_ends_with_the_supervisor(sidecar):
    say = add_speaker(sidecar)
    sidecar.boot(tokens=1)
    say("before\n")
    wait_tailed(sidecar, "speaker | before")
    follower = tail(sidecar, "-n", "1", "speaker")
    follower.wait_log(r"^speaker \| before$")
    say("after\n")
    follower.wait_log(r"^speaker \| after$")
    assert sidecar.ctl("restart", "speaker").returncode == 0
    until(lambda: len(follower.logged("after")) >= 2, 5, "the restarted program's lines", follower.tail)
    sidecar.configure("program:other", command="sleep 1000", required="no")
    sidecar.write_ini()
    assert sidecar.ctl("reload").returncode == 0
    say("once more\n")
    follower.wait_log(r"^speaker \| once more$")
    assert sidecar.stop() == 0
    assert follower.wait() == 0


def test_follower_ends_by_interrupt_and_is_forgotten(sidecar):
    sidecar.boot(tokens=1)
    for _ in range(12):  # more than may follow at once
        follower = tail(sidecar)
        follower.wait_log(r"^ollama \| ")
        follower.kill(signal.SIGINT)
        follower.wait()
    assert sidecar.ctl("status").returncode == 0


def test_followers_are_bounded_and_leave_room_for_others(sidecar):
    sidecar.boot(tokens=1)
    followers = [raw(sidecar, "tail -f") for _ in range(8)]
    for sock in followers:
        assert sock.recv(4096).startswith(b'{"ok":true}\n')
    run = sidecar.ctl("tail", "-f")
    assert run.returncode == 1 and "follow already" in run.stderr
    assert sidecar.ctl("status").returncode == 0 and sidecar.ctl("tail").returncode == 0
    followers.pop().close()
    until(lambda: raw(sidecar, "tail -f -n 0").recv(4096) == b'{"ok":true}\n', 5, "a free place")
    for sock in followers:
        sock.close()


def test_slow_follower_is_told_what_it_missed_and_blocks_nobody(sidecar):
    sidecar.configure("program:flood", command="yes 'a line of the flood, as long as lines are'", required="no")
    sidecar.boot(tokens=1)
    sock = raw(sidecar, "tail -f flood")
    time.sleep(1)  # it reads nothing meanwhile
    began = time.monotonic()
    assert sidecar.ctl("status").returncode == 0 and sidecar.generate().status == 200
    assert time.monotonic() - began < 3 * SLACK
    seen = b""
    while b'{"dropped":' not in seen:
        seen += sock.recv(65536)
    sock.close()
    run = subprocess.run(f"{program('sidecarctl')} -s {sidecar.socket} tail -f flood | head -n 2000 | tail -n 1", shell=True, timeout=20,
                         capture_output=True, text=True, check=False)
    assert "flood" in run.stdout or "lost" in run.stdout


def test_no_such_program_and_nobody_there(sidecar):
    run = sidecar.ctl("tail")
    assert run.returncode == 111 and "nobody answers" in run.stderr and sidecar.socket in run.stderr
    run = sidecar.ctl("tail", "-f")
    assert run.returncode == 111 and "nobody answers" in run.stderr
    sidecar.boot(tokens=1)
    run = sidecar.ctl("tail", "-f", "olama")
    assert run.returncode == 1 and 'no program "olama"' in run.stderr and "ollama, proxy, preload" in run.stderr
    run = sidecar.ctl("tail", "proxy")
    assert run.returncode == 1 and "its own lines" in run.stderr
    run = sidecar.ctl("--json", "tail", "olama")
    assert run.returncode == 1 and json.loads(run.stdout)["ok"] is False


@pytest.mark.parametrize("args", [("tail", "-n"), ("tail", "-n", "x"), ("tail", "-n", "-3"), ("tail", "-x"), ("status", "-f"), ("tail", "a b"),
                                  ("tail", "")])
def test_wrong_usage(sidecar, args):
    assert sidecar.ctl(*args).returncode == 100


def test_colours_only_on_a_terminal(sidecar):
    add(sidecar, "a", "print('ERROR: red')")
    sidecar.boot(tokens=1)
    assert "\x1b" not in wait_tailed(sidecar, "a | ERROR: red")
    master, slave = pty.openpty()
    env = {**sidecar.environment(), "TERM": "xterm"}
    subprocess.run([program("sidecarctl"), "-s", sidecar.socket, "tail", "a"], env=env, stdout=slave, timeout=10, check=True)
    shown = os.read(master, 4096).decode()
    assert shown.replace("\r", "") == "\x1b[36ma\x1b[0m | \x1b[31mERROR: red\x1b[0m\n"
    subprocess.run([program("sidecarctl"), "-s", sidecar.socket, "tail", "a"], env={**env, "NO_COLOR": "1"}, stdout=slave, timeout=10, check=True)
    assert "\x1b" not in os.read(master, 4096).decode()
    os.close(master)
    os.close(slave)
