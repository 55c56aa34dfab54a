"""Clients of several proxies: each asks, reads or leaves, and asks again, with what comes of it written down."""
import itertools
import json
import random
import threading
import time
from dataclasses import dataclass

from client import Connection

MODELS = ("m", "n")


@dataclass
class Result:
    """What became of a request."""
    id: str
    proxy: int
    began: float
    ended: float = 0.0
    outcome: str = ""  # answered, left, broken: what


class Clients:
    """So many at once, until stop(). `results` is whole when stop() has returned."""

    def __init__(self, proxies, count: int, seed: int):
        self._proxies = proxies
        self._numbers = itertools.count(1)
        self._over = threading.Event()
        self.results = []
        self._threads = [threading.Thread(target=self._ask_on, args=(random.Random(seed * 1000 + n),), daemon=True) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def stop(self):
        """Each finishes what it has begun."""
        self._over.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a client waits in vain"

    def _ask_on(self, chance):
        while not self._over.is_set():
            number = chance.randrange(len(self._proxies))
            proxy = self._proxies[number]
            result = Result(f"request-{next(self._numbers)}-", number, time.time())
            self.results.append(result)
            try:
                result.outcome = self._ask(proxy.port, result, chance)
            except (OSError, EOFError, ValueError) as error:
                result.outcome = f"broken: {error!r}"
            result.ended = time.time()
            if result.outcome.startswith("broken"):
                self._over.wait(0.2)

    def _ask(self, port, result, chance) -> str:
        is_stream = chance.random() < 0.5
        body = {"model": chance.choice(MODELS), "stream": is_stream, "priority": chance.choice((1, 5, 5, 9))}
        path = chance.choice(("/api/generate", "/api/chat"))
        body.update({"prompt": result.id} if path == "/api/generate" else {"messages": [{"role": "user", "content": result.id}]})
        with Connection(port, timeout=60) as connection:
            connection.send("POST", path, body)
            if chance.random() < 0.1:
                self._over.wait(chance.random())
                return "left"
            answer = connection.receive()
            if answer.status != 200:
                return f"broken: {answer.status} {answer.body[:200]}"
            last = json.loads(answer.body.strip().split(b"\n")[-1])
            return "answered" if answer.clean and last.get("done") is True else f"broken: {last}"
