"""A service manager's end of sd_notify(3): a datagram socket whose messages are kept, in their order."""
import os
import socket
import threading
import uuid

from waiting import until

QUEUE_LIMIT = "/proc/sys/net/unix/max_dgram_qlen"


class Manager:
    """Listens at `address`, for NOTIFY_SOCKET. With is_reading=False nothing is read until read_on()."""

    def __init__(self, directory: str, is_abstract: bool = False, is_reading: bool = True):
        self.messages: list = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        if is_abstract:
            self.address = "@sidecar-test-" + uuid.uuid4().hex
            self._socket.bind("\0" + self.address[1:])
        else:
            self.address = os.path.join(directory, "notify")
            self._socket.bind(self.address)
        self._socket.settimeout(0.05)
        self._is_over = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        if is_reading:
            self._reader.start()

    def _read(self):
        while not self._is_over:
            try:
                text = self._socket.recv(65536).decode()
            except socket.timeout:
                continue
            self.messages.append([line for line in text.split("\n") if line])

    def fill(self) -> int:
        """Fill the queue with messages of no meaning; how many went in."""
        count = 0
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.connect("\0" + self.address[1:] if self.address[0] == "@" else self.address)
            while True:
                try:
                    sender.send(b"X=1")
                except BlockingIOError:
                    return count
                count += 1

    def read_on(self) -> None:
        """Read what has come, and from now on."""
        self._reader.start()

    def close(self) -> None:
        """Nobody listens any more."""
        self._is_over = True
        if self._reader.is_alive():
            self._reader.join()
        self._socket.close()

    def lines(self, name: str = "") -> list:
        """All lines so far, or the values of those with this name."""
        lines = [line for message in list(self.messages) for line in message]
        return [line.partition("=")[2] for line in lines if line.startswith(name + "=")] if name else lines

    def wait(self, line: str, timeout: float = 10, count: int = 1) -> None:
        """Until this very line has come so often."""
        until(lambda: self.lines().count(line) >= count, timeout, f"{line} ({count})", lambda: str(self.messages))

    def wait_status(self, part: str, timeout: float = 10) -> str:
        """The first STATUS= with these words in it."""
        return until(lambda: next((text for text in self.lines("STATUS") if part in text), None), timeout,
                     f"STATUS= with {part!r}", lambda: str(self.messages))
