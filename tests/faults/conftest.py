"""A sidecar whose proxy reaches its backend through a shim that does it wrong."""
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]

from conftest_shared import folder, pytest_configure, pytest_report_header, pytest_runtest_call  # noqa: E402,F401
import ports  # noqa: E402
import standin  # noqa: E402
from shim import Shim  # noqa: E402
from sidecar import Sidecar  # noqa: E402


@pytest.fixture
def sidecar(folder):  # noqa: F811
    """Not yet started; at its end nothing of it is left behind."""
    made = Sidecar(folder)
    yield made
    complaints = made.clean_up()
    assert not complaints, "\n".join(complaints + [process.tail() for process in made.processes])


@pytest.fixture
def shim(sidecar):  # pylint: disable=redefined-outer-name
    """The proxy alone, the shim, a stand-in behind it, all of them ready."""
    sidecar.backend.script(tokens=5, token_delay_ms=1)
    sidecar.processes.append(standin.start(sidecar.backend, sidecar.mark, "m"))
    sidecar.backend.wait("listening")
    port = ports.free()
    made = Shim(port, sidecar.backend.port)
    sidecar.configure("proxy", backend=f"http://127.0.0.1:{port}")
    sidecar.start("ollama-proxy")
    sidecar.wait_ready()
    yield made
    made.close()
