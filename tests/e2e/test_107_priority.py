"""The priority of a request before several Ollamas: body, X-Priority and key, in each API; every mistake; and what the backend sees of it."""
import json

import pytest

from client import Background
from fleet import Fleet
from played_backend import PlayedBackend, single
from waiting import until

RIGHT = "must be a whole number from 0 to 9 (9 goes first; 5 where nobody says)"
CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
DONE = {"model": "m", "created_at": "2025-07-01T12:00:00Z", "done": True, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 2}
ANSWERS = {
    "/api/generate": {**DONE, "response": "token"},
    "/api/chat": {**DONE, "message": {"role": "assistant", "content": "token"}},
    "/api/embed": {"model": "m", "embeddings": [[0.5]]},
    "/api/embeddings": {"embedding": [0.5]},
    "/v1/responses": {"object": "response"},
    "/v1/messages": {"type": "message"},
    "/api/tags": {"models": [{"name": "m:latest", "model": "m:latest", "size": 1, "digest": "d" * 64, "modified_at": "2025-07-01T12:00:00Z"}]},
    "/api/ps": {"models": []},
    "/api/version": {"version": "0.9.5"},
}
NATIVE = [("/api/generate", {"model": "m", "prompt": "x", "stream": False}), ("/api/chat", {**CHAT, "stream": False}), ("/api/embed", {"model": "m", "input": "x"}),
          ("/api/embeddings", {"model": "m", "prompt": "x"}), ("/generate", {"model": "m", "prompt": "x", "stream": False}),
          ("/ollama/generate", {"model": "m", "prompt": "x"})]
PASSED = [("/v1/responses", {"model": "m", "input": "x"}), ("/v1/messages", {**CHAT, "max_tokens": 9})]
TRANSLATED = [("/v1/chat/completions", CHAT), ("/v1/completions", {"model": "m", "prompt": "x"}), ("/v1/embeddings", {"model": "m", "input": "x"})]


@pytest.fixture
def fleet(sidecar):
    """start(**keys) starts a proxy before one Ollama that is a fleet's; what it is asked is in `requests`."""
    made = PlayedBackend(lambda request: single(ANSWERS[request[0].split(b" ")[1].decode()]))

    def start(**keys):
        sidecar.configure("backend:one", url=f"http://127.0.0.1:{made.port}", api="ollama")
        sidecar.configure("proxy", access_log="json", **keys)
        sidecar.start("ollama-proxy")
        sidecar.process.wait_log(" listening ")
        return made

    yield start
    made.close()


def inferred(backend):
    """The bodies of what it was asked to infer."""
    return [json.loads(body) for head, body in backend.requests if head.startswith(b"POST ")]


@pytest.mark.parametrize("path, body", NATIVE + PASSED + TRANSLATED)
def test_each_api_takes_it_and_no_ollama_sees_it_R2_3(sidecar, fleet, path, body):
    backend = fleet()
    answer = sidecar.ask("POST", path, {"priority": 8, **body, "Priority": 9})
    assert answer.status == 200, answer.body
    assert answer.header("X-Sidecar-Priority") == "9"
    assert [name for name in inferred(backend)[-1] if name.lower() == "priority"] == []
    usual = sidecar.ask("POST", path, body)
    assert usual.status == 200 and usual.header("X-Sidecar-Priority") is None
    assert sidecar.ask("POST", path, body, [("X-Priority", "2")]).header("X-Sidecar-Priority") == "2"


@pytest.mark.parametrize("path, body", NATIVE + PASSED + TRANSLATED)
@pytest.mark.parametrize("said, shown", [(10, "10"), (1e308, "1e+308"), ("5", "a string")])
def test_a_mistake_is_a_400_in_the_words_of_its_api_R2_3(sidecar, fleet, path, body, said, shown):
    backend = fleet()
    answer = sidecar.ask("POST", path, {**body, "priority": said})
    error, text = answer.json["error"], f"priority: {RIGHT}, not {shown}"
    assert answer.status == 400 and not inferred(backend)
    if not path.startswith("/v1/"):
        assert error == text
    elif path == "/v1/messages":
        assert answer.json["type"] == "error" and error == {"type": "invalid_request_error", "message": text}
    else:
        assert (error["message"], error["type"], error["param"]) == (text, "invalid_request_error", "priority")
    head = sidecar.ask("POST", path, body, [("X-Priority", "-1")])
    assert head.status == 400 and f"X-Priority: {RIGHT}, not -1" in head.body.decode() and not inferred(backend)
    assert not backend.loads


def test_null_is_as_not_said(sidecar, fleet):
    backend = fleet()
    answer = sidecar.ask("POST", "/api/chat", {**CHAT, "stream": False, "priority": None}, [("X-Priority", "6")])
    assert answer.status == 200 and answer.header("X-Sidecar-Priority") == "6"
    assert "priority" not in inferred(backend)[-1]
    sidecar.process.wait_log(r'"backend":"one"')  # the access log, when all else of the request is gone


def test_a_form_of_generate_may_have_it(sidecar, fleet):
    backend = fleet()
    for said, status in (("3", 200), ("12", 400), ("high", 400)):
        fields = {"prompt": "x", "model": "m", "priority": said}
        form = "".join(f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()) + "--b--\r\n"
        answer = sidecar.ask("POST", "/generate", form.encode(), [("Content-Type", "multipart/form-data; boundary=b")])
        assert answer.status == status and answer.header("X-Sidecar-Priority") == ("3" if status == 200 else None), answer.body
    assert inferred(backend) == [{"prompt": "x", "model": "m"}]


@pytest.mark.parametrize("said, head, counts", [(None, None, "7"), (9, None, "7"), (None, "9", "7"), (3, None, "3"), (None, "0", "0"), (2, "9", "2")])
def test_a_key_s_priority_is_its_usual_one_and_its_most_R2_3(sidecar, fleet, said, head, counts):
    sidecar.configure("key:team", secret="sesame-team-0123456789", priority="7")
    fleet()
    body = {"model": "m", "prompt": "x", "stream": False, **({} if said is None else {"priority": said})}
    answer = sidecar.ask("POST", "/api/generate", body, [("Authorization", "Bearer sesame-team-0123456789")] + ([("X-Priority", head)] if head else []))
    assert answer.status == 200 and answer.header("X-Sidecar-Priority") == counts


def test_a_key_that_says_none_has_no_most(sidecar, fleet):
    sidecar.configure("key:team", secret="sesame-team-0123456789")
    fleet()
    key = ("Authorization", "Bearer sesame-team-0123456789")
    assert sidecar.ask("POST", "/api/generate", {"model": "m", "prompt": "x", "priority": 9}, [key]).header("X-Sidecar-Priority") == "9"


def test_before_one_ollama_a_body_is_none_of_our_business(sidecar):
    sidecar.boot(tokens=1)
    answer = sidecar.ask("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False, "priority": 77}, [("X-Priority", "high")])
    assert answer.status == 200 and answer.header("X-Sidecar-Priority") is None
    bodies = [json.loads(entry["body"]) for entry in sidecar.backend.requests("/api/generate")]
    assert [body.get("priority") for body in bodies if body.get("prompt")] == [77]


def test_what_another_api_s_backend_calls_so_stays_its_own(sidecar, fleet, openai_backend):
    other = openai_backend(models=["gpt"])
    fleet()
    answer = sidecar.ask("POST", "/v1/chat/completions", {**CHAT, "model": "gpt", "priority": -3}, [("X-Priority", "high")])
    assert answer.status == 200 and answer.header("X-Sidecar-Backend") == "other"
    assert json.loads(other.requests[-1][1])["priority"] == -3


def test_a_higher_priority_is_served_first_and_of_one_the_first_that_came_R2_3(sidecar):
    slow = Fleet(sidecar)
    backend = slow.add("one", tokens=5, token_delay_ms=100)
    slow.open()
    calls = []
    for number, priority in enumerate((5, 1, 5, 9, 1)):
        body = {"model": "m", "prompt": f"x{number}", "priority": priority}
        calls.append(Background(sidecar.ask, "POST", "/ollama/generate", body, (), 30))
        if number == 0:
            slow.wait_asked("one")
        else:
            until(lambda: sidecar.ask("GET", "/status").json["queue"]["waiting"] == len(calls) - 1, 10, f"{len(calls) - 1} in line")
    assert [call.result(30).status for call in calls] == [200] * 5
    prompts = [json.loads(entry["body"])["prompt"] for entry in slow.asked("one")]
    assert prompts == ["x0", "x3", "x2", "x1", "x4"] and not [entry for entry in backend.requests("/api/generate") if "priority" in entry["body"]]


# the packages that clients use

def test_openai_s_package_says_it_by_a_header_or_in_the_body_R2_3(sidecar, fleet, openai):
    fleet()
    with openai.OpenAI(base_url=f"http://127.0.0.1:{sidecar.port}/v1", api_key="none", max_retries=0) as client:
        asked = {"model": "m", "messages": CHAT["messages"]}
        raw = client.chat.completions.with_raw_response.create(**asked, extra_headers={"X-Priority": "9"})
        assert raw.headers["X-Sidecar-Priority"] == "9" and raw.headers["X-Sidecar-Backend"] == "one"
        assert raw.parse().choices[0].message.content == "token"
        assert client.chat.completions.with_raw_response.create(**asked, extra_body={"priority": 0}).headers["X-Sidecar-Priority"] == "0"
        with pytest.raises(openai.BadRequestError) as raised:
            client.chat.completions.create(**asked, extra_body={"priority": 10})
        assert raised.value.param == "priority" and f"priority: {RIGHT}, not 10" in str(raised.value)


def test_ollama_s_package_says_it_by_a_header_R2_3(sidecar, fleet):
    ollama = pytest.importorskip("ollama", reason="the package ollama is not installed (make check-deps installs it)")
    backend = fleet()
    client = ollama.Client(host=f"http://127.0.0.1:{sidecar.port}", headers={"X-Priority": "8"})
    assert client.generate(model="m", prompt="x").response == "token"
    assert client.chat(model="m", messages=CHAT["messages"]).message.content == "token"
    assert [name for name in inferred(backend)[-1] if name.lower() == "priority"] == []
    wrong = ollama.Client(host=f"http://127.0.0.1:{sidecar.port}", headers={"X-Priority": "99"})
    with pytest.raises(ollama.ResponseError) as raised:
        wrong.generate(model="m", prompt="x")
    assert raised.value.status_code == 400 and raised.value.error == f"X-Priority: {RIGHT}, not 99"


def test_an_optimised_answer_is_made_with_the_priority_of_who_asked_first_R2_3(sidecar):
    sidecar.configure("optimizer", enabled="yes", models="m")
    sidecar.configure("strategy:plain", model="m", min_tokens="0")
    slow = Fleet(sidecar)
    slow.add("one", tokens=5, token_delay_ms=100)
    slow.open()
    Background(sidecar.ask, "POST", "/api/generate", {"model": "m", "prompt": "x"}, (), 30)
    slow.wait_asked("one")
    asked = Background(sidecar.ask, "POST", "/v1/chat/completions", {**CHAT, "priority": 9}, (), 30)
    row = until(lambda: sidecar.ask("GET", "/status").json["queue"]["requests"], 10, "it to stand in line")[0]
    assert row["priority"] == 9
    answer = asked.result(30)
    assert answer.status == 200 and answer.header("X-Sidecar-Priority") == "9" and answer.header("X-Sidecar-Backend") == "one"
