"""`ollama-supervisor -- COMMAND` on a terminal: ^C, ^Z, fg, bg, and whose terminal it is. bash is the shell above it."""
import os
import pty
import re
import select
import shlex
import shutil
import signal
import sys
import time

import pytest
from process import marked
from single import Single, python
from waiting import SLACK, until

PROMPT = "ready> "


class Terminal:
    """A command as the leader of a session on a terminal of its own."""

    def __init__(self, words: list, env: dict, directory: str):
        self.shown = ""
        self.at = 0
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(directory)
                os.execvpe(words[0], words, env)
            finally:
                os._exit(111)

    def type(self, text: str) -> None:
        """Keys."""
        os.write(self.master, text.encode())

    def see(self, pattern: str, timeout: float = 5) -> re.Match:
        """The next match in what the terminal shows; what is before it is passed over."""
        deadline = time.monotonic() + timeout * SLACK
        while True:
            match = re.compile(pattern).search(self.shown, self.at)
            if match:
                self.at = match.end()
                return match
            left = deadline - time.monotonic()
            assert left > 0, f"no {pattern!r} in {self.shown[self.at:]!r}\nafter {self.shown[:self.at]!r}"
            if select.select([self.master], [], [], left)[0]:
                try:
                    self.shown += os.read(self.master, 4096).decode("utf-8", "replace").replace("\r\n", "\n")
                except OSError:  # everybody has closed the other side
                    assert match, f"the terminal was closed before {pattern!r}: {self.shown!r}"

    def wait(self, timeout: float = 5) -> int:
        """The exit code of the leader."""
        def look():
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            return (os.waitstatus_to_exitcode(status),) if pid else None
        code = until(look, timeout, "the end", lambda: self.shown)[0]
        self.pid = 0
        return code

    def end(self) -> None:
        """Close the terminal, and end its leader."""
        os.close(self.master)
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


@pytest.fixture
def single(folder):
    """A Single with `terminal(words…)` and `shell()`; afterwards nothing of it may be left."""
    made, terminals = Single(folder), []
    made.env["TERM"] = "dumb"

    def terminal(*words):
        terminals.append(Terminal(list(words), made.env, folder))
        return terminals[-1]

    def shell():
        bash = shutil.which("bash")
        if not bash:
            pytest.skip("no bash on PATH: a shell with job control is needed")
        made.env["PS1"] = PROMPT
        opened = terminal(bash, "--norc", "--noprofile", "--noediting", "-i")
        opened.see(PROMPT)
        return opened

    made.terminal, made.shell = terminal, shell
    yield made
    for opened in terminals:
        opened.end()
    complaints = made.clean_up()
    assert not complaints, "\n".join(complaints)


# Says what it is told, and each ^C.
ECHO = """
import signal, sys
signal.signal(signal.SIGINT, lambda *_: print("interrupted"))
print("it", "is up", sep="-")
while True:
    line = sys.stdin.readline()
    if not line:
        break
    print("told", line.strip())
print("bye")
sys.exit(6)
"""


def echo(single) -> list:
    """The command that runs it, from a file, so that a shell's line does not show what it prints."""
    return [sys.executable, "-I", "-S", "-u", single.write("echo.py", ECHO.encode())]


def stopped(single) -> bool:
    """Whether both processes are stopped."""
    states = []
    for pid in marked(single.mark):
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            states.append(file.read().rsplit(")", 1)[1].split()[0])
    return states.count("T") == 2


def test_the_command_has_the_terminal_scenario_61(single):
    """Scenario 61: it reads, gets ^C once, and its exit code comes back."""
    terminal = single.terminal(*single.words(*echo(single)))
    terminal.see("it-is up")
    terminal.type("one\n")
    terminal.see("told one")
    terminal.type("\x03")
    terminal.see("interrupted")
    terminal.type("two\n")
    terminal.see("told two")
    assert terminal.shown.count("interrupted") == 1
    terminal.type("\x04")
    terminal.see("bye")
    assert terminal.wait() == 6


def test_interrupted_by_the_keyboard_scenario_61(single):
    """Scenario 61: ^C ends a command that does not handle it, with 130."""
    terminal = single.terminal(*single.words("sh", "-c", "echo it-''is up; exec sleep 1000"))
    terminal.see("it-is up")
    terminal.type("\x03")
    assert terminal.wait() == 130


def test_its_input_need_not_be_the_terminal_scenario_61(single):
    """Scenario 61: in a pipe it still has the terminal, as tini's command has not."""
    shell = single.shell()
    command = single.line("sh", "-c", "echo it-''is up; read y </dev/tty; echo got-$y")
    shell.type(f"echo x | {command}\n")
    shell.see("it-is up")
    shell.type("key\n")
    shell.see("\ngot-key")
    shell.see(PROMPT)


def test_stopped_and_continued_by_a_shell_scenarios_61_62(single):
    """Scenarios 61, 62: ^Z, fg, ^Z, bg; the shell sees one job that stops and goes on."""
    shell = single.shell()
    shell.type(single.line(*echo(single)) + "\n")
    shell.see("it-is up")
    shell.type("one\n")
    shell.see("told one")
    shell.type("\x1a")
    shell.see("Stopped")
    shell.see(PROMPT)
    shell.type("echo shell-$((40+2))\n")
    shell.see("shell-42")
    shell.type("fg\n")
    shell.type("two\n")
    shell.see("told two")
    shell.type("\x03")
    shell.see("interrupted")
    shell.type("\x1a")
    shell.see("Stopped")
    shell.type("bg\n")
    until(lambda: stopped(single), 5, "SIGTTIN: it reads, and may not", lambda: shell.shown)
    shell.type("fg\n")
    shell.type("three\n")
    shell.see("told three")
    shell.type("\x04")
    shell.see("bye")
    shell.see(PROMPT)
    shell.type("echo code-$?\n")
    shell.see("code-6")
    assert shell.shown.count("interrupted") == 1


def test_started_in_the_background_scenario_62(single):
    """Scenario 62: it takes no terminal from the shell; SIGTTIN stops it, fg gives it the terminal."""
    shell = single.shell()
    shell.type(single.line(*echo(single)) + " &\n")
    shell.see("it-is up")
    shell.type("echo shell-$((40+2))\n")
    shell.see("shell-42")
    until(lambda: stopped(single), 5, "it to be stopped by SIGTTIN", lambda: shell.shown)
    shell.type("jobs\n")
    shell.see("Stopped")
    shell.type("fg\n")
    shell.type("one\n")
    shell.see("told one")
    shell.type("\x04")
    shell.see("bye")


def test_brought_to_the_foreground_while_it_runs_scenario_62(single):
    """Scenario 62: `fg` of a job that was never stopped: no SIGCONT tells us, its first read does."""
    shell = single.shell()
    code = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)\nprint('told', input())"
    shell.type(single.line(*python(code)) + " &\n")
    shell.see(PROMPT)
    shell.type("fg\n")
    shell.see("python")  # the shell repeats the command
    single.write("go", b"")
    shell.type("late\n")
    shell.see("told late")
    shell.see(PROMPT)
    shell.type("echo code-$?\n")
    shell.see("code-0")


def test_interrupted_while_its_group_is_not_the_foreground_scenario_61(single):
    """Scenario 61: ^C reaches us then, and is passed on."""
    shell = single.shell()
    shell.type(single.line("sh", "-c", "echo it-''is up; exec sleep 1000") + " &\n")
    shell.see("it-is up")
    shell.type("fg\n")
    shell.see("exec sleep 1000")
    until(lambda: os.tcgetpgrp(shell.master) not in (0, shell.pid), 5, "the job to be in the foreground")
    shell.type("\x03")
    shell.see(PROMPT)
    shell.type("echo code-$?\n")
    shell.see("code-130")


def test_the_terminal_comes_back_scenario_61(single):
    """Scenario 61: a script without job control can read after we have ended; with tini it is stopped."""
    shell = single.shell()
    script = f"{single.line('true')}; echo it-''is up; read x; echo got-$x"
    shell.type(f"sh -c {shlex.quote(script)}\n")
    shell.see("it-is up")
    shell.type("line\n")
    shell.see("\ngot-line")


def test_the_keyboard_hurries_what_is_left_scenario_24(single):
    """Scenario 24: after ^C has ended the command, ^C reaches us, and kills who ignores SIGTERM."""
    single.env["SIDECAR_SUPERVISOR_SHUTDOWN_TIMEOUT"] = "1h"
    code = "trap '' TERM INT; setsid sleep 1000 & trap - INT; echo it-''is up; sleep 1000"
    terminal = single.terminal(*single.words("bash", "-c", code))
    terminal.see("it-is up")
    until(lambda: any(c.startswith("sleep") for c in marked(single.mark).values()), 5, "the sleeper")
    terminal.type("\x03")
    until(lambda: os.tcgetpgrp(terminal.master) == terminal.pid, 5, "the terminal to come back")
    terminal.type("\x03")
    assert terminal.wait() == 130
    single.nothing_left()


def test_a_stop_that_nobody_could_undo_scenario_62(single):
    """Scenario 62: without a shell above, as in a container, ^Z does not freeze the terminal."""
    terminal = single.terminal(*single.words(*echo(single)))
    terminal.see("it-is up")
    terminal.type("\x1a")
    terminal.see(r"\^Z")
    terminal.type("one\n")
    terminal.see("told one")
    terminal.type("\x04")
    assert terminal.wait() == 6


def test_the_terminal_goes_away_scenario_61(single):
    """Scenario 61: SIGHUP is passed on like any other signal."""
    code = """
import signal
signal.signal(signal.SIGHUP, lambda *_: open("hup", "a").write("x"))
print("it", "is up", sep="-")
while True:
    signal.pause()
"""
    terminal = single.terminal(*single.words(*python(code)))
    terminal.see("it-is up")
    os.kill(terminal.pid, signal.SIGHUP)
    until(lambda: single.read("hup") == "x", 5, "SIGHUP to arrive, once")
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.wait() == 143
