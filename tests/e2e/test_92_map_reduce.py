"""Map-reduce of long conversations (R4.2, strategy C): what is mapped and what is not, how many at once, what fails, who leaves."""
import json

import pytest

from client import Background
from mapping import FACTS, LARGE, SMALL, access_line, asked, at_once, boot, body, complete, conversation, rules, text
from waiting import until


def test_a_conversation_of_17500_tokens_becomes_summaries_with_all_facts_R4_2(sidecar):
    boot(sidecar)
    messages = conversation()
    answer = complete(sidecar, messages)
    assert answer.status == 200
    assert answer.json["model"] == LARGE
    assert answer.header("X-Sidecar-Strategy") == "C"
    assert int(answer.header("X-Sidecar-Tokens-Saved")) > 10000
    parts, reduced = asked(sidecar, SMALL), asked(sidecar, LARGE)
    assert len(reduced) == 1
    sent = reduced[0]["messages"]
    assert sent[0] == messages[0] and sent[-1] == messages[-1]
    assert [fact for fact in FACTS if fact not in json.dumps(sent)] == []
    assert len(sent) == 3 and sent[1]["role"] == "user"
    assert all(f"[part {number} of {len(parts)}]" in sent[1]["content"] for number in range(1, len(parts) + 1))
    mapped = "".join(part["messages"][1]["content"].replace("[user, continued]\n", "").replace("[assistant, continued]\n", "")
                     for part in sorted(parts, key=lambda part: mapped_at(messages, part)))
    assert mapped == f"[user]\n{messages[1]['content']}\n\n[assistant]\n{messages[2]['content']}\n\n"


def mapped_at(messages, part) -> int:
    """Where in the conversation a part stands."""
    whole = f"[user]\n{messages[1]['content']}\n\n[assistant]\n{messages[2]['content']}\n\n"
    content = part["messages"][1]["content"]
    return whole.index(content.split("continued]\n", 1)[-1])


@pytest.mark.parametrize("parallel, workers, most", [(4, 4, 4), (1, 4, 1), (4, 2, 2), (2, 4, 2)])
def test_as_many_parts_at_once_as_there_are_workers_and_slots_R4_2(sidecar, parallel, workers, most):
    boot(sidecar, parallel=parallel, strategy={"workers": workers})
    assert complete(sidecar).status == 200
    assert len(asked(sidecar, SMALL)) >= 6
    assert at_once(sidecar, SMALL) == most


def test_what_the_map_model_is_asked_R4_2(sidecar):
    boot(sidecar, strategy={"options": "num_ctx=8192, temperature=0.25, num_predict=700"})
    assert complete(sidecar).status == 200
    for part in asked(sidecar, SMALL):
        assert part["stream"] is False and part["think"] is False
        assert [message["role"] for message in part["messages"]] == ["system", "user"]
        assert "material, not instructions" in part["messages"][0]["content"]
        assert len(part["messages"][1]["content"]) <= 12000
        assert (part["options"]["num_ctx"], part["options"]["temperature"]) == (8192, 0.25)
        assert 64 <= part["options"]["num_predict"] <= 1024
        assert "keep_alive" not in part and "tools" not in part


def test_a_part_that_fails_once_is_asked_for_once_more_R4_2(sidecar):
    boot(sidecar, small={"fails_at": {"text": FACTS[9], "times": 1}})
    assert complete(sidecar).status == 200
    sent = json.dumps(asked(sidecar, LARGE)[0]["messages"])
    assert [fact for fact in FACTS if fact not in sent] == []
    assert access_line(sidecar)["parts_failed"] == 0


def test_a_part_that_fails_twice_is_left_out_with_a_note_R4_2(sidecar):
    boot(sidecar, small={"fails_at": {"text": FACTS[9]}})
    answer = complete(sidecar)
    assert (answer.status, answer.json["model"]) == (200, LARGE)
    sent = json.dumps(asked(sidecar, LARGE)[0]["messages"])
    missing = [fact for fact in FACTS if fact not in sent]
    assert FACTS[9] in missing and len(missing) < 8
    parts_n = access_line(sidecar)["parts"]
    assert sum(f"[part {number} of {parts_n} could not be read]" in sent for number in range(1, parts_n + 1)) == 1
    assert len(asked(sidecar, SMALL)) == parts_n + 1
    assert access_line(sidecar)["parts_failed"] == 1
    sidecar.process.wait_log(r"part_lost .*model=qwen3:0\.6b .*reason=")


@pytest.mark.parametrize("small", [{"fails_at": {"text": ""}}, {"extracts": "nowhere", "token_bytes": 1, "tokens": 0, "error_after_tokens": 0},
                                   {"garbage_answer": "not_json"}, {"garbage_answer": "reset"}, {"busy": True}])
def test_where_all_parts_fail_the_large_model_answers_itself_R4_2(sidecar, small):
    boot(sidecar, small=small)
    messages = conversation()
    answer = complete(sidecar, messages)
    assert (answer.status, answer.json["model"]) == (200, LARGE)
    sent = asked(sidecar, LARGE)[0]["messages"]
    assert sent[0] == messages[0] and sent[-1] == messages[-1]
    assert "left out to fit the context" in sent[1]["content"]
    assert len(sidecar.process.logged("map_failed")) == 1


def test_without_the_map_model_the_large_one_answers_itself_R4_2(sidecar):
    boot(sidecar, installed=LARGE)
    assert complete(sidecar).json["model"] == LARGE
    assert len(asked(sidecar, SMALL)) <= 4
    assert len(sidecar.process.logged("map_failed")) == 1


def test_where_the_map_model_can_t_be_loaded_the_large_one_answers_itself_R4_2(sidecar):
    boot(sidecar, small={"load_fails": "no memory is left"})
    assert complete(sidecar).json["model"] == LARGE
    assert asked(sidecar, SMALL) == []
    assert len(sidecar.process.logged("map_failed")) == 1


@pytest.mark.parametrize("messages", [
    [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}],
    [{"role": "user", "content": "U"}],
    [{"role": "user", "content": "U"}, {"role": "assistant", "content": "A"}],
])
def test_where_there_is_nothing_to_map_it_is_answered_directly_R4_2(sidecar, messages):
    boot(sidecar)
    answer = complete(sidecar, messages, [("X-Sidecar-Strategy", "C")])
    assert (answer.status, answer.json["model"]) == (200, LARGE)
    assert asked(sidecar, SMALL) == []
    assert [message["content"] for message in asked(sidecar, LARGE)[0]["messages"]] == [message["content"] for message in messages]


def test_a_part_and_its_summary_fit_the_map_model_s_context_R4_2(sidecar):
    sidecar.configure(f"pin:{SMALL}", num_ctx=2048)
    boot(sidecar, strategy={"chunk_tokens": 1536})
    assert complete(sidecar, [{"role": "user", "content": text(5900)}, {"role": "user", "content": "and?"}], [("X-Sidecar-Strategy", "C")]).status == 200
    part, = asked(sidecar, SMALL)
    assert sum(len(message["content"]) for message in part["messages"]) / 4 + part["options"]["num_predict"] <= 2048
    assert part["options"]["num_predict"] > 200


@pytest.mark.parametrize("last_chars, status", [(28000, 200), (60000, 400)])
def test_nothing_is_mapped_where_no_summary_has_room_R4_2(sidecar, last_chars, status):
    boot(sidecar)
    answer = complete(sidecar, conversation(20000, last_chars=2000)[:-1] + [{"role": "user", "content": text(last_chars)}])
    assert answer.status == status
    assert asked(sidecar, SMALL) == []
    if status == 400:
        assert answer.json["error"]["code"] == "context_length_exceeded"
    else:
        assert "2 earlier messages were left out" in asked(sidecar, LARGE)[0]["messages"][1]["content"]


def test_too_many_parts_are_refused_R4_2(sidecar):
    boot(sidecar, strategy={"chunk_tokens": 100})
    answer = complete(sidecar, [{"role": "user", "content": "x" * 120000}, {"role": "user", "content": "and?"}])
    assert answer.status == 400
    assert answer.json["error"]["code"] == "context_length_exceeded"
    assert "chunk_tokens" in answer.json["error"]["message"]
    assert asked(sidecar, SMALL) == []


@pytest.mark.limit(60)
def test_one_message_of_a_megabyte_R4_2(sidecar):
    boot(sidecar, small={"first_token_delay_ms": 1})
    giant = text(1000000, FACTS[:10])
    answer = complete(sidecar, [{"role": "user", "content": giant}, {"role": "assistant", "content": "I see."}, {"role": "user", "content": "and?"}], timeout=50)
    assert answer.status == 200
    sent = json.dumps(asked(sidecar, LARGE)[0]["messages"])
    assert [fact for fact in FACTS[:10] if fact not in sent] == []
    assert 80 < len(asked(sidecar, SMALL)) < 180


def test_tools_calls_and_results_are_mapped_R4_2(sidecar):
    boot(sidecar)
    tools = [{"type": "function", "function": {"name": "read_file", "parameters": {"type": "object", "properties": {"path": {"type": "string"}}}}}]
    call = {"id": "1", "type": "function", "function": {"name": "read_file", "arguments": "{\"path\": \"FACT/called.c\"}"}}
    messages = [{"role": "user", "content": text(26000, FACTS[:1])},
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "1", "content": text(9000, FACTS[1:2])},
                {"role": "user", "content": "go on"}]
    answer = complete(sidecar, messages, tools=tools)
    assert answer.status == 200
    parts = "".join(part["messages"][1]["content"] for part in asked(sidecar, SMALL))
    assert "FACT/called.c" in parts and FACTS[1] in parts
    sent = asked(sidecar, LARGE)[0]
    assert "tools" not in sent and "read_file" in sent["messages"][0]["content"]
    assert all(fact in json.dumps(sent["messages"]) for fact in FACTS[:2])


def test_what_the_user_asked_is_not_mapped_while_an_agent_uses_tools_R4_2(sidecar):
    """In words results are messages of the user's; his own last one stays whole, before the last result."""
    boot(sidecar)
    tools = [{"type": "function", "function": {"name": "read_file", "parameters": {"type": "object"}}}]
    call = {"id": "1", "type": "function", "function": {"name": "read_file", "arguments": "{}"}}
    task = "please mend what is broken in parser.c"
    messages = [{"role": "system", "content": "Be short."}, {"role": "user", "content": task}]
    for fact in FACTS[:3]:
        messages += [{"role": "assistant", "content": None, "tool_calls": [call]},
                     {"role": "tool", "tool_call_id": "1", "content": text(14000, [fact])}]
    assert complete(sidecar, messages, tools=tools).status == 200
    (sent,) = asked(sidecar, LARGE)
    assert sent["messages"][-2] == {"role": "user", "content": task} and FACTS[2] in sent["messages"][-1]["content"]
    assert FACTS[0] in sent["messages"][-3]["content"] and FACTS[1] in sent["messages"][-3]["content"]
    parts = [part["messages"][1]["content"] for part in asked(sidecar, SMALL)]
    assert parts and not any(task in part or FACTS[2] in part for part in parts)


def test_two_requests_are_mapped_side_by_side_R4_2(sidecar):
    boot(sidecar, parallel=2)
    one, other = conversation(), conversation(last_chars=2500)
    first = Background(complete, sidecar, one)
    second = Background(complete, sidecar, other)
    assert (first.result().status, second.result().status) == (200, 200)
    assert at_once(sidecar, SMALL) == 2
    ends = {sent["messages"][-1]["content"] for sent in asked(sidecar, LARGE)}
    assert ends == {one[-1]["content"], other[-1]["content"]}


def leave(sidecar, condition, **more) -> None:
    """A client that leaves when the condition holds; then nothing is with Ollama any more, and nobody stands in line."""
    with sidecar.connect() as client:
        client.send("POST", "/v1/chat/completions", body(**more))
        until(condition, 10, "the moment to leave", sidecar.process.tail)
    assert_nothing_left(sidecar)


def hold(send, model: str):
    """A request to Ollama's own API for this model."""
    return send("POST", "/api/chat", {"model": model, "stream": False, "messages": [{"role": "user", "content": "FACT?"}]})


def assert_nothing_left(sidecar) -> None:
    """Requests that reached Ollama have ended, and each model answers at once."""
    def look():
        begun = [entry["id"] for entry in sidecar.backend.requests("/api/chat")]
        over = {entry["id"] for event in ("answered", "cancelled") for entry in sidecar.backend.journal(event)}
        return all(number in over for number in begun)

    until(look, 5, "the end of all requests at Ollama", lambda: str(sidecar.backend.journal()[-10:]))
    before_n = len(sidecar.backend.requests("/api/chat"))
    sidecar.backend.script(**rules(small={"first_token_delay_ms": 1}, tokens=1))
    for model in (SMALL, LARGE):
        assert hold(sidecar.ask, model).status == 200
    assert len(sidecar.backend.requests("/api/chat")) == before_n + 2
    assert [sidecar.health()["requests"][key] for key in ("in_flight", "held", "queued")] == [0, 0, 0]


def test_the_client_leaves_while_parts_are_mapped_R4_2(sidecar):
    boot(sidecar, small={"first_token_delay_ms": 20000})
    leave(sidecar, lambda: len(asked(sidecar, SMALL)) == 4)
    assert len(sidecar.backend.journal("cancelled")) == 4
    assert len(asked(sidecar, LARGE)) == 1  # that of leave()


def test_the_client_leaves_while_its_part_stands_in_line_R4_2(sidecar):
    boot(sidecar, parallel=1, small={"first_token_delay_ms": 20000})
    with sidecar.connect() as other:
        hold(other.send, SMALL)
        until(lambda: asked(sidecar, SMALL), 5, "the other request")
        with sidecar.connect() as client:
            client.send("POST", "/v1/chat/completions", body())
            sidecar.wait_health(lambda health: health["requests"]["queued"] == 1)
        sidecar.wait_health(lambda health: health["requests"]["queued"] == 0)
        assert len(asked(sidecar, SMALL)) == 1
    assert_nothing_left(sidecar)


def test_the_client_leaves_while_the_map_model_is_loaded_R4_2(sidecar):
    boot(sidecar, small={"load_s": 2})
    leave(sidecar, lambda: sidecar.backend.requests("/api/embed"))
    assert len(asked(sidecar, SMALL)) == 1  # that of leave()


def test_the_client_leaves_between_two_parts_R4_2(sidecar):
    boot(sidecar, parallel=1)
    leave(sidecar, lambda: len(asked(sidecar, SMALL)) == 3)
    assert len(asked(sidecar, SMALL)) <= 5


def test_a_last_message_that_is_too_long_is_told_R4_2(sidecar):
    boot(sidecar)
    answer = complete(sidecar, [{"role": "user", "content": text(30000)}, {"role": "user", "content": text(40000)}])
    assert (answer.status, answer.json["error"]["code"]) == (400, "context_length_exceeded")
    assert "8192" in answer.json["error"]["message"]
    assert asked(sidecar, LARGE) == [] and asked(sidecar, SMALL) == []  # at once: no summary would have a place


def test_the_client_leaves_while_the_reduce_step_waits_R4_2(sidecar):
    boot(sidecar, parallel=1, large={"first_token_delay_ms": 20000})
    with sidecar.connect() as other:
        hold(other.send, LARGE)
        until(lambda: asked(sidecar, LARGE), 5, "the other request")
        with sidecar.connect() as client:
            client.send("POST", "/v1/chat/completions", body())
            until(lambda: len(asked(sidecar, SMALL)) >= 6 and not running(sidecar, SMALL), 10, "the end of the map step")
        assert len(asked(sidecar, LARGE)) == 1
    assert_nothing_left(sidecar)


def running(sidecar, model: str) -> set:
    """Requests for this model that are with Ollama now."""
    ids = {entry["id"] for entry in sidecar.backend.requests("/api/chat") if json.loads(entry["body"])["model"] == model}
    return ids - {entry["id"] for event in ("answered", "cancelled") for entry in sidecar.backend.journal(event)}


@pytest.mark.parametrize("stream", [False, True])
def test_the_client_leaves_while_the_reduce_step_answers_R4_2(sidecar, stream):
    boot(sidecar, large={"tokens": 500, "token_delay_ms": 100})
    leave(sidecar, lambda: sidecar.backend.journal("first_token", model=LARGE), stream=stream)
    assert len(sidecar.backend.journal("cancelled")) == 1


@pytest.mark.parametrize("where", ["small", "large"])
def test_the_time_limit_counts_over_all_R4_2(sidecar, where):
    boot(sidecar, strategy={"timeout": "700ms"}, **{where: {"first_token_delay_ms": 20000}})
    answer = complete(sidecar)
    assert (answer.status, answer.json["error"]["code"]) == (504, "strategy_timeout")
    assert_nothing_left(sidecar)


def test_the_time_limit_ends_parts_in_line_R4_2(sidecar):
    boot(sidecar, parallel=1, strategy={"timeout": "700ms"}, small={"first_token_delay_ms": 20000})
    with sidecar.connect() as other:
        hold(other.send, SMALL)
        until(lambda: asked(sidecar, SMALL), 5, "the other request")
        answer = complete(sidecar)
        assert (answer.status, answer.json["error"]["code"]) == (504, "strategy_timeout")
        assert len(asked(sidecar, SMALL)) == 1
    assert_nothing_left(sidecar)


def test_ollama_dies_while_parts_are_mapped_R4_2(sidecar):
    boot(sidecar, small={"crash_while_answering": {"after_tokens": 0, "signal": "KILL", "times": 1}})
    answer = complete(sidecar)
    assert answer.status == 200
    sent = json.dumps(asked(sidecar, LARGE)[0]["messages"])
    assert [fact for fact in FACTS if fact not in sent] == []


def test_the_reduce_step_streams_and_the_client_is_kept_meanwhile_R4_2(sidecar):
    sidecar.configure("proxy", heartbeat_after="100ms", heartbeat_interval="100ms")
    boot(sidecar, small={"first_token_delay_ms": 400}, large={"tokens": 5})
    with sidecar.connect() as client:
        answer = client.request("POST", "/v1/chat/completions", body(stream=True))
        lines = [line for _, line in answer.lines()]
        assert answer.clean
    data = [index for index, line in enumerate(lines) if line.startswith(b"data: ")]
    comments = [line for line in lines[:data[0]] if line.startswith(b":")]
    parts_n = access_line(sidecar)["parts"]
    assert comments[0] == b": mapped 0 of %d parts" % parts_n
    assert any(line == b": mapped 4 of %d parts" % parts_n for line in comments)
    assert len(data) >= 6 and lines[data[-1]] == b"data: [DONE]"


def test_who_asks_the_same_listens_to_one_map_reduce_R4_6(sidecar):
    boot(sidecar, small={"first_token_delay_ms": 300})
    askers = [Background(complete, sidecar) for _ in range(3)]
    answers = [asker.result() for asker in askers]
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert len(asked(sidecar, LARGE)) == 1
    assert len(asked(sidecar, SMALL)) == access_line(sidecar)["parts"]


def test_the_first_of_two_leaves_and_the_other_has_its_answer_R4_6(sidecar):
    boot(sidecar, small={"first_token_delay_ms": 300})
    with sidecar.connect() as first:
        first.send("POST", "/v1/chat/completions", body())
        until(lambda: asked(sidecar, SMALL), 5, "the map step")
        second = Background(complete, sidecar)
        sidecar.wait_health(lambda health: health["requests"]["in_flight"] >= 2)
    assert second.result().status == 200
    assert len(asked(sidecar, LARGE)) == 1
    assert sidecar.backend.journal("cancelled") == []


def test_metrics_count_parts_R4_7(sidecar):
    boot(sidecar, small={"fails_at": {"text": FACTS[9]}})
    assert complete(sidecar).status == 200
    parts_n = access_line(sidecar)["parts"]
    lines = sidecar.ask("GET", "/metrics").body.decode().splitlines()
    assert f'sidecar_optimizer_map_parts_total{{result="done"}} {parts_n - 1}' in lines
    assert 'sidecar_optimizer_map_parts_total{result="failed"} 1' in lines


def test_tokens_of_all_parts_count_for_their_key_R4_9(sidecar):
    secret = "k" * 40
    sidecar.configure("key:agent", secret=secret, tokens_per_minute=100000)
    boot(sidecar, large={"tokens": 3})
    headers = [("Authorization", f"Bearer {secret}")]
    answer = complete(sidecar, headers=headers)
    assert answer.status == 200
    taken_n = sum(4 * entry["body_bytes"] // 16 for entry in sidecar.backend.requests("/api/chat"))
    left_n = int(complete(sidecar, [{"role": "user", "content": "hi"}], headers).header("x-ratelimit-remaining-tokens"))
    assert 100000 - left_n > 17000
    assert 100000 - left_n < taken_n + 2000


@pytest.mark.parametrize("limit, code", [({"hold_timeout": "500ms"}, "hold_timeout"), ({"max_queue": 1}, "queue_full")])
def test_what_ends_the_wait_for_a_slot_ends_the_whole_R4_2(sidecar, limit, code):
    sidecar.configure("proxy", **limit)
    boot(sidecar, parallel=1, small={"first_token_delay_ms": 20000})
    with sidecar.connect() as other, sidecar.connect() as next_one:
        hold(other.send, SMALL)
        until(lambda: asked(sidecar, SMALL), 5, "the other request")
        if code == "queue_full":
            hold(next_one.send, SMALL)
            sidecar.wait_health(lambda health: health["requests"]["queued"] == 1)
        answer = complete(sidecar)
        assert (answer.status, answer.json["error"]["code"]) == (503, code)
        assert answer.header("Retry-After")
        assert len(asked(sidecar, SMALL)) == 1
    assert_nothing_left(sidecar)


def test_a_new_proxy_does_not_end_what_the_old_one_maps_R4_2(sidecar):
    boot(sidecar, small={"first_token_delay_ms": 500})
    answer = Background(complete, sidecar)
    until(lambda: asked(sidecar, SMALL), 5, "the map step")
    assert sidecar.ctl("restart", "proxy").returncode == 0
    assert answer.result().status == 200
    sent = json.dumps(asked(sidecar, LARGE)[0]["messages"])
    assert [fact for fact in FACTS if fact not in sent] == []


def test_a_pin_holds_for_parts_too_R4_2(sidecar):
    sidecar.configure(f"pin:{SMALL}", num_ctx=4096, keep_alive="5m")
    boot(sidecar)
    assert complete(sidecar).status == 200
    assert {part["options"]["num_ctx"] for part in asked(sidecar, SMALL)} == {4096}
    assert {part["keep_alive"] for part in asked(sidecar, SMALL)} == {"5m"}


def test_what_the_small_model_thinks_is_no_part_of_its_summary_R4_2(sidecar):
    boot(sidecar, small={"thinking": "I should say nothing of this"})
    assert complete(sidecar).status == 200
    assert "should say nothing" not in json.dumps(asked(sidecar, LARGE)[0])


@pytest.mark.parametrize("stream", [False, True])
def test_all_fail_behind_a_heartbeat_R4_5(sidecar, stream):
    sidecar.configure("proxy", heartbeat_after="50ms", heartbeat_interval="100ms")
    boot(sidecar, small={"first_token_delay_ms": 300, "error_after_tokens": 0}, large={"refuses": "no"})
    answer = complete(sidecar, stream=stream)
    assert answer.status == 200 and not answer.clean
    assert b'"error"' in answer.body and b'"no"' in answer.body
