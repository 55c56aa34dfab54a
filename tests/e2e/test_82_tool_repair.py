"""Tool calls that a model writes as text, as clients get them: docs/tool-calls.md."""
import json

import pytest

import openai_schema as schema
from played_backend import CLOSE, END, HANG, chunk, head, single
from waiting import until

TOOLS = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in ("look", "say_it")]
ASK = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": TOOLS}
LOOK = '{"name": "look", "arguments": {"at": 12345678901234567890, "to": "é\\n"}}'
ARGUMENTS = '{"at": 12345678901234567890, "to": "é\\n"}'
FORMS = {"a tag": f"<tool_call>\n{LOOK}\n</tool_call>", "a fence": f"```json\n{LOOK}\n```", "a bare object": LOOK,
         "a function": f"<function=look>{ARGUMENTS}</function>", "a token": f"[TOOL_CALLS][{LOOK}]"}
LEFT = {"cline": "<read_file>\n<path>a.c</path>\n</read_file>", "an example": f"Write:\n```json\n{LOOK}\n```\nlike this.", "json": '{"city": "Rome"}',
        "another tool": '<tool_call>{"name": "other", "arguments": {}}</tool_call>', "broken": '<tool_call>{"name": "look", "argu'}
LAST = {"done_reason": "stop", "prompt_eval_count": 3, "eval_count": 2}


def line(text="", done=False, **more):
    """A line of Ollama's /api/chat, as Go writes it: < and > are escaped."""
    calls = {"tool_calls": more.pop("tool_calls")} if "tool_calls" in more else {}
    value = {"model": "m", "message": {"role": "assistant", "content": text, **calls}, **more, "done": done}
    return json.dumps(value).replace("<", "\\u003c").replace(">", "\\u003e").encode() + b"\n"


def stream(text, size, *more):
    """A model that says this in pieces of a size."""
    pieces = [chunk(line(text[i:i + size])) for i in range(0, len(text), size)]
    return [head(), *pieces, *(more or (chunk(line("", True, **LAST)), END))]


def ask(sidecar, **more):
    with sidecar.connect() as connection:
        answer = connection.request("POST", "/v1/chat/completions", {**ASK, **more})
        answer.body  # pylint: disable=pointless-statement
        return answer


def heard(answer):
    """(text, calls, reasons) of an answer, each of whose objects is valid."""
    if answer.header("Content-Type") != "text/event-stream":
        assert not schema.faults(answer.json, schema.CHAT)
        choice = answer.json["choices"][0]
        return choice["message"]["content"], choice["message"].get("tool_calls", []), [choice["finish_reason"]]
    values = [json.loads(piece[6:]) for piece in answer.body.decode().split("\n\n")[:-2]]
    assert answer.body.endswith(b"data: [DONE]\n\n") and not [fault for value in values for fault in schema.faults(value, schema.CHAT_CHUNK)]
    deltas = [value["choices"][0]["delta"] for value in values]
    calls = [call for delta in deltas for call in delta.get("tool_calls", [])]
    assert [call["index"] for call in calls] == list(range(len(calls)))
    return ("".join(delta.get("content") or "" for delta in deltas) or None, calls,
            [value["choices"][0]["finish_reason"] for value in values if value["choices"][0]["finish_reason"]])


def logged(sidecar, count):
    """tool_calls_repaired of so many requests."""
    def look():
        found = [json.loads(text)["tool_calls_repaired"] for text in sidecar.process.log if '"event":"access"' in text and "/v1/" in text]
        return found if len(found) >= count else None
    return until(look, 5, "access lines", sidecar.process.tail)


@pytest.mark.parametrize("name", FORMS)
def test_a_call_in_text_is_a_call(sidecar, before, name):
    backend = before()
    played = [(True, stream(FORMS[name], size)) for size in (1, 3, 1000)] + [
        (False, single(json.loads(line(FORMS[name], True, **LAST))))]
    for is_stream, steps in played:
        backend.play = lambda request, steps=steps: steps
        text, calls, reasons = heard(ask(sidecar, stream=is_stream))
        assert text is None and reasons == ["tool_calls"] and len(calls) == 1 and calls[0]["id"] and calls[0]["type"] == "function"
        assert calls[0]["function"] == {"name": "look", "arguments": ARGUMENTS}
    assert logged(sidecar, 4) == [1, 1, 1, 1]
    assert sidecar.health()["requests"]["tool_calls_repaired"] == 4


@pytest.mark.parametrize("name", LEFT)
def test_other_text_arrives_as_it_is(sidecar, before, name):
    backend = before()
    for is_stream, steps in [(True, stream(LEFT[name], size)) for size in (1, 1000)] + [(False, single(json.loads(line(LEFT[name], True, **LAST))))]:
        backend.play = lambda request, steps=steps: steps
        assert heard(ask(sidecar, stream=is_stream)) == (LEFT[name], [], ["stop"])
    assert logged(sidecar, 3) == [0, 0, 0]


@pytest.mark.parametrize("more", [{"tools": None}, {"tools": []}, {"response_format": {"type": "json_object"}},
                                  {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}}])
def test_without_tools_and_where_json_is_asked_for_nothing_is_looked_for(sidecar, before, more):
    before(*stream(LOOK, 1000))
    assert heard(ask(sidecar, stream=True, **more)) == (LOOK, [], ["stop"])


def test_a_model_that_calls_by_itself_is_believed(sidecar, before):
    own = {"function": {"name": "look", "arguments": {"at": 1}}}
    before(head(), chunk(line("<tool_call>")), chunk(line("", tool_calls=[own])), chunk(line(LOOK)), chunk(line("", True, **LAST)), END)
    text, calls, reasons = heard(ask(sidecar, stream=True))
    assert text == "<tool_call>" + LOOK and len(calls) == 1 and reasons == ["tool_calls"]


def test_text_flows_while_a_call_may_come(sidecar, before):
    """A word is with the client before the next one comes; a call when it is closed, whatever follows."""
    before(*stream("I look. <b>", 100, chunk(line("at")), chunk(line(f" it <tool_call>{LOOK}</tool_call>")), HANG))
    with sidecar.connect() as connection:
        answer = connection.request("POST", "/v1/chat/completions", {**ASK, "stream": True})
        got = b""
        for _, data in answer.pieces():
            got += data
            if b"tool_calls" in got:
                break
        assert b'"content":"I look. <b>"' in got and got.index(b'"at"') < got.index(b'"look"')


def test_what_was_held_is_told_where_the_answer_breaks(sidecar, before):
    before(*stream('ok <tool_call>{"name"', 100, CLOSE))
    answer = ask(sidecar, stream=True)
    assert not answer.clean and b"[DONE]" not in answer.body
    values = [json.loads(piece[6:]) for piece in answer.body.decode().strip().split("\n\n")]
    assert "error" in values[-1] and "".join(value["choices"][0]["delta"]["content"] for value in values[:-1]) == 'ok <tool_call>{"name"'
