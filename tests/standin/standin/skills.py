"""What a model can do beside words, where a test's script has it do so: tools, thinking, answers by a schema, logprobs."""
import json

_VALUES = {"string": "word", "integer": 7, "number": 1.5, "boolean": True, "null": None}


class Thought(str):
    """A token of thinking."""


class Calls(list):
    """A message that calls tools: [{"function": {"name", "arguments"}}, …]."""


def speech(rules: dict, request: dict, prompt: str = ""):
    """What is said in place of the usual words, piece by piece, or None. Thinking comes before it, or before the usual words."""
    calls = _calls(rules, request) or _calls_in_words(rules, request)
    if calls:
        return [*thoughts(rules, request), calls] if isinstance(calls, Calls) else calls
    if "extracts" in rules:
        return [line + "\n" for line in prompt.splitlines() if rules["extracts"] in line] or ["nothing"]
    wanted = request.get("format")
    if wanted:
        text = json.dumps(instance(wanted) if isinstance(wanted, dict) else {"answer": "word"})
        return [*thoughts(rules, request), *(text[at:at + 5] for at in range(0, len(text), 5))]
    return None


def thoughts(rules: dict, request: dict) -> list:
    """A model that thinks does so unless it is told not to."""
    return [Thought(word + " ") for word in rules.get("thinking", "").split()] if request.get("think") is not False else []


def instance(schema: dict):
    """The least value that a JSON schema takes, with one item in each array."""
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        return {name: instance(of) for name, of in (schema.get("properties") or {}).items()}
    if kind == "array":
        return [instance(schema.get("items") or {})]
    return _VALUES.get(kind)


def logprobs(texts: list, top_n: int) -> list:
    """As newer versions of Ollama have them; what was not asked for is not there."""
    def one(text, value):
        return {"token": text, "logprob": value, "bytes": list(text.encode())}

    return [{**one(text, -0.25), **({"top_logprobs": [one(text, -0.25 - n) for n in range(top_n)]} if top_n else {})}
            for text in texts]


def _calls(rules: dict, request: dict) -> Calls:
    """A model that calls tools calls those that it has, until it is told what came of it."""
    messages = request.get("messages") or [{}]
    if isinstance(messages[-1], dict) and messages[-1].get("role") == "tool":
        return Calls()
    given = {(tool.get("function") or {}).get("name") for tool in request.get("tools") or [] if isinstance(tool, dict)}
    return Calls(call for call in rules.get("tool_calls", ()) if call["function"]["name"] in given)


def _calls_in_words(rules: dict, request: dict) -> list:
    """Where a system message tells of its tools and of <tool_call>, it says that for each, until it has said so, or is told what came of it."""
    messages = [message for message in request.get("messages") or [] if isinstance(message, dict)]
    said = {role: "".join(str(message.get("content")) for message in messages if message.get("role") == role) for role in ("system", "assistant", "user")}
    if "<tool_call>" not in said["system"] or "<tool_call>" in said["assistant"] or "[tool result: " in said["user"]:
        return []
    calls = [call["function"] for call in rules.get("tool_calls", ()) if f'"{call["function"]["name"]}"' in said["system"]]
    return [f"<tool_call>{json.dumps(call)}</tool_call>" for call in calls]
