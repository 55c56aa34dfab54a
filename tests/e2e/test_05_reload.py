"""Reload: what did not change keeps its process; what is new starts, what is gone stops, a broken file changes nothing."""
import json
import os
import signal

from process import state_of
from waiting import until


def states(sidecar) -> dict:
    """{program: state} as sidecarctl says, in its order."""
    return {p["name"]: p["state"] for p in json.loads(sidecar.ctl("--json", "status").stdout)["programs"]}


def reload(sidecar):
    """Write the settings and reload; nothing may be wrong with them."""
    sidecar.write_ini()
    run = sidecar.ctl("reload")
    assert run.returncode == 0, run.stdout + run.stderr


def test_unchanged_untouched_changed_restarted_new_started_removed_stopped(sidecar):
    """scenario 49"""
    for name in ("first", "second", "third"):
        sidecar.configure(f"program:{name}", command="sleep 600")
    sidecar.boot(tokens=1)
    sidecar.process.wait_log(r" exec program=third")
    before = {name: sidecar.pid_of(name) for name in ("ollama", "proxy", "first", "second", "third")}
    del sidecar.settings["program:first"]  # stands before others
    sidecar.configure("program:second", command="sleep 601")
    sidecar.configure("program:fourth", command="sleep 600")
    reload(sidecar)
    sidecar.process.wait_log(r" exec program=fourth")
    until(lambda: sidecar.pid_of("second") != before["second"], 5, "the changed one's restart")
    until(lambda: not state_of(before["first"]), 5, "the removed one's end")
    for name in ("ollama", "proxy", "third"):
        assert sidecar.pid_of(name) == before[name] and state_of(before[name])
    until(lambda: list(states(sidecar)) == ["ollama", "proxy", "preload", "second", "third", "fourth"]
          or list(states(sidecar)) == ["ollama", "proxy", "preload", "fourth", "second", "third"], 5, "the list of programs")
    assert sidecar.ctl("start", "first").returncode == 1
    assert sidecar.generate().status == 200
    assert sidecar.stop() == 0


def test_a_removed_program_may_come_back_while_it_still_stops(sidecar):
    gate = os.path.join(sidecar.directory, "gate")
    os.mkfifo(gate)
    script = sidecar.write("slow.sh", f"trap 'cat {gate}; exit 0' TERM\nwhile :; do sleep 0.05; done\n")
    sidecar.configure("program:slow", command=f"sh {script}", stop_timeout="30s")
    sidecar.boot(tokens=1)
    sidecar.process.wait_log(r" exec program=slow")
    old = sidecar.pid_of("slow")
    slow = sidecar.settings.pop("program:slow")
    reload(sidecar)
    sidecar.process.wait_log(r" state program=slow .*to=stopping")
    run = sidecar.ctl("start", "slow")
    assert run.returncode == 1 and "gone from the configuration" in run.stdout + run.stderr
    sidecar.settings["program:slow"] = slow
    reload(sidecar)
    assert sidecar.pid_of("slow") == old
    with open(gate, "w", encoding="utf-8") as file:
        file.write("go\n")
    until(lambda: sidecar.pid_of("slow") != old, 5, "its next process")
    until(lambda: states(sidecar)["slow"] == "ready", 5, "it to be up again")


def test_places_of_removed_programs_are_used_again(sidecar):
    """More programs over time than there are places, never too many at once."""
    sidecar.boot(tokens=1)
    for turn in range(12):
        for name in range(6):
            sidecar.settings.pop(f"program:p{turn - 1}-{name}", None)
            sidecar.configure(f"program:p{turn}-{name}", command="sleep 600")
        reload(sidecar)
        until(lambda: len(states(sidecar)) == 9, 5, "six programs and the built-in ones")
    assert sidecar.stop() == 0
    assert not sidecar.programs()


def test_too_many_programs_are_refused_and_nothing_changes(sidecar):
    sidecar.boot(tokens=1)
    old = sidecar.pid_of("proxy")
    for name in range(29):
        sidecar.configure(f"program:p{name}", command="sleep 600", autostart="no")
    reload(sidecar)
    sidecar.configure("program:one-more", command="sleep 600", autostart="no")
    sidecar.write_ini()
    run = sidecar.ctl("reload")
    assert run.returncode == 1 and "32" in run.stdout + run.stderr
    assert len(states(sidecar)) == 32 and sidecar.pid_of("proxy") == old
    del sidecar.settings["program:p3"]  # which is down: its place is free at once
    reload(sidecar)
    assert "one-more" in states(sidecar) and "p3" not in states(sidecar)
    assert sidecar.generate().status == 200


def test_a_broken_file_changes_nothing_and_every_mistake_is_told(sidecar):
    """scenario 50"""
    sidecar.configure("program:extra", command="sleep 600")
    sidecar.boot(tokens=1)
    sidecar.process.wait_log(r" exec program=extra")
    pids = [sidecar.pid_of(name) for name in ("ollama", "proxy", "extra")]
    sidecar.configure("program:extra", command="sleep 601", restart="sometimes", max_restarts="many")
    sidecar.configure("program:other", command="sleep 600", depends="nobody")
    sidecar.write_ini()
    run = sidecar.ctl("reload")
    told = run.stdout + run.stderr
    assert run.returncode == 1 and "sometimes" in told and "many" in told and "nobody" in told
    lines = len(sidecar.process.log)
    sidecar.process.kill(signal.SIGHUP)
    sidecar.process.wait_log(r" error supervisor reload result=refused", since=lines)
    assert pids == [sidecar.pid_of(name) for name in ("ollama", "proxy", "extra")]
    assert all(state_of(pid) for pid in pids) and "other" not in states(sidecar)
    assert sidecar.generate().status == 200
