"""Tokens, one after the other, with the scripted faults between them; and answers that are no answers."""
import os
import signal
import sys
import time

from . import process, script, skills
from .journal import note
from .wire import Drop

SPEECH = ("This is the stand-in speaking: there is no model behind these words, only a small script that "
          "sends them one by one. You said:")
FOREVER = 1e9


class MidStreamError(Exception):
    """Becomes a line {"error": …} once the stream has begun."""


def words(rules: dict, prompt: str, request: dict) -> list:
    """The tokens of an answer."""
    options, said = request.get("options"), skills.speech(rules, request, prompt)
    if said:
        texts = said
    elif "tokens" in rules:
        texts = [f"t{index} " for index in range(int(rules["tokens"]))]
    else:
        texts = [word + " " for word in SPEECH.split() + prompt.split()[:40]]
    if not said:
        texts = skills.thoughts(rules, request) + texts
    if "token_bytes" in rules:
        texts = [text.strip().ljust(int(rules["token_bytes"]) - 1, "x") + " " for text in texts]
    limit = options.get("num_predict") if isinstance(options, dict) else None
    return texts[:limit] if isinstance(limit, int) and not isinstance(limit, bool) and limit > 0 else texts


def prompt_tokens(rules: dict, prompt: str, request: dict) -> int:
    """How many a model would count: of an echo the words will do."""
    if "chars_a_token" not in rules:
        return max(1, len(prompt.split()))
    messages = request.get("messages") or [{"content": prompt}]
    return max(1, int(sum(len(str(message.get("content") or "")) for message in messages) / rules["chars_a_token"]))


def crash(how: dict, counter: str) -> None:
    """Ollama itself ends as the script says; not more often than it says."""
    if script.bump(counter) >= how.get("times", 1):
        return
    note("fault", what=counter)
    for line in how.get("says", ()):
        print(line, file=sys.stderr, flush=True)
    if "signal" in how:
        os.kill(os.getpid(), getattr(signal, "SIG" + how["signal"]))
        time.sleep(1)
    os._exit(how.get("code", 1))


def _fault(conn, rules: dict, sent: int) -> None:
    """Whatever the script wants to happen after so many tokens."""
    def struck(key):
        if rules.get(key) != sent:
            return False
        note("fault", what=key, id=conn.request.id)
        return True

    if sent == (rules.get("crash_while_answering") or {}).get("after_tokens", -1):
        crash(rules["crash_while_answering"], "crash_while_answering")
    if struck("crash_after_tokens"):
        os.kill(os.getpid(), signal.SIGKILL)
    if struck("close_after_tokens"):
        raise Drop
    if struck("reset_after_tokens"):
        raise Drop(reset=True)
    if struck("hang_after_tokens"):
        conn.wait(FOREVER)
    if struck("error_after_tokens"):
        raise MidStreamError(rules.get("error_text", "an error was encountered while running the model: "
                                                     "unexpected EOF"))


def _work(conn, runner, seconds: float) -> None:
    """A runner that is a process works; where it ends meanwhile, Ollama says so."""
    try:
        if runner.process is not None:
            runner.process.work(conn, seconds)
    except process.Lost as error:
        runner.is_lost = True
        raise MidStreamError("an error was encountered while running the model: unexpected EOF") from error


def _pause(conn, how: dict) -> None:
    """The script's long pause, in which somebody works."""
    until = time.monotonic() + how["s"]
    while (left := until - time.monotonic()) > 0:
        began = time.thread_time()
        while time.thread_time() - began < how.get("works_ms", 0) / 1000:
            pass
        conn.wait(min(left, 1))


def tokens(conn, runner, rules: dict, prompt: str, request: dict):
    """Yield each token's text when its time has come, and at last a dict of the counts and durations."""
    name, options = runner.name, request.get("options")
    texts = words(rules, prompt, request)
    pause = rules.get("token_delay_ms", 20) / 1000
    begun = time.monotonic_ns()
    conn.wait(rules.get("first_token_delay_ms", rules.get("token_delay_ms", 20)) / 1000)
    _work(conn, runner, -1 if rules.get("eat_before_tokens") else rules.get("prefill_s", 0))
    first = time.monotonic_ns()
    for index, text in enumerate(texts):
        if index:
            conn.wait(pause)
            _work(conn, runner, -1 if rules.get("eat_after_tokens") == index else 0)
        if rules.get("pause", {}).get("after_tokens") == index:
            _pause(conn, rules["pause"])
        _fault(conn, rules, index)
        if index == 0:
            note("first_token", id=conn.request.id, model=name.short)
        conn.tokens = index + 1
        yield text
    _fault(conn, rules, len(texts))
    note("done", id=conn.request.id, model=name.short, tokens=len(texts))
    limit = options.get("num_predict") if isinstance(options, dict) else None
    yield {"done_reason": "length" if limit == len(texts) else "stop",
           "prompt_eval_count": prompt_tokens(rules, prompt, request), "prompt_eval_duration": max(1, first - begun),
           "eval_count": len(texts), "eval_duration": max(1, time.monotonic_ns() - first)}


def garbage(conn, kind: str) -> bool:
    """Answer nonsense of that kind. False where the kind only changes a proper answer's end."""
    note("fault", what=f"garbage {kind}", id=conn.request.id)
    if kind == "html":
        conn.answer(200, "text/html", b"<html><body><h1>It works!</h1></body></html>\n")
    elif kind == "truncated":
        conn.write(conn.head(200, [("Content-Type", "application/json; charset=utf-8")])
                   + b"\r\nContent-Length: 1000\r\n\r\n{\"models\":[{\"name\":\"half")
        raise Drop
    elif kind == "not_json":
        conn.answer(200, "application/json; charset=utf-8", b"%$# this is not JSON \x00\xff\n")
    elif kind == "status_500":
        conn.error(500, "scripted failure")
    elif kind == "reset":
        raise Drop(reset=True)
    elif kind == "empty":
        raise Drop
    elif kind == "bad_http":
        conn.write(b"\x16\x03\x01 what is HTTP?\r\n\r\n")
        raise Drop
    elif kind == "hints":
        conn.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 200)
        return False
    else:
        return False
    return True
