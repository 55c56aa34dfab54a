"""Write a tiny llama model with random weights as a GGUF file, for a real Ollama that has nothing to download.

It speaks gibberish, but loads, streams, counts and unloads as any other model does; under 1 MB. Standard library only.
The file format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""
import array
import itertools
import random
import struct

WIDTH, LAYERS, FEED_FORWARD, HEADS = 64, 2, 128, 2
U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
ALIGNMENT = 32


def _string(text):
    raw = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _value(kind, value):
    if kind == STRING:
        return _string(value)
    if kind == ARRAY:
        element, items = value
        return struct.pack("<IQ", element, len(items)) + b"".join(_value(element, item) for item in items)
    return struct.pack({U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}[kind], value)


def _vocabulary():
    """(text, score, type): 3 control tokens, 256 bytes, and short words, so that any UTF-8 prompt has an encoding."""
    tokens = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)]
    tokens += [(f"<0x{byte:02X}>", 0.0, 6) for byte in range(256)]
    words = ["".join(pair) for pair in itertools.product("bdfglmnprst", "aeiou")]
    tokens += [("\u2581" + word, -1.0 - index, 1) for index, word in enumerate(words)]
    tokens += [(word, -100.0 - index, 1) for index, word in enumerate(words)]
    return tokens + [("\u2581", -1000.0, 1)]


def _tensors(vocabulary_n):
    """(name, dimensions with the fastest first, floats)."""
    dice = random.Random(1)

    def matrix(rows, columns, scale=0.05):
        return (columns, rows), array.array("f", (dice.gauss(0, scale) for _ in range(rows * columns)))

    ones = ((WIDTH,), array.array("f", [1.0] * WIDTH))
    yield ("token_embd.weight", *matrix(vocabulary_n, WIDTH, 1.0))
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        yield (block + "attn_norm.weight", *ones)
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            yield (f"{block}{name}.weight", *matrix(WIDTH, WIDTH))
        yield (block + "ffn_norm.weight", *ones)
        yield (block + "ffn_gate.weight", *matrix(FEED_FORWARD, WIDTH))
        yield (block + "ffn_up.weight", *matrix(FEED_FORWARD, WIDTH))
        yield (block + "ffn_down.weight", *matrix(WIDTH, FEED_FORWARD))
    yield ("output_norm.weight", *ones)
    shape, output = matrix(vocabulary_n, WIDTH, 1.0)
    output[2 * WIDTH:3 * WIDTH] = array.array("f", [0.0] * WIDTH)  # the end token seldom wins: long answers
    yield ("output.weight", shape, output)


def write(path):
    """Write the model to this path."""
    tokens = _vocabulary()
    keys = [
        ("general.architecture", STRING, "llama"), ("general.name", STRING, "tiny"), ("general.file_type", U32, 0),
        ("llama.context_length", U32, 32768), ("llama.embedding_length", U32, WIDTH), ("llama.block_count", U32, LAYERS),
        ("llama.feed_forward_length", U32, FEED_FORWARD), ("llama.attention.head_count", U32, HEADS),
        ("llama.attention.head_count_kv", U32, HEADS), ("llama.attention.layer_norm_rms_epsilon", F32, 1e-5),
        ("llama.rope.dimension_count", U32, WIDTH // HEADS), ("llama.vocab_size", U32, len(tokens)),
        ("tokenizer.ggml.model", STRING, "llama"),
        ("tokenizer.ggml.tokens", ARRAY, (STRING, [text for text, _, _ in tokens])),
        ("tokenizer.ggml.scores", ARRAY, (F32, [score for _, score, _ in tokens])),
        ("tokenizer.ggml.token_type", ARRAY, (I32, [kind for _, _, kind in tokens])),
        ("tokenizer.ggml.bos_token_id", U32, 1), ("tokenizer.ggml.eos_token_id", U32, 2),
        ("tokenizer.ggml.unknown_token_id", U32, 0), ("tokenizer.ggml.add_bos_token", BOOL, True),
    ]
    tensors = list(_tensors(len(tokens)))
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    for name, kind, value in keys:
        head += _string(name) + struct.pack("<I", kind) + _value(kind, value)
    data = b""
    for name, shape, floats in tensors:
        head += _string(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        head += struct.pack("<IQ", 0, len(data))
        data += floats.tobytes() + bytes(-len(floats.tobytes()) % ALIGNMENT)
    with open(path, "wb") as file:
        file.write(head + bytes(-len(head) % ALIGNMENT) + data)
