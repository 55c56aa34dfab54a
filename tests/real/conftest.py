"""The same harness as tests/e2e, before a real Ollama with a tiny model."""
import os
import sys
import tempfile

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]

from conftest_shared import folder, pytest_configure, pytest_report_header, pytest_runtest_call  # noqa: E402,F401
from real_ollama import RealModels, real_ollama  # noqa: E402
from sidecar import Sidecar  # noqa: E402


@pytest.fixture(scope="session")
def models():
    """A models folder with `tiny` in it."""
    path = real_ollama()
    if not path:
        pytest.skip("no real ollama on PATH")
    with tempfile.TemporaryDirectory(prefix="sc-models-") as directory:
        yield RealModels(path, directory)


@pytest.fixture
def sidecar(folder, models):  # noqa: F811
    """A Sidecar before the real Ollama, not yet started."""
    made = Sidecar(folder)
    models.use(made)
    yield made
    complaints = made.clean_up()
    assert not complaints, "\n".join(complaints + [process.tail() for process in made.processes])
