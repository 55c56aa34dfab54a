"""What an answer of /v1 must be: schemas written from OpenAI's API reference. Members that the reference does not have may be there;
each that it requires must be, with its kind, and nothing else stands in for it."""
TEXT, COUNT, NUMBER = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "number"}


def just(*values):
    """One of these."""
    return {"enum": list(values)}


def maybe(schema):
    """… or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def array(items, **more):
    """A list of them."""
    return {"type": "array", "items": items, **more}


def thing(required, **optional):
    """An object with these members, and perhaps those."""
    return {"type": "object", "required": list(required), "properties": {**required, **optional}}


USAGE = thing({"prompt_tokens": COUNT, "completion_tokens": COUNT, "total_tokens": COUNT})
FUNCTION = thing({"name": {"type": "string", "minLength": 1}, "arguments": TEXT})
CALL = thing({"id": {"type": "string", "minLength": 1}, "type": just("function"), "function": FUNCTION})
PIECE_OF_CALL = thing({"index": COUNT}, id=TEXT, type=just("function"), function=thing({}, name=TEXT, arguments=TEXT))
REASON = just("stop", "length", "tool_calls", "content_filter", "function_call")
TOKEN = {"token": TEXT, "logprob": NUMBER, "bytes": maybe(array({"type": "integer", "minimum": 0, "maximum": 255}))}
LOGPROBS = thing({"content": maybe(array(thing({**TOKEN, "top_logprobs": array(thing(TOKEN))}))), "refusal": {"type": "null"}})
TEXT_LOGPROBS = thing({"tokens": array(TEXT), "token_logprobs": array(NUMBER), "text_offset": array(COUNT),
                       "top_logprobs": array({"type": "object", "additionalProperties": NUMBER})})
FRAME = {"id": {"type": "string", "minLength": 1}, "created": {"type": "integer", "minimum": 1}, "model": {"type": "string", "minLength": 1}}

CHAT = thing({**FRAME, "object": just("chat.completion"), "usage": USAGE, "choices": array(thing({
    "index": COUNT, "finish_reason": REASON, "logprobs": maybe(LOGPROBS),
    "message": thing({"role": just("assistant"), "content": maybe(TEXT), "refusal": maybe(TEXT)},
                     tool_calls=array(CALL, minItems=1), function_call=FUNCTION, reasoning=TEXT, reasoning_content=TEXT)}), minItems=1)},
    system_fingerprint=TEXT)
CHAT_CHUNK = thing({**FRAME, "object": just("chat.completion.chunk"), "choices": array(thing({
    "index": COUNT, "finish_reason": maybe(REASON),
    "delta": thing({}, role=just("assistant"), content=maybe(TEXT), tool_calls=array(PIECE_OF_CALL, minItems=1), refusal=maybe(TEXT),
                   function_call=thing({}, name=TEXT, arguments=TEXT), reasoning=TEXT, reasoning_content=TEXT)}, logprobs=maybe(LOGPROBS)))},
    usage=maybe(USAGE), system_fingerprint=TEXT)
TEXT_CHOICE = {"text": TEXT, "index": COUNT, "logprobs": maybe(TEXT_LOGPROBS)}
COMPLETION = thing({**FRAME, "object": just("text_completion"), "usage": USAGE,
                    "choices": array(thing({**TEXT_CHOICE, "finish_reason": just("stop", "length", "content_filter")}), minItems=1)})
COMPLETION_CHUNK = thing({**FRAME, "object": just("text_completion"),
                          "choices": array(thing({**TEXT_CHOICE, "finish_reason": maybe(just("stop", "length", "content_filter"))}))},
                         usage=maybe(USAGE))
EMBEDDINGS = thing({"object": just("list"), "model": TEXT, "usage": thing({"prompt_tokens": COUNT, "total_tokens": COUNT}),
                    "data": array(thing({"object": just("embedding"), "index": COUNT, "embedding": {"anyOf": [array(NUMBER), TEXT]}}))})
MODEL = thing({"id": {"type": "string", "minLength": 1}, "object": just("model"), "created": COUNT, "owned_by": {"type": "string", "minLength": 1}})
MODELS = thing({"object": just("list"), "data": array(MODEL)})
ERROR = thing({"error": thing({"message": TEXT, "type": TEXT, "param": maybe(TEXT), "code": maybe(TEXT)})})

KINDS = {"string": str, "object": dict, "array": list, "null": type(None), "integer": int, "number": (int, float)}


def faults(value, schema, place="answer"):
    """What is wrong with a value, each with its place; the few keywords of JSON Schema that stand above."""
    if "anyOf" in schema:
        tried = [faults(value, one, place) for one in schema["anyOf"]]
        return [] if [] in tried else tried[0]
    if "enum" in schema:
        return [] if value in schema["enum"] else [f"{place}: {value!r} is none of {schema['enum']}"]
    if not isinstance(value, KINDS[schema["type"]]) or isinstance(value, bool):
        return [f"{place}: {value!r} is no {schema['type']}"]
    found = []
    if schema["type"] in ("integer", "number") and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        found.append(f"{place}: {value!r} is out of bounds")
    if len(value if isinstance(value, (str, list)) else "x") < schema.get("minLength", schema.get("minItems", 0)):
        found.append(f"{place}: is empty")
    for name in schema.get("required", []):
        if name not in value:
            found.append(f"{place}.{name}: missing")
    for name, one in schema.get("properties", {}).items():
        found += faults(value[name], one, f"{place}.{name}") if name in value else []
    if schema["type"] == "array":
        for i, item in enumerate(value):
            found += faults(item, schema["items"], f"{place}[{i}]")
    elif schema["type"] == "object" and "additionalProperties" in schema:
        for name, item in value.items():
            found += faults(item, schema["additionalProperties"], f"{place}.{name}")
    return found
