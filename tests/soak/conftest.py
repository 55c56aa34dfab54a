"""Minutes with proxies, stand-ins and a Redis, all of which are killed and stopped; the harness is that of tests/e2e and tests/store."""
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE] + [os.path.join(os.path.dirname(HERE), other) for other in ("e2e", "store")]

from conftest_shared import folder, pytest_configure, pytest_report_header, pytest_runtest_call  # noqa: E402,F401
from redis_server import PROGRAM  # noqa: E402
from installation import Installation  # noqa: E402
from sidecar import Sidecar  # noqa: E402


@pytest.fixture
def installation(folder):  # noqa: F811
    """Four proxies before three stand-ins, one Redis."""
    if not PROGRAM:
        pytest.skip("no redis-server on PATH")
    made = Installation(folder)
    yield made
    complaints = made.end()
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def sidecar(folder):  # noqa: F811
    """A sidecar before a stand-in, not yet started."""
    made = Sidecar(folder)
    yield made
    complaints = made.clean_up()
    assert not complaints, "\n".join(complaints + [process.tail() for process in made.processes])
