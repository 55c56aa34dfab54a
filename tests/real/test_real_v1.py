"""Our translation of /v1 beside the real Ollama's own: the same questions have the same answers."""
import base64
import json
import struct

import pytest

from client import ask

pytestmark = pytest.mark.limit(60)

SURE = {"temperature": 0, "seed": 1, "max_tokens": 6}
HI = [{"role": "user", "content": "hi there"}]
PICTURE = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {
    "type": "object", "required": [], "properties": {"a": {"type": "string", "description": "x"}}}}}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\":\"b\"}"}}

CHATS = {
    "one message": {"messages": HI},
    "a conversation": {"messages": [{"role": "system", "content": "be kind"}, *HI, {"role": "assistant", "content": "hello"},
                                    {"role": "user", "content": "more"}]},
    "text parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "text", "text": "there"}]}]},
    "one text part": {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi there"}]}]},
    "signs": {"messages": [{"role": "user", "content": "\u0000 \u2028 \U0001F600 \" \\ / \u00e9"}]},
    "stop": {"messages": HI, "stop": "a"},
    "stops": {"messages": HI, "stop": ["a", "o"]},
    "penalties": {"messages": HI, "frequency_penalty": 1.5, "presence_penalty": 0.5, "top_p": 0.5},
    "no limit": {"messages": HI, "max_tokens": None},
    "json": {"messages": HI, "response_format": {"type": "json_object"}},
    "a schema": {"messages": HI, "response_format": {"type": "json_schema", "json_schema": {
        "name": "n", "schema": {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}}}},
    "what is not read": {"messages": HI, "n": 1, "user": "u", "logit_bias": {}, "tool_choice": "auto"},
}
CALLED = [*HI, {"role": "assistant", "content": None, "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "c", "content": "5"}]
TEXTS = {
    "a prompt": {"prompt": "hi there"},
    "an empty prompt": {"prompt": ""},
    "stop": {"prompt": "hi there", "stop": ["a"]},
    "penalties": {"prompt": "hi there", "frequency_penalty": 1.5, "presence_penalty": 0.5, "top_p": 0.5},
}
REFUSED = {
    "an unknown model": ("/v1/chat/completions", {"model": "absent", "messages": HI}),
    "an unknown model, a stream": ("/v1/chat/completions", {"model": "absent", "messages": HI, "stream": True}),
    "an unknown model, completions": ("/v1/completions", {"model": "absent", "prompt": "x"}),
    "an unknown model, embeddings": ("/v1/embeddings", {"model": "absent", "input": "x"}),
    "suffix": ("/v1/completions", {"model": "tiny", "prompt": "x", "suffix": "y"}),
}
# Refused by both, by us in words of our own.
MISTAKES = {
    "no messages": ("/v1/chat/completions", {"model": "tiny", "messages": []}),
    "an address": ("/v1/chat/completions", {"model": "tiny", "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "http://localhost/x.png"}}]}]}),
    "no JSON": ("/v1/chat/completions", b"{"),
    "temperature": ("/v1/chat/completions", {"model": "tiny", "messages": HI, "temperature": "hot"}),
    "several prompts": ("/v1/completions", {"model": "tiny", "prompt": ["a", "b"]}),
    "no input": ("/v1/embeddings", {"model": "tiny"}),
    "an empty input": ("/v1/embeddings", {"model": "tiny", "input": []}),
}


@pytest.fixture(name="both")
def _both(sidecar):
    """both(path, body): the answers of Ollama itself and through the proxy."""
    sidecar.configure("pin:*", use_mmap="client")  # else each of the two ways would load the model again
    sidecar.start()
    sidecar.wait_ready()
    port = int(sidecar.env["OLLAMA_HOST"].rsplit(":", 1)[1])
    return lambda path, body: [ask(asked, "POST", path, body, timeout=30) for asked in (port, sidecar.port)]


def whole(answer):
    """What an answer in one object says: all but what differs from one to the next."""
    value = answer.json
    assert answer.status == 200 and isinstance(value.pop("created"), int) and value.pop("id")
    for choice in value["choices"]:  # which OpenAI's reference has, and Ollama has not
        assert choice.get("logprobs") is None and choice.get("message", {}).get("refusal") is None
        choice.pop("logprobs", None)
        choice.get("message", {}).pop("refusal", None)
    return value


def streamed(answer):
    """What a stream says: who, what, why it ended, the counts; and that it says so in a way that clients know."""
    assert answer.status == 200 and answer.header("content-type").startswith("text/event-stream")
    texts = answer.body.decode().split("\n\n")
    assert texts[-2:] == ["data: [DONE]", ""]
    events = [json.loads(text.removeprefix("data: ")) for text in texts[:-2]]
    same = {(event["id"], event["object"], event["model"], event["system_fingerprint"]) for event in events}
    assert len(same) == 1
    choices = [choice for event in events for choice in event["choices"]]
    assert all(choice["index"] == 0 for choice in choices)
    said = "".join(choice["text"] if "text" in choice else choice["delta"].get("content") or "" for choice in choices)
    reasons = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    usage = [event["usage"] for event in events if event.get("usage") and not event["choices"]]
    return said, reasons, usage, same.pop()[1:]


def is_error(answer, kind):
    """The text of an error object of this type."""
    error = answer.json["error"]
    assert error["type"] == kind, answer.body
    return error["message"]


def unloaded_is_stop(value):
    """Ollama says `load` where there was nothing to say, which no client of OpenAI's knows."""
    return json.loads(json.dumps(value).replace('"load"', '"stop"'))


def test_chats_say_the_same(both):
    for name, chat in CHATS.items():
        body = {"model": "tiny", **SURE, **chat}
        direct, ours = map(whole, both("/v1/chat/completions", body))
        assert ours == direct, name
        body = {**body, "stream": True, "stream_options": {"include_usage": True}}
        direct, ours = map(streamed, both("/v1/chat/completions", body))
        assert ours == direct and ours[2], name
    body["stream_options"] = None
    direct, ours = map(streamed, both("/v1/chat/completions", body))
    assert ours == direct and not ours[2]


def test_completions_say_the_same(both):
    for name, text in TEXTS.items():
        body = {"model": "tiny", **SURE, **text}
        direct, ours = map(whole, both("/v1/completions", body))
        assert ours == unloaded_is_stop(direct), name
        body = {**body, "stream": True, "stream_options": {"include_usage": True}}
        direct, ours = map(streamed, both("/v1/completions", body))
        assert list(ours) == unloaded_is_stop(direct)[:3] + [direct[3]], name


def test_embeddings_are_the_same(both):
    for given in ("hi there", ["hi", "there"], "", [""]):
        direct, ours = both("/v1/embeddings", {"model": "tiny", "input": given})
        assert (ours.status, ours.json) == (direct.status, direct.json) and ours.json["data"]
        packed = both("/v1/embeddings", {"model": "tiny", "input": given, "encoding_format": "base64"})[1].json
        for number, entry in enumerate(packed["data"]):
            floats = direct.json["data"][number]["embedding"]
            assert base64.b64decode(entry["embedding"]) == struct.pack(f"<{len(floats)}f", *floats)


def test_an_image_for_a_model_that_sees_nothing_is_refused(both):
    """Ollama 0.9.5 passes over it, and answers as if there were none."""
    parts = [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PICTURE}}]
    direct, ours = both("/v1/chat/completions", {"model": "tiny", **SURE, "messages": [{"role": "user", "content": parts}]})
    assert (direct.status, ours.status) == (200, 400) and "does not see images" in is_error(ours, "invalid_request_error")


def test_r4_4_a_model_without_tools_is_told_of_them_and_of_their_calls(both):
    """Ollama refuses the tools, and its prompt leaves out calls and results."""
    body = {"model": "tiny", **SURE, "messages": HI, "tools": [TOOL]}
    direct, ours = both("/v1/chat/completions", body)
    assert direct.status == 400 and whole(ours)["choices"]
    direct, ours = (whole(answer)["usage"]["prompt_tokens"] for answer in both("/v1/chat/completions", {"model": "tiny", **SURE, "messages": CALLED}))
    assert ours > direct


def test_tools_reach_a_template_that_has_a_place_for_them(sidecar, both):
    """What a model makes of its prompt at temperature 0 tells whether the prompt is the same one."""
    template = "{{ .Tools }}{{ range .Messages }}{{ .Role }}: {{ .Content }}{{ range .ToolCalls }}{{ .Function.Name }}{{ .Function.Arguments }}{{ end }}\n{{ end }}"
    assert both("/api/create", {"model": "tools", "from": "tiny", "template": template, "stream": False})[0].status == 200
    said = set()
    for tools in ([TOOL], [TOOL, TOOL], None):
        for messages in (HI, CALLED):
            body = {"model": "tools", **SURE, "messages": messages, "tools": tools}
            direct, ours = map(whole, both("/v1/chat/completions", body))
            assert ours == direct
            direct, ours = map(streamed, both("/v1/chat/completions", {**body, "stream": True}))
            assert ours == direct
            said.add(json.dumps(ours))
    assert len(said) > 1  # else it would tell nothing
    assert sidecar.ask("DELETE", "/api/delete", {"model": "tools"}).status == 200


def test_what_ollama_refuses_is_refused_in_the_same_words(both):
    for name, (path, body) in REFUSED.items():
        direct, ours = both(path, body)
        assert ours.status == direct.status and ours.status in (400, 404, 500), name
        kind = {400: "invalid_request_error", 404: "not_found_error"}.get(ours.status, "api_error")
        assert is_error(ours, kind) == direct.json["error"]["message"], name


def test_mistakes_are_refused_by_both(both):
    for name, (path, body) in MISTAKES.items():
        direct, ours = both(path, body)
        assert (ours.status, direct.status) == (400, 400), name
        assert is_error(ours, "invalid_request_error")
