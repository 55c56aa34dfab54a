"""Programs that hang, tasks, and clocks that jump: what runs on is not taken for what works."""
import json
import os
import signal
import time
from contextlib import closing

import pytest

from process import Process, state_of
from sidecar import program
from waiting import SLACK, until


def restarts(sidecar, name: str) -> int:
    """How often the program was started again, as sidecarctl says."""
    status = json.loads(sidecar.ctl("--json", "status").stdout)
    return next(p for p in status["programs"] if p["name"] == name)["restarts"]


def test_an_ollama_that_hangs_is_restarted(sidecar):
    """scenario 42: at the threshold, once."""
    sidecar.configure("program:ollama", live_interval="200ms", live_misses="3", stop_timeout="300ms")
    sidecar.boot(tokens=1)
    old = sidecar.pid_of("ollama")
    os.kill(old, signal.SIGSTOP)
    sidecar.process.wait_log(r" state program=ollama from=ready to=stopping cause=hung .*reason=\"hung: 3 probes .*"
                             "no answer within 200 ms")
    until(lambda: sidecar.pid_of("ollama") != old, 5, "the next ollama", sidecar.process.tail)
    sidecar.wait_ready()
    assert sidecar.generate().status == 200
    assert restarts(sidecar, "ollama") == 1


def test_an_ollama_that_answers_late_but_works_is_left_alone(sidecar):
    """scenario 42: no miss counts while a request makes progress."""
    sidecar.configure("program:ollama", live_interval="100ms", live_misses="2")
    sidecar.boot(tokens=1)
    sidecar.backend.script(tokens=40, token_delay_ms=50, tags_hang=True)
    with closing(sidecar.connect(timeout=20)) as connection:
        answer = connection.request("POST", "/api/generate", {"model": "m", "prompt": "x"})
        objects = [value for _, value in answer.objects()]
    assert answer.clean and len(objects) == 41 and objects[-1]["done"] is True
    assert len(sidecar.backend.requests("/api/tags")) > 5  # it was asked all the while


def test_a_proxy_whose_loop_stands_still_is_replaced(sidecar):
    """The proxy says WATCHDOG=1 in time; one that can't is replaced, and the next request is answered."""
    sidecar.configure("program:proxy", watchdog="500ms", stop_timeout="300ms")
    sidecar.boot(tokens=1)
    old = sidecar.pid_of("proxy")
    began = time.monotonic()
    until(lambda: time.monotonic() - began > 1.2, 3, "more than two times of the watchdog")
    assert sidecar.pid_of("proxy") == old  # it is fed
    os.kill(old, signal.SIGSTOP)
    assert sidecar.generate().status == 200
    assert sidecar.pid_of("proxy") != old
    assert sidecar.process.logged(r"program=proxy from=ready to=stopping cause=hung .*no WATCHDOG=1 within 500 ms")


def notifier(sidecar, *messages: str, then: str = "sleep 60") -> str:
    """A command that sends these by sd_notify(3), with pauses where a message is a number."""
    path = sidecar.write("notifier.py", "\n".join([
        "import os, socket, sys, time",
        "at = os.environ['NOTIFY_SOCKET'].replace('@', '\\0', 1)",
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)",
        "for m in sys.argv[1:]:",
        "    time.sleep(float(m)) if m[0].isdigit() else s.sendto(m.encode(), at)",
        f"os.execvp('sh', ['sh', '-c', '{then}'])"]))
    return " ".join(["python3", path, *messages])


def test_watchdog_of_any_program(sidecar):
    sidecar.configure("program:extra", command=notifier(sidecar, "READY=1"), ready="notify", watchdog="300ms",
                      required="no", max_restarts="1")
    sidecar.boot(tokens=1)
    sidecar.process.wait_log(r"program=extra from=ready to=stopping cause=hung")
    sidecar.process.wait_log(r" state program=extra .*to=failed .*no WATCHDOG=1 within 300 ms")


def test_a_program_may_say_itself_that_it_hangs(sidecar):
    sidecar.configure("program:extra", command=notifier(sidecar, "READY=1", "WATCHDOG=trigger"), ready="notify",
                      required="no", restart="never")
    sidecar.boot(tokens=1)
    sidecar.process.wait_log(r" state program=extra .*to=failed .*it says so itself")


def test_a_slow_start_may_ask_for_more_time(sidecar):
    """scenario 45: no kill before the deadline, which EXTEND_TIMEOUT_USEC moves."""
    limit_s = 4 * SLACK  # a busy machine may take seconds until the notifier runs
    sidecar.configure("program:extra", ready="notify", start_timeout=f"{int(limit_s * 1000)}ms", required="no",
                      command=notifier(sidecar, "EXTEND_TIMEOUT_USEC=60000000", f"{limit_s + 0.5}", "READY=1"))
    sidecar.boot(tokens=1)
    sidecar.process.wait_log(r" state program=extra from=starting to=ready", timeout=15)
    assert restarts(sidecar, "extra") == 0


def test_readiness_that_never_comes(sidecar):
    """scenarios 38, 40: closed without a word, the start times out."""
    sidecar.configure("program:extra", command=notifier(sidecar, "READY=0", "NONSENSE", "STATUS=busy"), ready="notify",
                      start_timeout="300ms", required="no", max_restarts="1", backoff_min="10ms")
    sidecar.boot(tokens=1)
    sidecar.process.wait_log(r" state program=extra from=starting to=stopping cause=start_timeout")
    sidecar.process.wait_log(r" state program=extra .*to=failed .*not ready within")


def test_what_depends_on_a_task_waits_for_its_end(sidecar):
    gate = os.path.join(sidecar.directory, "gate")
    os.mkfifo(gate)
    sidecar.configure("program:migrate", command=f"cat {gate}", ready="exit")
    sidecar.configure("program:worker", command="sleep 60", depends="migrate")
    sidecar.boot(tokens=1)
    sidecar.process.wait_log(r" exec program=migrate")
    assert not sidecar.process.logged(r" exec program=worker")
    with open(gate, "w", encoding="utf-8") as file:
        file.write("go\n")
    sidecar.process.wait_log(r" state program=migrate from=starting to=done")
    sidecar.process.wait_log(r" exec program=worker")


def test_a_required_task_that_fails_ends_everything(sidecar):
    """scenario 37: with our code for it, 1; the task's own stands in the reason."""
    script = sidecar.write("seven.sh", "exit 7\n")
    sidecar.configure("program:migrate", command=f"sh {script}", ready="exit", restart="never")
    process = sidecar.start()
    assert process.wait() == 1
    assert process.logged(r"required_failed program=migrate reason=\"exit code 7")


def test_a_preloader_that_is_stopped_from_outside_is_not_done(sidecar):
    sidecar.configure("preload", models="m")
    sidecar.backend.script(pull_bytes=3 << 20, pull_rate_bytes_s=1 << 20)
    sidecar.start()
    sidecar.process.wait_log(r" exec program=preload")
    sidecar.wait_health(lambda health: any(model["completed"] > 0 for model in health["models"]["pulling"]))
    os.kill(sidecar.pid_of("preload"), signal.SIGTERM)
    sidecar.process.wait_log(r"exited program=preload .*code=143")
    sidecar.backend.wait("pull_done", timeout=10)
    sidecar.wait_ready()


def test_a_supervisor_that_was_stopped_does_not_blame_its_children(sidecar):
    """scenario 52: SIGSTOP for longer than a start may take, then CONT."""
    sidecar.configure("program:extra", command=notifier(sidecar, "2.2", "READY=1"), ready="notify",
                      start_timeout="3s", required="no")
    sidecar.boot(tokens=1)
    sidecar.process.wait_log(r" exec program=extra")
    sidecar.process.kill(signal.SIGSTOP)
    until(lambda: state_of(sidecar.process.pid) == "T", 2, "the stop")
    stopped = time.monotonic()
    until(lambda: time.monotonic() - stopped > 4, 6, "more time than the start has")
    sidecar.process.kill(signal.SIGCONT)
    sidecar.process.wait_log(r" resumed by_ms=\d+")
    sidecar.process.wait_log(r" state program=extra from=starting to=ready")
    assert restarts(sidecar, "extra") == 0 and restarts(sidecar, "ollama") == 0
    assert len(sidecar.process.logged(r" resumed by_ms=")) == 1
    assert sidecar.generate().status == 200


def test_the_whole_group_stopped_and_continued(sidecar):
    """scenario 52: no restart storm, no false hang."""
    sidecar.configure("program:ollama", live_interval="300ms", live_misses="1")
    sidecar.configure("program:proxy", watchdog="1s")
    sidecar.boot(tokens=1)
    pids = [sidecar.process.pid, sidecar.pid_of("ollama"), sidecar.pid_of("proxy")]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    stopped = time.monotonic()
    until(lambda: time.monotonic() - stopped > 3 * min(SLACK, 2), 10, "several times of every limit")
    for pid in reversed(pids):
        os.kill(pid, signal.SIGCONT)
    sidecar.process.wait_log(r" resumed by_ms=\d+")
    assert sidecar.generate().status == 200
    assert restarts(sidecar, "ollama") == 0 and restarts(sidecar, "proxy") == 0
    assert not sidecar.process.logged(r"cause=hung")


def test_many_deaths_while_the_supervisor_is_stopped(sidecar):
    """scenario 18: 200 children die meanwhile, and no zombie is left half a second after CONT."""
    script = sidecar.write("spawner.sh", "i=0\nwhile [ $i -lt 200 ]; do (exec sleep 60 &) ; i=$((i+1)); done\nexec sleep 60\n")
    sidecar.configure("program:spawner", command=f"sh {script}", required="no")
    sidecar.boot(tokens=1)

    def orphans():
        known = {sidecar.pid_of(name) for name in ("ollama", "proxy", "spawner")}
        return [pid for pid in sidecar.process_children() if pid not in known]

    until(lambda: len(orphans()) == 200, 10, "200 orphans")
    sidecar.process.kill(signal.SIGSTOP)
    for pid in orphans():
        os.kill(pid, signal.SIGKILL)
    until(lambda: all(state_of(pid) == "Z" for pid in orphans()), 10, "200 zombies")
    sidecar.process.kill(signal.SIGCONT)
    until(lambda: not orphans(), 0.5, "no zombies")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT, signal.SIGTERM])
def test_started_with_the_signal_ignored_it_stops_all_the_same(sidecar, number):
    """scenario 13: as a shell starts what is put into the background."""
    sidecar.write_ini()
    ignoring = "import os, signal, sys; signal.signal(int(sys.argv[1]), signal.SIG_IGN); os.execv(sys.argv[2], sys.argv[2:])"
    sidecar.process = Process(["python3", "-c", ignoring, str(int(number)), program("ollama-supervisor"), "-c", sidecar.ini],
                              sidecar.environment(), sidecar.directory)
    sidecar.processes.append(sidecar.process)
    sidecar.process.wait_log(r" exec program=proxy")
    assert sidecar.stop(number) == 0
