"""What clients do with the API, and what they are to see of it: a table of cases, each for the clients that have such a thing."""
import dataclasses

WORDS_N = 12
WHOLE = "".join(f"t{index} " for index in range(WORDS_N))
TEXTS = ["one", "two words"]  # what is embedded
CALLS = [["add", {"a": 2, "b": 40}], ["weather", {"city": "K\u00f6ln"}]]
SIGHT = {"kind": "cat", "is_tame": True}
THOUGHT = "hm well "
PICTURE = [70, "6b7fa434f92a8b80aab02d9bf1a12e49ffcae424e4013a1c4f68b67e3d2bbcd0"]

MODELS = ("tiny:latest", "caller:latest", "thinker:latest", "slow:latest", "late:latest", "me/tiny:v1")
SCRIPT = {
    "tokens": WORDS_N, "token_delay_ms": 5,
    "models": {
        "caller": {"tool_calls": [{"function": {"name": name, "arguments": arguments}} for name, arguments in CALLS]},
        "thinker": {"thinking": THOUGHT, "show": {"capabilities": ["completion", "thinking"]}},
        "tiny": {"show": {"capabilities": ["completion", "tools", "vision"]}},
        "slow": {"tokens": 20000, "token_delay_ms": 20},
        "late": {"first_token_delay_ms": 20000},
    },
}

OPENAI = ("openai (Python)", "openai (Node)")
AI_SDK = ("@ai-sdk/openai-compatible", "@ai-sdk/openai")
OLLAMA = ("ollama (Python)", "ollama (Node)")
PYTHON = ("openai (Python)", "langchain-openai", "langchain-ollama", "ollama (Python)")
NODE = ("openai (Node)", *AI_SDK, "ollama (Node)", "ai-sdk-ollama")
CLIENTS = (*PYTHON, *NODE)
V1 = (*OPENAI, "langchain-openai", *AI_SDK)  # those that speak OpenAI's API


def but(*names) -> tuple:
    """All others."""
    return tuple(client for client in CLIENTS if client not in names)


@dataclasses.dataclass(frozen=True)
class Case:
    """One thing that clients do. What of `sees` a client does not tell is not looked for, but the first of it always is."""

    name: str
    title: str
    clients: tuple
    sees: dict = dataclasses.field(default_factory=dict)
    sees_otherwise: dict = dataclasses.field(default_factory=dict)  # {client: what differs}
    model: str = "tiny"
    error: int = 0            # the status that it is to see
    words: tuple = ()         # of the error's reason
    param: tuple = ()         # the places that may be named
    code: str = ""
    is_left: bool = False     # the client goes before the end


COUNTS = {"in": 1, "out": WORDS_N, "sum": 1 + WORDS_N}
AS_A_DIALOGUE = {"in": 5, "sum": 5 + WORDS_N}  # the AI SDK writes who speaks into the prompt of a completion
CASES = (
    Case("chat", "a chat", CLIENTS, {"text": WHOLE, "finish": "stop", **COUNTS}),
    Case("stream", "a stream", CLIENTS, {"text": WHOLE, "parts_n": WORDS_N, "finish": "stop"},
         {client: {"in": None} for client in OPENAI}),
    Case("usage", "a stream with its counts", OPENAI, {"text": WHOLE, "finish": "stop", **COUNTS}),
    Case("conversation", "a conversation of some turns, streamed", V1, {"text": WHOLE, "parts_n": WORDS_N, "finish": "stop"}),
    Case("length", "a limit of tokens", but("langchain-openai", "langchain-ollama"), {"text": "t0 t1 t2 ", "finish": "length", "out": 3}),
    Case("tools", "tools: calls, results, answer", CLIENTS, {"calls": CALLS, "ids_n": 2, "finish": "tool_calls", "text": WHOLE}, model="caller"),
    Case("tools_stream", "the same, streamed", CLIENTS, {"calls": CALLS, "ids_n": 2, "finish": "tool_calls", "text": WHOLE}, model="caller"),
    Case("tool_choice", "`tool_choice`: one by its name", V1, {"names": ["add"]}, model="caller"),
    Case("tool_none", "`tool_choice`: none", V1, {"calls": [], "text": WHOLE}, model="caller"),
    Case("schema", "an answer by a JSON schema", CLIENTS, {"object": SIGHT}),
    Case("schema_stream", "the same, streamed", OPENAI, {"object": SIGHT}),
    Case("json_object", "`json_object`", (*OPENAI, *OLLAMA), {"object": {"answer": "word"}}),
    Case("embed", "embeddings", CLIENTS, {"vectors": TEXTS, "in": 3}),
    Case("embed_float", "embeddings as numbers (`encoding_format`)", OPENAI, {"vectors": TEXTS, "in": 3}),
    Case("embed_tokens", "embeddings of tokens", (*OPENAI, "langchain-openai"), error=400, words=("input", "token"), param=("input", "input[0]")),
    Case("text", "a completion", but("ai-sdk-ollama"), {"text": WHOLE, "finish": "stop", **COUNTS}, dict.fromkeys(AI_SDK, AS_A_DIALOGUE)),
    Case("text_stream", "the same, streamed", (*OPENAI, *AI_SDK), {"text": WHOLE, "finish": "stop", **COUNTS},
         dict.fromkeys(AI_SDK, AS_A_DIALOGUE)),
    Case("models", "the list of models", (*OPENAI, *OLLAMA), {"ids": sorted(MODELS)}),
    Case("retrieve", "one of it, with a slash in its name", OPENAI, {"id": "me/tiny:v1"}, model="me/tiny:v1"),
    Case("retrieve_unknown", "one that is not there", OPENAI, error=404, words=("not found",), code="model_not_found"),
    Case("image", "an image in the message", CLIENTS, {"text": WHOLE}),
    Case("image_address", "the address of an image", (*OPENAI, "langchain-openai"), error=400, words=("image",),
         param=("messages[0].content[1].image_url", "messages[0].content[1].image_url.url")),
    Case("thinking", "what a model thinks", CLIENTS, {"text": WHOLE, "reasoning": THOUGHT, "same": THOUGHT},
         {"langchain-openai": {"reasoning": None}, "@ai-sdk/openai": {"reasoning": None, "same": ""}}, model="thinker"),
    Case("logprobs", "`logprobs`", (*OPENAI, "langchain-openai"), {"n": WORDS_N, "tops": 2, "plain_tops": 0}),
    Case("unknown", "a model that is not there", CLIENTS, error=404, words=("absent", "not found"), code="model_not_found"),
    Case("bad_value", "values that are none", OPENAI, error=400, words=("temperature", "max_tokens"),
         param=("temperature", "max_tokens")),
    Case("several", "`n = 2`", (*OPENAI, "langchain-openai"), error=400, words=("n",), param=("n",)),
    Case("responses", "/v1/responses", (*OPENAI, "@ai-sdk/openai"), error=501, words=("/v1/responses",)),
    # ai-sdk-ollama takes an abortSignal, and goes on reading
    Case("cancel", "leaving in mid-stream", but("ai-sdk-ollama"), {"parts_n": 3}, model="slow", is_left=True),
    Case("timeout", "its own time limit", (*V1, "ollama (Python)"), model="late", is_left=True, error=-1),
)


# What the proxy does not do yet, and which clients see that.
PENDING: dict = {}


def asks():
    """(client, case) of every question."""
    return [(client, case) for case in CASES for client in case.clients]


def tag_of(client: str, case: Case) -> str:
    """The request's id, by which it is found in logs."""
    return f"{case.name}-{CLIENTS.index(client)}"
