"""Arrivals that wait for nobody: each request is sent when it is due, whether those before it have been answered or not."""
import asyncio
import json
import math
import random

import backend

WORDS = "some words that are the same for everybody and that nobody reads to the end".split()
OUTPUT_MEAN, OUTPUT_SIGMA, OUTPUT_MOST = 40, 1.0, 600  # tokens; lognormal: one in a hundred is six times the mean
PROMPT_LEAST, PROMPT_MOST = 20, 400


def trace(seed, window_s, speeds, load):
    """[(due_s, prompt)]: Poisson arrivals of which all backends together have that load."""
    chance = random.Random(seed)
    prompts = []
    while len(prompts) < 4000:
        output = min(OUTPUT_MOST, max(1, round(chance.lognormvariate(math.log(OUTPUT_MEAN) - OUTPUT_SIGMA**2 / 2, OUTPUT_SIGMA))))
        words = chance.randint(PROMPT_LEAST, PROMPT_MOST)
        prompts.append(" ".join([str(output)] + [WORDS[i % len(WORDS)] for i in range(words - 1)]))
    mean_s = sum(backend.service_s(len(p.split()), int(p.split(None, 1)[0])) for p in prompts) / len(prompts)
    rate, due_s, made = load * sum(speeds) / mean_s, 0.0, []
    while (due_s := due_s + chance.expovariate(rate)) < window_s:
        made.append((due_s, prompts[len(made) % len(prompts)]))
    return made


async def ask(port, prompt):
    """The answer's object; None where there was none."""
    body = json.dumps({"model": backend.MODEL, "prompt": prompt, "stream": False}).encode()
    writer = None
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
                     b"Content-Length: %d\r\n\r\n" % len(body) + body)
        head, _, data = (await reader.read()).partition(b"\r\n\r\n")
        if b" 200 " not in head[:16]:
            return None
        return json.loads(unchunked(data) if b"chunked" in head.lower() else data)
    except (OSError, ValueError, asyncio.IncompleteReadError):
        return None
    finally:
        if writer:
            writer.close()


def unchunked(data):
    """A chunked body's bytes."""
    whole = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        whole, data = whole + data[:int(size, 16)], data[int(size, 16) + 2:]
    return whole


async def run(ports, arrivals):
    """[(due_s, wait_s, answer_s)] from when it was due to when a backend began it, and to the answer; and how many had none."""
    clock, begin_s, done, failed = asyncio.get_running_loop().time, asyncio.get_running_loop().time(), [], 0

    async def one(number, due_s, prompt):
        nonlocal failed
        await asyncio.sleep(begin_s + due_s - clock())
        answer = await ask(ports[number % len(ports)], prompt)
        if answer is None:
            failed += 1
        else:
            done.append((due_s, answer["began_s"] - begin_s - due_s, clock() - begin_s - due_s))

    await asyncio.gather(*(one(number, *arrival) for number, arrival in enumerate(arrivals)))
    return done, failed
