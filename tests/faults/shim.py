"""A TCP proxy between ours and its backend that does one wrong to one connection: the one that carries the byte where it is to happen."""
import random
import socket
import struct
import threading
import time

WAYS = ("cut", "reset", "garbage", "half-open", "drip", "late")
LATE_S = 0.2  # it is about lateness


class Shim:
    """Listens at `port`, connects to `target`. `passed` counts what the backend has said since arm()."""

    def __init__(self, port: int, target: int):
        self.target, self.passed, self.hits = target, 0, 0
        self._way, self._at, self._chance = "", 0, random.Random(1)
        self._lock = threading.Lock()
        self._open: list = []
        self._resetting: list = []
        self._listener = socket.create_server(("127.0.0.1", port), backlog=256)
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, way: str = "", at: int = 0) -> None:
        """From now on: behind so many bytes of the backend's this happens, once."""
        with self._lock:
            self.passed, self.hits, self._way, self._at = 0, 0, way, at

    def close(self) -> None:
        """No more of it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                near.close()
                continue
            for sock in (near, far):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open += [near, far]
            threading.Thread(target=self._ask, args=(near, far), daemon=True).start()
            threading.Thread(target=self._answer, args=(near, far), daemon=True).start()

    def _ask(self, near, far) -> None:
        try:
            while data := near.recv(1 << 16):
                far.sendall(data)
        except OSError:
            pass
        for sock in [far] if near in self._resetting else [near, far]:  # who leaves is gone for the backend, too
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _answer(self, near, far) -> None:
        try:
            while data := far.recv(1 << 16):
                if not self._pass_on(near, data):
                    break
            near.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        far.close()

    def _pass_on(self, near, data: bytes) -> bool:
        """Whether the connection goes on."""
        with self._lock:
            way = self._way if self.passed <= self._at < self.passed + len(data) else ""
            good = self._at - self.passed if way else len(data)
            self.passed += len(data)
            if way:
                self._way, self.hits = "", self.hits + 1
        near.sendall(data[:good])
        return not way or self._do(way, near, data[good:])

    def _do(self, way: str, near, rest: bytes) -> bool:
        if way == "reset":
            near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._resetting.append(near)
            near.shutdown(socket.SHUT_RD)  # else it stays open as long as the other thread reads it
            near.close()
            return False
        if way == "cut":
            return False
        if way == "half-open":
            threading.Event().wait(30)  # nothing more comes; who waits leaves, or the test has ended
            return False
        if way == "garbage":
            near.sendall(self._chance.randbytes(len(rest)))
        elif way == "drip":
            for byte in rest:
                near.sendall(bytes([byte]))
        elif way == "late":
            time.sleep(LATE_S)
            near.sendall(rest)
        return True
