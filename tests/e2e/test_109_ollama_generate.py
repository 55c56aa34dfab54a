"""POST /ollama/generate: one answer of Ollama's to a prompt, a stream where one is asked for, and a priority that no Ollama sees."""
import json
import shutil
import subprocess

import pytest

from played_backend import END, LAST, Held, chunk, head, line, single
from waiting import until

PATH = "/ollama/generate"
ASKED = {"model": "m", "prompt": "hello"}
WHOLE = single({"model": "m", "response": "token", "done": True, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 2})
LINES = [head(), chunk(line(response="to")), chunk(line(response="ken")), chunk(LAST), END]
RIGHT = "must be a whole number from 0 to 9 (9 goes first; 5 where nobody says)"


def sent(backend):
    """The last request that the backend got: its first line, and its body as it came."""
    text, body = backend.requests[-1]
    return text.split(b"\r\n")[0].decode(), body


def post(sidecar, body, headers=()):
    """An answer, read to its end."""
    with sidecar.connect(20) as connection:
        answer = connection.request("POST", PATH, body, headers)
        answer.body  # pylint: disable=pointless-statement
        return answer


@pytest.mark.parametrize("body, backends", [
    ({**ASKED}, {**ASKED, "stream": False}),
    ({**ASKED, "stream": None}, {**ASKED, "stream": False}),
    ({**ASKED, "stream": False, "priority": 9}, {**ASKED, "stream": False}),
    ({"priority": None, **ASKED}, {**ASKED, "stream": False}),
    ({**ASKED, "priority": 0, "options": {"seed": 12345678901234567890, "priority": 7}, "images": ["aGk="]},
     {**ASKED, "stream": False, "options": {"seed": 12345678901234567890, "priority": 7}, "images": ["aGk="]}),
])
def test_one_json_answer_and_no_priority_at_the_backend_R2_2(sidecar, before, body, backends):
    backend = before(*WHOLE)
    answer = post(sidecar, body)
    assert answer.status == 200 and answer.clean and answer.header("Content-Type") == "application/json"
    assert answer.body == WHOLE[1]  # Ollama's own bytes
    first, got = sent(backend)
    assert first == "POST /api/generate HTTP/1.1" and json.loads(got) == backends


def test_the_bytes_of_the_body_stay_but_for_what_is_ours_R2_2(sidecar, before):
    backend = before(*WHOLE)
    post(sidecar, b'{ "Priority" :7,"prompt":"\\u0041 \\ud83d","model":"m" ,"priority":3, "x":1e400, "stream" : false }')
    assert sent(backend)[1] == b'{ "prompt":"\\u0041 \\ud83d","model":"m", "x":1e400, "stream" : false }'


def test_a_stream_where_it_is_asked_for_R2_2(sidecar, before):
    backend = before(*LINES)
    answer = post(sidecar, {**ASKED, "stream": True, "priority": 1})
    assert answer.status == 200 and answer.clean and answer.header("Content-Type") == "application/x-ndjson"
    assert answer.body == line(response="to") + line(response="ken") + LAST
    assert json.loads(sent(backend)[1]) == {**ASKED, "stream": True}


@pytest.mark.parametrize("said, shown", [
    ("10", "10"), ("-1", "-1"), ("5.0", "5.0"), ("1e308", "1e308"), ('"5"', "a string"), ("true", "true"), ("[5]", "an array"), ("{}", "an object"),
])
def test_a_priority_that_is_none_is_a_400_and_nothing_is_asked_R2_3(sidecar, before, said, shown):
    backend = before(*WHOLE)
    answer = post(sidecar, f'{{"model":"m","prompt":"x","priority":{said}}}'.encode())
    assert answer.status == 400 and answer.json == {"error": f"priority: {RIGHT}, not {shown}"}
    assert not backend.requests and not backend.loads
    assert post(sidecar, ASKED).status == 200


def test_the_head_may_say_it_and_its_mistakes_are_told_too_R2_3(sidecar, before):
    before(*WHOLE)
    assert post(sidecar, ASKED, [("X-Priority", "7")]).status == 200
    assert post(sidecar, ASKED, [("X-Priority", "")]).status == 200
    assert post(sidecar, ASKED, [("X-Priority", "high")]).json == {"error": f"X-Priority: {RIGHT}, not high"}
    twice = post(sidecar, ASKED, [("X-Priority", "1"), ("X-Priority", "1")])
    assert twice.status == 400 and twice.json == {"error": "X-Priority: is there more than once; one of them is enough"}


def test_what_is_told_of_a_priority_says_it_where_errors_are_told_as_answers(sidecar, before):
    before(*WHOLE, fallback_answer="yes")
    answer = post(sidecar, {**ASKED, "priority": 11})
    assert answer.status == 200 and answer.json["done"] and f"Error: priority: {RIGHT}, not 11" in answer.json["response"]


def test_who_waits_for_one_answer_gets_blanks_before_it_and_an_error_is_one_object(sidecar, before):
    held = Held(*single({"error": "no such luck"}, status="500 Internal Server Error"))
    before(play=held, heartbeat_after="100ms", heartbeat_interval="100ms")
    with sidecar.connect(20) as connection:
        connection.send("POST", PATH, ASKED)
        answer = connection.receive()
        pieces = answer.pieces()
        assert next(pieces)[1] == b" "
        held.go.set()
        rest = b"".join(data for _, data in pieces)
    assert answer.status == 200 and json.loads(rest) == {"error": "no such luck"}


@pytest.mark.parametrize("body, status", [(b"", 400), (b"no JSON", 400), ({"model": "none", "prompt": "x"}, 404)])
def test_ollama_says_itself_what_is_wrong_with_the_rest(sidecar, body, status):
    sidecar.boot(tokens=1)
    answer, native = post(sidecar, body), sidecar.ask("POST", "/api/generate", body)
    assert answer.status == native.status == status and answer.json == native.json


def test_only_post_and_only_who_may_infer(sidecar):
    sidecar.configure("key:watch", secret="sesame-watch-0123456789", rights="observe")
    sidecar.boot(tokens=1)
    wrong = sidecar.ask("GET", PATH)
    assert wrong.status == 405 and wrong.header("Allow") == "POST, OPTIONS"
    assert sidecar.ask("POST", PATH, ASKED, [("Authorization", "Bearer sesame-watch-0123456789")]).status == 403


def test_a_model_of_another_backend_answers_in_ollama_s_words(sidecar, openai_backend):
    backend = openai_backend(models=["gpt"])
    sidecar.boot(tokens=1)
    answer = post(sidecar, {"model": "gpt", "prompt": "hello", "priority": 3})
    assert answer.status == 200 and answer.json["response"] == "token" and answer.json["done"]
    assert "priority" not in json.loads(backend.requests[-1][1])
    assert post(sidecar, {"model": "gpt", "prompt": "hello", "priority": 10}).status == 400


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl")
def test_the_readme_s_curl_R2_2(sidecar):
    sidecar.boot(tokens=2)
    done = subprocess.run(["curl", "-sS", f"http://localhost:{sidecar.port}/ollama/generate", "-d", '{"model": "m", "prompt": "Hi", "priority": 9}'],
                          capture_output=True, check=True, timeout=20)
    answer = json.loads(done.stdout)
    assert answer["done"] and answer["response"]
    asked = json.loads([entry["body"] for entry in sidecar.backend.requests("/api/generate") if json.loads(entry["body"]).get("prompt")][-1])
    assert asked["stream"] is False and "priority" not in asked


def test_it_is_held_and_stands_in_line_as_any_request(sidecar):
    sidecar.configure("environment", OLLAMA_NUM_PARALLEL="1")
    sidecar.boot(tokens=3, token_delay_ms=100)
    calls = [sidecar.background("POST", PATH, ASKED) for _ in range(3)]
    until(lambda: sidecar.health()["requests"]["queued"] == 2, 5, "two in line")
    answers = [call.result() for call in calls]
    assert [answer.status for answer in answers] == [200] * 3 and all(answer.json["done"] for answer in answers)
    assert sum(int(answer.header("X-Sidecar-Queue-Ms", "0")) > 0 for answer in answers) == 2
