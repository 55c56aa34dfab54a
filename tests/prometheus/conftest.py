"""Fixtures of the lane prometheus; the harness is that of tests/e2e."""
import os
import shutil
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE] + [os.path.join(os.path.dirname(HERE), other) for other in ("e2e", "store")]

from conftest_shared import folder, pytest_configure, pytest_report_header, pytest_runtest_call  # noqa: E402,F401
from sidecar import Sidecar  # noqa: E402


@pytest.fixture(scope="session")
def promtool():
    """Its path."""
    path = shutil.which("promtool")
    if not path:
        pytest.skip("promtool is not installed (make check-deps installs Debian's prometheus)")
    return path


@pytest.fixture
def new_sidecar(folder):  # noqa: F811
    """Makes Sidecars, not yet started; in the end nothing of them may be left."""
    made = []

    def make() -> Sidecar:
        directory = os.path.join(folder, f"sidecar-{len(made) + 1}")
        os.mkdir(directory)
        made.append(Sidecar(directory))
        return made[-1]

    yield make
    complaints = [complaint for one in made for complaint in one.clean_up()]
    assert not complaints, "\n".join(complaints + [process.tail() for one in made for process in one.processes])
