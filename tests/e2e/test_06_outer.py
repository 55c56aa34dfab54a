"""The supervisor below a manager that speaks sd_notify(3): systemd with Type=notify or notify-reload, podman, or another."""
import os
import signal
import socket
import time

import pytest

from manager import QUEUE_LIMIT, Manager
from waiting import SLACK, until

MB = 1_000_000


@pytest.fixture
def manager(sidecar):
    """A Manager at a path in the sidecar's folder."""
    made = Manager(sidecar.directory)
    sidecar.env["NOTIFY_SOCKET"] = made.address
    yield made
    made.close()


@pytest.mark.parametrize("is_abstract", [False, True])
def test_ready_status_and_stopping(sidecar, is_abstract):
    manager = Manager(sidecar.directory, is_abstract)
    sidecar.env["NOTIFY_SOCKET"] = manager.address
    sidecar.boot(tokens=1)
    manager.wait("READY=1")
    manager.wait("STATUS=running")
    assert sidecar.stop() == 0
    manager.wait("EXIT_STATUS=0")
    lines = manager.lines()
    for word in ("READY=1", "STOPPING=1", "STATUS=running", "EXIT_STATUS=0"):
        assert lines.count(word) == 1, lines
    order = [lines.index(word) for word in ("READY=1", "STATUS=running", "STOPPING=1", "EXIT_STATUS=0")]
    assert order == sorted(order), lines
    assert any(text.startswith("stopping: waiting for ") for text in manager.lines("STATUS")), lines
    assert "WATCHDOG=1" not in lines and "RELOADING=1" not in lines and not manager.lines("ERRNO")
    manager.close()


def test_not_ready_before_the_list_is_there(sidecar, manager):
    sidecar.configure("preload", models="a, b, c")
    sidecar.backend.script(tokens=1, start_delay_s=0.3, pull_bytes=400_000, pull_rate_bytes_s=MB)
    sidecar.start()
    manager.wait_status("waiting for Ollama")
    manager.wait_status("pulling models: 1 of 3 there")
    assert "READY=1" not in manager.lines()
    manager.wait_status("pulling models: 2 of 3 there")
    sidecar.process.wait_log(" ready after_ms=", 10)
    manager.wait("READY=1")
    manager.wait("STATUS=running")


def test_more_time_is_asked_for_while_something_moves(sidecar, manager):
    """Type=notify would kill the start at TimeoutStartSec= otherwise, in the middle of a long first pull."""
    sidecar.configure("preload", models="a, b, c")
    sidecar.configure("program:ollama", start_timeout="600s")
    sidecar.backend.script(tokens=1, start_delay_s=0.5, pull_bytes=1_500_000, pull_rate_bytes_s=MB)
    sidecar.start()
    manager.wait("READY=1", 15)
    asked = [message for message in manager.messages if any(line.startswith("EXTEND_TIMEOUT_USEC=") for line in message)]
    assert len(asked) >= 3, manager.messages
    usecs = [int(value) for value in manager.lines("EXTEND_TIMEOUT_USEC")]
    assert usecs[0] >= 600 * MB, "Ollama may take its start_timeout"
    assert all(60 * MB <= usec <= 1200 * MB for usec in usecs), usecs
    before = len(usecs)
    assert sidecar.generate("a").status == 200
    assert len(manager.lines("EXTEND_TIMEOUT_USEC")) == before, "asked for although it runs"


def test_no_more_time_is_asked_for_when_nothing_moves(sidecar, manager):
    sidecar.configure("program:ollama", start_timeout="600s")
    sidecar.backend.script(start_delay_s=60)
    sidecar.start()
    manager.wait_status("waiting for Ollama")
    time.sleep(2.5)  # this is about time that passes without a change
    assert 1 <= len(manager.lines("EXTEND_TIMEOUT_USEC")) <= 2, manager.messages


def test_a_crash_is_told_in_the_status(sidecar, manager):
    sidecar.boot(tokens=1)
    manager.wait("STATUS=running")
    sidecar.backend.script(start_delay_s=60)
    os.kill(sidecar.pid_of("ollama"), signal.SIGKILL)
    manager.wait_status("running; ollama is starting: killed by signal 9")


@pytest.mark.parametrize("way", ["signal", "sidecarctl"])
@pytest.mark.parametrize("is_good", [True, False])
def test_reload_is_told(sidecar, manager, way, is_good):
    """Type=notify-reload: RELOADING=1 with the time of CLOCK_MONOTONIC, then READY=1, also where the file is refused."""
    sidecar.boot(tokens=1)
    manager.wait("READY=1")
    sidecar.configure("supervisor", log_level="debug" if is_good else "loud")
    sidecar.write_ini()
    before = time.clock_gettime(time.CLOCK_MONOTONIC)
    if way == "signal":
        sidecar.process.kill(signal.SIGHUP)
    else:
        assert sidecar.ctl("reload").returncode == (0 if is_good else 1)
    manager.wait("READY=1", count=2)
    after = time.clock_gettime(time.CLOCK_MONOTONIC)
    lines = manager.lines()
    at = lines.index("RELOADING=1")
    assert lines[at + 1].startswith("MONOTONIC_USEC="), lines
    assert before * MB <= int(lines[at + 1].partition("=")[2]) <= after * MB
    assert lines[at + 2:].count("READY=1") == 1 and lines[:at].count("READY=1") == 1, lines


def test_a_reload_during_the_start_does_not_say_ready(sidecar, manager):
    sidecar.backend.script(start_delay_s=60)
    sidecar.start()
    manager.wait_status("waiting for Ollama")
    assert sidecar.ctl("reload").returncode == 0
    sidecar.configure("supervisor", log_level="loud")
    sidecar.write_ini()
    assert sidecar.ctl("reload").returncode == 1
    assert sidecar.stop() == 0
    manager.wait("EXIT_STATUS=0")
    assert "READY=1" not in manager.lines() and "RELOADING=1" not in manager.lines(), manager.messages


@pytest.mark.parametrize("pid_is", ["unset", "ours"])
def test_watchdog(sidecar, manager, pid_is):
    """At half the interval, and only while the loop turns."""
    sidecar.env["WATCHDOG_USEC"] = str(int(400_000 * SLACK))
    if pid_is == "ours":  # the shell's pid is the supervisor's after exec
        sidecar.before = ["/bin/sh", sidecar.write("start.sh", 'WATCHDOG_PID=$$ exec "$@"\n')]
    sidecar.backend.script(tokens=1)
    sidecar.start()
    began = time.monotonic()
    manager.wait("WATCHDOG=1", count=4)
    assert time.monotonic() - began >= 0.55 * SLACK, "more often than at half the interval"
    sidecar.process.kill(signal.SIGSTOP)
    until(lambda: "T" == state_of(sidecar.process.pid), 5, "a stopped process")
    time.sleep(0.1)  # what was sent before has been read
    count = manager.lines().count("WATCHDOG=1")
    time.sleep(0.5 * SLACK)  # this is about silence
    assert manager.lines().count("WATCHDOG=1") == count
    sidecar.process.kill(signal.SIGCONT)
    manager.wait("WATCHDOG=1", count=count + 2)


def state_of(pid: int) -> str:
    """The state letter of a process."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()[0]


@pytest.mark.parametrize("variables", [{}, {"WATCHDOG_USEC": "20000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"},
                                       {"WATCHDOG_USEC": "20000", "WATCHDOG_PID": "me"}])
def test_no_watchdog_that_was_not_asked_for(sidecar, manager, variables):
    sidecar.env.update(variables)
    sidecar.boot(tokens=1)
    manager.wait("READY=1")
    assert sidecar.stop() == 0
    manager.wait("EXIT_STATUS=0")
    assert "WATCHDOG=1" not in manager.lines()
    is_wrong = any(not value.isdigit() for value in variables.values())
    assert len(sidecar.process.logged(r" warning supervisor outer_failed .*no watchdog")) == is_wrong


def test_a_manager_that_reads_nothing_holds_nobody_up(sidecar):
    manager = Manager(sidecar.directory, is_reading=False)
    sidecar.env.update(NOTIFY_SOCKET=manager.address, WATCHDOG_USEC="20000")
    assert manager.fill() > 0
    sidecar.boot(tokens=1)
    assert sidecar.generate().status == 200
    assert sidecar.ctl("reload").returncode == 0
    assert sidecar.ctl("status").returncode == 0
    manager.read_on()  # and what matters is not lost
    manager.wait("READY=1")
    manager.wait("STATUS=running")
    manager.close()
    assert sidecar.stop() == 0


@pytest.mark.skipif(not os.path.exists(QUEUE_LIMIT), reason="the length of the queue is not known here")
def test_stops_below_a_manager_that_reads_nothing(sidecar):
    manager = Manager(sidecar.directory, is_reading=False)
    sidecar.env["NOTIFY_SOCKET"] = manager.address
    with open(QUEUE_LIMIT, encoding="utf-8") as file:
        assert manager.fill() >= int(file.read())
    sidecar.boot(tokens=1)
    began = time.monotonic()
    assert sidecar.stop() == 0
    assert time.monotonic() - began < 5 * SLACK
    manager.read_on()
    manager.close()


@pytest.mark.parametrize("address", ["missing", "deserted"])
def test_a_manager_that_is_gone_is_told_once_and_at_debug(sidecar, address):
    path = os.path.join(sidecar.directory, "notify")
    if address == "deserted":
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deserted:
            deserted.bind(path)
    sidecar.env.update(NOTIFY_SOCKET=path, WATCHDOG_USEC="50000")
    sidecar.configure("supervisor", log_level="debug")
    sidecar.boot(tokens=1)
    assert sidecar.generate().status == 200
    assert sidecar.stop() == 0
    assert len(sidecar.process.logged(r" outer_failed ")) == len(sidecar.process.logged(r" debug supervisor outer_failed ")) == 1


@pytest.mark.parametrize("address", ["relative/path", "vsock:2:1234", "@", "/" + "x" * 107, "/" + "x" * 300])
def test_an_address_of_another_form_is_warned_of(sidecar, address):
    sidecar.env["NOTIFY_SOCKET"] = address
    sidecar.boot(tokens=1)
    assert sidecar.stop() == 0
    assert len(sidecar.process.logged(r" warning supervisor outer_failed ")) == 1


def test_children_do_not_see_the_manager(sidecar, manager):
    sidecar.env.update(WATCHDOG_USEC="987654321", WATCHDOG_PID="1")
    sidecar.boot(tokens=1)
    for pid in sidecar.process_children():
        with open(f"/proc/{pid}/environ", "rb") as file:
            variables = dict(item.partition(b"=")[::2] for item in file.read().split(b"\0") if item)
        assert variables.get(b"NOTIFY_SOCKET", b"@ours")[:1] == b"@", variables  # the supervisor's own
        assert variables.get(b"WATCHDOG_USEC") != b"987654321" and variables.get(b"WATCHDOG_PID") != b"1", variables


def test_a_program_that_has_failed_for_good(sidecar, manager):
    sidecar.configure("program:ollama", command="/bin/false", max_restarts="2", backoff_min="1ms", backoff_max="1ms")
    sidecar.start()
    assert sidecar.process.wait() == 1
    manager.wait("EXIT_STATUS=1")
    assert "READY=1" not in manager.lines() and "STOPPING=1" in manager.lines()
    assert any("exit code 1" in text for text in manager.lines("STATUS")), manager.messages


def test_a_port_that_is_taken_is_told_with_its_error(sidecar, manager):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", sidecar.port))
        taken.listen()
        sidecar.start()
        assert sidecar.process.wait() == 111
    manager.wait("EXIT_STATUS=111")
    assert manager.lines("ERRNO") == ["98"] and "READY=1" not in manager.lines()


def test_mistakes_in_the_configuration_are_told(sidecar, manager):
    sidecar.configure("supervisor", idle_timeout="soon")
    sidecar.start()
    assert sidecar.process.wait() == 100
    manager.wait("EXIT_STATUS=100")
    manager.wait_status("mistake")
    before = len(manager.messages)
    assert sidecar.run("ollama-supervisor", "-c", sidecar.ini, "--check").returncode == 100  # as of an ExecStartPre=
    assert sidecar.run("ollama-supervisor", "--help").returncode == 0
    assert len(manager.messages) == before
