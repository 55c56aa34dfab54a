"""start.sh as a Replit workspace's run command before the real Ollama, whose text preset is a tiny model."""
import json
import time

import pytest

from waiting import SLACK
from workspace import Workspace

QUESTION = [{"role": "user", "content": "hi"}]
FEW = {"num_predict": 4}


@pytest.fixture
def workspace(folder, models):
    """A Workspace with the tiny model, not yet started."""
    made = Workspace(folder).is_built()
    models.use(made)
    made.write_to("models.json", json.dumps({"cheap_text": {"model": "tiny", "options": {"num_ctx": 1024, "batch_size": 256}}}))
    yield made
    complaints = made.clean_up()
    assert not complaints, "\n".join(complaints + [process.tail() for process in made.processes])


@pytest.mark.limit(60)
def test_the_log_confirms_parallel_1_and_mmap_and_nothing_is_loaded_twice(workspace):
    """R0.2, R0.11: and the first token of a loaded model is there in less than 3 s."""
    workspace.start()
    workspace.wait_ready(timeout=30)
    asks = [("/generate", {"prompt": "hi", "stream": False, "options": FEW}),
            ("/api/generate", {"model": "tiny", "prompt": "hi", "stream": False, "options": FEW}),
            ("/api/chat", {"model": "tiny", "messages": QUESTION, "stream": False, "options": {**FEW, "use_mmap": False}}),
            ("/v1/chat/completions", {"model": "tiny", "messages": QUESTION, "max_tokens": 4})]
    for path, body in asks * 2:
        answer = workspace.ask("POST", path, body, [("Content-Type", "application/json")], timeout=30)
        assert answer.status == 200, (path, answer.body)
    line = workspace.process.wait_log(r" info ollama (runner .*)").group(1)
    assert line.startswith("runner model=tiny:latest parallel=1 mmap=yes context=1024 batch=256"), line
    assert len(workspace.process.logged(r" ollama runner ")) == 1, workspace.process.tail()
    with workspace.connect() as connection:
        asked = time.monotonic()
        answer = connection.request("POST", "/generate", {"prompt": "hi", "options": FEW}, [("Content-Type", "application/json")])
        values = answer.objects()
        assert next(values)[0] - asked < 3 * SLACK
        assert list(values)[-1][1]["done"]
    assert workspace.stop() == 0
