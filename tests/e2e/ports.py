"""Ports for tests that run side by side: outside the range of outgoing connections, each locked by a file."""
import fcntl
import os
import random
import socket
import tempfile

_held = []


def free() -> int:
    """A TCP port that nobody listens on and no other test gets until it is given back, or this process ends."""
    directory = os.path.join(tempfile.gettempdir(), f"sidecar-e2e-ports.{os.getuid()}")
    os.makedirs(directory, exist_ok=True)
    for _ in range(1000):
        port = random.randrange(12000, 32000)
        lock = os.open(os.path.join(directory, str(port)), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0")):
                with socket.socket(family) as probe:
                    probe.bind((address, port))
        except OSError:
            os.close(lock)
            continue
        _held.append(lock)
        return port
    raise AssertionError("no free port found")


def held() -> int:
    """How many this process has."""
    return len(_held)


def give_back(count: int) -> None:
    """All but the first so many: each costs a descriptor, of which a process may have a thousand."""
    while len(_held) > count:
        os.close(_held.pop())
