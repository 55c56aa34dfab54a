"""A redis-server of a test's own, on a port of its own."""
import os
import shutil
import signal
import tempfile

from ports import free
from process import Process
from resp import Connection, RedisError
from waiting import until

PROGRAM = shutil.which("redis-server")


class RedisServer:
    """Started at once. `is_kept`: what was written is still there after kill() and start(). `config`: further words of its command line."""

    def __init__(self, is_kept: bool = False, port: int = 0, config: tuple = ()):
        self.port = port or free()
        self._folder = tempfile.mkdtemp(prefix="sc-redis-")
        self._words = [PROGRAM, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self._folder,
                       "--appendonly", "yes" if is_kept else "no", "--appendfsync", "always", *config]
        self.process = None
        self.start()

    def start(self):
        """Until it answers."""
        self.process = Process(self._words, dict(os.environ), self._folder)
        until(self._answers, 20, "redis-server to answer", self.process.tail)

    def _answers(self) -> bool:
        try:
            connection = self.connect()
        except OSError:
            return False
        try:
            return connection.ask("PING") == "PONG"
        except RedisError as error:
            return str(error).startswith("NOAUTH")
        except ConnectionError:
            return False
        finally:
            connection.close()

    def connect(self) -> Connection:
        """Another connection."""
        return Connection(self.port)

    def kill(self):
        """As a crash does it."""
        self.process.kill(signal.SIGKILL)
        self.process.wait()

    def forget(self):
        """What it has written, while it does not run."""
        for name in os.listdir(self._folder):
            shutil.rmtree(os.path.join(self._folder, name), ignore_errors=False) if os.path.isdir(os.path.join(self._folder, name)) \
                else os.unlink(os.path.join(self._folder, name))

    def end(self):
        """It goes, with all that it has."""
        self.process.end()
        shutil.rmtree(self._folder, ignore_errors=True)
