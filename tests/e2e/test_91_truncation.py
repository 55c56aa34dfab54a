"""Long system prompts on their way to Ollama: what arrives is short enough, and has each tool whole (R4.3)."""
import json
import re

import pytest

import prometheus_text
from cline_prompt import BUDGET, FIGURE, TOOLS, Prompt
from played_backend import single
from test_90_strategies import answer_of, sent_to

CHAT = "/v1/chat/completions"
MARK = re.compile(r"\n\[… (\d+) characters left out …\]\n")
USER = {"role": "user", "content": "Say hello."}


@pytest.fixture
def shorten(sidecar, before):
    """shorten(system messages, header="A", **members): the answer, and the messages that arrived. `begin(**keys of [optimizer])` may come before the first."""
    class Shorten:
        backend = None

        def begin(self, **keys):
            def play(request):
                if b"/api/tags" in request[0]:
                    return single({"models": []})
                return answer_of(json.loads(request[1] or b"{}"))
            sidecar.configure("optimizer", enabled="yes", **keys)
            self.backend = before(play=play)

        def __call__(self, *system, header="A", messages=(USER,), **members):
            if not self.backend:
                self.begin()
            sent = {"model": "auto", "messages": [{"role": "system", "content": each} for each in system] + list(messages), **members}
            with sidecar.connect() as connection:
                answer = connection.request("POST", CHAT, sent, [("X-Sidecar-Strategy", header)])
                answer.body  # pylint: disable=pointless-statement
            return answer, sent_to(self.backend)[1]["messages"] if answer.status == 200 else None
    return Shorten()


def is_whole(prompt, arrived):
    """Each definition is there, byte for byte, once, in the order in which they were sent."""
    places = [arrived.find(tool) for tool in prompt.tools]
    return -1 not in places and places == sorted(places) and all(arrived.count(tool) == 1 for tool in prompt.tools)


def test_64356_characters_become_8444_with_20_tools_whole_r4_3(shorten, sidecar):
    prompt = Prompt()
    assert len(prompt.text) == FIGURE and len(prompt.tools) == TOOLS
    answer, messages = shorten(prompt.text)
    assert answer.status == 200 and [each["role"] for each in messages] == ["system", "user"] and messages[1] == USER
    arrived = messages[0]["content"]
    assert BUDGET * 0.9 < len(arrived) <= BUDGET and is_whole(prompt, arrived)
    assert arrived.startswith(prompt.text[:80]) and arrived.endswith(prompt.text[-50:])
    assert int(answer.header("X-Sidecar-Tokens-Saved")) > (FIGURE - BUDGET) / 4 * 0.9
    metrics = prometheus_text.read(sidecar.ask("GET", "/metrics").body)
    assert metrics.of("llm_optimizer_smart_truncations_total") == 1


def test_what_is_left_out_is_told_in_its_place_r4_3(shorten):
    prompt = Prompt()
    arrived = shorten(prompt.text)[1][0]["content"]
    pieces, at = MARK.split(arrived), 0
    assert len(pieces) > 2
    for piece, left_out_n in zip(pieces[::2], [*map(int, pieces[1::2]), 0]):
        assert prompt.text[at:at + len(piece)] == piece
        at += len(piece) + left_out_n
    assert at == len(prompt.text)


@pytest.mark.parametrize("stream", [False, True])
def test_what_fits_arrives_as_it_is_r4_3(shorten, stream):
    prompt = Prompt(BUDGET, 10)
    answer, messages = shorten(prompt.text, stream=stream)
    assert messages == [{"role": "system", "content": prompt.text}, USER] and answer.header("X-Sidecar-Tokens-Saved") is None


def test_several_system_messages_are_one_prompt_r4_3(shorten):
    prompt = Prompt()
    cut = prompt.text.index("\n\n====\n\nEDITING")
    parts = [prompt.text[:cut], prompt.text[cut + 2:]]
    messages = shorten(*parts, messages=[{"role": "developer", "content": "The last word."}, USER])[1]
    assert [each["role"] for each in messages] == ["system", "user"]
    arrived = messages[0]["content"]
    assert len(arrived) <= BUDGET and is_whole(prompt, arrived) and arrived.endswith("\n\nThe last word.")


def test_a_prompt_in_parts_r4_3(shorten):
    prompt = Prompt()
    parts = [{"type": "text", "text": text} for text in prompt.text.split("\n\n")]  # they are joined so
    plain, in_parts = shorten(prompt.text)[1], shorten(parts)[1]
    assert in_parts == plain and is_whole(prompt, plain[0]["content"])


@pytest.mark.parametrize("text", ["größe ", "размер ", "大きさ、", "حجم ", "🐢👩‍💻", "e\u0301a\u0300", "\U0010fffd\u0001\u2028"])
def test_no_character_is_cut_in_any_language_r4_3(shorten, text):
    whole = text * 5000
    arrived = shorten(whole)[1][0]["content"]
    start, left_out_n, end = MARK.split(arrived)
    assert len(arrived) <= BUDGET and whole.startswith(start) and whole.endswith(end) and len(start) + int(left_out_n) + len(end) == len(whole)


def test_halves_of_a_character_in_escapes_become_one_r4_3(shorten, sidecar):
    shorten("begin")
    body = b'{"model":"auto","messages":[{"role":"system","content":"%s"},{"role":"user","content":"u"}]}' % (rb"\ud83d\udc22" * 9000)
    answer = sidecar.ask("POST", CHAT, body, [("Content-Type", "application/json"), ("X-Sidecar-Strategy", "A")])
    arrived = sent_to(shorten.backend)[1]["messages"][0]["content"]
    assert answer.status == 200 and len(arrived) <= BUDGET and set(MARK.sub("", arrived)) == {"🐢"}


def test_the_budget_is_settable_and_tools_go_beyond_it_r4_3(shorten, sidecar):
    prompt = Prompt()
    shorten.begin(system_budget=1000)
    shorten(prompt.text[:900])
    assert prometheus_text.read(sidecar.ask("GET", "/metrics").body).of("sidecar_optimizer_budgets_exceeded_total") == 0
    arrived = shorten(prompt.text)[1][0]["content"]
    assert is_whole(prompt, arrived) and sum(map(len, prompt.tools)) < len(arrived) < sum(map(len, prompt.tools)) * 1.1
    assert "OBJECTIVE" not in arrived and not arrived.startswith("You are")
    metrics = prometheus_text.read(sidecar.ask("GET", "/metrics").body)
    assert metrics.of("sidecar_optimizer_budgets_exceeded_total") == 1 and metrics.of("sidecar_optimizer_tools_lost_total") == 0


@pytest.mark.parametrize("header", ["A", "B"])
def test_tools_of_the_request_stay_whole_beside_it_r4_3(shorten, header):
    """In A natively, in B in words behind the prompt, which they do not shorten."""
    prompt = Prompt()
    tools = [{"type": "function", "function": {"name": f"look_{i}", "description": "größer " * 20, "parameters": {"type": "object", "properties": {}}}}
             for i in range(10)]
    messages = shorten(prompt.text, header=header, tools=tools)[1]
    asked = sent_to(shorten.backend)[1]
    assert BUDGET * 0.9 < len(messages[0]["content"]) <= BUDGET and is_whole(prompt, messages[0]["content"])
    if header == "A":
        assert asked["tools"] == tools and len(messages) == 2
    else:
        assert "tools" not in asked and messages[1]["role"] == "system" and messages[2] == USER
        assert [json.loads(line) for line in messages[1]["content"].splitlines() if line.startswith("{")] == [tool["function"] for tool in tools]


def test_what_the_user_says_is_never_cut_r4_3(shorten):
    user = {"role": "user", "content": Prompt(20000).text}
    messages = shorten(Prompt().text, messages=[user])[1]
    assert messages[-1] == user and len(messages[0]["content"]) <= BUDGET


def test_only_what_begins_a_conversation_is_the_system_prompt_r4_3(shorten):
    prompt = Prompt(12000, 3)
    later = {"role": "system", "content": prompt.text}
    messages = shorten("short", messages=[USER, later, USER])[1]
    assert messages == [{"role": "system", "content": "short"}, USER, later, USER]


def test_what_no_budget_can_make_fit_is_refused_r4_3(shorten):
    answer, _ = shorten("s" * 9000, messages=[{"role": "user", "content": "u" * 40000}])
    error = answer.json["error"]
    assert answer.status == 400 and error["code"] == "context_length_exceeded" and "8192" in error["message"]


def test_a_prompt_that_passes_is_not_touched_r4_3(shorten):
    prompt = Prompt()
    shorten.begin()
    assert shorten(prompt.text, header="off", model="qwen3:4b")[1][0]["content"] == prompt.text
    assert shorten(prompt.text, header="A", model="other")[1][0]["content"] == prompt.text
