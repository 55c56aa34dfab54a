"""One round of one peer: start, wait, look, kill a program, stop."""
import os
import re
import select
import shutil
import signal
import subprocess
import time

SETTLE_S = 1.2  # what ended within its first second counts as a failed start with supervisord
LIMIT_S = 15


class Result:
    """What the rounds of one peer with one number of programs gave; times in microseconds, memory in kB."""

    def __init__(self, name):
        self.name = name
        self.start, self.all, self.crash, self.stop, self.pss, self.anon = [], [], [], [], [], []
        self.threads = self.processes = 0
        self.idle = ""


class Stamps:
    """The FIFO that the programs write to when they begin."""

    def __init__(self, path):
        os.mkfifo(path)
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self.rest = b""

    def next(self, limit_s=LIMIT_S):
        """(pid, nanoseconds) of the next program that begins."""
        until = time.monotonic() + limit_s
        while b"\n" not in self.rest:
            ready = select.select([self.fd], [], [], max(0, until - time.monotonic()))[0]
            if not ready:
                raise TimeoutError(f"no program began within {limit_s} s")
            self.rest += os.read(self.fd, 4096)
        line, self.rest = self.rest.split(b"\n", 1)
        pid, nanoseconds = line.split()
        return int(pid), int(nanoseconds)

    def close(self):
        os.close(self.fd)


def descendants(pid):
    """This process and all below it."""
    found = [pid]
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                for child in file.read().split():
                    found += descendants(int(child))
    except FileNotFoundError:
        pass
    return found


def own_processes(pid, program):
    """Those of them that are the supervisor's: not the program that it runs."""
    return [one for one in descendants(pid) if os.readlink(f"/proc/{one}/exe") != program]


def field(pid, name, key):
    """A number of /proc/PID/NAME; 0 where the kernel does not tell it."""
    with open(f"/proc/{pid}/{name}", encoding="utf-8") as file:
        match = re.search(rf"^{key}:\s*(\d+)", file.read(), re.M)
    return int(match.group(1)) if match else 0


def look(pids, result):
    result.processes = len(pids)
    result.threads = sum(field(pid, "status", "Threads") for pid in pids)
    result.pss.append(sum(field(pid, "smaps_rollup", "Pss") for pid in pids))
    result.anon.append(sum(field(pid, "smaps_rollup", "Pss_Anon") for pid in pids))


def traced_calls(pids, seconds, folder):
    """System calls that were made and returned while strace looked on; None where it can't."""
    strace = shutil.which("strace")
    if not strace:
        return None
    trace = os.path.join(folder, "trace")
    command = [strace, "-f", "-q", "-o", trace]
    for pid in pids:
        command += ["-p", str(pid)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    if process.poll() is not None:
        return None  # it was not allowed to
    process.send_signal(signal.SIGINT)
    process.wait()
    with open(trace, encoding="utf-8", errors="replace") as file:
        return sum(1 for line in file if " = " in line and "restart_syscall" not in line)


def count_idle(pids, seconds, folder):
    """How often the idle supervisor is at work: "N calls", or "N wake-ups" where nobody can trace it."""
    calls = traced_calls(pids, seconds, folder)
    if calls is not None:
        return f"{calls} calls"
    before = sum(field(pid, "status", "voluntary_ctxt_switches") for pid in pids)
    time.sleep(seconds)
    return f"{sum(field(pid, 'status', 'voluntary_ctxt_switches') for pid in pids) - before} wake-ups"


def stop(pid, number):
    """Sends the signal; nanoseconds until the supervisor and all below it have ended, whoever of them is the last."""
    pidfds, until = [os.pidfd_open(one) for one in descendants(pid)], time.monotonic() + LIMIT_S
    try:
        before = time.monotonic_ns()
        os.kill(pid, number)
        for pidfd in pidfds:
            if not select.select([pidfd], [], [], max(0, until - time.monotonic()))[0]:
                raise TimeoutError(f"not stopped within {LIMIT_S} s")
        took_ns = time.monotonic_ns() - before
        os.waitpid(pid, 0)
        return took_ns
    finally:
        for pidfd in pidfds:
            os.close(pidfd)


def start(command, folder):
    """(nanoseconds before, pid); quiet, in a group of its own."""
    null = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1, 2)]
    here = os.getcwd()
    os.chdir(folder)
    try:
        before = time.monotonic_ns()
        return before, os.posix_spawn(command[0], command, os.environ, file_actions=actions, setpgroup=0)
    finally:
        os.chdir(here)
        os.close(null)


def one_round(peer, programs_n, folder, program, idle_s, result):
    """Adds this round's figures to result. idle_s: how long to watch it idle; 0 not at all."""
    stamps = Stamps(os.path.join(folder, "fifo"))
    command = peer.command(folder, stamps.path, programs_n)
    before, pid = start(command, folder)
    try:
        began = sorted((stamps.next() for _ in range(programs_n)), key=lambda stamp: stamp[1])
        result.start.append((began[0][1] - before) / 1000)
        result.all.append((began[-1][1] - before) / 1000)
        time.sleep(SETTLE_S)
        pids = own_processes(pid, os.path.realpath(program))
        if pids:
            look(pids, result)
        if pids and idle_s:
            result.idle = count_idle(pids, idle_s, folder)
        if not peer.ends_with_child:
            before = time.monotonic_ns()
            os.kill(began[0][0], signal.SIGKILL)
            result.crash.append((stamps.next()[1] - before) / 1000)
        result.stop.append(stop(pid, peer.stop_signal) / 1000)
    except BaseException:
        for left in descendants(pid):
            try:
                os.kill(left, signal.SIGKILL)
            except ProcessLookupError:
                pass
        raise
    finally:
        stamps.close()
