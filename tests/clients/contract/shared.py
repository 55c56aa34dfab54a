"""What the Python clients are asked, and how what they see is told: in the same words by all."""
import typing

import openai
import pydantic

SAID = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "hi"}]
TALK = [SAID[0], {"role": "user", "content": "one word " * 200}, {"role": "assistant", "content": "and another " * 200}, SAID[1]]
RESULTS = {"add": "42", "weather": "rain"}
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
ADDRESS = "http://127.0.0.1:1/cat.png"
TEXTS = ["one", "two words"]
LEFT_AFTER_N = 3
TIMEOUT_S = 3


class Add(pydantic.BaseModel):
    """Adds two numbers."""

    a: int
    b: int


class Weather(pydantic.BaseModel):
    """Tells the weather."""

    city: str


class Sight(pydantic.BaseModel):
    """What an answer by a schema is."""

    kind: typing.Literal["cat", "dog"]
    is_tame: bool


TOOLS = [openai.pydantic_function_tool(Add, name="add"), openai.pydantic_function_tool(Weather, name="weather")]


def recording(module, wire: list):
    """A transport of httpx, or of its namesake, that keeps what was answered."""
    class Stream(module.SyncByteStream):
        """A body that is kept as it passes."""

        def __init__(self, inner, record):
            self._inner, self._record = inner, record

        def __iter__(self):
            for data in self._inner:
                self._record["body"] += data.decode("latin-1")
                yield data

        def close(self):
            self._inner.close()

    class Transport(module.HTTPTransport):
        """One that keeps every answer."""

        def handle_request(self, request):
            answer = super().handle_request(request)
            record = {"path": request.url.path, "status": answer.status_code, "type": answer.headers.get("content-type", ""), "body": ""}
            wire.append(record)
            answer.stream = Stream(answer.stream, record)
            return answer

    return Transport()


def said_with(url: str) -> list:
    """A question with an image."""
    return [{"role": "user", "content": [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": url}}]}]


def facts(usage) -> dict:
    """The counts."""
    return {"in": usage.prompt_tokens, "out": usage.completion_tokens, "sum": usage.total_tokens} if usage else {"in": None}


def calls_of(pairs) -> dict:
    """(id, name, arguments as an object) of each call."""
    pairs = list(pairs)
    return {"calls": [[name, arguments] for _, name, arguments in pairs], "ids_n": len({number for number, _, _ in pairs if number})}


def floats(vectors) -> dict:
    """Embeddings."""
    return {"vectors": [list(vector) for vector in vectors]}
