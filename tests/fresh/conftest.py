"""Fixture: a newcomer's machine."""
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
sys.path[:0] = [HERE, os.path.join(TESTS, "container"), os.path.join(TESTS, "e2e")]

from conftest_shared import pytest_configure, pytest_runtest_call  # noqa: E402,F401
from newcomer import Newcomer  # noqa: E402
from podman import Unavailable  # noqa: E402

SUITES = (os.environ.get("FRESH_SUITES") or "bookworm trixie").split()


@pytest.fixture(params=SUITES)
def newcomer(request):
    """A Newcomer on each of the releases; skipped where containers can't be run."""
    made = Newcomer(request.param)
    try:
        yield made.open()
    except Unavailable as why:
        pytest.skip(str(why))
    finally:
        made.close()
