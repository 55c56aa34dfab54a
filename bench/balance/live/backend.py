"""Ollamas that are played: each answers one request at a time, in the order of arrival, and takes as long as its speed says.

As much of the API as a balancer asks for. An answer says when it was begun (`began_s`, of the same clock as the client's), and how it came about, as
Ollama does: prompt_eval_count, eval_count, and what each took.
"""
import asyncio
import json

MODEL = "played:latest"
PREFILL_PER_S, DECODE_PER_S = 4000.0, 100.0  # of a backend of speed 1; some ten times a small machine's, so that a run is short


def service_s(prompt_tokens, output_tokens, speed=1.0):
    """How long a backend of this speed has to do with it."""
    return (prompt_tokens / PREFILL_PER_S + output_tokens / DECODE_PER_S) / speed


class Backend:
    """One of them, on a free port."""

    def __init__(self, speed):
        self.speed = speed
        self.slot = asyncio.Lock()  # fair: first come, first served
        self.answered = 0
        self.work_s = self.late_s = 0.0  # what was to be done, and by how much it took longer, as the machine had no time for us

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    def stop(self):
        self.server.close()

    async def serve(self, reader, writer):
        """A connection, to its end."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, path = head.split(" ", 2)[:2]
                lengths = [line.split(":")[1] for line in head.split("\r\n") if line.lower().startswith("content-length:")]
                body = await reader.readexactly(int(lengths[0])) if lengths else b""
                status, answer = await self.answer(method, path, body)
                data = json.dumps(answer).encode()
                writer.write(f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, method, path, body):
        """(status, object)."""
        known = {"name": MODEL, "model": MODEL, "digest": "0" * 64, "size": 1, "size_vram": 1, "expires_at": "2100-01-01T00:00:00Z",
                 "context_length": 4096, "details": {"family": "llama", "parameter_size": "1B"}}
        if path in ("/api/tags", "/api/ps"):
            return "200 OK", {"models": [known]}
        if path == "/api/version":
            return "200 OK", {"version": "0.9.5"}
        if path == "/api/show":
            return "200 OK", {"details": known["details"], "model_info": {}, "capabilities": ["completion"]}
        if path == "/api/embed":  # without a text: the model is to be loaded, which it is
            return "200 OK", {"model": MODEL, "embeddings": [], "total_duration": 1, "load_duration": 1}
        if (method, path) != ("POST", "/api/generate"):
            return "404 Not Found", {"error": f"{method} {path} is not played"}
        asked = json.loads(body)
        said = {"model": asked["model"], "created_at": "2026-01-01T00:00:00Z", "response": "", "done": True}
        if not asked.get("prompt"):
            return "200 OK", {**said, "done_reason": "load"}
        return "200 OK", {**said, **await self.generate(asked["prompt"])}

    async def generate(self, prompt):
        """The prompt's first word says how many tokens the answer has: nobody between knows that."""
        prompt_tokens, output_tokens = len(prompt.split()), int(prompt.split(None, 1)[0])
        prefill_s = service_s(prompt_tokens, 0, self.speed)
        all_s = service_s(prompt_tokens, output_tokens, self.speed)
        clock = asyncio.get_running_loop().time
        async with self.slot:
            began_s = clock()
            await asyncio.sleep(all_s)
            self.late_s += clock() - began_s - all_s
        self.work_s += all_s
        self.answered += 1
        return {"done_reason": "stop", "began_s": began_s, "load_duration": 0, "total_duration": int((clock() - began_s) * 1e9),
                "prompt_eval_count": prompt_tokens, "prompt_eval_duration": int(prefill_s * 1e9),
                "eval_count": output_tokens, "eval_duration": int((all_s - prefill_s) * 1e9)}
