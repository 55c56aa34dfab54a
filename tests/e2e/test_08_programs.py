"""Programs of the owner's own: who waits for whom, and what a stop or a death means in each state."""
import os
import socket
import threading
import time

import pytest

from waiting import SLACK, until

FOREVER = "while :; do sleep 600 & wait; done"  # a shell that takes its signals at once


def execs(sidecar, name: str) -> int:
    """How often the program was started."""
    return len(sidecar.process.logged(rf" exec program={name}\b"))


def started(sidecar, *names) -> None:
    """Until each of them has been started."""
    for name in names:
        sidecar.process.wait_log(rf" exec program={name}\b")


class Listener:
    """A port that takes connections and never says a word."""

    def __init__(self, answer: bytes = b""):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/health"
        self.answer = answer
        self.taken: list = []
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            if self.answer:
                connection.recv(4096)
                connection.sendall(self.answer)
            self.taken.append(connection)

    def close(self) -> None:
        """Hangs up."""
        for one in [self.socket, *self.taken]:
            one.close()


@pytest.fixture
def listener():
    """A Listener."""
    made = Listener()
    yield made
    made.close()


def test_a_stop_during_backoff_starts_nothing_later(sidecar):
    """scenario 26: here a pause is what is tested, so it is waited for."""
    sidecar.alone()
    pause_s = 2 * SLACK  # long enough for the stop to come before its end
    sidecar.script_program("crash", "exit 3", required="no", backoff_min=f"{int(pause_s * 1000)}ms", max_restarts="100")
    sidecar.start()
    sidecar.process.wait_log(r" state program=crash .*to=backoff .*reason=")
    until(lambda: execs(sidecar, "crash") == 2, 5, "the restart without a pause")
    until(lambda: sidecar.process.logged(r" exited program=crash")[1:], 5, "its end")
    assert sidecar.ctl("stop", "crash").returncode == 0
    sidecar.process.wait_log(r" state program=crash from=backoff to=down")
    time.sleep(pause_s * 1.2)  # up to a tenth is added by chance
    assert execs(sidecar, "crash") == 2
    assert sidecar.stop() == 0


def test_stopping_everything_during_backoff_starts_nothing_and_ends_at_once(sidecar):
    """scenario 26: the whole is asked to stop while one program waits for its next try."""
    sidecar.alone()
    sidecar.script_program("crash", "exit 3", backoff_min="20s", max_restarts="100")
    sidecar.start()
    until(lambda: len(sidecar.process.logged(r" exited program=crash")) == 2, 5, "its second end", sidecar.process.tail)
    began = time.monotonic()
    assert sidecar.stop() == 0
    assert time.monotonic() - began < 1 * SLACK
    assert execs(sidecar, "crash") == 2


def test_to_stop_twice_is_to_stop_once(sidecar):
    """scenario 27: the second request changes neither what is done nor when."""
    sidecar.alone()
    sidecar.script_program("slow", "trap 'echo asked >> asked; sleep 1; exit 0' TERM\necho x > armed\n" + FOREVER)
    sidecar.start()
    until(lambda: os.path.exists(os.path.join(sidecar.directory, "armed")), 5, "its trap")
    for _ in range(3):
        assert sidecar.ctl("stop", "slow").returncode == 0
    sidecar.process.wait_log(r" state program=slow from=stopping to=down cause=stopped")
    with open(os.path.join(sidecar.directory, "asked"), encoding="utf-8") as file:
        assert file.read() == "asked\n"
    assert len(sidecar.process.logged(r" state program=slow .*to=stopping")) == 1
    assert sidecar.stop() == 0


def test_who_depends_on_what_dies_before_it_is_ready_is_never_started(sidecar):
    """scenario 39: and when that has failed for good, all ends with 1."""
    sidecar.alone()
    sidecar.script_program("first", "exit 3", ready="notify", max_restarts="2", backoff_min="10ms")
    sidecar.script_program("second", FOREVER, depends="first")
    sidecar.script_program("third", FOREVER, depends="second")
    process = sidecar.start()
    assert process.wait() == 1
    assert execs(sidecar, "first") == 3 and execs(sidecar, "second") == 0 and execs(sidecar, "third") == 0
    assert process.logged(r" required_failed program=first reason=\"exit code 3")


def test_a_death_while_readiness_is_asked_for_is_noticed_at_once(sidecar, listener):
    """scenario 46: not when start_timeout is over, nor when the probe's own answer is late."""
    sidecar.alone()
    sidecar.script_program("server", "echo x >> ran\nread line < pipe\nexit 3", ready=listener.url,
                           start_timeout="500s", required="no")
    pipe = os.path.join(sidecar.directory, "pipe")
    os.mkfifo(pipe)
    sidecar.start()
    until(lambda: listener.taken, 5, "a probe", sidecar.process.tail)
    began = time.monotonic()
    with open(pipe, "w", encoding="utf-8") as file:
        file.write("end\n")
    sidecar.process.wait_log(r" exited program=server .*code=3")
    until(lambda: execs(sidecar, "server") == 2, 1, "its restart", sidecar.process.tail)
    assert time.monotonic() - began < 1 * SLACK
    assert sidecar.stop() == 0


def test_an_open_port_is_not_ready(sidecar, listener):
    """scenario 41: what listens and does not answer HTTP; scenario 44: it is started again, and not given up."""
    sidecar.alone()
    sidecar.script_program("server", FOREVER, ready=listener.url, start_timeout="500ms", restart="on-failure",
                           backoff_min="10ms", backoff_max="20ms", max_restarts="100")
    sidecar.script_program("user", FOREVER, depends="server")
    sidecar.start()
    until(lambda: execs(sidecar, "server") >= 3, 10, "two restarts", sidecar.process.tail)
    assert listener.taken and execs(sidecar, "user") == 0
    assert not sidecar.process.logged(r" state program=server .*to=(ready|failed)")
    listener.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    sidecar.process.wait_log(r" state program=server from=starting to=ready")
    started(sidecar, "user")
    assert sidecar.stop() == 0


@pytest.mark.parametrize("ini, words", [
    ({"a": "b", "b": "c", "c": "a"}, ["[program:a]", "in a circle: a -> b -> c -> a"]),
    ({"a": "ghost"}, ["[program:a]", '"ghost"']),
    ({"a": "a"}, ["[program:a]", "in a circle: a -> a"]),
])
def test_dependencies_that_can_never_be_met_are_mistakes(sidecar, ini, words):
    """scenario 47: nothing is started; the programs are named, with file and line."""
    for name, depends in ini.items():
        sidecar.configure(f"program:{name}", command="sleep 600", depends=depends)
    process = sidecar.start()
    assert process.wait() == 100
    text = "\n".join(process.logged(r"supervisor\.ini:\d+: "))
    assert all(word in text for word in words), process.tail()
    assert not process.logged(r" exec ")


def test_a_chain_of_all_programs_that_fit(sidecar):
    """scenario 47: as deep as can be: each waits for the one before; scenario 48: and they stop in the reverse order."""
    sidecar.alone()
    names = [f"p{number:02d}" for number in range(12)]
    for before, name in zip([None, *names], names):
        sidecar.configure(f"program:{name}", command="sleep 600", **({"depends": before} if before else {}))
    sidecar.start()
    started(sidecar, names[-1])
    order = [line.split("program=")[1].split()[0] for line in sidecar.process.logged(r" exec program=p")]
    assert order == names
    assert sidecar.stop() == 0
    ends = [line.split("program=")[1].split()[0] for line in sidecar.process.logged(r" exited program=p")]
    assert ends == names[::-1]


def test_sockets_of_our_own_starter_are_not_handed_on(sidecar):
    """scenario 59: LISTEN_PID is that of the proxy; programs without sockets get none of these variables."""
    sidecar.env.update(LISTEN_FDS="3", LISTEN_PID="1", LISTEN_FDNAMES="a:b:c")
    sidecar.script_program("other", FOREVER)
    sidecar.boot(tokens=1)
    started(sidecar, "other")
    proxy, other = sidecar.pid_of("proxy"), sidecar.pid_of("other")
    variables = {}
    for pid in (proxy, other):
        with open(f"/proc/{pid}/environ", "rb") as file:
            variables[pid] = dict(line.split("=", 1) for line in file.read().decode().split("\0") if "=" in line)
    assert variables[proxy]["LISTEN_FDS"] == "1" and variables[proxy]["LISTEN_PID"] == str(proxy)
    assert not [name for name in variables[other] if name.startswith("LISTEN_")]
    assert sidecar.generate().status == 200
    assert sidecar.stop() == 0


def test_a_program_that_lives_longer_than_the_window_is_never_given_up(sidecar):
    """scenario 34: a run as long as restart_window forgets the earlier deaths; here time is what is tested."""
    sidecar.alone()
    sidecar.script_program("now-and-then", "sleep 1.2\nexit 3", max_restarts="1", restart_window="1s",
                           backoff_min="10ms")
    sidecar.start()
    until(lambda: execs(sidecar, "now-and-then") == 4, 10, "three restarts", sidecar.process.tail)
    assert not sidecar.process.logged(r" to=failed ")
    assert sidecar.stop() == 0


@pytest.mark.parametrize("how, state", [("exit 0", "done"), ("exit 3", "backoff"), ("kill -9 $$", "backoff"),
                                        ("kill -TERM $$", "backoff")])
def test_on_failure_is_by_code_and_signal(sidecar, how, state):
    """scenario 35: an exit with 0 is the only good one."""
    sidecar.alone()
    sidecar.script_program("job", how, restart="on-failure", required="no", backoff_min="10s")
    sidecar.start()
    sidecar.process.wait_log(rf" state program=job .*to={state} cause=exited")
    assert sidecar.stop() == 0
