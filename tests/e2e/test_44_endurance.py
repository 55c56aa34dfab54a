"""What would end a careless supervisor: nobody takes its log, nothing is left to start with, strangers talk to it; and what a
careless one would pile up: zombies, descriptors, bytes. Scenarios 14, 19, 30, 31, 54, 55, 57."""
import array
import ctypes
import json
import os
import resource
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

from process import Process
from sidecar import BUILD, program
from waiting import SLACK, until

IS_SANITIZED = "san" in os.environ.get("BUILD_DIR", "")
ORPHANS, RESTARTS = (2000, 300) if IS_SANITIZED else (10000, 1000)  # a sanitizer makes each fork dear
STRANGER_UID = 54321


class Silent(Process):
    """A supervisor whose log goes elsewhere."""

    def __init__(self, argv, env, cwd, **stdio):  # pylint: disable=super-init-not-called
        self.argv, self.log = argv, []
        self.popen = subprocess.Popen(argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, start_new_session=True, **stdio)
        self._reader = threading.Thread(target=lambda: None)
        self._reader.start()


def calm(sidecar):
    """No HTTP: programs that only sleep."""
    sidecar.configure("program:ollama", command="sleep 1000", ready="none", required="no", backoff_min="20ms", backoff_max="40ms",
                      live="none")
    sidecar.configure("program:proxy", autostart="no")


def say(sidecar, line, timeout=10.0):
    """A line on the control socket; the answer."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(timeout * SLACK)
        client.connect(sidecar.socket)
        client.sendall(line.encode() + b"\n")
        text = b""
        while chunk := client.recv(65536):
            text += chunk
    return json.loads(text)


def is_there(sidecar):
    """The control socket answers."""
    try:
        return say(sidecar, "status")["ok"]
    except OSError:
        return False


def program_of(sidecar, name):
    """What the supervisor says of a program."""
    return next(entry for entry in say(sidecar, "status")["programs"] if entry["name"] == name)


def wait_for_pid(sidecar, name, other_than=0):
    """The pid of a program that runs."""
    def look():
        pid = program_of(sidecar, name)["pid"]
        return pid if pid not in (0, other_than) else 0

    return until(look, 10, f"{name} to run", lambda: json.dumps(program_of(sidecar, name)) + sidecar.process.tail())


def cpu_s(pid):
    """Seconds of processor time that a process has had."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def fds_n(pid):
    """How many descriptors a process has."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def private_kb(pid):
    """Memory that is a process's own, and not a file's: whether a page of a library is shared depends on who else runs."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Anonymous:"))


def zombies(pid):
    """Dead children that nobody has reaped."""
    found = []
    with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as file:
        for child in file.read().split():
            try:
                with open(f"/proc/{child}/stat", encoding="utf-8") as stat:
                    if stat.read().rsplit(")", 1)[1].split()[0] == "Z":
                        found.append(child)
            except OSError:
                pass
    return found


# ---- nobody takes the log ----

def add_noisy(sidecar):
    """A program whose many lines each are worth one of ours."""
    noisy = sidecar.write("noisy", "#!/bin/sh\ni=0\nwhile [ $i -lt 3000 ]; do echo level=ERROR $i; i=$((i+1)); done\nexec sleep 1000\n")
    os.chmod(noisy, 0o755)
    sidecar.configure("program:noisy", command=noisy, required="no", output_rate="0")


def wait_until_quiet(pid):
    """The noisy one has come to its last line."""
    def look():
        with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
            return file.read() == "sleep\n"

    until(look, 10, "the noisy one to come to its end")


def log_closed(_sidecar, argv):
    """Descriptors 1 and 2 are closed."""
    return ["sh", "-c", 'exec "$0" "$@" >&- 2>&-', *argv], {}, lambda: None


def log_full(_sidecar, argv):
    """Every write says ENOSPC."""
    full = open("/dev/full", "wb")  # pylint: disable=consider-using-with
    return argv, {"stdout": full, "stderr": full}, full.close


def log_unread(_sidecar, argv):
    """A pipe that nobody reads."""
    reader, writer = os.pipe()
    return argv, {"stdout": writer, "stderr": writer}, lambda: (os.close(reader), os.close(writer))


def log_dead(_sidecar, argv):
    """A pipe whose reader has died: EPIPE, and SIGPIPE for those who let it kill them."""
    reader, writer = os.pipe()
    os.close(reader)
    return argv, {"stdout": writer, "stderr": writer}, lambda: os.close(writer)


@pytest.mark.parametrize("log", [log_closed, log_full, log_unread, log_dead])
def test_a_log_that_nobody_takes_holds_nobody_up(sidecar, log):
    """Scenario 55."""
    calm(sidecar)
    add_noisy(sidecar)
    sidecar.write_ini()
    argv, stdio, close = log(sidecar, [program("ollama-supervisor"), "-c", sidecar.ini])
    sidecar.process = Silent(argv, sidecar.environment(), sidecar.directory, **stdio)
    sidecar.processes.append(sidecar.process)
    try:
        until(lambda: is_there(sidecar), 10, "the control socket")
        first = wait_for_pid(sidecar, "noisy")
        wait_until_quiet(first)
        os.kill(first, signal.SIGKILL)
        wait_for_pid(sidecar, "noisy", other_than=first)
        assert say(sidecar, "restart ollama")["ok"]
        assert sidecar.stop() == 0
    finally:
        close()


def test_lines_that_were_lost_are_counted(sidecar):
    """Scenario 55: when the log is read again, it says how many lines are missing."""
    calm(sidecar)
    add_noisy(sidecar)
    sidecar.write_ini()
    reader, writer = os.pipe()
    sidecar.process = Silent([program("ollama-supervisor"), "-c", sidecar.ini], sidecar.environment(), sidecar.directory,
                             stdout=writer, stderr=writer)
    sidecar.processes.append(sidecar.process)
    os.close(writer)
    until(lambda: is_there(sidecar), 10, "the control socket")
    wait_until_quiet(wait_for_pid(sidecar, "noisy"))  # it wrote more than a pipe holds
    text, is_done = bytearray(), threading.Event()

    def read_all():
        while chunk := os.read(reader, 65536):
            text.extend(chunk)
        is_done.set()

    threading.Thread(target=read_all, daemon=True).start()
    until(lambda: b"level=ERROR 0" in text, 5, "what the pipe held")
    say(sidecar, "restart ollama")
    assert sidecar.stop() == 0
    assert is_done.wait(5 * SLACK)
    os.close(reader)
    assert b"warning supervisor log_dropped lines=" in text and bytes(text).rstrip().endswith(b"stopped exit_code=0")


# ---- nothing is left to start with ----

def test_without_descriptors_it_waits_and_goes_on(sidecar):
    """Scenario 31: EMFILE at spawn and at accept: no death, no spin, no giving up; afterwards all is as it was."""
    calm(sidecar)
    sidecar.configure("program:ollama", max_restarts="2")
    sidecar.start()
    until(lambda: sidecar.has_control() and is_there(sidecar), 10, "the control socket")
    first, supervisor = wait_for_pid(sidecar, "ollama"), sidecar.process.pid
    before_n, limits = fds_n(supervisor), resource.prlimit(supervisor, resource.RLIMIT_NOFILE)
    resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (before_n, limits[1]))
    os.kill(first, signal.SIGKILL)
    sidecar.process.wait_log(r"program=ollama .*to=backoff cause=shortage.*Too many open files")
    with socket.socket(socket.AF_UNIX) as waiting:
        waiting.connect(sidecar.socket)
        waiting.sendall(b"status\n")
        began, busy = time.monotonic(), cpu_s(supervisor)
        tries = len(sidecar.process.logged("cause=shortage"))
        until(lambda: len(sidecar.process.logged("cause=shortage")) > tries + 5, 10, "more tries than max_restarts")
        assert cpu_s(supervisor) - busy < 0.5 * (time.monotonic() - began) + 0.1
        resource.prlimit(supervisor, resource.RLIMIT_NOFILE, limits)
        waiting.settimeout(10 * SLACK)
        assert b'"ok":true' in waiting.recv(65536)
    wait_for_pid(sidecar, "ollama", other_than=first)
    until(lambda: fds_n(supervisor) == before_n, 5, "as many descriptors as before")
    assert sidecar.stop() == 0


def test_a_limit_below_its_own_descriptors_is_survived(sidecar):
    """poll(2) itself fails then."""
    calm(sidecar)
    sidecar.start()
    until(lambda: sidecar.has_control() and is_there(sidecar), 10, "the control socket")
    first, supervisor = wait_for_pid(sidecar, "ollama"), sidecar.process.pid
    limits = resource.prlimit(supervisor, resource.RLIMIT_NOFILE)
    resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (3, limits[1]))
    os.kill(first, signal.SIGKILL)
    busy = cpu_s(supervisor)
    sidecar.process.wait_log(r"loop_failed error=\"Invalid argument\"")
    until(lambda: len(sidecar.process.logged("loop_failed")) > 5, 10, "some turns")
    assert cpu_s(supervisor) - busy < 0.3 and len(sidecar.process.logged("loop_failed")) < 100
    resource.prlimit(supervisor, resource.RLIMIT_NOFILE, limits)
    wait_for_pid(sidecar, "ollama", other_than=first)
    assert sidecar.stop() == 0


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("prlimit"), reason="needs to become another user, whose processes are limited")
def test_without_processes_it_waits_and_goes_on(sidecar):
    """Scenario 30: EAGAIN at fork, for longer than max_restarts would last."""
    calm(sidecar)
    sidecar.configure("program:ollama", max_restarts="2")
    sidecar.write_ini()
    for path in [sidecar.directory, *(os.path.join(sidecar.directory, name) for name in os.listdir(sidecar.directory))]:
        os.chown(path, STRANGER_UID, STRANGER_UID)
    if subprocess.run(["test", "-x", program("ollama-supervisor")], user=STRANGER_UID, check=False).returncode != 0:
        pytest.skip("another user may not enter the build's folder")

    sidecar.process = Process([program("ollama-supervisor"), "-c", sidecar.ini], sidecar.environment(), sidecar.directory,
                              user=STRANGER_UID, group=STRANGER_UID)
    sidecar.processes.append(sidecar.process)
    until(lambda: sidecar.has_control() and is_there(sidecar), 10, "the control socket", sidecar.process.tail)
    first, supervisor = wait_for_pid(sidecar, "ollama"), sidecar.process.pid

    def allow(processes):
        subprocess.run(["prlimit", f"--pid={supervisor}", f"--nproc={processes}:"], user=STRANGER_UID, group=STRANGER_UID, check=True)

    allow(1)
    os.kill(first, signal.SIGKILL)
    sidecar.process.wait_log(r"program=ollama .*to=backoff cause=shortage.*Resource temporarily unavailable")
    until(lambda: len(sidecar.process.logged("cause=shortage")) > 5, 10, "more tries than max_restarts")
    allow(1000)
    wait_for_pid(sidecar, "ollama", other_than=first)
    assert sidecar.stop() == 0


def test_a_full_disk_costs_the_control_socket_alone(sidecar):
    """The folders for state and control socket are on a disk that takes nothing more."""
    calm(sidecar)
    full = os.path.join(sidecar.directory, "full")
    os.mkdir(full)
    mount = f'mount -t tmpfs -o size=4k,nr_inodes=1 none "{full}"'
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True, check=False).returncode != 0:
        pytest.skip("no private mounts here")
    sidecar.configure("supervisor", control_socket=os.path.join(full, "control.sock"), state_dir=full)
    sidecar.write_ini()
    process = Process(["unshare", "-m", "sh", "-c", mount + ' && exec "$0" "$@"', program("ollama-supervisor"), "-c", sidecar.ini],
                      sidecar.environment(), sidecar.directory)
    sidecar.process = process
    sidecar.processes.append(process)
    process.wait_log(r"warning supervisor control_failed .*No space left on device")
    process.wait_log(r" ready after_ms=")
    assert sidecar.stop() == 0


# ---- strangers ----

def environment_of(pid):
    """What a process was started with."""
    with open(f"/proc/{pid}/environ", "rb") as file:
        return dict(item.split("=", 1) for item in file.read().decode().split("\0") if "=" in item)


def test_strangers_on_the_notify_socket_are_nobody(sidecar):
    """Scenario 19's cousin: 10,000 of them, oversized ones, and descriptors that nobody asked for."""
    calm(sidecar)
    sidecar.configure("program:waiting", command="sleep 1000", ready="notify", required="no", start_timeout="10m")
    sidecar.start()
    until(lambda: sidecar.has_control() and is_there(sidecar), 10, "the control socket")
    pid, supervisor = wait_for_pid(sidecar, "waiting"), sidecar.process.pid
    until(lambda: "NOTIFY_SOCKET" in environment_of(pid), 5, "the environment")
    address = "\0" + environment_of(pid)["NOTIFY_SOCKET"][1:]
    before_n = fds_n(supervisor)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        stranger.settimeout(10 * SLACK)
        stranger.connect(address)
        for index in range(10000):
            stranger.send((b"READY=1", b"STATUS=lies", b"", b"=", b"\n\n\n", b"\xff\0\xfe", b"WATCHDOG=trigger")[index % 7])
        stranger.send(b"READY=1\n" * 12000)
        for count in (1, 4, 5, 200):
            fds = array.array("i", [stranger.fileno()] * count)
            for _ in range(25):
                stranger.sendmsg([b"READY=1"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
    told = program_of(sidecar, "waiting")
    assert (told["state"], told["pid"], told["status"]) == ("starting", pid, "")
    until(lambda: fds_n(supervisor) == before_n, 5, "as many descriptors as before")
    assert sidecar.stop() == 0


def take_fd(pid, number):
    """A copy of a descriptor of another process, pidfd_getfd(2)."""
    pidfd = os.pidfd_open(pid)
    fd = ctypes.CDLL(None, use_errno=True).syscall(438, pidfd, number, 0)
    os.close(pidfd)
    if fd < 0:
        pytest.skip(f"pidfd_getfd: {os.strerror(ctypes.get_errno())}")
    return fd


def test_a_proxy_that_talks_nonsense_is_served_all_the_same(sidecar):
    """Messages of no size, kind or version that the contract has, by the thousand, over the proxy's own channel."""
    sidecar.boot(tokens=1)
    pid = sidecar.pid_of("proxy")
    with socket.socket(fileno=take_fd(pid, int(environment_of(pid)["SIDECAR_CHANNEL_FD"]))) as channel:
        def message(version, kind, value, name):
            return struct.pack("=HHI200s", version, kind, value, name)

        nonsense = [b"", b"x", b"\xff" * 207, b"\xff" * 209, b"\0" * 60000, message(2, 16, 0, b"ollama"), message(1, 99, 0, b""),
                    message(1, 0, 0, b""), message(1, 16, 0, b"\xff" * 200), message(1, 16, 0, b"nobody"), message(1, 17, 7, b""),
                    message(1, 17, 1, b""), message(1, 18, 0, b"")]
        for index in range(3900):
            while True:
                try:
                    channel.send(nonsense[index % len(nonsense)] or b"y", socket.MSG_DONTWAIT)
                    break
                except BlockingIOError:
                    time.sleep(0.001)  # it is full: the supervisor is at it
    assert sidecar.generate().status == 200
    assert sidecar.pid_of("proxy") == pid and say(sidecar, "status")["state"] == "running"
    assert 1 <= len(sidecar.process.logged("channel_refused")) <= 5
    assert sidecar.stop() == 0


def test_clients_of_the_control_socket_are_bounded(sidecar):
    """Garbage, a hundred at once, some that never read, some that never write: and then the owner."""
    calm(sidecar)
    sidecar.start()
    until(lambda: sidecar.has_control() and is_there(sidecar), 10, "the control socket")
    supervisor = sidecar.process.pid
    before_n = fds_n(supervisor)
    crowd = []
    for index in range(100):
        client = socket.socket(socket.AF_UNIX)
        client.connect(sidecar.socket)
        client.settimeout(5 * SLACK)
        try:
            client.send((b"", b"sta", b"\xff\0\xfe" * 100, b"dump\n", b"x" * 4096)[index % 5] or b"s")
        except OSError:
            pass  # it is shown the door
        crowd.append(client)
    until(lambda: fds_n(supervisor) <= before_n + 16, 5, "no more than sixteen")
    for client in crowd:
        client.close()
    until(lambda: fds_n(supervisor) == before_n, 5, "as many descriptors as before")
    assert is_there(sidecar)
    assert sidecar.stop() == 0


# ---- what would pile up ----

def keep_nothing_freed(sidecar):
    """AddressSanitizer sets freed memory aside, which is no leak."""
    sidecar.env["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=0:thread_local_quarantine_size_kb=0"


def same_again(sidecar, before, fds_before_n):
    """No zombie, no descriptor, no byte."""
    supervisor = sidecar.process.pid
    until(lambda: not zombies(supervisor), 10, "no zombie", lambda: str(zombies(supervisor)))
    assert fds_n(supervisor) == fds_before_n
    more_kb = private_kb(supervisor) - before
    assert more_kb <= (256 if IS_SANITIZED else 16), f"{more_kb} KB more"  # a page or two of the stack may be new


@pytest.mark.limit(60)
def test_ten_thousand_orphans_leave_nothing(sidecar):
    """Scenario 14, a hundred times over."""
    keep_nothing_freed(sidecar)
    calm(sidecar)
    script = sidecar.write("breeder", "#!/bin/sh\nbreed() { i=0; while [ $i -lt $1 ]; do ( : & ); i=$((i+1)); done; }\n"
                           f"breed 500; : >bred.0; while [ ! -e go ]; do sleep 0.05; done; breed {ORPHANS}; : >bred.1\nexec sleep 1000\n")
    os.chmod(script, 0o755)
    sidecar.configure("program:breeder", command=script, directory=sidecar.directory, required="no")
    sidecar.start()
    bred = [os.path.join(sidecar.directory, f"bred.{index}") for index in (0, 1)]
    until(lambda: os.path.exists(bred[0]), 20, "a few to warm up")
    until(lambda: not zombies(sidecar.process.pid), 10, "no zombie")
    before, fds_before_n = private_kb(sidecar.process.pid), fds_n(sidecar.process.pid)
    sidecar.write("go", "")
    until(lambda: os.path.exists(bred[1]), 50, "all of them")
    same_again(sidecar, before, fds_before_n)
    assert sidecar.stop() == 0


@pytest.mark.limit(60)
def test_a_thousand_restarts_leave_nothing(sidecar):
    """Scenario 57: of a program that dies at once, and by the owner's hand."""
    keep_nothing_freed(sidecar)
    calm(sidecar)
    sidecar.configure("program:dying", command="true", required="no", backoff_min="1ms", backoff_max="1ms", max_restarts=str(RESTARTS))
    sidecar.start()
    until(lambda: sidecar.has_control() and program_of(sidecar, "dying")["restarts"] >= RESTARTS // 10, 20, "a few to warm up")
    before, supervisor = private_kb(sidecar.process.pid), sidecar.process.pid
    until(lambda: program_of(sidecar, "dying")["state"] == "failed", 50, "all of them")
    assert program_of(sidecar, "dying")["restarts"] == RESTARTS
    fds_before_n = fds_n(supervisor)
    same_again(sidecar, before, fds_before_n)
    pid = wait_for_pid(sidecar, "ollama")
    for _ in range(RESTARTS // 10):
        assert say(sidecar, "restart ollama")["ok"]
        pid = wait_for_pid(sidecar, "ollama", other_than=pid)
    same_again(sidecar, before, fds_before_n)
    assert sidecar.stop() == 0


def test_the_build_is_the_one_that_is_meant():
    """Fewer repetitions go with a sanitizer only."""
    has_sanitizer = shutil.which("nm") and b"__asan_init" in subprocess.run(
        ["nm", "-D", os.path.join(BUILD, "ollama-supervisor")], capture_output=True, check=False).stdout
    assert not has_sanitizer or IS_SANITIZED
