"""The optimizer's strategies: which request gets which, what Ollama is sent then, and what its client is told (R4.2, R4.4)."""
import json

import pytest

from played_backend import END, HANG, RESET, able, chunk, head, single
from waiting import until

CHAT = "/v1/chat/completions"
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}}
AGENT = [{"role": "developer", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "u"}, None, {"type": "text", "text": "v"}]}, None,
         {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}, None]},
         {"role": "tool", "tool_call_id": "c1", "content": "42"}]
FRAME = 8  # tokens of a message, beside a quarter of its characters


def chars(tokens):
    """What a prompt of one message says, that has so many tokens by the first estimate."""
    return "x" * 4 * (tokens - FRAME)


def body(tokens=100, **more):
    """A request with such a prompt."""
    return {"model": "auto", "messages": [{"role": "user", "content": chars(tokens)}], **more}


def answer_of(asked, **more):
    """What a model says to that."""
    last = {"model": asked["model"], "message": {"role": "assistant", "content": "t"}, "done": True, "done_reason": "stop",
            "prompt_eval_count": 1, "eval_count": 1, **more}
    return [head(), chunk(json.dumps(last).encode() + b"\n"), END] if asked.get("stream") else single(last)


@pytest.fixture
def start(sidecar, before):
    """start(section={keys}): a proxy with an optimizer before a backend that says `t`; the backend, its `chats` those that were asked."""
    def start(more=None, play=None, **sections):
        def answer(request):
            asked = json.loads(request[1] or b"{}")
            if b"/api/tags" in request[0]:
                return single({"models": []})
            return play(asked) if play else answer_of(asked, **(more or {}))
        sidecar.configure("optimizer", enabled="yes", share="off")
        for section, keys in sections.items():
            sidecar.configure(section.replace("__", ":"), **keys)
        return before(play=answer, **sections.get("proxy", {}))
    return start


@pytest.fixture
def ask(sidecar):
    """ask(body, header=value): the answer, read to its end."""
    def ask(sent, path=CHAT, **headers):
        with sidecar.connect() as connection:
            answer = connection.request("POST", path, sent, [(name.replace("_", "-"), value) for name, value in headers.items()])
            answer.body  # pylint: disable=pointless-statement
        return answer
    return ask


def sent_to(backend):
    """What it was asked last: the path, and the body."""
    request, asked = [each for each in backend.requests if each[1]][-1]
    return request.split()[1].decode(), json.loads(asked)


@pytest.mark.parametrize("tokens, strategy, model", [
    (20, "A", "qwen3:4b"), (1999, "A", "qwen3:4b"), (2000, "B", "qwen3:0.6b"), (6000, "B", "qwen3:0.6b"), (6001, "C", "qwen3:4b")])
@pytest.mark.parametrize("stream", [False, True])
def test_tokens_as_received_choose_r4_2(start, ask, tokens, strategy, model, stream):
    backend = start()
    answer = ask(body(tokens, stream=stream))
    path, sent = sent_to(backend)
    assert answer.status == 200 and answer.clean and answer.header("X-Sidecar-Strategy") == strategy and answer.header("X-Sidecar-Tokens-Saved") is None
    assert int(answer.header("X-Sidecar-Tokens")) == tokens
    assert path == "/api/chat" and sent["model"] == model and sent["options"]["num_ctx"] == 8192 and sent["messages"][-1] == body(tokens)["messages"][0]
    said = json.loads(answer.body.split(b"\n")[0].removeprefix(b"data: ")) if stream else answer.json
    assert said["model"] == model


def test_characters_are_counted_not_bytes_r4_2(start, ask):
    backend = start()
    text = "é😀日\n" * 2000
    assert ask(body(messages=[{"role": "user", "content": text}])).header("X-Sidecar-Strategy") == "B"  # 2,008 tokens; of bytes there are 5,508
    assert sent_to(backend)[1]["messages"] == [{"role": "user", "content": text}]


def test_tools_and_all_messages_count_r4_2(start, ask):
    start()
    messages = [{"role": "system", "content": "x" * 4000}, {"role": "user", "content": "x" * 2000}]
    assert ask(body(messages=messages)).header("X-Sidecar-Strategy") == "A"
    assert ask(body(messages=messages, tools=[TOOL] * 30)).header("X-Sidecar-Strategy") == "B"


def test_a_header_chooses_otherwise_r4_2(start, ask):
    backend = start()
    answer = ask(body(100, model="qwen3:4b"), X_Sidecar_Strategy="off")
    assert answer.status == 200 and answer.header("X-Sidecar-Strategy") is None and "num_ctx" not in sent_to(backend)[1]["options"]
    answer = ask(body(100), X_Sidecar_Strategy="B")
    assert answer.header("X-Sidecar-Strategy") == "B" and sent_to(backend)[1]["model"] == "qwen3:0.6b"
    assert ask(body(5000), X_Sidecar_Strategy="A").json["model"] == "qwen3:4b"


def test_a_header_that_says_nothing_chooses_nothing(start, ask):
    start()
    assert ask(body(100), X_Sidecar_Strategy="").header("X-Sidecar-Strategy") == "A"


@pytest.mark.parametrize("header, code, text", [
    ("off", "no_strategy", "the model auto is the optimizer's, and X-Sidecar-Strategy is off: name another model, or leave the header out"),
    ("D", "unknown_strategy", 'X-Sidecar-Strategy: there is no strategy "D"; it may be A, B, C, off, or left out'),
    ("a", "unknown_strategy", 'there is no strategy "a"'), ("x" * 500, "unknown_strategy", "x" * 64 + '"')])
def test_a_header_that_asks_for_what_is_not_there(start, ask, header, code, text):
    backend = start()
    answer = ask(body(), X_Sidecar_Strategy=header)
    error = answer.json["error"]
    assert answer.status == 400 and error["code"] == code and text in error["message"] and error["type"] == "invalid_request_error"
    assert not backend.requests


def test_a_strategy_has_its_whole_name_everywhere_r4_2(start, ask):
    """Of 64 characters, as long as one may be; and an error lists all that there are."""
    names = [f"{n:02}" + "s" * 62 for n in range(16)]
    start(**{f"strategy__{name}": {"min_tokens": 1000 * n, "max_tokens": 1000 * n + 999, "model": "m"} for n, name in enumerate(names)})
    assert ask(body(100), X_Sidecar_Strategy=names[3]).header("X-Sidecar-Strategy") == names[3]
    refused = ask(body(100), X_Sidecar_Strategy=names[3] + "s").json["error"]
    assert refused["code"] == "unknown_strategy" and all(name in refused["message"] for name in names)


@pytest.mark.parametrize("name", ["AUTO", "auto:latest"])
def test_auto_is_no_model_however_it_is_written(start, ask, name):
    backend = start(strategy__only={"min_tokens": 1000, "model": "m"})
    for headers in ({}, {"X_Sidecar_Strategy": "off"}):
        refused = ask(body(100, model=name), **headers)
        assert (refused.status, refused.json["error"]["code"]) == (400, "no_strategy")
    assert ask(body(2000, model=name)).header("X-Sidecar-Strategy") == "only" and sent_to(backend)[1]["model"] == "m"


def test_what_is_not_listed_passes_whatever_the_header_says_r4_2(start, ask, sidecar):
    backend = start(optimizer={"models": "auto, code*"})
    for model, header in [("qwen3:4b", {}), ("other", {"X_Sidecar_Strategy": "D"}), ("cod", {})]:
        sent = {"model": model, "messages": [{"role": "user", "content": chars(7000)}]}
        answer = ask(sent, **header)
        assert answer.status == 200 and answer.header("X-Sidecar-Strategy") is None
        assert sent_to(backend)[1] == {**sent, "stream": False, "options": {"temperature": 1.0, "top_p": 1.0}}
    assert ask(body(100, model="coder:7b")).header("X-Sidecar-Strategy") == "A"
    assert sent_to(backend)[1]["model"] == "qwen3:4b"
    for path in ("/api/chat", "/v1/completions"):
        ask({"model": "auto", "prompt": "p", "messages": [{"role": "user", "content": "p"}]}, path)
        assert sent_to(backend)[1]["model"] == "auto"
    sidecar.stop()
    assert len(sidecar.process.logged('"strategy":"A"')) == 1


def test_nothing_of_it_where_it_is_not_enabled(ask, before):
    backend = before(play=lambda request: answer_of(json.loads(request[1] or b"{}")))
    assert ask(body(), X_Sidecar_Strategy="D").header("X-Sidecar-Strategy") is None
    assert sent_to(backend)[1]["model"] == "auto"


def test_options_are_the_strategys_where_the_client_says_nothing(start, ask):
    backend = start(strategy__S={"model": "m", "options": "num_ctx=4096, temperature=0.2, top_k=5, top_p=0.9"})
    for more, options in [({}, {"temperature": 0.2, "top_k": 5, "top_p": 0.9}), ({"temperature": 1.0, "top_k": 7}, {"temperature": 1.0, "top_k": 7, "top_p": 0.9}),
                          ({"num_ctx": 99, "seed": 3}, {"temperature": 0.2, "top_k": 5, "top_p": 0.9, "seed": 3})]:
        ask(body(**more))
        assert sent_to(backend)[1]["options"] == {"num_ctx": 4096, **options}


def test_a_pin_wins_over_a_strategy(start, ask):
    backend = start(pin__m={"num_ctx": "2048"}, strategy__S={"model": "m", "options": "num_ctx=4096"})
    assert ask(body(1000)).status == 200
    assert sent_to(backend)[1]["options"]["num_ctx"] == 2048
    answer = ask(body(2049))
    assert answer.status == 400 and "num_ctx of strategy S is 2048" in answer.json["error"]["message"]


def test_a_has_tools_natively_r4_4(start, ask):
    backend = start()
    answer = ask({"model": "auto", "messages": AGENT, "tools": [TOOL]})
    sent = sent_to(backend)[1]
    assert answer.header("X-Sidecar-Strategy") == "A" and sent["tools"] == [TOOL]
    assert [(m["role"], m["content"]) for m in sent["messages"]] == [("system", "s"), ("user", "u\n\nv"), ("assistant", ""), ("tool", "42")]


def test_a_without_native_tools_has_them_in_words_r4_4(start, ask):
    backend = start()
    backend.shown = able()
    assert ask({"model": "auto", "messages": AGENT, "tools": [TOOL]}).header("X-Sidecar-Strategy") == "A"
    sent = sent_to(backend)[1]
    assert "tools" not in sent and sent["model"] == "qwen3:4b" and sent["options"]["num_ctx"] == 8192
    assert [m["role"] for m in sent["messages"]] == ["system", "system", "user", "assistant", "user"]


@pytest.mark.parametrize("strategy", ["B", "C"])
@pytest.mark.parametrize("shown", [able("tools"), able()])
def test_b_and_c_have_tools_in_words_r4_4(start, ask, strategy, shown):
    """Whatever the model is able to: roles tool and function become user, calls become text, and what it writes is read as a call."""
    written = {"role": "assistant", "content": '<tool_call>{"name":"f","arguments":{"a":2}}</tool_call>'}
    backend = start({"message": written})
    backend.shown = shown
    messages = AGENT + [{"role": "function", "name": "f", "content": "43"}]
    answer = ask({"model": "auto", "messages": messages, "tools": [TOOL]}, X_Sidecar_Strategy=strategy)
    sent = sent_to(backend)[1]
    assert "tools" not in sent and [m["role"] for m in sent["messages"]] in (["system", "system", "user", "assistant", "user", "user"], ["system", "system", "user", "user", "user"])
    assert json.loads(sent["messages"][1]["content"].splitlines()[-1]) == TOOL["function"]
    assert sent["messages"][-1]["content"] == "[tool result: f]\n43"
    (call,) = answer.json["choices"][0]["message"]["tool_calls"]
    assert call["function"] == {"name": "f", "arguments": '{"a":2}'} and answer.json["choices"][0]["finish_reason"] == "tool_calls"


def test_what_a_model_lacks_is_left_out_behind_the_summaries_too_r4_2(start, ask):
    """It is known when the parts are mapped already: the body is translated once more, and the summaries stay."""
    backend = start({"message": {"role": "assistant", "content": "what was said"}})
    backend.shown = able()
    said = [{"role": role, "content": "x" * 9000} for role in ("user", "assistant")]
    answer = ask({"model": "auto", "messages": [*said, *AGENT], "tools": [TOOL], "reasoning_effort": "high"}, X_Sidecar_Strategy="C")
    sent = sent_to(backend)[1]
    assert answer.status == 200 and sent["model"] == "qwen3:4b" and "tools" not in sent and "think" not in sent
    assert [m["role"] for m in sent["messages"]] == ["system", "user", "user", "user"] and "what was said" in sent["messages"][1]["content"]
    assert sent["messages"][-1]["content"] == "[tool result: f]\n42" and len(backend.shows) >= 1


def test_tools_of_a_strategy_natively_where_it_says_so(start, ask):
    backend = start(strategy__S={"model": "m", "tools": "native"})
    ask({"model": "auto", "messages": AGENT, "tools": [TOOL]})
    assert sent_to(backend)[1]["tools"] == [TOOL]


def test_a_long_system_prompt_is_cut_and_words_about_tools_are_not_r4_3(start, ask):
    backend = start(optimizer={"system_budget": "400"})
    messages = [{"role": "system", "content": "a" * 300}, {"role": "developer", "content": [{"type": "text", "text": "b" * 300}]}, {"role": "user", "content": "u"}]
    for strategy, roles in [("A", ["system", "user"]), ("B", ["system", "system", "user"])]:
        answer = ask({"model": "auto", "messages": messages, "tools": [TOOL]}, X_Sidecar_Strategy=strategy)
        sent = sent_to(backend)[1]["messages"]
        assert [m["role"] for m in sent] == roles and len(sent[0]["content"]) <= 400
        assert sent[0]["content"].startswith("a" * 100) and sent[0]["content"].endswith("b" * 100) and sent[-1] == messages[-1]
        assert answer.header("X-Sidecar-Tokens-Saved") or strategy == "B"
    assert json.loads(sent[1]["content"].splitlines()[-1]) == TOOL["function"]


def test_history_loses_its_oldest_turns_r4_2(start, ask):
    backend = start(strategy__S={"model": "m", "options": "num_ctx=1000", "tools": "native"})
    turns = [m for i in range(6) for m in ({"role": "user", "content": f"q{i} " + "x" * 300}, {"role": "assistant", "content": f"a{i} " + "y" * 300})]
    asked = {"role": "user", "content": "last " + "z" * 300}
    answer = ask({"model": "auto", "messages": [{"role": "system", "content": "s"}, *turns, asked], "tools": [TOOL]})
    sent = sent_to(backend)[1]
    assert answer.status == 200 and int(answer.header("X-Sidecar-Tokens-Saved")) > 250
    assert sent["tools"] == [TOOL] and sent["messages"][0] == {"role": "system", "content": "s"}
    assert sent["messages"][1] == {"role": "user", "content": "[6 earlier messages were left out to fit the context]"}
    assert sent["messages"][2:] == [*turns[6:], asked]


def test_what_fits_in_no_way_is_refused_r4_2(start, ask, sidecar):
    backend = start(strategy__S={"model": "m", "options": "num_ctx=1000"})
    answer = ask(body(1200, stream=True))
    error = answer.json["error"]
    assert answer.status == 400 and error["code"] == "context_length_exceeded" and error["type"] == "invalid_request_error"
    assert "about 1200 tokens" in error["message"] and "num_ctx of strategy S is 1000" in error["message"] and "[strategy:S] options" in error["message"]
    assert not [asked for _, asked in backend.requests if asked] and not backend.loads
    assert ask(body(1000)).status == 200
    sidecar.stop()
    (entry,) = sidecar.process.logged('"status":400')
    assert '"code":"context_length_exceeded"' in entry and '"strategy":"S","tokens_received":1200,' in entry


def test_a_long_answer_has_its_room(start, ask):
    backend = start(strategy__S={"model": "m", "options": "num_ctx=1000"})
    turns = [{"role": "user", "content": "x" * 368} for _ in range(7)]  # 700 tokens
    ask(body(messages=turns))
    assert len(sent_to(backend)[1]["messages"]) == 7
    ask(body(messages=turns, max_tokens=500))
    assert len(sent_to(backend)[1]["messages"]) == 5 and sent_to(backend)[1]["options"]["num_predict"] == 500


def test_a_gap_passes_and_auto_is_refused(start, ask):
    backend = start(strategy__long={"model": "m", "min_tokens": "1000"})
    answer = ask(body(999))
    assert answer.status == 400 and answer.json["error"]["code"] == "no_strategy" and "about 999 tokens" in answer.json["error"]["message"]
    answer = ask(body(999, model="qwen3:4b"))
    assert answer.status == 200 and answer.header("X-Sidecar-Strategy") is None and sent_to(backend)[1]["model"] == "qwen3:4b"
    assert ask(body(999), X_Sidecar_Strategy="long").status == 200
    assert ask(body(1000)).header("X-Sidecar-Strategy") == "long"


def test_answers_teach_how_many_tokens_there_are_r4_2(start, ask, sidecar):
    """The model counts two characters a token: a prompt that was taken for 1,500 tokens has 3,000, and B's it is from then on."""
    backend = start(play=lambda asked: answer_of(asked, prompt_eval_count=sum(len(m["content"]) // 2 for m in asked["messages"])))
    assert ask(body(1500)).header("X-Sidecar-Strategy") == "A"
    assert ask(body(1500, stream=True)).header("X-Sidecar-Strategy") == "B"
    assert sent_to(backend)[1]["model"] == "qwen3:0.6b"
    assert ask(body(700)).header("X-Sidecar-Strategy") == "A"
    sidecar.stop()
    assert '"tokens_received":1500' in sidecar.process.logged('"strategy":"A"')[0]
    assert 2800 < json.loads(sidecar.process.logged('"strategy":"B"')[0])["tokens_received"] < 3100


@pytest.mark.parametrize("count", [150, 374, 7400])
def test_counts_that_say_nothing_teach_nothing(start, ask, count):
    """Short ones, those of prompts that were mostly cached, and those of prompts that fill the context."""
    start({"prompt_eval_count": count})
    for _ in range(2):
        ask(body(1500))
    assert ask(body(1999)).header("X-Sidecar-Strategy") == "A"


def test_a_model_that_is_not_installed_r4_2(start, ask):
    def play(asked):
        return single({"error": f"model '{asked['model']}' not found"}, status="404 Not Found")
    backend = start(play=play)
    backend.loaded = b"".join(play({"model": "qwen3:0.6b"}))
    answer = ask(body(3000))
    error = answer.json["error"]
    assert answer.status == 404 and error["code"] == "model_not_found"
    assert error["message"] == "model qwen3:0.6b not found: it is the one that answers by [strategy:B]; ollama pull qwen3:0.6b"


def test_a_model_that_is_not_installed_is_pulled_where_it_may_r4_2(sidecar):
    sidecar.configure("optimizer", enabled="yes")
    sidecar.configure("proxy", pull_missing="yes")
    sidecar.boot("m", tokens=1, pull_bytes=100_000, pull_rate_bytes_s=10 << 20)
    assert sidecar.ask("POST", CHAT, body(3000)).json["model"] == "qwen3:0.6b"
    assert [entry["model"] for entry in sidecar.backend.journal("pull_start")] == ["qwen3:0.6b"]


def test_errors_are_told_as_answers_where_that_is_wanted(start, ask):
    start(proxy={"fallback_answer": "yes"}, strategy__S={"model": "m", "options": "num_ctx=1000"})
    answer = ask(body(1200))
    assert answer.status == 200 and answer.header("X-Sidecar-Error") == "context_length_exceeded"
    assert answer.json["choices"][0]["message"]["content"].startswith("Error: the prompt is too long")


def test_errors_of_the_backend_are_told_as_ever(start, ask):
    start(play=lambda asked: single({"error": "no memory is left"}, status="500 Internal Server Error"))
    answer = ask(body(3000))
    assert answer.status == 500 and answer.json["error"]["message"] == "no memory is left" and answer.header("X-Sidecar-Strategy") == "B"


def test_an_answer_that_is_lost_is_asked_for_once_more(start, ask):
    answers = [[RESET]]
    backend = start(play=lambda asked: answers.pop() if answers else answer_of(asked))
    assert ask(body(3000)).json["choices"][0]["message"]["content"] == "t"
    assert [json.loads(asked)["model"] for _, asked in backend.requests if asked] == ["qwen3:0.6b"] * 2


def test_one_answer_alone_can_be_had(start, ask):
    start()
    answer = ask(body(n=2))
    assert answer.status == 400 and answer.json["error"]["message"].startswith("n: must be 1")


def test_a_stream_that_breaks_says_so(start, ask):
    start(play=lambda asked: [head(), chunk(json.dumps({"model": "m", "message": {"role": "assistant", "content": "t"}, "done": False}).encode() + b"\n"), RESET])
    answer = ask(body(3000, stream=True))
    assert answer.status == 200 and not answer.clean and b"broke off" in answer.body


@pytest.mark.parametrize("stream", [False, True])
def test_a_strategys_time_is_limited_r4_2(start, ask, sidecar, stream):
    backend = start(strategy__S={"model": "m", "timeout": "300ms"}, play=lambda asked: [HANG])
    answer = ask(body(stream=stream))
    error = answer.json["error"]
    assert answer.status == 504 and error["code"] == "strategy_timeout" and error["message"] == "the answer was not whole within 300ms ([strategy:S] timeout)"
    until(lambda: backend.cuts == 1, 5, "the backend to be left")
    sidecar.stop()
    assert '"ended":"timeout"' in sidecar.process.logged('"code":"strategy_timeout"')[0]


def test_a_strategys_time_ends_in_a_stream_r4_2(start, ask):
    begun = chunk(json.dumps({"model": "m", "message": {"role": "assistant", "content": "t"}, "done": False}).encode() + b"\n")
    start(strategy__S={"model": "m", "timeout": "500ms"}, play=lambda asked: [head(), begun, HANG])
    answer = ask(body(stream=True))
    assert answer.status == 200 and not answer.clean and b'"content":"t"' in answer.body and b"[strategy:S] timeout" in answer.body


def test_a_strategys_time_is_over_while_it_waits(start, ask):
    backend = start(strategy__S={"model": "m", "timeout": "300ms"})
    backend.loaded, backend.hangs_loading = b"", True
    assert ask(body()).json["error"]["code"] == "strategy_timeout"


def test_a_key_needs_the_right_to_the_name_that_is_asked_for(start, ask):
    backend = start(key__one={"secret": "sk-one", "models": "auto"}, key__two={"secret": "sk-two", "models": "qwen3:4b"})
    assert ask(body(3000), Authorization="Bearer sk-one").json["model"] == "qwen3:0.6b"
    backend.requests.clear()
    answer = ask(body(3000), Authorization="Bearer sk-two")
    assert answer.status == 404 and answer.json["error"]["code"] == "model_not_found" and not backend.requests
    assert ask(body(3000, model="qwen3:4b"), Authorization="Bearer sk-two").json["model"] == "qwen3:0.6b"


def test_a_configured_backend_is_not_asked(start, ask, openai_backend):
    other = openai_backend(ini={"models": "*"})
    backend = start()
    assert ask(body(3000)).header("X-Sidecar-Backend") is None
    assert sent_to(backend)[1]["model"] == "qwen3:0.6b" and not other.journal


def test_a_client_that_leaves_ends_it(start, sidecar):
    backend = start(play=lambda asked: [HANG])
    with sidecar.connect() as connection:
        connection.send("POST", CHAT, body(3000))
        until(lambda: [asked for _, asked in backend.requests if asked], 5, "the backend to be asked")
    until(lambda: backend.cuts == 1, 5, "the backend to be left")


@pytest.mark.parametrize("sent", [b"", b"{", b"[]", b'{"model":"auto"}', b'{"model":"auto","messages":5}', b'{"model":"auto","messages":[null,5,{}]}'])
def test_bodies_that_are_none_are_refused_as_ever(start, ask, sent):
    start()
    answer = ask(sent)
    assert answer.status == 400 and answer.json["error"]["message"]


@pytest.mark.limit(60)
def test_a_reload_puts_other_strategies_in_force_r4_2(sidecar):
    sidecar.configure("optimizer", enabled="yes")
    sidecar.boot("qwen3:4b,qwen3:0.6b,m", tokens=1)
    assert sidecar.ask("POST", CHAT, body()).json["model"] == "qwen3:4b"
    sidecar.configure("strategy:S", model="m")
    sidecar.write_ini()
    assert sidecar.ctl("reload").returncode == 0
    until(lambda: sidecar.ask("POST", CHAT, body()).json["model"] == "m", 10, "the new strategies", sidecar.process.tail)


@pytest.mark.parametrize("strategy, model", [("A", "qwen3:4b"), ("B", "qwen3:0.6b"), ("C", "qwen3:4b")])
def test_an_image_that_the_model_of_a_strategy_does_not_see_r4_4(start, ask, strategy, model):
    start().shown = able("tools")
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    answer = ask({"model": "auto", "messages": [{"role": "user", "content": [image]}]}, X_Sidecar_Strategy=strategy)
    assert answer.status == 400
    assert answer.json["error"]["message"].startswith(f'messages[0].content[0]: the model "{model}" does not see images')
