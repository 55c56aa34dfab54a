"""Ports for tests that run side by side: outside the range of outgoing connections, each locked by a file."""
import fcntl
import os
import random
import socket
import tempfile

from waiting import until

_held = []


def folder() -> str:
    """Where the locks are: whoever shares the machine's network shares them, too."""
    directory = os.path.join(tempfile.gettempdir(), f"sidecar-e2e-ports.{os.getuid()}")
    os.makedirs(directory, exist_ok=True)
    return directory


def _take(port: int) -> bool:
    """Whether it is ours now: nobody listens on it, and no other test has it."""
    lock = os.open(os.path.join(folder(), str(port)), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for address in ("127.0.0.1", "0.0.0.0"):
            with socket.socket(socket.AF_INET) as probe:
                probe.bind((address, port))
    except OSError:
        os.close(lock)
        return False
    _held.append(lock)
    return True


def free() -> int:
    """A TCP port that nobody listens on and no other test gets until it is given back, or this process ends."""
    for _ in range(1000):
        port = random.randrange(12000, 32000)
        if _take(port):
            return port
    raise AssertionError("no free port found")


def take(port: int, timeout: float = 20) -> int:
    """This very port, as soon as no other test has it."""
    until(lambda: _take(port), timeout, f"port {port} to be free")
    return port


def held() -> int:
    """How many this process has."""
    return len(_held)


def give_back(count: int) -> None:
    """All but the first so many: each costs a descriptor, of which a process may have a thousand."""
    while len(_held) > count:
        os.close(_held.pop())
