"""What only a container has: podman's verbs, its terminals, its users and its read-only file systems."""
import os
import pty
import signal
import subprocess
import time

import pytest

from pid1 import status_of
from process import SANITIZER
from sidecar import program
from waiting import SLACK, until

FOREVER = "while :; do sleep 600 & wait; done"


def default_paths(container) -> None:
    """No control socket nor state_dir of the test's: what is built in."""
    container.configure("supervisor", control_socket=None, state_dir=None)


def executed(container, name: str, *args):
    """One of our programs, run by podman exec on the container's own supervisor.ini."""
    return container.command("exec", "{}", program(name), "-c", container.ini, *args)


def test_podman_stop_ends_with_0_within_the_grace(container):
    container.boot(tokens=1)
    began = time.monotonic()
    done = container.command("stop", "--time", "10", "{}")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 5 * SLACK
    assert container.process.wait() == 0
    assert container.process.logged(r" stopped exit_code=0")


def test_podman_stop_with_a_stream_under_way_and_an_ollama_that_ignores_term(container):
    """scenario 23: shutdown_timeout is our own; podman's KILL never comes."""
    container.configure("supervisor", shutdown_timeout="3s")
    container.boot(tokens=100000, token_delay_ms=50, ignore_term=True)
    with container.connect(timeout=20) as connection:
        answer = connection.request("POST", "/api/generate", {"model": "m", "prompt": "x"})
        objects = answer.objects()
        next(objects)
        began = time.monotonic()
        assert container.command("stop", "--time", "10", "{}").returncode == 0
        assert time.monotonic() - began < 3 + 2 * SLACK
        assert not any(value.get("done") for _, value in objects)
    assert container.process.wait() == 0


def test_podman_stop_as_soon_as_it_is_there(container):
    """scenario 28: podman can stop it as soon as the container exists; what it says is never lost."""
    container.start()
    container.process.wait_log(r" boot ")
    began = time.monotonic()
    assert container.command("stop", "--time", "10", "{}").returncode == 0
    assert time.monotonic() - began < 5 * SLACK
    assert container.process.wait() == 0


def test_orphans_of_podman_exec_are_reaped(container):
    """scenario 19: processes that podman put there, whose parent is gone, are ours to reap."""
    container.alone()
    container.configure("supervisor", log_level="debug")
    container.start()
    container.process.wait_log(r" ready ")
    done = container.command("exec", "{}", "sh", "-c", "for i in 1 2 3; do (sleep 0.1 &); done")
    assert done.returncode == 0, done.stderr
    until(lambda: len(container.process.logged(r" orphan pid=\d+")) >= 3, 5, "three orphans", container.process.tail)
    until(lambda: not container.zombies(), 2, "no zombies", lambda: str(container.zombies()))
    assert container.stop() == 0


def test_sidecarctl_by_podman_exec(container):
    default_paths(container)
    container.boot(tokens=1)
    health = executed(container, "sidecarctl", "health")
    assert health.returncode == 0, health.stdout + health.stderr
    status = executed(container, "sidecarctl", "status")
    assert status.returncode == 0 and "ollama" in status.stdout and "ready" in status.stdout
    lines = len(container.process.log)
    assert executed(container, "sidecarctl", "restart", "ollama").returncode == 0
    container.process.wait_log(r" exec program=ollama", since=lines)
    assert container.stop() == 0


def test_a_read_only_file_system_with_a_writable_run(container):
    container.options += ["--read-only", "--tmpfs", "/run", "--tmpfs", "/var/lib"]
    default_paths(container)
    container.boot(tokens=1)
    assert executed(container, "sidecarctl", "health").returncode == 0
    assert container.generate().status == 200
    assert container.stop() == 0


def test_a_read_only_file_system_without_any_place_for_the_control_socket(container):
    """A warning, and everything else works."""
    container.options += ["--read-only", "--read-only-tmpfs=false"]
    default_paths(container)
    container.boot(tokens=1)
    container.process.wait_log(r" warning supervisor control_failed .*(Read-only|read-only)")
    assert container.generate().status == 200
    os.kill(container.pid_of("proxy"), signal.SIGKILL)
    assert container.generate().status == 200
    assert container.stop() == 0


@pytest.mark.parametrize("home", [True, False])
def test_any_user(container, home):
    """A uid that nobody knows, with a folder of its own or without one."""
    container.options += ["--user", "12345"]
    default_paths(container)
    if not home:
        container.env["HOME"] = "/nowhere"
    container.boot(tokens=1)
    assert status_of(container.pid1)["Uid"].split()[0] == "12345"
    if home:
        assert executed(container, "sidecarctl", "health").returncode == 0
    else:
        container.process.wait_log(r" warning supervisor control_failed ")
    assert container.generate().status == 200
    assert container.stop() == 0


def test_no_capabilities_and_no_new_privileges(container):
    container.options += ["--cap-drop", "all", "--security-opt", "no-new-privileges"]
    container.boot(tokens=1)
    assert container.generate().status == 200
    assert container.command("stop", "--time", "10", "{}").returncode == 0
    assert container.process.wait() == 0


def test_no_process_is_left_for_a_program(container):
    """scenario 30: fork fails as the container's limit is reached; it is waited for, and all else goes on."""
    container.options += ["--pids-limit", "3"]
    container.alone()
    for name in ("one", "two", "three"):
        container.configure(f"program:{name}", command="sleep 600", max_restarts="1", backoff_min="10ms", backoff_max="50ms")
    container.start()
    container.process.wait_log(r" state program=three .*to=backoff .*(Resource temporarily unavailable|temporarily)")
    assert "three" in container.ctl("status").stdout
    lines = len(container.process.log)
    assert container.ctl("stop", "one").returncode == 0
    container.process.wait_log(r" exec program=three ", timeout=15, since=lines)
    assert container.stop() == 0


def test_hangup_reloads_where_there_is_no_terminal(container):
    container.boot(tokens=1)
    container.script_program("later", FOREVER)
    container.write_ini()
    lines = len(container.process.log)
    assert container.command("kill", "--signal", "HUP", "{}").returncode == 0
    container.process.wait_log(r" reload result=done", since=lines)
    container.process.wait_log(r" exec program=later", since=lines)
    assert len(container.process.logged(r" exec .*program=ollama")) == 1
    assert container.stop() == 0


def test_hangup_stops_where_there_is_a_terminal(container):
    container.options += ["--tty"]
    container.boot(tokens=1)
    assert container.command("kill", "--signal", "HUP", "{}").returncode == 0
    assert container.process.wait() == 0
    assert container.process.logged(r" stopping cause=SIGHUP")


def test_control_c_on_the_terminal(container):
    """scenario 61: the keys reach PID 1 alone: it stops all, in order, and ends with 0."""
    container.options += ["--interactive", "--tty"]
    container.installed = "m"
    container.backend.script(tokens=1)
    container.write_ini()
    ours, theirs = pty.openpty()
    log_path = os.path.join(container.directory, "terminal")
    with open(log_path, "wb") as log:
        argv = container.wrap([program("ollama-supervisor"), "-c", container.ini])
        popen = subprocess.Popen(argv, env=container.podman.env, stdin=theirs, stdout=theirs, stderr=theirs,
                                 start_new_session=True)
        os.close(theirs)
        try:
            seen = read_until(ours, log, b" supervisor ready ", 15)
            assert container.generate().status == 200
            os.write(ours, b"\x03")
            seen += read_until(ours, log, b" stopped exit_code=", 10)
            assert popen.wait(10 * SLACK) == 0
        finally:
            if popen.poll() is None:
                container.end_by_force()
                popen.wait(10)
            os.close(ours)
    text = seen.decode("utf-8", "replace")
    assert "stopping cause=SIGINT" in text and not SANITIZER.search(text)
    ends = [line.split("program=")[1].split()[0] for line in text.splitlines() if " exited " in line]
    assert ends == ["proxy", "ollama"], text


def read_until(fd: int, log, needle: bytes, timeout: float) -> bytes:
    """What a terminal shows up to the line with this in it."""
    seen = b""
    os.set_blocking(fd, False)

    def look():
        nonlocal seen
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            return False
        except OSError:  # the other side is closed
            raise AssertionError(f"ended before {needle!r}\n{seen.decode('utf-8', 'replace')}") from None
        seen += data
        log.write(data)
        return needle in seen and seen.endswith(b"\n")

    until(look, timeout, f"{needle!r} on the terminal", lambda: seen.decode("utf-8", "replace"))
    return seen


def pause(container, seconds: float) -> None:
    """Freezes all of it for so long: here time itself is what is tested."""
    done = container.command("pause", "{}")
    if done.returncode and "freezer" in done.stderr:
        pytest.skip(f"podman pause: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    time.sleep(seconds)
    assert container.command("unpause", "{}").returncode == 0


def test_a_pause_is_no_failure(container):
    """scenario 52: longer than a probe's limit and than start_timeout; nothing is restarted, and all goes on."""
    container.configure("program:ollama", start_timeout="2s")
    container.boot(tokens=1)
    with container.connect(timeout=20) as connection:
        assert connection.request("GET", "/api/version").status == 200
        pause(container, 4)
    assert container.generate().status == 200
    assert container.health()["code"] == 200
    assert len(container.process.logged(r" exec ")) == 2
    assert not container.process.logged(r" (warning|error) supervisor ")
    assert container.stop() == 0


def test_a_pause_in_the_middle_of_a_start_is_no_failure(container):
    """scenario 52: a deadline that was passed while all of it was frozen says nothing about Ollama."""
    container.configure("program:ollama", start_timeout="3s")
    container.installed = "m"
    container.backend.script(tokens=1, start_delay_s=1.5)
    container.start()
    container.process.wait_log(r" exec program=ollama")
    pause(container, 4)
    container.wait_ready()
    assert len(container.process.logged(r" exec program=ollama")) == 1
    assert container.stop() == 0


def test_a_pause_in_the_middle_of_a_stop_is_survived(container):
    container.boot(tokens=100000, token_delay_ms=50)
    with container.connect(timeout=20) as connection:
        answer = connection.request("POST", "/api/generate", {"model": "m", "prompt": "x"})
        next(answer.objects())
        container.send(signal.SIGTERM)
        container.process.wait_log(r" stopping ")
        pause(container, 1)
        container.send(signal.SIGTERM)
        assert container.process.wait() == 0
