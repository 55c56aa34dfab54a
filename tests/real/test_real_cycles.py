"""A real Ollama, woken, asked and put to sleep again and again, while it, its runner or the proxy is killed."""
import random

import pytest

from test_59_cycles import Run
from waiting import until

CYCLES = 10


@pytest.mark.limit(120)
def test_cycles_of_wake_serve_and_sleep_lose_nothing(sidecar):
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    often = {"max_restarts": "1000", "backoff_min": "20ms", "backoff_max": "100ms"}
    sidecar.configure("supervisor", idle_timeout="300ms", idle_action="stop")
    for name in ("ollama", "proxy"):
        sidecar.configure(f"program:{name}", **often)
    sidecar.configure("pin:tiny", num_thread="1")
    sidecar.write_ini()
    run = Run(sidecar, "stop", seed, "tiny", max_tokens=30, options={"num_predict": 30})
    run.start()
    until(lambda: sidecar.process.logged(" listening "), 5, "listeners")
    for _ in range(CYCLES):
        run.cycle()
    print(f"outcomes {run.outcomes} killed {run.killed}")
    assert run.outcomes["well"] > 0 and run.killed
    until(lambda: set(run.pids()) == {"proxy"} and len(sidecar.programs()) == 2, 10, "nobody but supervisor and proxy",
          lambda: str(sidecar.programs()))
    assert sidecar.stop() == 0
