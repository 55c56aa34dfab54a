"""The official clients, before the stand-in, and before a real Ollama where one is on PATH."""
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
sys.path[:0] = [os.path.join(TESTS, "real"), os.path.join(TESTS, "e2e")]

from asking import Askers  # noqa: E402
from conftest_shared import folder, pytest_configure, pytest_report_header, pytest_runtest_call  # noqa: E402,F401
from contract_run import Contract  # noqa: E402
from pauses import Pauses  # noqa: E402
from real_ollama import RealModels, real_ollama  # noqa: E402
from sidecar import Sidecar  # noqa: E402


@pytest.fixture(scope="session")
def real_models(tmp_path_factory):
    """A models folder of the real Ollama, or None."""
    path = real_ollama()
    return RealModels(path, str(tmp_path_factory.mktemp("models"))) if path else None


@pytest.fixture(scope="session")
def askers():
    """The processes that have the clients in them (asking.py)."""
    made = Askers()
    yield made
    made.close()


@pytest.fixture(scope="session")
def contract():
    """The processes that do what users do (contract_run.py)."""
    made = Contract()
    yield made
    made.close()


@pytest.fixture(scope="session", autouse=True)
def pauses(request):
    """Where the test of long pauses is among those that are run, the last of them, its streams begin now."""
    if not any(item.module.__name__ == "test_waiting_while_nothing_comes" for item in request.session.items):
        yield None
        return
    made = Pauses(request.getfixturevalue("askers"))
    yield made
    made.close()


@pytest.fixture(params=["standin", "real"])
def sidecar(request, folder, real_models):  # noqa: F811
    """A ready sidecar with the model `tiny`."""
    made = Sidecar(folder)
    if request.param == "real":
        if not real_models:
            pytest.skip("no real ollama on PATH")
        real_models.use(made)
        made.configure("pin:tiny", num_thread=1)  # several would wait for each other on a busy machine
        made.start()
        made.wait_ready(timeout=30)
    else:
        made.boot("tiny", tokens=12, token_delay_ms=5)
    made.kind = request.param
    yield made
    complaints = made.clean_up()
    assert not complaints, "\n".join(complaints + [process.tail() for process in made.processes])
