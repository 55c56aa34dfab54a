"""Conversations that are mapped, a sidecar with both models for it, and what of it reached Ollama."""
import json

from waiting import until

SMALL, LARGE = "qwen3:0.6b", "qwen3:4b"
FACTS = [f"FACT {number}: the file src/part_{number}.c has {number * 37} lines" for number in range(20)]
ROLES = ("system", "user", "assistant", "user")


def text(chars_n: int, facts=()) -> str:
    """Lines of words, the facts spread over them, just so many characters."""
    lines, width = [], 61
    for number in range(chars_n // width + 1):
        lines.append(f"line {number} of what was said before, about nothing at all,".ljust(width - 1, "."))
    step = max(1, len(lines) // (len(facts) + 1))
    for index, fact in enumerate(facts):
        lines[(index + 1) * step] = fact.ljust(width - 1)
    return "\n".join(lines)[:chars_n]


def conversation(tokens_n: int = 17500, facts=FACTS, last_chars: int = 2000) -> list:
    """Four messages of about so many tokens, of four characters, with the facts in all of those that are mapped, and in the last."""
    mapped = (tokens_n * 4 - last_chars - 4000) // 2
    return [{"role": "system", "content": text(4000)},
            {"role": "user", "content": text(mapped, facts[:8])},
            {"role": "assistant", "content": text(mapped, facts[8:16])},
            {"role": "user", "content": text(last_chars, facts[16:])}]


def rules(small=None, large=None, **script) -> dict:
    """A script: the small model extracts the facts, both count four characters a token."""
    return {"token_delay_ms": 1, "journal_body_bytes": 4000000, **script, "models": {
        SMALL: {"extracts": "FACT", "chars_a_token": 4, "first_token_delay_ms": 60, **(small or {})},
        LARGE: {"chars_a_token": 4, **(large or {})}}}


def boot(sidecar, *, parallel: int = 4, strategy=None, installed=f"{SMALL},{LARGE}", **script):
    """Both models; strategy: what is another than in the built-in one."""
    sidecar.configure("optimizer", enabled="yes")
    sidecar.configure("proxy", access_log="json")
    if strategy:
        sidecar.configure("strategy:C", **{"map_model": SMALL, "reduce_model": LARGE, "options": "num_ctx=8192", **strategy})
    sidecar.env["OLLAMA_NUM_PARALLEL"] = str(parallel)
    sidecar.installed = installed
    sidecar.backend.script(**rules(**script))
    sidecar.start()
    sidecar.wait_ready()


def body(messages=None, **more) -> dict:
    return {"model": "auto", "messages": conversation() if messages is None else messages, **more}


def asked(sidecar, model: str) -> list:
    """Bodies of the requests for this model that reached Ollama, loads aside."""
    bodies = [json.loads(entry["body"]) for entry in sidecar.backend.requests("/api/chat")]
    return [value for value in bodies if value["model"] == model and value.get("messages")]


def complete(sidecar, messages=None, headers=(), timeout=20, **more):
    return sidecar.ask("POST", "/v1/chat/completions", body(messages, **more), headers, timeout)


def at_once(sidecar, model: str) -> int:
    """How many requests for this model were with Ollama at the same time."""
    ids = {entry["id"] for entry in sidecar.backend.requests("/api/chat") if json.loads(entry["body"])["model"] == model}
    now = most = 0
    for entry in sidecar.backend.journal():
        if entry.get("id") in ids:
            now += {"request": 1, "answered": -1, "cancelled": -1}.get(entry["event"], 0)
            most = max(most, now)
    return most


def access_line(sidecar, index: int = -1) -> dict:
    """A line of the access log of a chat."""
    def look():
        lines = [json.loads(line[line.index("{"):]) for line in sidecar.process.logged(r'"path":"/v1/chat/completions"')]
        return lines[index] if lines else None

    return until(look, 5, "a line of the access log")
