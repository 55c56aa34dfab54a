"""Write a tiny llama model with random weights as a GGUF file, for a real Ollama that has nothing to download.

It speaks gibberish, but loads, streams, counts and unloads as any other model does; under 1 MB, unless another Shape is
asked for. Standard library only. The file format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""
import array
import dataclasses
import itertools
import random
import struct

DICE_N = 65536  # so many weights are thrown; a larger matrix repeats them
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


@dataclasses.dataclass
class Shape:
    """What decides how much memory it needs."""
    layers: int = 2
    width: int = 64
    heads: int = 2
    heads_kv: int = 2
    head_width: int = 32  # of a key, and of a value
    feed_forward: int = 128
    vocabulary: int = 0   # so many tokens at least
    context: int = 32768


def _vocabulary(least_n=0):
    """(text, score, type): 3 control tokens, 256 bytes, and short words, so that any UTF-8 prompt has an encoding."""
    tokens = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)]
    tokens += [(f"<0x{byte:02X}>", 0.0, 6) for byte in range(256)]
    words = ["".join(pair) for pair in itertools.product("bdfglmnprst", "aeiou")]
    tokens += [("\u2581" + word, -1.0 - index, 1) for index, word in enumerate(words)]
    tokens += [(word, -100.0 - index, 1) for index, word in enumerate(words)]
    tokens += [("\u2581", -1000.0, 1)]
    return tokens + [(f"<extra {number}>", -2000.0 - number, 1) for number in range(least_n - len(tokens))]


def _tensors(vocabulary_n, s):
    """(name, dimensions with the fastest first, floats)."""
    dice = random.Random(1)
    thrown = {}

    def matrix(rows, columns, scale=0.05):
        wanted_n = rows * columns
        if wanted_n <= DICE_N:
            return (columns, rows), array.array("f", (dice.gauss(0, scale) for _ in range(wanted_n)))
        if scale not in thrown:
            thrown[scale] = array.array("f", (dice.gauss(0, scale) for _ in range(DICE_N - 1)))
        return (columns, rows), (thrown[scale] * (wanted_n // (DICE_N - 1) + 1))[:wanted_n]

    ones = ((s.width,), array.array("f", [1.0] * s.width))
    yield ("token_embd.weight", *matrix(vocabulary_n, s.width, 1.0))
    for layer in range(s.layers):
        block = f"blk.{layer}."
        yield (block + "attn_norm.weight", *ones)
        yield (block + "attn_q.weight", *matrix(s.heads * s.head_width, s.width))
        yield (block + "attn_k.weight", *matrix(s.heads_kv * s.head_width, s.width))
        yield (block + "attn_v.weight", *matrix(s.heads_kv * s.head_width, s.width))
        yield (block + "attn_output.weight", *matrix(s.width, s.heads * s.head_width))
        yield (block + "ffn_norm.weight", *ones)
        yield (block + "ffn_gate.weight", *matrix(s.feed_forward, s.width))
        yield (block + "ffn_up.weight", *matrix(s.feed_forward, s.width))
        yield (block + "ffn_down.weight", *matrix(s.width, s.feed_forward))
    yield ("output_norm.weight", *ones)
    shape, output = matrix(vocabulary_n, s.width, 1.0)
    output[2 * s.width:3 * s.width] = array.array("f", [0.0] * s.width)  # the end token seldom wins: long answers
    yield ("output.weight", shape, output)


def write(path, s=None, template=""):
    """Write the model to this path; template: its chat template, where it is to have one."""
    s = s or Shape()
    tokens = _vocabulary(s.vocabulary)
    keys = [
        ("general.architecture", STRING, "llama"), ("general.name", STRING, "tiny"), ("general.file_type", U32, 0),
        ("llama.context_length", U32, s.context), ("llama.embedding_length", U32, s.width), ("llama.block_count", U32, s.layers),
        ("llama.feed_forward_length", U32, s.feed_forward), ("llama.attention.head_count", U32, s.heads),
        ("llama.attention.head_count_kv", U32, s.heads_kv), ("llama.attention.key_length", U32, s.head_width),
        ("llama.attention.value_length", U32, s.head_width), ("llama.attention.layer_norm_rms_epsilon", F32, 1e-5),
        ("llama.rope.dimension_count", U32, s.head_width), ("llama.vocab_size", U32, len(tokens)),
        ("tokenizer.ggml.model", STRING, "llama"),
        ("tokenizer.ggml.tokens", ARRAY, (STRING, [text for text, _, _ in tokens])),
        ("tokenizer.ggml.scores", ARRAY, (F32, [score for _, score, _ in tokens])),
        ("tokenizer.ggml.token_type", ARRAY, (I32, [kind for _, _, kind in tokens])),
        ("tokenizer.ggml.bos_token_id", U32, 1), ("tokenizer.ggml.eos_token_id", U32, 2),
        ("tokenizer.ggml.unknown_token_id", U32, 0), ("tokenizer.ggml.add_bos_token", BOOL, True),
        *([("tokenizer.chat_template", STRING, template)] if template else []),
    ]
    head, offset, sizes = b"", 0, []
    for name, shape, floats in _tensors(len(tokens), s):
        head += _string(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        head += struct.pack("<IQ", 0, offset)
        sizes.append(len(floats) * 4 + -(len(floats) * 4) % ALIGNMENT)
        offset += sizes[-1]
    keyed = b"GGUF" + struct.pack("<IQQ", 3, len(sizes), len(keys))
    keyed += b"".join(_string(name) + struct.pack("<I", kind) + _value(kind, value) for name, kind, value in keys)
    with open(path, "wb") as file:
        file.write(keyed + head + bytes(-len(keyed + head) % ALIGNMENT))
        for (_, _, floats), size in zip(_tensors(len(tokens), s), sizes):
            file.write(floats.tobytes().ljust(size, b"\0"))
