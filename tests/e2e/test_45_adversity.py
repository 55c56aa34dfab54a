"""Adversity that must not hit what is healthy: tight budgets, reloads in the middle, freezes, shortages, odd children."""
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from played_proxy import ASK, WANT, PlayedProxy
from process import Process
from sidecar import program
from test_03_live import restarts
from test_05_reload import reload
from waiting import SLACK, until

POLITE = "trap 'sleep 0.2; exit 0' TERM; touch {sign}; while :; do sleep 0.05; done"


def pass_time(seconds: float) -> None:
    """Time itself is what is waited for."""
    began = time.monotonic()
    until(lambda: time.monotonic() - began > seconds, seconds + 5, f"{seconds} s to pass")


def test_many_programs_are_all_asked_before_they_are_killed(sidecar):
    """The budget has room for all of them: nobody is killed in the moment in which it is asked."""
    sidecar.alone()
    signs = [os.path.join(sidecar.directory, f"sign{i}") for i in range(8)]
    for i, sign in enumerate(signs):
        sidecar.script_program(f"polite{i}", POLITE.format(sign=sign))
    sidecar.start()
    until(lambda: all(map(os.path.exists, signs)), 10, "the shells to have set their traps")
    assert sidecar.stop(signal.SIGTERM) == 0
    assert len(sidecar.process.logged(r" exited program=polite\d .*code=0")) == 8, sidecar.process.tail()
    assert not sidecar.process.logged(r" exited program=polite\d .*signal=9")


@pytest.mark.parametrize("before", ["exit", "http://127.0.0.1:9/"])
def test_ready_that_is_changed_while_it_starts_counts_at_once(sidecar, before):
    """What a start waits for is what the file says now, and who depends on it goes on."""
    sidecar.alone()
    sidecar.configure("program:first", command="sleep 600", ready=before)
    sidecar.configure("program:second", command="sleep 600", depends="first")
    sidecar.start()
    sidecar.process.wait_log(r" exec program=first")
    until(sidecar.has_control, 5, "the control socket")
    sidecar.configure("program:first", ready="none")
    reload(sidecar)
    sidecar.process.wait_log(r" exec program=second")
    assert len(sidecar.process.logged(r" exec program=first")) == 1


def test_descriptors_that_the_supervisor_lacks_are_no_miss_of_ollamas(sidecar):
    """A question that could not be asked says nothing about who was to be asked."""
    sidecar.configure("program:ollama", live_interval="100ms", live_misses="2")
    sidecar.boot(tokens=1)
    pid = sidecar.process.pid
    highest = max(map(int, os.listdir(f"/proc/{pid}/fd")))
    subprocess.run(["prlimit", "--pid", str(pid), f"--nofile={highest + 1}:"], check=True)
    pass_time(1)
    subprocess.run(["prlimit", "--pid", str(pid), "--nofile=256:"], check=True)
    assert not sidecar.process.logged(r"cause=hung"), sidecar.process.tail()
    assert restarts(sidecar, "ollama") == 0


def test_a_freeze_of_all_in_which_the_supervisor_wakes_first(sidecar):
    """scenario 52: a watchdog that ran out in the freeze is not late."""
    path = sidecar.write("pinger.py", "\n".join([
        "import os, socket, time",
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)",
        "while True:",
        "    s.sendto(b'READY=1\\nWATCHDOG=1', os.environ['NOTIFY_SOCKET'].replace('@', '\\0', 1))",
        "    time.sleep(0.5)"]))
    sidecar.alone()
    sidecar.configure("program:pinger", command=f"python3 {path}", ready="notify", watchdog="2s")
    sidecar.start()
    sidecar.process.wait_log(r" state program=pinger .*to=ready")
    pids = [sidecar.process.pid, sidecar.pid_of("pinger")]
    pass_time(1)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    pass_time(5)
    os.kill(pids[0], signal.SIGCONT)
    sidecar.process.wait_log(r" resumed by_ms=\d+")
    os.kill(pids[1], signal.SIGCONT)
    pass_time(1)
    assert not sidecar.process.logged(r"cause=hung"), sidecar.process.tail()


def test_a_readiness_url_may_be_slow(sidecar):
    """A slow disk makes the list of models late, and not wrong; live would wait for it too."""
    server = socket.create_server(("127.0.0.1", 0))

    def answer(connection):
        pass_time(3)
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            connection.close()
        except OSError:
            pass

    def take():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=take, daemon=True).start()
    sidecar.alone()
    sidecar.configure("program:slow", command="sleep 600", ready=f"http://127.0.0.1:{server.getsockname()[1]}/")
    sidecar.start()
    sidecar.process.wait_log(r" state program=slow from=starting to=ready", timeout=15)
    server.close()


def test_a_program_that_left_its_group_can_be_stopped(sidecar):
    """Its pid is still ours to signal."""
    sidecar.alone()
    script = sidecar.write("leaver.py", "import os, time\nos.setpgid(0, os.getpgid(os.getppid()))\ntime.sleep(600)\n")
    sidecar.configure("program:leaver", command=f"python3 {script}")
    sidecar.start()
    sidecar.process.wait_log(r" exec program=leaver")
    pid = sidecar.pid_of("leaver")
    until(lambda: os.getpgid(pid) == os.getpgid(sidecar.process.pid), 5, "the leave")
    assert sidecar.stop(signal.SIGTERM) == 0
    assert sidecar.process.logged(r" exited program=leaver .*signal=\d+")


def is_root(pid: int) -> bool:
    """Whether all of its user ids are root's."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return "Uid:\t0\t0\t0\t0\n" in file.read()


def setuid_program(directory: str) -> str:
    """A program that becomes root wholly, so that who started it may not signal it."""
    source, path = os.path.join(directory, "become.c"), os.path.join(directory, "become")
    with open(source, "w", encoding="utf-8") as file:
        file.write("#include <unistd.h>\nint main(void) { if (setreuid(0, 0)) return 1; write(1, \"root\\n\", 5); sleep(60); }\n")
    subprocess.run(["cc", "-o", path, source], check=True)
    os.chmod(path, 0o4755)
    return path


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to make a setuid program")
def test_a_program_that_nobody_may_signal_does_not_keep_the_stop(sidecar):
    """shutdown_timeout is kept whatever the programs are."""
    directory = subprocess.run(["mktemp", "-d"], check=True, capture_output=True, text=True).stdout.strip()
    os.chmod(directory, 0o777)
    path = setuid_program(directory)
    ini = os.path.join(directory, "s.ini")
    with open(ini, "w", encoding="utf-8") as file:
        file.write(f"[supervisor]\ncontrol_socket = {directory}/c\nstate_dir = {directory}\nshutdown_timeout = 2s\n"
                   f"[preload]\nmodels = none\n[proxy]\nlisten = 127.0.0.1:{sidecar.port}\n[program:ollama]\nautostart = no\n"
                   f"[program:proxy]\nautostart = no\n[program:root]\ncommand = {path}\n")
    process = Process(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program("ollama-supervisor"), "-c", ini],
                      sidecar.environment(), "/")
    sidecar.processes.append(process)
    process.wait_log(r" exec program=root")
    with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="utf-8") as file:
        root = int(file.read())
    until(lambda: is_root(root), 5, "it to be root wholly")
    try:
        process.kill(signal.SIGTERM)
        assert process.popen.wait(4 * SLACK) == 0
    finally:
        os.kill(root, signal.SIGKILL)
        if process.popen.poll() is None:
            process.popen.kill()


def test_reloads_in_quick_succession_do_not_hide_a_hang(sidecar):
    """What has not changed is not asked anew from the beginning."""
    sidecar.alone()
    sidecar.configure("program:silent", command="sleep 600", ready="none", watchdog="1s", required="no", max_restarts="0")
    sidecar.start()
    sidecar.process.wait_log(r" exec program=silent")
    until(sidecar.has_control, 5, "the control socket")
    until(lambda: sidecar.ctl("reload").returncode != 0 or sidecar.process.logged(r"program=silent .*cause=hung"), 6,
          "the hang to be seen", sidecar.process.tail)
    assert sidecar.process.logged(r"program=silent .*no WATCHDOG=1 within 1000 ms")


def test_restart_of_what_is_down_waits_for_what_it_depends_on(sidecar):
    sidecar.alone()
    sidecar.configure("program:base", command="sleep 600", autostart="no", ready="notify")
    sidecar.configure("program:upper", command="sleep 600", autostart="no", depends="base")
    sidecar.start()
    until(sidecar.has_control, 5, "the control socket")
    assert sidecar.ctl("restart", "upper").returncode == 0
    sidecar.process.wait_log(r" exec program=base")
    assert not sidecar.process.logged(r" exec program=upper")


def test_a_reload_that_mends_a_program_starts_it_at_once(sidecar):
    sidecar.alone()
    sidecar.configure("program:broken", command="false", required="no", backoff_min="60s", backoff_max="60s")
    sidecar.start()
    sidecar.process.wait_log(r" state program=broken from=starting to=backoff|state program=broken .*to=backoff")
    until(lambda: len(sidecar.process.logged(r"exited program=broken")) == 2, 5, "two deaths, and a long pause")
    sidecar.configure("program:broken", command="sleep 600")
    reload(sidecar)
    sidecar.process.wait_log(r" exec program=broken pid=\d+ command=\"sleep\"")


def test_a_file_that_may_not_grow_kills_nobody(sidecar):
    """RLIMIT_FSIZE: SIGXFSZ would end PID 1."""
    sidecar.write_ini()
    process = Process(["prlimit", "--fsize=4096:4096", program("ollama-supervisor"), "-c", sidecar.ini],
                      sidecar.environment(), sidecar.directory)
    sidecar.processes.append(process)
    assert process.wait() == 111  # the page can't be had
    assert process.logged(r"boot_failed .*File too large")


@pytest.mark.parametrize("kind, where", [(ASK, "channel"), (WANT, "channel"), (ASK, "socket"), (0, "notify")])
def test_a_descriptor_that_is_slow_to_close_keeps_nobody_waiting(sidecar, kind, where):
    """Whoever closes it would wait a minute; and it is closed by whoever it is sent to."""
    proxy = PlayedProxy(sidecar).start()
    sidecar.process.kill(signal.SIGSTOP)  # or the last one to close it might be who sent it
    proxy.ask(linger=kind, n=10, where=where)
    sidecar.process.kill(signal.SIGCONT)
    began = time.monotonic()
    assert sidecar.ctl("status").returncode == 0
    assert time.monotonic() - began < 3 * SLACK
    assert sidecar.stop(signal.SIGTERM) == 0
