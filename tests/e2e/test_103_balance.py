"""Several Ollamas as one: a request goes where its answer ends first, and nobody notices that they are several."""
import json

import pytest

from client import ask
from fleet import Fleet
from waiting import until


@pytest.fixture
def fleet(sidecar):
    """Nobody yet."""
    return Fleet(sidecar)


def ask_for(sidecar, prompt="x", model="m", path="/api/generate", **more):
    """A request in the background."""
    return sidecar.background("POST", path, {"model": model, "prompt": prompt, "stream": False, **more})


def test_each_of_two_answers_and_says_so(sidecar, fleet):
    fleet.add("one", first_token_delay_ms=500)
    fleet.add("two", first_token_delay_ms=500)
    fleet.open()
    answers = [call.result() for call in [ask_for(sidecar, f"p{number}") for number in range(2)]]
    assert [answer.status for answer in answers] == [200, 200]
    assert sorted(answer.header("X-Sidecar-Backend") for answer in answers) == ["one", "two"]
    assert fleet.counts() == {"one": 1, "two": 1}
    assert all(sidecar.process.wait_log(f'"event":"access".*"backend":"{name}"') for name in ("one", "two"))


def test_it_goes_where_its_answer_ends_first(sidecar, fleet):
    """Who has learnt that one is many times as fast, on a busy machine too, waits for that one rather than to begin at the other."""
    fleet.add("slow", tokens=20, token_delay_ms=300)
    fleet.add("fast", tokens=20, token_delay_ms=5)
    fleet.open()
    for name in ("slow", "fast"):
        assert sidecar.ask("POST", "/api/generate", {"model": "m", "prompt": "learn", "stream": False}, [("X-Sidecar-Backend", name)]).status == 200
    answers = [call.result() for call in [ask_for(sidecar, f"p{number}") for number in range(5)]]
    assert [answer.header("X-Sidecar-Backend") for answer in answers] == ["fast"] * 5
    assert any(answer.header("X-Sidecar-Queue-Ms") for answer in answers)


def test_nobody_stands_in_line_where_a_slot_is_free(sidecar, fleet):
    for name in ("one", "two", "three"):
        fleet.add(name, slots=2, first_token_delay_ms=600, tokens=1)
    fleet.open()
    answers = [call.result() for call in [ask_for(sidecar, f"p{number}") for number in range(6)]]
    assert max(int(answer.header("X-Sidecar-Queue-Ms") or 0) for answer in answers) < 500, "a slot takes 600 ms to be free again"
    assert set(fleet.counts().values()) == {2}


def test_a_model_goes_only_where_it_is(sidecar, fleet):
    fleet.add("one", "a,b")
    fleet.add("two", "b,c")
    fleet.open()
    assert {sidecar.generate("a").header("X-Sidecar-Backend") for _ in range(3)} == {"one"}
    assert {sidecar.generate("c").header("X-Sidecar-Backend") for _ in range(3)} == {"two"}
    answer = sidecar.generate("d")
    assert answer.status == 404 and answer.json == {"error": 'model "d" not found: none of the 2 backends has it'}
    answer = sidecar.ask("POST", "/v1/chat/completions", {"model": "d", "messages": [{"role": "user", "content": "x"}]})
    assert answer.status == 404 and answer.json["error"]["code"] == "model_not_found"


def test_what_a_preset_lacks_is_told_as_it_can_be_had(sidecar, fleet):
    """Nothing is pulled on several Ollamas, whatever pull_missing says."""
    sidecar.write("models.json", json.dumps({"p": {"model": ["d", "e"]}}))
    fleet.add("one", "a")
    fleet.add("two", "a")
    fleet.open(pull_missing="yes")
    answer = sidecar.ask("POST", "/generate", {"preset": "p", "prompt": "x", "stream": False})
    assert answer.status == 404 and "`ollama pull d` on one of them" in answer.json["error"]
    assert "pull_missing" not in answer.json["error"]
    assert not any(fleet.backends[name].requests("/api/pull") for name in ("one", "two"))


def test_what_was_made_behind_our_back_is_found(sidecar, fleet):
    backend = fleet.add("one", "a")
    fleet.add("two", "a")
    fleet.open()
    assert sidecar.generate("late").status == 404
    assert ask(backend.port, "POST", "/api/copy", {"source": "a", "destination": "late"}).status == 200
    answer = until(lambda: [answer for answer in [sidecar.generate("late")] if answer.status == 200], 5, "it to be found")[0]
    assert answer.header("X-Sidecar-Backend") == "one"


def test_streams_pass_as_they_come(sidecar, fleet):
    fleet.add("one", tokens=5, token_delay_ms=100)
    fleet.add("two", tokens=5, token_delay_ms=100)
    fleet.open()
    with sidecar.connect() as connection:
        answer = connection.request("POST", "/api/generate", {"model": "m", "prompt": "x"})
        objects = list(answer.objects())
    assert answer.header("X-Sidecar-Backend") in ("one", "two")
    assert len(objects) == 6 and objects[-1][1]["done"]
    with sidecar.connect() as connection:
        answer = connection.request("POST", "/v1/chat/completions", {"model": "m", "stream": True, "messages": [{"role": "user", "content": "x"}]})
        text = answer.body
    assert answer.header("X-Sidecar-Backend") in ("one", "two") and text.endswith(b"data: [DONE]\n\n")


def test_who_leaves_ends_his_answer_and_frees_the_slot(sidecar, fleet):
    backend = fleet.add("one", tokens=2, token_delay_ms=1, hang_after_tokens=1)
    fleet.open()
    connection = sidecar.connect(timeout=20)
    connection.send("POST", "/api/generate", {"model": "m", "prompt": "first"})
    backend.wait("first_token")
    backend.script(tokens=1)
    behind = ask_for(sidecar, "behind")
    connection.close()
    backend.wait("cancelled")
    assert behind.result().status == 200
    assert [json.loads(entry["body"])["prompt"] for entry in fleet.asked("one")] == ["first", "behind"]


def test_who_leaves_the_line_is_never_asked_for(sidecar, fleet):
    backend = fleet.add("one", first_token_delay_ms=700, tokens=1)
    fleet.open()
    first = ask_for(sidecar, "first")
    fleet.wait_asked("one")
    gone = sidecar.connect()
    gone.send("POST", "/api/generate", {"model": "m", "prompt": "gone"})
    last = ask_for(sidecar, "last")
    gone.close()
    assert first.result().status == last.result().status == 200
    assert "gone" not in {json.loads(entry["body"])["prompt"] for entry in fleet.asked("one")}
    assert backend.journal("cancelled") == []


def test_a_model_is_loaded_where_it_is_to_answer(sidecar, fleet):
    """Once at each, by a request of our own that belongs to nobody."""
    fleet.add("one", load_s=0.3, first_token_delay_ms=300)
    fleet.add("two", load_s=0.3, first_token_delay_ms=300)
    fleet.open()
    answers = [call.result() for call in [ask_for(sidecar, f"p{number}") for number in range(2)]]
    assert {answer.header("X-Sidecar-Backend") for answer in answers} == {"one", "two"}
    assert all(int(answer.header("X-Sidecar-Load-Ms")) > 200 for answer in answers)
    for name in ("one", "two"):
        assert len(fleet.backends[name].journal("loaded")) == 1


def test_its_backend_may_be_named(sidecar, fleet):
    fleet.add("one")
    fleet.add("two")
    fleet.open()
    for name in ("one", "two", "one"):
        answer = sidecar.ask("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False}, [("X-Sidecar-Backend", name)])
        assert answer.status == 200 and answer.header("X-Sidecar-Backend") == name
    answer = sidecar.ask("POST", "/api/generate", {"model": "m", "prompt": "x"}, [("X-Sidecar-Backend", "three")])
    assert answer.status == 400 and answer.json == {"error": 'X-Sidecar-Backend: there is no backend "three"; the backends are one, two'}
    answer = sidecar.ask("POST", "/v1/chat/completions", {"model": "m", "messages": []}, [("X-Sidecar-Backend", "three")])
    assert answer.status == 400 and "the backends are one, two" in answer.json["error"]["message"]


def test_what_changes_models_names_its_backend(sidecar, fleet):
    fleet.add("one", "a")
    fleet.add("two", "b")
    fleet.open()
    answer = sidecar.ask("POST", "/api/copy", {"source": "a", "destination": "c"})
    assert answer.status == 400 and "say which by the header X-Sidecar-Backend; the backends are one, two" in answer.json["error"]
    answer = sidecar.ask("POST", "/api/copy", {"source": "a", "destination": "c"}, [("X-Sidecar-Backend", "one")])
    assert answer.status == 200 and answer.header("X-Sidecar-Backend") == "one"
    assert sidecar.generate("c").header("X-Sidecar-Backend") == "one"
    assert not fleet.backends["two"].requests("/api/copy")


def test_health_and_metrics_tell_of_each(sidecar, fleet):
    fleet.add("one")
    fleet.add("two")
    fleet.open()
    health = sidecar.wait_ready()
    assert {backend["name"] for backend in health["backends"]} == {"one", "two"}
    fleet.kill("two")
    health = sidecar.wait_health(lambda health: health["status"] == "degraded", what="one to be missed")
    assert health["code"] == 200 and "two" in health["error"]
    metrics = sidecar.ask("GET", "/metrics").body.decode()
    assert 'backend="one"} 1' in metrics and 'backend="two"} 0' in metrics
    fleet.kill("one")
    assert sidecar.wait_health(lambda health: health["status"] == "failed", what="nobody to be left")["code"] == 503


def test_who_does_not_have_a_path_is_named(sidecar, fleet):
    one = fleet.add("one")
    fleet.open()
    answer = sidecar.ask("POST", "/v1/messages", {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]})
    assert answer.status == 501
    assert f"the backend one at 127.0.0.1:{one.port} does not have /v1/messages" in answer.json["error"]["message"]


def test_what_is_read_of_models_is_of_all(sidecar, fleet):
    fleet.add("one", "a,b")
    fleet.add("two", "b,c")
    fleet.open()
    assert sorted(model["name"] for model in sidecar.ask("GET", "/api/tags").json["models"]) == ["a:latest", "b:latest", "c:latest"]
    assert sorted(model["id"] for model in sidecar.ask("GET", "/v1/models").json["data"]) == ["a:latest", "b:latest", "c:latest"]
    assert sidecar.ask("GET", "/v1/models/c:latest").json["id"] == "c:latest"
    assert sidecar.ask("GET", "/v1/models/nobody").status == 404
    assert "details" in sidecar.ask("POST", "/api/show", {"model": "c"}).json
    for name in ("a", "b", "c"):  # as Ollama's own command says it
        answer = sidecar.ask("POST", "/api/show", {"model": "", "system": "", "template": "", "verbose": False, "options": None, "name": name})
        assert answer.status == 200 and "details" in answer.json, (name, answer)
    assert sidecar.ask("POST", "/api/show", {"model": "nobody"}).status == 404
    assert sidecar.ask("GET", "/api/version").json["version"]
    assert sidecar.ask("GET", "/").body == b"Ollama is running"
    assert sidecar.generate("c").status == 200
    until(lambda: [model["name"] for model in sidecar.ask("GET", "/api/ps").json["models"]] == ["c:latest"], 5, "c to be seen as loaded")
