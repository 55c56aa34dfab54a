"""Out of memory, for real: in a control group of the test's own, with a program that eats."""
import json
import os
import re
import signal

import pytest

import group as groups
from waiting import SLACK, until

LIMIT = 160 * 1024 * 1024
EATER = """
import os, sys, time
def eat():
    os.write(1, b"eating\\n")
    hoard = []
    while True:
        hoard.append(b"x" * (4 << 20))
mode, flag = sys.argv[1:]
if os.path.exists(flag):
    time.sleep(600)
open(flag, "w").close()
if mode == "main":
    eat()
pid = os.fork()
if pid == 0:
    eat()
os.waitpid(pid, 0)
os.write(1, b"it has gone\\n")
time.sleep(600)
"""


@pytest.fixture
def group():
    """A Group with LIMIT; the test is skipped, and says why, where there can be none."""
    made = groups.make(int(LIMIT * SLACK))
    if isinstance(made, str):
        pytest.skip(made)
    yield made
    until(lambda: not open(made.procs, encoding="utf-8").read(), 5, "an empty group")
    made.close()


def start_in(sidecar, group, mode: str) -> None:
    """The supervisor in the group, with a program beside Ollama that eats memory itself, or in a child, the first time."""
    path = sidecar.write("eater.py", EATER)
    flag = os.path.join(sidecar.directory, "has-eaten")
    sidecar.configure("supervisor", log_level="debug")
    sidecar.configure("program:eater", command=f"/usr/bin/env python3 {path} {mode} {flag}", required="no", ready="none")
    sidecar.backend.script(tokens=1)
    sidecar.installed = "m"
    sidecar.before = ["/bin/sh", sidecar.write("enter.sh", 'echo $$ >"$1" && shift && exec "$@"\n'), group.procs]
    sidecar.start()


def memory_of(sidecar) -> dict:
    """The status's object "memory"."""
    return json.loads(sidecar.ctl("status", "--json").stdout)["memory"]


@pytest.mark.limit(60)
def test_a_killed_child_of_a_program_is_noticed(sidecar, group):
    """A runner, as it were: its parent, the main process, lives on."""
    sidecar.configure("program:ollama", autostart="no")
    start_in(sidecar, group, "child")
    found = sidecar.process.wait_log(r' info supervisor memory limit="(\d+ MiB)" .*from=cgroup([12]) path="(\S+)".* watched=yes', 5)
    assert int(found[1].split()[0]) == int(LIMIT * SLACK) >> 20 and int(found[2]) == group.version
    assert found[3] == group.folder
    line = sidecar.process.wait_log(r" error supervisor oom_kill .*", 20)[0]
    assert f'count=1 total=1 limit="{found[1]}"' in line and "program=eater process=child" in line and "hint=" in line
    assert int(re.search(r'peak="(\d+) MiB"', line)[1]) > (LIMIT >> 20) * 0.8
    memory = memory_of(sidecar)
    assert memory["limit_bytes"] == int(LIMIT * SLACK) and memory["oom_kills"] == 1
    assert memory["source"] == f"cgroup{group.version}" and 0 < memory["used_bytes"] <= memory["limit_bytes"]
    assert memory["peak_bytes"] is None or memory["peak_bytes"] > LIMIT * 0.8
    text = sidecar.ctl("status").stdout
    assert f"of {found[1]} (cgroup{group.version})" in text and "1 process killed for want of it" in text
    assert not sidecar.process.logged(r" exited program=eater"), "the main process lives"
    assert sidecar.stop() == 0
    assert len(sidecar.process.logged(" oom_kill ")) == 1


@pytest.mark.limit(60)
def test_a_killed_main_process_is_told_with_its_reason(sidecar, group):
    start_in(sidecar, group, "main")
    reason = f"killed by signal 9 (Killed): out of memory, the limit is {int(LIMIT * SLACK) >> 20} MiB"
    sidecar.process.wait_log(r" state program=eater .*to=backoff .*reason=\"" + re.escape(reason) + '"', 20)
    sidecar.process.wait_log(r" error supervisor oom_kill count=1 total=1 .*program=eater process=main ")
    sidecar.wait_ready()
    status = json.loads(sidecar.ctl("status", "--json").stdout)
    assert status["memory"]["oom_kills"] == 1
    eater = next(item for item in status["programs"] if item["name"] == "eater")
    assert eater["last_exit"] == "killed by signal 9 (Killed)"
    assert sidecar.generate().status == 200, "Ollama and the proxy were not harmed"
    os.kill(sidecar.pid_of("eater"), signal.SIGKILL)  # not for want of memory
    sidecar.process.wait_log(r' state program=eater .*to=backoff .*reason="killed by signal 9 \(Killed\)(?!: out)')
    assert sidecar.stop() == 0
    assert len(sidecar.process.logged(" oom_kill ")) == 1


def test_status_tells_the_limit_that_holds_here(sidecar):
    """Whatever holds here: a number, where it is from, and no more used than there is."""
    sidecar.boot(tokens=1)
    memory = memory_of(sidecar)
    assert memory["source"] in ("cgroup2", "cgroup1", "machine") and memory["oom_kills"] == 0
    assert 0 < memory["used_bytes"] <= memory["limit_bytes"]
    assert "\nmemory " in sidecar.ctl("status").stdout
