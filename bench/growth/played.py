"""An Ollama that is played on many ports at once, in a thread of its own: it answers at once with one token, or holds its answers until it is told."""
import asyncio
import json
import threading

MODEL = "played:latest"
KNOWN = {"name": MODEL, "model": MODEL, "digest": "0" * 64, "size": 1, "size_vram": 1, "expires_at": "2100-01-01T00:00:00Z",
         "context_length": 4096, "details": {"family": "llama", "parameter_size": "1B"}}
ANSWERS = {"/api/tags": {"models": [KNOWN]}, "/api/ps": {"models": [KNOWN]}, "/api/version": {"version": "0.9.5"},
           "/api/show": {"details": KNOWN["details"], "model_info": {}, "capabilities": ["completion"]}}
LAST = {"model": MODEL, "created_at": "2026-01-01T00:00:00Z", "done": True, "done_reason": "stop", "total_duration": 1000000, "load_duration": 0,
        "prompt_eval_count": 10, "prompt_eval_duration": 500000, "eval_count": 1, "eval_duration": 500000,
        "response": "x", "message": {"role": "assistant", "content": "x"}}


class Backend:
    """All of them; `ports` says where. taken: how many prompts are being answered."""

    def __init__(self, ports_n=1):
        self.loop = asyncio.new_event_loop()
        self.taken = 0
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        servers = [self.run(asyncio.start_server(self.serve, "127.0.0.1", 0, limit=1 << 20)) for _ in range(ports_n)]
        self.ports = [server.sockets[0].getsockname()[1] for server in servers]

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def hold(self):
        """From now on answers wait for release()."""
        self.loop.call_soon_threadsafe(self.is_open.clear)

    def release(self):
        self.loop.call_soon_threadsafe(self.is_open.set)

    def stop(self):
        async def end():
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
        self.run(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    async def serve(self, reader, writer):
        """A connection, to its end."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, path = head.split(" ", 2)[:2]
                lengths = [line.split(":")[1] for line in head.split("\r\n") if line.lower().startswith("content-length:")]
                left_n = int(lengths[0]) if lengths else 0
                while left_n:
                    left_n -= len(await reader.read(min(left_n, 1 << 20)))
                answer = ANSWERS.get(path)
                if method == "POST" and not answer:
                    self.taken += 1
                    try:
                        await self.is_open.wait()
                    finally:
                        self.taken -= 1
                    answer = LAST
                data = json.dumps(answer or {"error": "not played"}).encode() + b"\n"
                kind = "application/x-ndjson" if answer is LAST else "application/json"
                writer.write(b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%b" % (b"200 OK" if answer else b"404 Not Found",
                                                                                             kind.encode(), len(data), data))
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()
