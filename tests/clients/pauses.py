"""Streams that pause for long, at their start and in their middle, beside all other tests of this lane: PAUSE_S seconds each.

No setting is changed for them: what clients get, and what is taken for a hang, is as the owner has it.
"""
import os
import shutil
import tempfile
import time

from cases import ASKED, BROWSER, WORDS, Case
from sidecar import Sidecar
from waiting import SLACK

PAUSE_S = float(os.environ.get("PAUSE_S") or 150)
LATER_S = 60  # so long after the pause the last one has ended, on a busy machine
HEARTBEAT_AFTER_S, HEARTBEAT_INTERVAL_S = 20, 15  # the defaults


def _case(name: str, title: str, after_tokens: int, modes: tuple) -> Case:
    pause = {"after_tokens": after_tokens, "s": PAUSE_S, "works_ms": 2}
    return Case(name, title, "whole", {"pause": pause}, {}, model=name, modes=modes, apis=(*ASKED, "run", "preset", "preset-events"))


CASES = (_case("late", "a pause before the first token", 0, ("stream", "single")),
         _case("halting", "a pause in the middle", WORDS // 2, ("stream",)))


class Pauses:
    """A sidecar before a stand-in, and all clients that ask it, from now on."""

    def __init__(self, askers):
        self._folder = tempfile.mkdtemp(prefix="sc-")
        self.sidecar = Sidecar(self._folder)
        self.sidecar.installed = ",".join(case.model for case in CASES)
        self.sidecar.backend.script(tokens=WORDS, models={case.model: case.script for case in CASES})
        self.sidecar.start()
        self.sidecar.wait_ready()
        self._begun = time.monotonic()
        # a browser has six connections to one place: it is needed by the other tests
        limit_s = PAUSE_S + LATER_S
        self._waits = {case.name: askers.ask_all(case, self.sidecar.port, limit_s, tuple(BROWSER), limit_s=limit_s * SLACK) for case in CASES}

    def saw(self, case: Case) -> dict:
        """{(client, api, mode): what it saw}, when all of them have ended."""
        return self._waits[case.name]()

    def passed_s(self) -> float:
        """Since they were asked."""
        return time.monotonic() - self._begun

    def close(self) -> None:
        """The end of the sidecar."""
        complaints = self.sidecar.clean_up()
        shutil.rmtree(self._folder, ignore_errors=True)
        assert not complaints, "\n".join(complaints + [self.sidecar.process.tail()])
