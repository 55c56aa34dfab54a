"""POST /generate: presets, images, what becomes of the request, answers as lines, events and one object, and how each failure looks."""
import base64
import json

import pytest

from played_backend import BROKEN, CLOSE, END, LAST, Held, chunk, head, line, single
from waiting import until

GIF = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
CHEAP, EYES = "mistral:7b-instruct-q4_0", "liuhaotian"
PRESETS = {
    "cheap_text": {"for": "text", "model": CHEAP, "options": {"num_ctx": 1024, "batch_size": 256}},
    "vision": {"for": "image", "model": [EYES, "llava:7b"], "options": {"num_ctx": 2048, "batch_size": 256}, "keep_alive": "7m"},
    "small": {"model": "tiny", "system": "be short"},
}
EVENTS = [("Accept", "text/event-stream")]
SSE = "text/event-stream"
GOOD = [head(), chunk(line(response="to")), chunk(line(response="ken")), chunk(LAST), END]


@pytest.fixture(autouse=True)
def _presets(sidecar):
    sidecar.write("models.json", json.dumps(PRESETS))


def ask(sidecar, body, headers=(), path="/generate"):
    """An answer, read to its end."""
    with sidecar.connect(20) as connection:
        answer = connection.request("POST", path, body, headers)
        answer.body  # pylint: disable=pointless-statement
        return answer


def sent(backend):
    """The last request that the played backend got: its first line, and its body."""
    text, body = backend.requests[-1]
    return text.split(b"\r\n")[0].decode(), json.loads(body)


def seen(sidecar):
    """What the stand-in was asked for last, but for loads."""
    return [json.loads(entry["body"]) for entry in sidecar.backend.requests("/api/generate") if json.loads(entry["body"]).get("prompt")][-1]


def events(answer):
    """The objects of a stream of events, which ends with [DONE]."""
    assert answer.header("Content-Type") == SSE
    pieces = answer.body.decode().split("\n\n")
    assert pieces[-1] == "" and pieces[-2] == "data: [DONE]"
    assert all(piece.startswith("data: ") and "\n" not in piece for piece in pieces[:-1])
    return [json.loads(piece[6:]) for piece in pieces[:-2]]


def error_of(answer):
    """The text of an error, as Ollama writes them."""
    assert answer.clean and list(answer.json) == ["error"] and answer.header("Content-Type") == "application/json"
    return answer.json["error"]


# what is asked

def test_r0_7_a_text_has_the_text_preset_and_r0_4_streams_by_default(sidecar, before):
    backend = before(*GOOD)
    answer = ask(sidecar, {"prompt": "hi"})
    assert answer.status == 200 and answer.clean and answer.header("Content-Type") == "application/x-ndjson"
    assert answer.body == line(response="to") + line(response="ken") + LAST  # Ollama's own bytes
    assert answer.header("X-Accel-Buffering") == "no" and answer.header("Vary") == "Accept"
    first, body = sent(backend)
    assert first == "POST /api/generate HTTP/1.1"
    assert body == {"prompt": "hi", "model": CHEAP, "options": {"num_ctx": 1024, "num_batch": 256}}


def test_r0_7_an_image_has_the_vision_preset_r0_5_without_its_data_prefix(sidecar, before):
    backend = before(*GOOD)
    for image in ({"images": [GIF]}, {"images": ["data:image/gif;base64," + GIF]}, {"image": "data:image/gif;base64," + GIF}):
        assert ask(sidecar, {"prompt": "what is it?", **image}).status == 200
        assert sent(backend)[1] == {"prompt": "what is it?", "images": [GIF], "model": EYES, "keep_alive": "7m",
                                    "options": {"num_ctx": 2048, "num_batch": 256}}


def test_r0_7_a_client_that_names_a_model_has_it_and_its_options_win_key_by_key(sidecar, before):
    backend = before(*GOOD)
    assert ask(sidecar, {"prompt": "hi", "model": "mine", "images": [GIF]}).status == 200
    assert sent(backend)[1] == {"prompt": "hi", "model": "mine", "images": [GIF]}
    assert ask(sidecar, {"prompt": "hi", "options": {"num_ctx": 4096, "batch_size": 8, "seed": 7}}).status == 200
    assert sent(backend)[1] == {"prompt": "hi", "model": CHEAP, "options": {"num_ctx": 4096, "num_batch": 8, "seed": 7}}
    assert ask(sidecar, {"prompt": "hi", "preset": "small", "system": "be long"}).status == 200
    assert sent(backend)[1] == {"prompt": "hi", "model": "tiny", "system": "be long"}
    assert ask(sidecar, {"prompt": "hi", "preset": "small"}).status == 200
    assert sent(backend)[1] == {"prompt": "hi", "model": "tiny", "system": "be short"}
    assert ask(sidecar, {"prompt": "hi", "preset": "vision", "model": "yours"}).status == 200
    assert sent(backend)[1]["model"] == "yours" and sent(backend)[1]["options"] == {"num_ctx": 2048, "num_batch": 256}


def test_r0_7_a_pin_wins_over_the_preset_and_over_the_client(sidecar):
    sidecar.configure(f"pin:{CHEAP}", num_ctx="512", num_batch="32")
    sidecar.boot(CHEAP, tokens=1)
    assert ask(sidecar, {"prompt": "hi", "options": {"num_ctx": 4096, "seed": 1}}).status == 200
    assert seen(sidecar)["options"] == {"num_ctx": 512, "num_batch": 32, "seed": 1, "use_mmap": True}


def test_r0_2_requests_of_generate_are_mapped_too(sidecar):
    sidecar.boot(CHEAP, tokens=1)
    assert ask(sidecar, {"prompt": "hi"}).status == 200
    assert seen(sidecar)["options"]["use_mmap"] is True


@pytest.mark.parametrize("first", [0, 1])
def test_r0_2_a_preset_s_options_ride_on_what_is_loaded_and_the_others_on_the_preset_s_proxy_scenario_36(sidecar, first):
    sidecar.boot(CHEAP, tokens=1)
    ways = [("/generate", {"prompt": "hi"}), ("/api/generate", {"model": CHEAP, "prompt": "hi"}),
            ("/api/chat", {"model": CHEAP, "messages": [{"role": "user", "content": "hi"}]}),
            ("/v1/chat/completions", {"model": CHEAP, "messages": [{"role": "user", "content": "hi"}]})]
    for path, body in 2 * (ways[first:] + ways[:first]):
        assert ask(sidecar, body, path=path).status == 200
    assert len(sidecar.backend.journal("loaded")) == 1, sidecar.backend.journal("loaded")
    assert ask(sidecar, {"prompt": "hi", "options": {"num_batch": 64}}).status == 200  # who says it himself has it
    assert len(sidecar.backend.journal("loaded")) == 2


def test_what_is_not_ours_arrives_byte_for_byte(sidecar, before):
    backend = before(*GOOD)
    raw = (b'{"prompt": "a\\u0000\\ud800", "suffix":"z","raw":false,"context":[1, 2],"format":{"type":"object"},'
           b'"think":false,"options":{"seed":12345678901234567890},"x":[ ]')
    assert ask(sidecar, raw + b"}").status == 200
    assert backend.requests[-1][1].startswith(raw.replace(b"890}", b"890,"  b'"num_ctx":1024,"num_batch":256}'))


def test_an_image_of_ten_megabytes_arrives_as_it_was_sent(sidecar, before):
    backend = before(*GOOD)
    image = base64.b64decode(GIF)[:-1] + b"\0" * (10 * 1024 * 1024 - 43) + b";"
    text = base64.b64encode(image).decode()
    assert ask(sidecar, {"prompt": "hi", "images": ["data:image/gif;base64," + text]}).status == 200
    assert sent(backend)[1]["images"] == [text]
    before_n = len(backend.requests)
    answer = ask(sidecar, {"prompt": "hi", "images": [base64.b64encode(image + b"\0" * 99).decode()]})
    assert answer.status == 413 and error_of(answer).startswith("images[0]: ") and len(backend.requests) == before_n


# answers

@pytest.mark.parametrize("accept", ["text/event-stream", "application/json, text/event-stream;q=1.0", "*/*;q=0.1, TEXT/event-stream;q=0.2"])
def test_r0_8_events_where_they_are_asked_for(sidecar, before, accept):
    backend = before(head(), chunk(line(response="to\u2028")), chunk(b'{"model":"m","response":"\xe2\x80\xa8ken","done":false}\r\n'), chunk(LAST), END)
    answer = ask(sidecar, {"prompt": "hi", "stream": True}, [("Accept", accept)])
    assert answer.status == 200 and answer.clean and answer.header("X-Accel-Buffering") == "no" and answer.header("Vary") == "Accept"
    assert events(answer) == [json.loads(line(response="to\u2028")), {"model": "m", "response": "\u2028ken", "done": False}, json.loads(LAST)]
    assert answer.body.startswith(b"data: " + line(response="to\u2028").strip() + b"\n\n")  # the same bytes
    assert "\u2028".encode() not in answer.body and b"\r" not in answer.body
    assert "stream" not in sent(backend)[1] or sent(backend)[1]["stream"] is True


@pytest.mark.parametrize("accept", ["*/*", "text/event-stream;q=0", "application/x-ndjson, text/event-stream;q=0.5", "text/*", None])
def test_r0_8_lines_where_nobody_asks_for_events(sidecar, before, accept):
    before(*GOOD)
    answer = ask(sidecar, {"prompt": "hi"}, [("Accept", accept)] if accept else [])
    assert answer.header("Content-Type") == "application/x-ndjson" and answer.body.endswith(LAST)


def test_one_object_whatever_accept_says(sidecar, before):
    backend = before(*single({"model": "m", "response": "all", "done": True}))
    answer = ask(sidecar, {"prompt": "hi", "stream": False}, EVENTS)
    assert answer.status == 200 and answer.json["response"] == "all" and answer.header("Vary") == "Accept"
    assert sent(backend)[1]["stream"] is False


@pytest.mark.parametrize("headers", [[], EVENTS])
def test_r0_8_tokens_leave_as_they_come(sidecar, headers):
    sidecar.boot(CHEAP, tokens=3, token_delay_ms=200)
    with sidecar.connect() as connection:
        answer = connection.request("POST", "/generate", {"prompt": "hi"}, headers)
        times = [when for when, data in answer.pieces() if b'"response":' in data]
        assert len(times) >= 3 and times[-1] - times[0] > 0.25


def test_an_empty_prompt_only_loads_the_model(sidecar):
    sidecar.boot(CHEAP, tokens=1)
    answer = ask(sidecar, {"prompt": ""})
    assert answer.json["done_reason"] == "load" and answer.json["model"] == CHEAP
    assert events(ask(sidecar, {"prompt": ""}, EVENTS))[0]["done_reason"] == "load"
    answer = ask(sidecar, {"prompt": "", "keep_alive": 0})
    assert answer.json["done_reason"] == "unload"


def test_who_waits_for_events_is_kept_alive_and_may_have_tokens_for_it_proxy_scenario_25(sidecar, before):
    for how, beat in (("comment", b": ping\n"), ("chunk", b'data: {"model":"mistral:7b-instruct-q4_0","created_at":"')):
        play = Held(*GOOD)
        before(play=play, pull_missing="no", heartbeat=how, heartbeat_after="200ms", heartbeat_interval="100ms")
        with sidecar.connect() as connection:
            answer = connection.request("POST", "/generate", {"prompt": "hi"}, EVENTS)
            assert answer.status == 200 and answer.header("Content-Type") == SSE
            pieces = answer.pieces()
            got = next(pieces)[1]
            assert got.startswith(beat) and next(pieces)[1].startswith(beat)
            if how == "chunk":
                assert json.loads(got[6:].split(b"\n\n")[0])["response"] == "" and got.endswith(b',"response":"","done":false}\n\n')
            play.go.set()
            assert b"".join(data for _, data in pieces).endswith(b"data: [DONE]\n\n") and answer.clean
        sidecar.stop()


def test_lines_may_have_empty_tokens_too(sidecar, before):
    play = Held(*GOOD)
    before(play=play, pull_missing="no", heartbeat="chunk", heartbeat_after="200ms", heartbeat_interval="100ms")
    with sidecar.connect() as connection:
        objects = connection.request("POST", "/generate", {"prompt": "hi"}).objects()
        token = next(objects)[1]
        assert token.pop("created_at") and token == {"model": CHEAP, "response": "", "done": False}
        play.go.set()
        assert [token["done"] for _, token in objects][-1] is True


# failures

WRONG = {
    "nothing": (b"", "the body is no JSON object"),
    "no JSON": (b"{prompt}", "the body is no JSON object"),
    "UTF-16": ('{"prompt":"hi"}'.encode("utf-16"), "the body is no JSON object"),
    "no prompt": ({}, "prompt: missing"),
    "messages": ({"messages": [{"role": "user", "content": "hi"}]}, "prompt: missing; messages go to POST /api/chat"),
    "a number": ({"prompt": 7}, "prompt: must be a string, not a number"),
    "a list of texts": ({"prompt": ["a", "b"]}, "prompt: must be a string, not an array"),
    "an image alone": ({"images": [GIF]}, "prompt: missing; it must say what is to be done with the image"),
    "an empty image": ({"prompt": "hi", "images": [""]}, "images[0]: "),
    "images of all kinds": ({"prompt": "hi", "images": [GIF, None, 7, {}]}, "images[1]: must be a string of base64, not null; images[2]"),
    "base64url": ({"prompt": "hi", "images": [GIF.replace("/", "_")]}, "images[0]: is base64url"),
    "a cut image": ({"prompt": "hi", "images": [GIF[:-1]]}, "images[0]: is no base64"),
    "an address": ({"prompt": "hi", "images": ["http://127.0.0.1/x.png"]}, "images[0]: is an address"),
    "stream": ({"prompt": "hi", "stream": "false"}, "stream: must be true or false, without quotes, not a string"),
    "options": ({"prompt": "hi", "options": "num_ctx=1"}, "options: must be an object, not a string"),
    "batch": ({"prompt": "hi", "options": {"batch_size": 1, "num_batch": 2}}, "options.batch_size: another number"),
    "an unknown preset": ({"prompt": "hi", "preset": "eyes"}, "preset: there is none of this name; there are cheap_text, vision, small"),
    "a preset that is no name": ({"prompt": "hi", "preset": ["vision"]}, "preset: must be the name of a preset, not an array"),
    "two mistakes": ({"prompt": 1, "stream": 0}, "stream: must be true or false, without quotes, not a number; prompt: must be"),
}


@pytest.mark.parametrize("headers", [[], EVENTS])
def test_a_request_that_is_wrong_says_what_where_and_never_reaches_the_backend(sidecar, before, headers):
    backend = before(*GOOD)
    for name, (body, words) in WRONG.items():
        answer = ask(sidecar, body, headers)
        assert answer.status == 400 and error_of(answer).startswith(words), name
    for body, status, words in (({"prompt": "hi", "images": ["AAAA"]}, 415, "images[0]: "),
                                ({"prompt": "hi", "images": ["data:image/svg+xml;base64,PHN2Zy8+"]}, 415, "images[0]: ")):
        answer = ask(sidecar, body, headers)
        assert answer.status == status and error_of(answer).startswith(words)
    deep = b'{"prompt":"hi","x":' + b"[" * 100000 + b"]" * 100000 + b"}"
    assert error_of(ask(sidecar, deep, headers)).startswith("the body is no JSON object")
    assert not backend.requests


def test_without_presets_a_model_must_be_named(sidecar, before):
    sidecar.write("models.json", "{}")
    backend = before(*GOOD)
    answer = ask(sidecar, {"prompt": "hi"})
    assert answer.status == 400 and error_of(answer).startswith("model: missing; name one, as no presets are set here")
    assert ask(sidecar, {"prompt": "hi", "model": "m"}).status == 200 and sent(backend)[1] == {"prompt": "hi", "model": "m"}


@pytest.mark.parametrize("headers", [[], EVENTS])
def test_a_model_that_is_not_there(sidecar, before, headers):
    backend = before(*single({"error": "model 'nosuch' not found"}, "404 Not Found"))
    answer = ask(sidecar, {"prompt": "hi", "model": "nosuch"}, headers)
    assert answer.status == 404 and error_of(answer).startswith("model 'nosuch' is not installed; pull it by `ollama pull nosuch`")
    answer = ask(sidecar, {"prompt": "hi", "model": "nosuch; reboot"}, headers)
    assert answer.status == 404 and "is no model's name" in error_of(answer) and "ollama pull" not in error_of(answer)
    backend.loaded = b"".join(single({"error": "model 'nosuch' not found"}, "404 Not Found"))
    answer = ask(sidecar, {"prompt": "hi", "model": "nosuch2"}, headers)
    assert answer.status == 404 and "ollama pull nosuch2" in error_of(answer)
    answer = ask(sidecar, {"prompt": "hi", "model": "nosuch"}, path="/api/generate")
    assert answer.json == {"error": "model 'nosuch' not found"}  # on this path Ollama's own words


@pytest.mark.parametrize("name", BROKEN)
def test_a_failure_among_events_is_an_error_and_no_done_proxy_scenarios_27_28(sidecar, before, name):
    steps, words, ended = BROKEN[name]
    play = Held(*steps)
    play.steps = [head(), chunk(line(response="to")), *play.steps]
    before(play=play, pull_missing="no")
    with sidecar.connect() as connection:
        answer = connection.request("POST", "/generate", {"prompt": "hi"}, EVENTS)
        pieces = answer.pieces()
        assert answer.status == 200 and b'"to"' in next(pieces)[1]
        play.go.set()
        tail = b"".join(data for _, data in pieces)
        assert not answer.clean and tail.startswith(b'data: {"error":') and tail.endswith(b"\n\n") and b"[DONE]" not in tail
    assert json.loads(tail[6:])["error"].startswith(words)

    def entry():
        return [json.loads(text) for text in sidecar.process.log if '"event":"access"' in text]
    (access,) = until(entry, 5, "an access line", sidecar.process.tail)
    assert access["ended"] == ended and access["path"] == "/generate" and access["model"] == CHEAP


@pytest.mark.parametrize("headers", [[], EVENTS])
def test_the_access_log_knows_model_and_counts(sidecar, before, headers):
    before(*GOOD)
    assert ask(sidecar, {"prompt": "hi"}, headers).clean

    def entry():
        return [json.loads(text) for text in sidecar.process.log if '"event":"access"' in text]
    (access,) = until(entry, 5, "an access line", sidecar.process.tail)
    assert (access["path"], access["model"], access["status"], access["ended"]) == ("/generate", CHEAP, 200, "done")
    assert (access["prompt_tokens"], access["generated_tokens"], access["finish"]) == (3, 2, "stop")


def test_a_stream_that_is_lost_before_its_first_token_is_asked_for_once_more(sidecar, before):
    calls = []

    def play(_request):
        calls.append(1)
        return [CLOSE] if len(calls) == 1 else GOOD
    before(play=play, pull_missing="no")
    for headers in ([], EVENTS):
        calls.clear()
        answer = ask(sidecar, {"prompt": "hi"}, headers)
        assert answer.status == 200 and answer.clean and len(calls) == 2


@pytest.mark.parametrize("headers", [[], EVENTS])
def test_a_client_that_leaves_ends_its_request_proxy_scenario_22(sidecar, headers):
    sidecar.boot(CHEAP, tokens=1000, token_delay_ms=20)
    with sidecar.connect() as connection:
        next(connection.request("POST", "/generate", {"prompt": "hi"}, headers).pieces())
    sidecar.backend.wait("cancelled")


def test_only_post(sidecar, before):
    before(*GOOD)
    answer = sidecar.ask("GET", "/generate")
    assert answer.status == 405 and answer.header("Allow") == "POST, OPTIONS"


# what holds for every request that needs a model

@pytest.mark.parametrize("headers", [[], EVENTS])
def test_a_sleeping_ollama_is_woken_and_its_client_held(sidecar, headers):
    sidecar.configure("supervisor", idle_action="stop", idle_timeout="300ms")
    sidecar.boot(CHEAP, tokens=2)
    sidecar.process.wait_log(r" asleep action=stop")
    answer = ask(sidecar, {"prompt": "hi"}, headers)
    assert answer.status == 200 and answer.clean and b'"done":true' in answer.body
    sidecar.process.wait_log(r" awake ollama=ready ")


@pytest.mark.parametrize("headers", [[], EVENTS])
def test_a_load_that_fails_tells_ollama_s_words_and_rests_behind_the_third(sidecar, headers):
    sidecar.installed = CHEAP
    sidecar.backend.script(tokens=1, models={CHEAP: {"load_fails": "no good file"}})
    sidecar.start()
    sidecar.wait_ready()
    for _ in range(3):
        answer = ask(sidecar, {"prompt": "hi"}, headers)
        assert answer.status == 500 and error_of(answer) == "no good file"
    sidecar.process.wait_log(r" cooldown_begin ")
    answer = ask(sidecar, {"prompt": "hi"}, headers)
    assert answer.status == 503 and answer.header("Retry-After") and "3 times in a row: no good file" in error_of(answer)


def test_one_at_a_time_and_the_others_stand_in_line(sidecar):
    sidecar.configure("environment", OLLAMA_NUM_PARALLEL="1")
    sidecar.boot(CHEAP, tokens=3, token_delay_ms=100)
    calls = [sidecar.background("POST", "/generate", {"prompt": "hi", "stream": False}) for _ in range(3)]
    answers = [call.result() for call in calls]
    assert [answer.status for answer in answers] == [200] * 3
    assert sum(int(answer.header("X-Sidecar-Queue-Ms", "0")) > 0 for answer in answers) == 2


def test_an_ollama_that_dies_while_it_answers_is_told_in_the_last_event_proxy_scenario_27(sidecar):
    sidecar.boot(CHEAP, tokens=20, token_delay_ms=20, crash_after_tokens=3)
    with sidecar.connect(20) as connection:
        answer = connection.request("POST", "/generate", {"prompt": "hi"}, EVENTS)
        pieces = answer.body.decode().split("\n\n")
    assert answer.status == 200 and not answer.clean and "data: [DONE]" not in pieces
    assert "the backend broke off" in json.loads(pieces[-2].removeprefix("data: "))["error"]
