"""What of a request of /v1 reaches Ollama: each field that docs/openai.md names, whatever agents send, and what the model is able to."""
import json
import os
import re

import pytest

from played_backend import END, HANG, Held, able, chunk, head, line, single
from waiting import until

MESSAGES = [{"role": "user", "content": "hi"}]
BODIES = {
    "/v1/chat/completions": {"model": "m", "messages": MESSAGES},
    "/v1/completions": {"model": "m", "prompt": "hi"},
    "/v1/embeddings": {"model": "m", "input": "hi"},
}
SENT = {
    "/v1/chat/completions": {"model": "m", "stream": False, "options": {"temperature": 1.0, "top_p": 1.0}, "messages": MESSAGES},
    "/v1/completions": {"model": "m", "stream": False, "prompt": "hi",
                        "options": {"temperature": 1.0, "top_p": 1.0, "frequency_penalty": 0.0, "presence_penalty": 0.0}},
    "/v1/embeddings": {"model": "m", "input": "hi"},
}
CHAT, TEXT, EMBED = BODIES
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}
OTHER = {"type": "function", "function": {"name": "g"}}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}


class Options(dict):
    """What of `options` differs."""


IGNORED = {}
MUST = "Answer with a call of "


def must(words):
    """The messages of a request in which a tool must be called."""
    return [{"role": "system", "content": MUST + words}, *MESSAGES]


# What is sent beside the rest, and what differs in what Ollama is sent then: members, Options, or the text of a 400.
ANY = {
    "model": [({"model": "other"}, {"model": "other"}), ({"model": None}, "model: missing"), ({"model": 5}, "model: must be a string")],
    "stream": [({"stream": True}, {"stream": True}), ({"stream": None}, IGNORED), ({"stream": "yes"}, "stream: must be true or false")],
    "stream_options": [({"stream_options": {"include_usage": True}}, IGNORED), ({"stream_options": 1}, "stream_options: must be an object")],
    "temperature": [({"temperature": 0}, Options(temperature=0)), ({"temperature": "0.5"}, Options(temperature=0.5)),
                    ({"temperature": "hot"}, "temperature: must be a number, not a string"), ({"temperature": None}, IGNORED)],
    "top_p": [({"top_p": 0.5}, Options(top_p=0.5)), ({"top_p": []}, "top_p: must be a number, not an array")],
    "frequency_penalty": [({"frequency_penalty": -1}, Options(frequency_penalty=-1))],
    "presence_penalty": [({"presence_penalty": 2}, Options(presence_penalty=2))],
    "seed": [({"seed": 2 ** 63 + 1}, Options(seed=2 ** 63 + 1)), ({"seed": 1.5}, "seed: must be a whole number")],
    "max_tokens": [({"max_tokens": 5}, Options(num_predict=5)), ({"max_tokens": 0}, "max_tokens: must be at least 1"),
                   ({"max_tokens": -1}, "max_tokens: must be at least 1"), ({"max_tokens": None}, IGNORED)],
    "stop": [({"stop": "x"}, Options(stop=["x"])), ({"stop": ["x", None, "", "\0"]}, Options(stop=["x", "\0"])), ({"stop": 5}, "stop: must be a string")],
    "n": [({"n": 1}, IGNORED), ({"n": None}, IGNORED), ({"n": 2}, "n: must be 1"), ({"n": 0}, "n: must be at least 1")],
    "options": [({"options": {"mirostat": 1, "temperature": 0.1}}, Options(mirostat=1, temperature=0.1)),
                ({"options": {"top_k": 1}, "top_k": 2}, Options(top_k=2)), ({"options": 5}, "options: must be an object")],
    "top_k": [({"top_k": 40}, Options(top_k=40))],
    "min_p": [({"min_p": 0.1}, Options(min_p=0.1))],
    "repeat_penalty": [({"repeat_penalty": 1.1}, Options(repeat_penalty=1.1))],
    "num_ctx": [({"num_ctx": 8192}, Options(num_ctx=8192)), ({"num_ctx": "many"}, "num_ctx: must be a whole number")],
    "keep_alive": [({"keep_alive": "5m"}, {"keep_alive": "5m"}), ({"keep_alive": True}, "keep_alive: must be a duration")],
    "logit_bias": [({"logit_bias": {"5": 100}}, IGNORED)],
    "user": [({"user": 5}, IGNORED)],
}
CASES = {
    CHAT: {
        "messages": [({"messages": []}, "messages: empty"), ({"messages": None}, "messages: missing"), ({"messages": [None, 5]}, "messages: empty"),
                     ({"messages": [{"role": "system", "content": "s"}]}, {"messages": [{"role": "system", "content": "s"}]})],
        "max_completion_tokens": [({"max_completion_tokens": 6, "max_tokens": 5}, Options(num_predict=6)), ({"max_completion_tokens": 0}, "max_completion_tokens: must")],
        "response_format": [({"response_format": {"type": "text"}}, IGNORED), ({"response_format": {"type": "json_object"}}, {"format": "json"}),
                            ({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": SCHEMA}}}, {"format": SCHEMA}),
                            ({"response_format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}, {"format": SCHEMA}),
                            ({"response_format": {"type": "json_schema", "json_schema": {"name": "n"}}}, "response_format.json_schema: must"),
                            ({"response_format": {"type": "grammar"}}, "response_format.type: must be text, json_object or json_schema")],
        "tools": [({"tools": [TOOL, OTHER]}, {"tools": [TOOL, OTHER]}), ({"tools": []}, IGNORED), ({"tools": [None, TOOL, {"type": "web_search"}]}, {"tools": [TOOL]}),
                  ({"tools": "f"}, "tools: must be an array, not a string")],
        "tool_choice": [({"tools": [TOOL], "tool_choice": "auto"}, {"tools": [TOOL]}), ({"tools": [TOOL], "tool_choice": "none"}, IGNORED),
                        ({"tools": [TOOL, OTHER], "tool_choice": "required"}, {"tools": [TOOL, OTHER], "messages": must("one of the tools.")}),
                        ({"tools": [TOOL, OTHER], "tool_choice": {"type": "function", "function": {"name": "g"}}}, {"tools": [OTHER], "messages": must("the tool g.")}),
                        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}}, {"tools": [TOOL]}),
                        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "x"}}}, "tool_choice: no function of this name"),
                        ({"tool_choice": "required"}, "tool_choice: there are no tools"), ({"tool_choice": "auto"}, IGNORED)],
        "functions": [({"functions": [TOOL["function"]]}, {"tools": [TOOL]}), ({"functions": [OTHER["function"]], "tools": [TOOL]}, {"tools": [TOOL]})],
        "function_call": [({"functions": [TOOL["function"], OTHER["function"]], "function_call": {"name": "f"}}, {"tools": [TOOL], "messages": must("the tool f.")}),
                          ({"functions": [TOOL["function"]], "function_call": "none"}, IGNORED)],
        "parallel_tool_calls": [({"tools": [TOOL], "parallel_tool_calls": False}, {"tools": [TOOL]})],
        "reasoning_effort": [({"reasoning_effort": "low"}, {"think": "low"}), ({"reasoning_effort": "none"}, {"think": False}), ({"reasoning_effort": "some"}, "reasoning_effort: must")],
        "reasoning": [({"reasoning": {"effort": "xhigh", "summary": "auto"}}, {"think": "max"}),
                      ({"reasoning": {"summary": "auto"}, "reasoning_effort": "low"}, {"think": "low"})],
        "think": [({"think": True}, {"think": True}), ({"think": True, "reasoning_effort": "none"}, {"think": False}), ({"think": 1}, "think: must be")],
        "logprobs": [({"logprobs": True}, {"logprobs": True}), ({"logprobs": 5}, "logprobs: must be true or false")],
        "top_logprobs": [({"logprobs": True, "top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3})],
        **{name: [({name: value}, IGNORED)] for name, value in {
            "metadata": {"a": "b"}, "store": True, "service_tier": "flex", "modalities": ["text", "audio"], "audio": {"voice": "x"}, "prediction": {"type": "content"},
            "web_search_options": {}, "verbosity": "low", "prompt_cache_key": "k", "prompt_cache_retention": "24h", "safety_identifier": "s", "moderation": {}}.items()},
    },
    TEXT: {
        "prompt": [({"prompt": ["a"]}, {"prompt": "a"}), ({"prompt": ["a", "b"]}, "prompt: one prompt at a time"), ({"prompt": [1, 2]}, "prompt: "), ({"prompt": None}, "prompt: missing")],
        "suffix": [({"suffix": "z"}, {"suffix": "z"}), ({"suffix": None}, IGNORED)],
        "best_of": [({"best_of": 1}, IGNORED), ({"best_of": 2}, "best_of: must be 1")],
        "echo": [({"echo": False}, IGNORED), ({"echo": True}, "echo: must be false")],
        "logprobs": [({"logprobs": 3}, {"logprobs": True, "top_logprobs": 3}), ({"logprobs": 0}, {"logprobs": True}), ({"logprobs": None}, IGNORED)],
    },
    EMBED: {
        "input": [({"input": ["a", ""]}, {"input": ["a", ""]}), ({"input": [1, 2]}, "input[0]: must be a string"), ({"input": [[1]]}, "input[0]: must be a string"),
                  ({"input": []}, "input: empty"), ({"input": None}, "input: missing"), ({"input": ["a", None]}, "input[1]: must be a string")],
        "options": [({"options": {"num_thread": 2}, "temperature": 1}, Options(num_thread=2))],
        "dimensions": [({"dimensions": 8}, {"dimensions": 8}), ({"dimensions": 0}, "dimensions: must be at least 1")],
        "encoding_format": [({"encoding_format": "base64"}, IGNORED), ({"encoding_format": "float"}, IGNORED), ({"encoding_format": "hex"}, "encoding_format: must be float or base64")],
    },
}


def named():
    """The fields of each endpoint, as docs/openai.md names them."""
    path = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "openai.md")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    return {m[0]: [name for row in re.findall(r"^\| (`.+?) \|", m[1], re.M) for name in re.findall(r"`(\w+)`", row)]
            for m in re.findall(r"^### (/v1/\S+), which becomes \S+\n(.*?)(?=^###)", text, re.M | re.S)}


def cases_of(path, field):
    """What is told of a field: of this endpoint's own, or of all of them."""
    return CASES[path].get(field) or ANY[field]


NAMED = named()
ROWS = [pytest.param(path, sent, wanted, id=f"{path}-{field}-{i}") for path, fields in NAMED.items() for field in fields
        for i, (sent, wanted) in enumerate(cases_of(path, field))]


def test_each_row_of_the_table_is_a_test_and_no_other_r4_1():
    assert set(NAMED) == set(BODIES)
    for path, fields in NAMED.items():
        assert len(fields) == len(set(fields)) and set(CASES[path]) <= set(fields)
    assert set(ANY) <= set(NAMED[CHAT])


@pytest.fixture
def ask(sidecar, before):
    """ask(path, body, …): the answer, and what the backend was sent for it; ask.backend plays it."""
    last = line(True, message={"role": "assistant", "content": "t"}, done_reason="stop", prompt_eval_count=1, eval_count=1)

    def play(request):
        if not request[1]:  # /health asks for the version
            return single({"version": "1"})
        if request[0].startswith(b"POST /api/embed"):
            return single({"model": "m", "embeddings": [[1]], "prompt_eval_count": 1})
        return [head(), chunk(last), END] if json.loads(request[1])["stream"] else single(json.loads(last))

    def ask(path, body):
        with sidecar.connect() as connection:
            answer = connection.request("POST", path, body)
            answer.body  # pylint: disable=pointless-statement
        return answer, [json.loads(sent) for _, sent in ask.backend.requests if sent]

    ask.backend = before(play=play)
    ask.play = play
    return ask


def test_every_field_is_taken_as_the_table_says(ask):
    """One proxy for all of them; a model for each, as one that is loaded is used with the num_ctx that it has."""
    wrong = []
    for number, row in enumerate(ROWS):
        path, sent, wanted = row.values
        model = {"model": f"m{number}"}
        ask.backend.requests.clear()
        answer, requests = ask(path, {**BODIES[path], **model, **sent})
        if isinstance(wanted, str):
            error = answer.json.get("error", {})
            is_right = answer.status == 400 and error["type"] == "invalid_request_error" and error["message"].startswith(wanted) and not requests
        else:
            expected = json.loads(json.dumps({**SENT[path], **model}))
            if isinstance(wanted, Options):
                expected["options"] = {**expected.get("options", {}), **wanted}
            else:
                expected.update(wanted)
            is_right = answer.status == 200 and requests == [expected]
        if not is_right:
            wrong.append((row.id, answer.status, answer.body, requests))
    assert not wrong, "\n".join(map(str, wrong))


def test_all_mistakes_are_told_at_once(ask):
    answer, requests = ask(CHAT, {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]}],
                                  "n": 3, "temperature": "hot", "max_tokens": 0, "response_format": {"type": "x"}, "tools": 5})
    places = re.findall(r"(?:^|; )([\w.\[\]]+): ", answer.json["error"]["message"])
    assert answer.status == 400 and not requests
    assert places == ["model", "n", "temperature", "max_tokens", "response_format.type", "tools", "messages[0].content[0].image_url.url"]
    answer, _ = ask(CHAT, b'{"model":"m","messages":[}')
    assert answer.status == 400 and "byte 25" in answer.json["error"]["message"]


def test_an_image_at_an_address_is_never_fetched(ask):
    """The address would be ours to read: nobody comes there."""
    address = f"http://127.0.0.1:{ask.backend.port}/secret"
    for part in ({"type": "image_url", "image_url": {"url": address}}, {"type": "input_image", "image_url": address}):
        answer, requests = ask(CHAT, {"model": "m", "messages": [{"role": "user", "content": [part]}]})
        assert answer.status == 400 and "addresses of images are not read" in answer.json["error"]["message"] and not requests


BROKEN = [None, 5, [], {}, {"role": None}, "bare", {"role": "robot", "content": 5}, {"role": "user", "content": [None, "a", {"type": "text"}, {"type": "x"}, {"text": "b"}]},
          {"role": "assistant", "content": None, "tool_calls": [None, {}, {"id": 7, "function": {"name": "f", "arguments": "{broken"}}]},
          {"role": "tool", "tool_call_id": None, "content": {"ok": True}}]


def test_broken_items_do_not_fail_r4_4(ask):
    answer, (sent,) = ask(CHAT, {"model": "m", "messages": BROKEN})
    assert answer.status == 200 and answer.json["choices"][0]["message"]["content"] == "t"
    assert sent["messages"] == [
        {"role": "user", "content": "bare"}, {"role": "user", "content": "5"}, {"role": "user", "content": "a\n\nb"},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {"arguments": "{broken"}}}]},
        {"role": "tool", "content": '{"ok": true}'}]


def test_a_prompt_of_54000_characters_arrives_byte_by_byte(ask):
    text = '<tool name="read_file">\\u0000 \\ud83d\\ude00 ü\\n</tool>'.encode().replace(b'"', b'\\"')
    text *= 54000 // len(text) + 1
    schema = b'{"b":123456789012345678901234567890,"a":1.0e400,"b":"\\u0000","z":[ ]}'
    arguments = b'{\\"n\\": 12345678901234567890, \\"n\\":\\"\\\\u0000\\"}'
    body = (b'{"model":"m","messages":[{"role":"system","content":"' + text + b'"},{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":"'
            + arguments + b'"}}]}],"tools":[{"type":"function","function":{"name":"f","parameters":' + schema + b"}}]}")
    ask(CHAT, body)
    (_, sent), = ask.backend.requests
    assert len(text) >= 54000 and text in sent and schema in sent and b'"arguments":{"n": 12345678901234567890, "n":"\\u0000"}' in sent
    ask.backend.shown = able()
    ask(CHAT, body.replace(b'"m"', b'"plain"', 1))
    _, sent = ask.backend.requests[-1]
    assert text in sent and schema.replace(b"\\", b"\\\\").replace(b'"', b'\\"') in sent and b'\\"arguments\\":' + arguments in sent


# what the model is able to

AGENT = {"model": "m", "tools": [TOOL], "messages": [
    {"role": "developer", "content": "s"}, {"role": "user", "content": "u"},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}]},
    {"role": "tool", "tool_call_id": "c1", "content": "42"}]}


def test_a_model_with_tools_gets_them_natively(ask):
    answer, (sent,) = ask(CHAT, AGENT)
    assert answer.status == 200 and sent["tools"] == [TOOL]
    assert [m["role"] for m in sent["messages"]] == ["system", "user", "assistant", "tool"]
    assert sent["messages"][2]["tool_calls"] == [{"id": "c1", "function": {"name": "f", "arguments": {"a": 1}}}]
    assert sent["messages"][3] == {"role": "tool", "content": "42", "tool_name": "f", "tool_call_id": "c1"}


def test_a_model_without_tools_is_told_of_them_r4_4(ask):
    ask.backend.shown = able()
    answer, (sent,) = ask(CHAT, AGENT)
    assert answer.status == 200 and "tools" not in sent and [m["role"] for m in sent["messages"]] == ["system", "system", "user", "assistant", "user"]
    told = sent["messages"][1]["content"]
    assert '<tool_call>{"name":"NAME","arguments":{…}}</tool_call>' in told and json.loads(told.splitlines()[-1]) == TOOL["function"]
    assert sent["messages"][3]["content"] == '<tool_call>{"name":"f","arguments":{"a":1}}</tool_call>'
    assert sent["messages"][4]["content"] == "[tool result: f]\n42"


@pytest.mark.parametrize("tools", [{"tools": [TOOL]}, {"tools": [{"type": "function", **TOOL["function"]}]}, {"functions": [TOOL["function"]]},
                                   {"tools": [OTHER, TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}}])
def test_what_it_is_told_to_write_is_read_as_a_call_r4_4(ask, tools):
    """The form in which a call is explained is the one that is looked for in the answer."""
    ask.backend.shown = able()
    ask.backend.play = lambda request: single({"model": "m", "message": {"role": "assistant", "content": '<tool_call>{"name":"f","arguments":{"a":1}}</tool_call>'},
                                               "done": True, "done_reason": "stop"})
    answer, _ = ask(CHAT, {**BODIES[CHAT], **tools})
    message = answer.json["choices"][0]["message"]
    call = message["function_call"] if "functions" in tools else message["tool_calls"][0]["function"]
    assert call == {"name": "f", "arguments": '{"a":1}'}


def test_who_needs_nothing_special_is_not_waited_for(ask):
    ask.backend.shown = [HANG]
    for path, body in BODIES.items():
        assert ask(path, body)[0].status == 200
    assert not ask.backend.shows


@pytest.mark.parametrize("shown, can", [
    (able("tools"), True), (able(), False), (single({"template": "{{ if .Tools }}x{{ end }}"}), True), (single({"template": "{{ .Prompt }}"}), False),
    (single({"error": "no"}, "500 Oh"), True), (single(["no object"]), True), (single({"capabilities": "tools"}), True)])
def test_what_show_says_decides(ask, shown, can):
    ask.backend.shown = shown
    answer, (sent,) = ask(CHAT, AGENT)
    assert answer.status == 200 and ("tools" in sent) is can


def test_it_is_asked_once_for_all_who_wait(sidecar, ask):
    ask.backend.shown = Held(*able())
    asked = [sidecar.background("POST", CHAT, AGENT) for _ in range(4)]
    until(lambda: len(ask.backend.shows) == 1, 5, "the model to be asked for", sidecar.process.tail)
    sidecar.wait_health(lambda h: h["requests"]["held"] == 4)
    ask.backend.shown.go.set()
    assert [background.result().status for background in asked] == [200] * 4
    assert ask(CHAT, AGENT)[0].status == 200
    assert len(ask.backend.shows) == 1 and all(b'"tools":' not in sent for _, sent in ask.backend.requests)


def test_it_is_asked_again_when_models_have_changed(ask, sidecar):
    assert "tools" in ask(CHAT, AGENT)[1][-1]
    ask.backend.shown = able()
    assert "tools" in ask(CHAT, AGENT)[1][-1]
    ask.backend.play = lambda request: single({"status": "success"}) if b"/api/copy" in request[0] else ask.play(request)
    assert sidecar.ask("POST", "/api/copy", {"source": "a", "destination": "m"}).status == 200
    ask.backend.requests.clear()
    assert "tools" not in ask(CHAT, AGENT)[1][-1] and len(ask.backend.shows) == 2


def test_an_image_for_a_model_that_does_not_see_r4_4(ask):
    body = {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "what?"}, IMAGE]}]}
    answer, (sent,) = ask(CHAT, body)
    assert answer.status == 200 and sent["messages"] == [{"role": "user", "content": "what?", "images": [PIXEL]}]
    ask.backend.shown = able("tools")
    answer, requests = ask(CHAT, {**body, "model": "blind"})
    error = answer.json["error"]
    assert answer.status == 400 and len(requests) == 1 and not [load for load in ask.backend.loads if b"blind" in load[1]]
    assert error["message"].startswith('messages[0].content[1]: the model "blind" does not see images') and error["param"] == "messages[0].content[1]"


def test_a_model_that_does_not_think_is_not_asked_to(ask):
    ask.backend.shown = able("tools")
    answer, (sent,) = ask(CHAT, {**BODIES[CHAT], "reasoning_effort": "high"})
    assert answer.status == 200 and "think" not in sent


def test_pins_hold_for_what_is_translated_once_more(sidecar, before):
    sidecar.configure("pin:m", num_ctx="4096")
    backend = before(*single(json.loads(line(True, message={"role": "assistant", "content": "t"}, done_reason="stop"))))
    backend.shown = able()
    with sidecar.connect() as connection:
        assert connection.request("POST", CHAT, {**AGENT, "num_ctx": 5}).status == 200
    (_, sent), = backend.requests
    assert json.loads(sent)["options"]["num_ctx"] == 4096 and b"You can call tools" in sent


def test_who_leaves_while_the_model_is_asked_for_leaves_nothing_behind(sidecar, ask):
    ask.backend.shown = Held(*able())
    with sidecar.connect() as connection:
        connection.send("POST", CHAT, AGENT)
        until(lambda: ask.backend.shows, 5, "the model to be asked for", sidecar.process.tail)
    sidecar.wait_health(lambda h: h["requests"]["held"] == 0)
    ask.backend.shown.go.set()
    answer, (sent,) = ask(CHAT, AGENT)
    assert answer.status == 200 and "tools" not in sent
