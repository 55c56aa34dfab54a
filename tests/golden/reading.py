"""What an answer of /v1 says, as its client reads it, and what holds of every one."""
import json


def no_twins(pairs):
    """An object, none of whose names is there twice."""
    assert len(dict(pairs)) == len(pairs), f"a name is there twice: {[name for name, _ in pairs]}"
    return dict(pairs)


class Read:
    """An answer, streamed or whole: its text, calls and counts, under the names that the lines of `expect` use."""

    def __init__(self, status: int, content_type: str, body: bytes):
        self.status = status
        self.chunks = []
        self.answer = None
        if content_type == "text/event-stream":
            events = body.decode().split("\n\n")
            assert events[-2:] == ["data: [DONE]", ""], "the stream ends with [DONE]"
            assert all(event.startswith("data: {") for event in events[:-2]), "each event is an object"
            self.chunks = [json.loads(event[len("data: "):], object_pairs_hook=no_twins) for event in events[:-2]]
        else:
            self.answer = json.loads(body, object_pairs_hook=no_twins)
        objects = self.chunks or [self.answer]
        choices = [choice for one in objects for choice in one.get("choices", [])]
        said = [choice.get("delta") or choice.get("message") or {} for choice in choices]
        self.text = "".join(one.get("content") or "" for one in said) + "".join(choice.get("text") or "" for choice in choices)
        self.reasoning = "".join(one.get("reasoning") or one.get("reasoning_content") or "" for one in said)
        self.raw_calls = [call for one in said for call in one.get("tool_calls") or []]
        self.calls = [(call["function"]["name"], call["function"]["arguments"]) for call in self.raw_calls]
        self.finishes = [choice["finish_reason"] for choice in choices if choice.get("finish_reason")]
        self.finish = self.finishes[0] if self.finishes else None
        self.usage = next((one["usage"] for one in objects if one.get("usage")), None)
        self.error = (self.answer or {}).get("error")
        self.data = (self.answer or {}).get("data")

    def check(self, wanted: dict) -> None:
        """What holds of every good answer of /v1."""
        if self.error:
            assert self.status >= 400 and {"message", "type", "param", "code"} <= set(self.error)
            return
        assert self.status == 200
        if self.data is not None:
            assert [item["index"] for item in self.data] == list(range(len(self.data))) and self.usage
            return
        assert len(self.finishes) == 1, "why it ended is said once"
        assert bool(self.chunks) == bool(wanted.get("stream"))
        for one in self.chunks or [self.answer]:
            assert one["model"] == wanted["model"] and one["id"] and one["created"] > 0
        if self.chunks:
            assert len({(one["id"], one["created"]) for one in self.chunks}) == 1
            asked = bool((wanted.get("stream_options") or {}).get("include_usage"))
            assert [one["choices"] == [] for one in self.chunks] == [False] * (len(self.chunks) - asked) + [True] * asked
            assert [call["index"] for call in self.raw_calls] == list(range(len(self.raw_calls)))
        else:
            assert self.usage["total_tokens"] == self.usage["prompt_tokens"] + self.usage["completion_tokens"]
        for call in self.raw_calls:
            assert call["id"] and call["type"] == "function" and isinstance(json.loads(call["function"]["arguments"]), dict)
        assert len({call["id"] for call in self.raw_calls}) == len(self.raw_calls), "calls are told apart by their ids"


def check_asked(path: str, asked: dict) -> None:
    """What holds of every request that Ollama gets."""
    assert isinstance(asked["model"], str) and asked["model"]
    for message in asked.get("messages", []):
        assert message["role"] in ("system", "user", "assistant", "tool"), "no other roles are known to templates"
        assert isinstance(message["content"], str)
        assert all(isinstance(image, str) for image in message.get("images", []))
        assert all(isinstance(call["function"]["arguments"], dict) for call in message.get("tool_calls", []))
    if path == "/api/chat":
        assert asked["messages"]
    assert all(tool["type"] == "function" and tool["function"]["name"] for tool in asked.get("tools") or [])
    assert None not in (asked.get("options") or {}).values()
