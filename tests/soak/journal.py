"""The script's journal, read as it grows: a Redis that crashes may take it along."""
import threading

from resp import RedisError


class Journal:
    """`rows`: all that was read, {"e": "reset"} where Redis has begun anew."""

    def __init__(self, redis, prefix: str):
        self._redis, self._key = redis, f"{prefix}:journal"
        self.rows = []
        self._last = "0"
        self._is_over = False
        self._turn = threading.Lock()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self):
        while not self._is_over:
            try:
                connection = self._redis.connect()
            except OSError:
                threading.Event().wait(0.02)
                continue
            try:
                while not self._is_over:
                    self._read(connection)
            except (OSError, RedisError):
                pass
            finally:
                connection.close()

    def _read(self, connection):
        found = connection.ask("XREAD", "COUNT", 1000, "BLOCK", 200, "STREAMS", self._key, self._last)
        with self._turn:
            for key, words in (found or [[None, []]])[0][1]:
                self._last = key
                self.rows.append(dict(zip(words[::2], words[1::2])))

    def forget(self):
        """Redis has lost it, and begins anew."""
        with self._turn:
            self._last = "0"
            self.rows.append({"e": "reset"})

    def end(self):
        """Nobody reads it any more."""
        self._is_over = True
        self._thread.join(5)
