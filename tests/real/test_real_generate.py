"""POST /generate on the real Ollama: mapped, one at a time, loaded once whatever else asks, and its first token soon."""
import json
import time

import pytest

from test_real import runners
from test_real_loads import body_for, runners_begun

pytestmark = pytest.mark.limit(120)

PRESETS = {"cheap_text": {"model": "tiny", "options": {"num_ctx": 1024, "batch_size": 256, "num_predict": 4}}}
WAYS = ["/generate", "/api/generate", "/api/chat", "/v1/chat/completions"]


@pytest.fixture(autouse=True)
def _started(sidecar):
    sidecar.write("models.json", json.dumps(PRESETS))
    sidecar.start()
    sidecar.wait_ready()


def ask(sidecar, path, **more):
    """One short request on this way."""
    body = {"prompt": "hello", **more} if path == "/generate" else body_for(path)
    answer = sidecar.ask("POST", path, body, timeout=60)
    assert answer.status == 200, answer.body
    return answer


@pytest.mark.parametrize("first", range(len(WAYS)))
def test_r0_2_whoever_comes_first_the_runner_is_mapped_has_parallel_1_and_is_the_only_one(sidecar, first):
    for path in 2 * (WAYS[first:] + WAYS[:first]):
        ask(sidecar, path)
        (words,) = runners(sidecar).values()
        assert "--no-mmap" not in words and words[words.index("--parallel") + 1] == "1", words
    assert runners_begun(sidecar) == 1, sidecar.process.tail()


def test_r0_6_the_preset_is_what_the_runner_is_started_with(sidecar):
    ask(sidecar, "/generate")
    (words,) = runners(sidecar).values()
    assert words[words.index("--ctx-size") + 1] == "1024" and words[words.index("--batch-size") + 1] == "256"


def test_r0_11_the_first_token_of_a_loaded_model_comes_within_3_s(sidecar):
    ask(sidecar, "/generate")
    with sidecar.connect(30) as connection:
        begun = time.monotonic()
        answer = connection.request("POST", "/generate", {"prompt": "Why is the sky blue?"})
        objects = list(answer.objects())
    assert objects[0][0] - begun < 3, objects[0][0] - begun
    assert answer.clean and objects[-1][1]["done"] is True and objects[-1][1]["model"] == "tiny"


def test_events_have_the_same_objects_as_lines(sidecar):
    sure = {"options": {"temperature": 0, "seed": 1}}
    lines = [json.loads(line) for line in sidecar.ask("POST", "/generate", {"prompt": "hi", **sure}, timeout=60).body.splitlines()]
    pieces = sidecar.ask("POST", "/generate", {"prompt": "hi", **sure}, [("Accept", "text/event-stream")], timeout=60).body.decode().split("\n\n")
    assert pieces[-2:] == ["data: [DONE]", ""]
    events = [json.loads(piece.removeprefix("data: ")) for piece in pieces[:-2]]
    assert [event["response"] for event in events] == [line["response"] for line in lines]
    assert events[-1]["context"] == lines[-1]["context"] and list(events[-1]) == list(lines[-1])


def test_a_model_that_is_not_there_says_how_to_have_it(sidecar):
    answer = sidecar.ask("POST", "/generate", {"prompt": "hi", "model": "nosuch"}, timeout=60)
    assert answer.status == 404 and "ollama pull nosuch" in answer.json["error"]
