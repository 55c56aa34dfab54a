"""Waiting for events instead of sleeping: poll a condition until a deadline, and say well what was missing."""
import os
import time

STEP = 0.01
# Sanitizer builds and busy machines are slower; every limit in the tests is multiplied by this.
SLACK = float(os.environ.get("E2E_SLACK") or (3 if "san" in os.environ.get("BUILD_DIR", "") else 1))


def until(condition, timeout: float, what, detail=lambda: ""):
    """The first true value of condition(); AssertionError with `what` and detail() when time is up."""
    deadline = time.monotonic() + timeout * SLACK
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout * SLACK:g} s in vain for {what}\n{detail()}")
        time.sleep(STEP)
