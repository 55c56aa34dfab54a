"""The same clients before a real Ollama: they ask before it is up, stand in line, and get their answers."""
import pytest
from cases import ASKED, Case, judge
from sidecar import Sidecar

# Much shorter than Ollama's start, and than what those wait who stand in line: it answers one at a time.
PROXY = {"heartbeat_after": "50ms", "heartbeat_interval": "100ms"}
HELD = Case("held", "Ollama starts", "whole", {}, PROXY, apis=("chat", "v1-chat", "run"))
UNKNOWN = Case("unknown", "unknown model", "error", {}, PROXY, "not found", model="absent", apis=ASKED)
ANSWER_S = 60


@pytest.fixture
def started(folder, real_models):
    """A sidecar whose real Ollama is not up yet."""
    if not real_models:
        pytest.skip("no real ollama on PATH")
    made = Sidecar(folder)
    real_models.use(made)
    made.configure("proxy", **PROXY)
    made.configure("pin:tiny", num_thread=1)  # several would wait for each other on a busy machine
    made.start()
    made.process.wait_log(" listening ")
    yield made
    complaints = made.clean_up()
    assert not complaints, "\n".join(complaints + [process.tail() for process in made.processes])


@pytest.mark.limit(ANSWER_S)
def test_every_client_held_while_a_real_ollama_starts_is_answered(started, askers):
    for key, saw in askers.ask_all(HELD, started.port, ANSWER_S)().items():
        assert saw["error"] is None and "".join(saw["parts"]), (key, saw)
        if saw["raw"]:
            assert saw["raw"].startswith((" ", ": ping\n")), (key, saw)


def test_every_client_is_told_that_a_real_ollama_has_no_such_model(started, askers):
    for key, saw in askers.ask_all(UNKNOWN, started.port, ANSWER_S)().items():
        assert judge(UNKNOWN, saw) in ("404", "error", "told"), (key, saw)
