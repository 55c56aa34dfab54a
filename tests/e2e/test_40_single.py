"""`ollama-supervisor -- COMMAND`: one command, run as tini does. The terminal's part is in test_41_single_terminal.py."""
import contextlib
import os
import platform
import select
import shutil
import signal
import socket
import subprocess
import time

import pytest
from process import marked
from single import TIMEOUT, Single, children, field, main_of, python
from waiting import SLACK, until

FAULTS = {signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGTRAP, signal.SIGSYS}
NOT_PASSED_ON = FAULTS | {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGTTIN, signal.SIGTTOU}
# Tells each signal that it gets, in the order in which the kernel has them.
LISTENER = """
import signal
every = signal.valid_signals()
signal.pthread_sigmask(signal.SIG_BLOCK, every)
print("up", flush=True)
while True:
    print("got", int(signal.sigwaitinfo(every).si_signo), flush=True)
"""
# Exits 3, and leaves somebody in a session of its own who needs a second after SIGTERM.
LEAVES_A_SLOW_ONE = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    def stop(number, frame):
        time.sleep(1)
        open("orderly", "w").write("yes")
        os._exit(0)
    signal.signal(signal.SIGTERM, stop)
    print("up", flush=True)
    open("there", "w").close()
    while True:
        signal.pause()
while not os.path.exists("there"):
    time.sleep(0.01)
sys.exit(3)
"""
# Exits 5 (on SIGTERM, or at once), and leaves somebody who ignores it.
LEAVES_A_DEAF_ONE = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open("there", "w").close()
    while True:
        signal.pause()
while not os.path.exists("there"):
    time.sleep(0.01)
if "waits" in sys.argv:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
    print("up", flush=True)
    while True:
        signal.pause()
sys.exit(5)
"""


@pytest.fixture
def single(folder):
    """A Single; afterwards nothing of it may be left."""
    made = Single(folder)
    yield made
    complaints = made.clean_up()
    assert not complaints, "\n".join(complaints + [process.tail() for process in made.processes])


def test_every_exit_code_scenarios_1_3(single):
    """Scenarios 1 and 3: 0 to 255 come back as they are."""
    codes = [single.run("sh", "-c", f"exit {code}").returncode for code in range(256)]
    assert codes == list(range(256))


@pytest.mark.parametrize("number", [1, 2, 3, 9, 15, 31, 34, 64])
def test_killed_by_a_signal_scenario_2(single, number):
    """Scenario 2: 128 and the signal's number."""
    done = single.run("sh", "-c", f"ulimit -c 0; kill -{number} $$")
    assert (done.returncode, done.stderr) == (128 + number, "")


@pytest.mark.parametrize("what, code, says", [
    ("nosuch-command", 127, 'can\'t start "nosuch-command": not found on PATH'),
    ("./nosuch", 127, 'can\'t start "./nosuch": no such file'),
    ("./plain", 126, "chmod"), ("./", 126, "chmod"),
    ("./garbage", 126, "exec format error"), ("./script", 126, "exec format error"), ("./foreign", 126, "exec format error"),
    ("./lost", 127, "interpreter"), ("./plain/x", 126, "Not a directory"),
])
def test_what_cannot_be_started_scenarios_4_5_29(single, what, code, says):
    """Scenarios 4, 5, 29: 127 or 126, one clear line, and no shell is asked."""
    single.write("plain", b"#!/bin/sh\n", 0o644)
    single.write("garbage", b"\x00\x01\x02garbage")
    single.write("script", b"touch shell-was-asked\n")
    machine = 0xb7 if platform.machine() == "x86_64" else 0x3e
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00" + bytes([machine, 0]) + b"\x01\x00\x00\x00"
    single.write("foreign", head + bytes(40))
    single.write("lost", b"#!/nosuch/interpreter\n")
    done = single.run(what)
    assert done.returncode == code
    assert says in done.stderr and done.stderr.startswith("ollama-supervisor: error: ") and done.stderr.count("\n") == 1
    assert not os.path.exists(single.path("shell-was-asked"))


@pytest.mark.parametrize("words, says", [
    (["--"], "needs a command"), (["--check", "--", "true"], "--check"),
    (["--dump", "--", "true"], "--dump"), (["--frobnicate", "--", "true"], "unknown argument --frobnicate"),
])
def test_usage_mistakes_scenario_6(single, words, says):
    """Scenario 6: said on stderr, exit 100, nothing is run."""
    done = subprocess.run([single.supervisor, *words], env=single.env, text=True, capture_output=True, timeout=10, check=False)
    assert (done.returncode, done.stdout) == (100, "") and says in done.stderr


@pytest.mark.parametrize("word", ["-h", "--help", "--version"])
def test_help_and_version_scenario_7(single, word):
    """Scenario 7: exit 0, on stdout."""
    done = subprocess.run([single.supervisor, word], env=single.env, text=True, capture_output=True, timeout=10, check=False)
    assert (done.returncode, done.stderr) == (0, "") and "ollama-supervisor" in done.stdout
    assert word == "--version" or "-- COMMAND" in done.stdout


@pytest.mark.parametrize("value, says", [("5", "has no unit"), ("soon", "is no duration"), ("0s", "out of range")])
def test_a_bad_grace_time_is_a_mistake(single, value, says):
    """Exit 100, the variable's name, and nothing is run; an empty one counts as not set."""
    single.env[TIMEOUT] = value
    done = single.run("touch", "was-run")
    assert done.returncode == 100 and done.stderr.startswith(f"{TIMEOUT}: error: ") and says in done.stderr
    assert not os.path.exists(single.path("was-run"))
    single.env[TIMEOUT] = ""
    assert single.run("true").returncode == 0


def test_it_reads_no_configuration_and_says_nothing(single):
    """A broken supervisor.ini beside it does not matter; both outputs are the command's alone."""
    single.write("supervisor.ini", b"[nonsense]\nx", 0o644)
    done = single.run("sh", "-c", "echo out; echo err >&2")
    assert (done.returncode, done.stdout, done.stderr) == (0, "out\n", "err\n")


def test_an_images_entrypoint_may_name_a_configuration(single):
    """Its user can only add words behind; the file is not read."""
    done = subprocess.run([single.supervisor, "-c", "/no/such.ini", "--", "sh", "-c", "echo out; exit 7"], env=single.env,
                          text=True, capture_output=True, timeout=10, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "")


def test_every_signal_is_passed_on_once_and_in_order_scenario_8(single):
    """Scenario 8: 1 to 31 and 34 to 64 but KILL, STOP, CHLD, the faults, TTIN and TTOU."""
    process = single.start(*python(LISTENER), wait="^up$")
    expected = []
    for number in sorted(signal.valid_signals() - NOT_PASSED_ON):
        expected.append(f"got {int(number)}")
        process.kill(number)
        until(lambda: process.log[1:] == expected, 5, expected[-1], process.tail)
    for number in (signal.SIGTTIN, signal.SIGTTOU, signal.SIGCHLD, signal.SIGUSR1):
        process.kill(number)
    for _ in range(3):
        process.kill(signal.SIGRTMIN + 1)  # these queue: three are three
    expected += [f"got {int(signal.SIGUSR1)}"] + [f"got {signal.SIGRTMIN + 1}"] * 3
    until(lambda: len(process.log) > len(expected), 5, "the last signals", process.tail)
    assert process.log[1:] == expected
    os.kill(main_of(process), signal.SIGKILL)
    assert process.wait() == 137


def test_mask_and_ignored_signals_are_inherited_scenario_12(single):
    """Scenario 12, exec mode: as they were when we were started."""
    set_up = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGTERM, signal.SIGUSR1, signal.SIGRTMIN + 3, signal.SIGSEGV})
for number in (signal.SIGINT, signal.SIGTTOU, signal.SIGPIPE, signal.SIGCHLD, signal.SIGRTMIN + 5):
    signal.signal(number, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])
"""
    look = ["grep", "-E", "^Sig(Blk|Ign|Pnd)|^ShdPnd", "/proc/self/status"]
    bare, ours = (subprocess.run([*python(set_up), *words], env=single.env, text=True, capture_output=True, timeout=10, check=False)
                  for words in ([shutil.which("grep"), *look[1:]], single.words(*look)))
    assert (ours.returncode, ours.stderr) == (0, "")
    assert ours.stdout == bare.stdout and "SigBlk:\t0000001000004600\n" in ours.stdout
    assert int(ours.stdout.split("SigIgn:")[1].split()[0], 16) & 1 << signal.SIGCHLD - 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT, signal.SIGTERM])
def test_started_with_a_stop_signal_ignored_scenario_13(single, number):
    """Scenario 13: it still stops. What ignores SIGTERM too is killed when its time is up."""
    single.env[TIMEOUT] = "300ms"
    process = single.start_words(["sh", "-c", f"trap '' {int(number)}; exec {single.line('sleep', '1000')}"])
    until(lambda: children(process.pid), 5, "the command", process.tail)
    until(lambda: field(main_of(process), "Name") == "sleep", 5, "sleep", process.tail)
    assert process.stop(number) == (137 if number == signal.SIGTERM else 143)
    single.nothing_left()


def test_a_command_with_a_handler_of_its_own_gets_the_one_signal_scenario_13(single):
    """Scenario 13: ignored when it was started, handled since: nothing is sent in its place."""
    code = LISTENER.replace("print(\"up\"", "signal.signal(signal.SIGINT, signal.default_int_handler)\nprint(\"up\"")
    process = single.start_words(["sh", "-c", f"trap '' INT; exec {single.line(*python(code))}"], wait="^up$")
    process.kill(signal.SIGINT)
    process.wait_log("^got 2$")
    process.kill(signal.SIGUSR2)
    process.wait_log(f"^got {int(signal.SIGUSR2)}$")
    assert process.log == ["up", "got 2", f"got {int(signal.SIGUSR2)}"]
    os.kill(main_of(process), signal.SIGKILL)
    assert process.wait() == 137


ORPHANS = """
import os, random, signal, time
for i in range({count}):
    if os.fork() == 0:
        if os.fork() == 0:
            if i % 3 == 0:
                os.setsid()
            {life}
        os._exit(0)
    os.wait()
print("up", os.getpid(), flush=True)
while True:
    signal.pause()
"""


def test_100_orphans_are_reaped_scenarios_14_15_19(single):
    """Scenarios 14, 15, 19: at random times, as a subreaper; none stays a zombie, none is told of."""
    process = single.start(*python(ORPHANS.format(count=100, life="time.sleep(random.random() / 2)")), wait="^up")
    until(lambda: children(process.pid) == [(main_of(process), "S")], 5, "all orphans to be reaped", process.tail)
    assert process.stop() == 143 and len(process.log) == 1


def test_200_deaths_while_stopped_scenarios_16_18(single):
    """Scenarios 16, 18: one SIGCHLD for all of them."""
    process = single.start(*python(ORPHANS.format(count=200, life="signal.pause()")))
    main = int(process.wait_log(r"^up (\d+)$").group(1))
    below = until(lambda: len(children(process.pid)) == 201 and children(process.pid), 5, "200 orphans", process.tail)
    process.kill(signal.SIGSTOP)
    for pid in [pid for pid, _ in below if pid != main]:
        os.kill(pid, signal.SIGKILL)
    until(lambda: [state for _, state in children(process.pid)].count("Z") == 200, 5, "200 zombies", process.tail)
    process.kill(signal.SIGCONT)
    started = time.monotonic()
    until(lambda: len(children(process.pid)) == 1, 5, "them to be reaped", process.tail)
    assert time.monotonic() - started < 0.5 * SLACK
    assert process.stop() == 143


def test_the_command_dies_with_all_others_in_one_instant_scenarios_16_17(single):
    """Scenarios 16, 17: its death is noticed among others, also with exit code 127."""
    code = """
import os
r, w = os.pipe()
for i in range(30):
    if os.fork() == 0:
        os.close(w)
        os.read(r, 1)
        os._exit(0)
os.write(w, b"x" * 29)
os._exit(127)
"""
    for _ in range(20):
        assert single.run(*python(code)).returncode == 127
    single.nothing_left()


def test_a_pipeline_ends_whole_scenario_20(single):
    """Scenario 20: six processes, TERM to us, none lives on."""
    process = single.start("sh", "-c", " | ".join(f"sleep {900 + i}" for i in range(6)) + "; true")
    until(lambda: len([c for c in marked(single.mark).values() if c.startswith("sleep")]) == 6, 5, "six processes")
    assert process.stop() == 143
    single.nothing_left()


def test_who_left_the_session_gets_its_time_scenarios_21_22(single):
    """Scenarios 21, 22: SIGTERM to what is left, wherever it went; waited for; then the command's own code."""
    started = time.monotonic()
    done = single.run(*python(LEAVES_A_SLOW_ONE))
    took = time.monotonic() - started
    assert (done.returncode, single.read("orderly"), done.stderr) == (3, "yes", "")
    assert 1 <= took < 6 * SLACK  # and not the whole of the eight seconds


def test_who_ignores_term_is_killed_scenario_23(single):
    """Scenario 23: when the grace time is over."""
    single.env[TIMEOUT] = "500ms"
    started = time.monotonic()
    assert single.run(*python(LEAVES_A_DEAF_ONE)).returncode == 5
    assert 0.5 <= time.monotonic() - started < 4 * SLACK
    single.nothing_left()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_hurries_scenario_24(single, number):
    """Scenario 24: SIGTERM again, or SIGINT, while it waits for what is left."""
    single.env[TIMEOUT] = "1h"
    process = single.start(*python(LEAVES_A_DEAF_ONE), "waits", wait="up")
    main = main_of(process)
    process.kill(signal.SIGTERM)
    until(lambda: main not in [pid for pid, _ in children(process.pid)], 5, "the command to end", process.tail)
    assert process.popen.poll() is None
    assert process.stop(number) == 5
    single.nothing_left()


def test_what_was_stopped_ends_too(single):
    """SIGTERM is followed by SIGCONT: a stopped process does not cost the whole grace time."""
    started = time.monotonic()
    assert single.run("sh", "-c", "sleep 1000 & kill -STOP $!; exit 7").returncode == 7
    assert time.monotonic() - started < 4 * SLACK


def test_it_leaves_when_the_last_one_does_scenario_25(single):
    """Scenario 25: no grace time is sat out where nobody is left."""
    started = time.monotonic()
    assert single.run("sh", "-c", "sleep 1000 & exit 4").returncode == 4
    assert time.monotonic() - started < 2 * SLACK


def test_stopped_in_the_first_moments_scenario_28(single):
    """Scenario 28: at any moment of its start, SIGTERM ends it and leaves nothing."""
    for i in range(60):
        process = subprocess.Popen(single.words("sleep", "1000"), env=single.env, cwd=single.directory)
        deadline = time.monotonic() + i / 10000
        while time.monotonic() < deadline:
            pass
        process.terminate()
        assert process.wait(10 * SLACK) in (143, -signal.SIGTERM)
    until(lambda: not marked(single.mark), 2, "all to be gone", lambda: marked(single.mark))


def test_when_it_is_killed_so_is_the_command(single):
    """Not tini's way: a server without its supervisor would keep its memory and its port."""
    process = single.start(*python(LISTENER), wait="^up$")
    main = main_of(process)
    process.kill(signal.SIGKILL)
    process.wait_log("^got 15$")
    os.kill(main, signal.SIGKILL)


def test_idle_it_makes_no_system_call_scenario_54(single):
    """Scenario 54: also when the command closes its outputs. This test is about a pause."""
    process = single.start(*python("import os, signal; print('up', flush=True); os.close(1); os.close(2); signal.pause()"))
    until(lambda: children(process.pid) and field(main_of(process), "State").startswith("S"), 5, "it to sleep")
    until(lambda: len(os.listdir(f"/proc/{main_of(process)}/fd")) <= 1, 5, "its outputs to be closed")
    before = field(process.pid, "voluntary_ctxt_switches")
    time.sleep(2.2)
    assert field(process.pid, "voluntary_ctxt_switches") == before
    assert process.stop() == 143


def test_strange_descriptors_go_nowhere_scenario_58(single):
    """Scenario 58: closed in us, and not in the command."""
    with open("/dev/null", "rb") as stray:
        os.set_inheritable(stray.fileno(), True)
        process = subprocess.Popen(single.words("sh", "-c", "ls /proc/self/fd; echo up; exec sleep 1000"), env=single.env,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, pass_fds=[stray.fileno()])
    with process:
        lines = []
        while not lines or lines[-1] != "up\n":
            lines.append(process.stdout.readline())
        assert lines == ["0\n", "1\n", "2\n", "3\n", "up\n"]  # 3 is the folder that ls reads
        assert sorted(os.listdir(f"/proc/{process.pid}/fd")) == ["0", "1", "2"]
        process.terminate()
        assert process.wait(10 * SLACK) == 143


def test_a_closed_standard_descriptor_is_dev_null(single):
    """What the command opens next must not become its stdin."""
    command = single.line("sh", "-c", "readlink /proc/$$/fd/0")
    done = subprocess.run(["sh", "-c", f"exec {command} 0<&-"], env=single.env, text=True, capture_output=True, timeout=10, check=False)
    assert (done.returncode, done.stdout) == (0, "/dev/null\n")


SHOW_HANDED = ('echo "$$ ${LISTEN_PID-none} ${LISTEN_FDS-none} ${WATCHDOG_PID-none}"; '
               'for fd in 3 4 5; do [ -e /proc/$$/fd/$fd ] && echo "open $fd"; done; exit 0')


def handed(single, pid_word: str) -> list:
    """What the command sees of two sockets and a stray descriptor, in lines of words."""
    with socket.socket() as first, socket.socket() as second, open("/dev/null", "rb") as stray:
        shell = (f"LISTEN_PID={pid_word} LISTEN_FDS=2 WATCHDOG_PID={pid_word} exec "
                 f"{single.line('sh', '-c', SHOW_HANDED)} 3<&{first.fileno()} 4<&{second.fileno()} 5<&{stray.fileno()}")
        done = subprocess.run(["bash", "-c", shell], env=single.env, text=True, capture_output=True, timeout=10,
                              pass_fds=[first.fileno(), second.fileno(), stray.fileno()], check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return [line.split() for line in done.stdout.splitlines()]


def test_sockets_that_were_handed_to_us_are_handed_on_scenario_59(single):
    """Scenario 59: LISTEN_PID becomes the command's pid; descriptors beyond LISTEN_FDS go."""
    first, *rest = handed(single, "$$")
    assert first[0] == first[1] == first[3] and first[2] == "2"
    assert rest == [["open", "3"], ["open", "4"]]


def test_sockets_that_were_not_meant_for_us_scenario_59(single):
    """Scenario 59: then they are strange descriptors, and the variables stay as they are."""
    first, *rest = handed(single, "1234567")
    assert first[1:] == ["1234567", "2", "1234567"] and rest == []


def test_folder_environment_and_arguments_scenarios_60_63(single):
    """Scenarios 60, 63: the command has ours as they were; we ourselves keep no folder busy."""
    single.env.update({"EMPTY": "", "ODD": "a=b %(x)s $HOME 'q' \"d\"\n", "NOTIFY_SOCKET": "/run/x"})
    code = ("import os, signal, sys; print(os.getcwd(), sys.argv[1:], os.environ['EMPTY'] == '', repr(os.environ['ODD']), "
            "os.environ['NOTIFY_SOCKET'], os.getpgid(0) == os.getpid(), os.getsid(0) == os.getppid()); "
            "print('up'); signal.pause()")
    process = single.start(*python(code), "", "a b", "--", "$HOME", wait="^up$")
    expected = (f"{os.path.realpath(single.directory)} {['', 'a b', '--', '$HOME']} True {single.env['ODD']!r} /run/x True True")
    assert process.log[0] == expected
    until(lambda: os.readlink(f"/proc/{process.pid}/cwd") == "/", 5, "our own folder")  # once the command has been started in its own
    assert process.stop() == 143


def test_stop_and_continue_scenario_62(single):
    """Scenario 62: SIGTSTP to us stops the command and, below a shell that could continue us, ourselves."""
    code = f"import subprocess, sys, os; os.setpgid(0, 0); sys.exit(subprocess.call({single.words('sleep', '1000')!r}))"
    outer = single.start(*python(code))
    ours = until(lambda: [pid for pid, _ in children(main_of(outer))], 5, "ours", outer.tail)[0]
    main = until(lambda: [pid for pid, _ in children(ours)], 5, "the command", outer.tail)[0]
    until(lambda: field(main, "Name") == "sleep", 5, "sleep")
    os.kill(ours, signal.SIGTSTP)
    until(lambda: field(main, "State")[0] == field(ours, "State")[0] == "T", 5, "both to stop")
    os.kill(ours, signal.SIGCONT)
    until(lambda: field(main, "State")[0] == field(ours, "State")[0] == "S", 5, "both to go on")
    os.kill(ours, signal.SIGTERM)
    assert outer.wait() == 143


def test_pid_1_of_a_container_scenarios_14_15_21_22(single):
    """Scenarios 14, 15, 21, 22 as PID 1 of a PID namespace: orphans, those who left the session, the code, and signals
    from outside and from inside, where the kernel lets PID 1 have only those that it asks for."""
    unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    probe = subprocess.run([*unshare, "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"no PID namespace may be made here: {probe.stderr.strip()}")
    started = time.monotonic()
    done = subprocess.run([*unshare, *single.words(*python(LEAVES_A_SLOW_ONE))], env=single.env, cwd=single.directory, text=True,
                          capture_output=True, timeout=20, check=False)
    assert (done.returncode, single.read("orderly"), done.stderr) == (3, "yes", "")
    assert 1 <= time.monotonic() - started < 6 * SLACK
    orphans = ORPHANS.format(count=100, life="time.sleep(random.random() / 5)")
    process = single.start_words([*unshare, *single.words(*python(orphans))], "^up")
    ours = children(process.pid)[0][0]
    until(lambda: [state for _, state in children(ours)] == ["S"], 5, "all orphans to be reaped", lambda: children(ours))
    os.kill(ours, signal.SIGTERM)
    assert process.wait() == 143
    done = subprocess.run([*unshare, *single.words("sh", "-c", "kill -TERM 1; sleep 1000")], env=single.env, timeout=20, check=False)
    assert done.returncode == 143


@pytest.mark.parametrize("words", [
    ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc || exit 99; exec "$@"', "sh"],
    ["unshare", "--pid", "--fork", "--kill-child"],
], ids=["none", "another"])
def test_without_a_proc_of_its_own_the_group_is_asked(single, words):
    """No /proc, or that of another PID namespace, whose numbers are others': the command's process group gets SIGTERM."""
    probe = subprocess.run([*words, "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"not permitted here: {probe.stderr.strip()}")
    started = time.monotonic()
    done = subprocess.run([*words, *single.words("sh", "-c", "sleep 1000 & exit 3")], env=single.env, text=True,
                          capture_output=True, timeout=20, check=False)
    if done.returncode == 99 or done.stderr.startswith("unshare:"):
        pytest.skip(f"not possible at this moment: {done.stderr.strip()}")
    if "LeakSanitizer has encountered a fatal error" in done.stderr:
        pytest.skip("a sanitizer needs /proc, for its options too")
    assert (done.stderr, done.stdout, done.returncode) == ("", "", 3)
    assert time.monotonic() - started < 4 * SLACK


def kill_marked(mark: str) -> None:
    """SIGKILL to each."""
    for pid in marked(mark):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("words", [
    ["true"], ["false"], ["sh", "-c", "exit 254"], ["sh", "-c", "kill -TERM $$"], ["sh", "-c", "kill -KILL $$"],
    ["sh", "-c", "kill -HUP $$"], ["nosuch-command"], ["./nosuch"], ["./plain"], ["./lost"], ["/"],
    ["sh", "-c", "exec nosuch-command"], ["sh", "-c", "sleep 1000 & exit 9"],
])
def test_the_same_exit_code_as_tini_scenarios_1_2_4(single, words):
    """Scenarios 1, 2, 4, side by side."""
    tini = shutil.which("tini") or pytest.skip("no tini on PATH to compare with")
    for name, content, mode in [("plain", b"#!/bin/sh\n", 0o644), ("lost", b"#!/nosuch/interpreter\n", 0o755)]:
        single.write(name, content, mode)
    left, end = os.pipe()  # read to its end when all are gone: in the middle of an exec nobody has a mark
    theirs = subprocess.run([tini, "-s", "--", *words], env=single.env, cwd=single.directory, stdin=subprocess.DEVNULL,
                            stdout=end, stderr=subprocess.DEVNULL, timeout=10 * SLACK, check=False)
    os.close(end)
    with open(left, "rb") as rest:
        until(lambda: kill_marked(single.mark) or select.select([rest], [], [], 0.01)[0], 5, "tini's orphans to be gone")
    assert single.run(*words).returncode == theirs.returncode
