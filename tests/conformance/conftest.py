"""One proxy of ours for all cases, before a backend of bytes."""
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]

from conftest_shared import pytest_configure, pytest_report_header, pytest_runtest_call  # noqa: E402,F401
from raw_backend import RawBackend  # noqa: E402
from sidecar import Sidecar  # noqa: E402
from subject import Subject  # noqa: E402
from waiting import SLACK, until  # noqa: E402


@pytest.fixture(scope="session")
def ours(tmp_path_factory):
    """It stays the same one: nothing that it is sent may end it, and nothing of it is left behind."""
    sidecar = Sidecar(str(tmp_path_factory.mktemp("ours")))
    sidecar.configure("proxy", backend=f"http://127.0.0.1:{sidecar.backend.port}")
    sidecar.start("ollama-proxy")
    made = Subject(sidecar.port, RawBackend(sidecar.backend.port), 20 * SLACK)
    until(made.is_there, 10, "the proxy", sidecar.process.tail)
    yield made
    assert made.is_there(), sidecar.process.tail()
    assert sidecar.process.stop() == 0
    made.backend.close()
    complaints = sidecar.clean_up()
    assert not complaints, "\n".join(complaints)
