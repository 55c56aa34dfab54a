"""ollama of PyPI, as its users use it: a method for each case."""
import base64
import json
import os
import threading

import httpx
import ollama
from shared import LEFT_AFTER_N, PICTURE, RESULTS, SAID, TEXTS, TIMEOUT_S, TOOLS, Sight, floats, recording

lock = threading.Lock()  # while a variable is set, as a client reads it when it is made
SIGHT = Sight.model_json_schema()


class OllamaPython:
    """ollama of PyPI."""

    def __init__(self, ask):
        self.ask, self.model = ask, ask["model"]
        headers = {"X-Request-Id": ask["tag"], **({"Authorization": "Bearer " + ask["key"]} if "key" in ask else {})}
        with lock:
            if "variable" in ask:
                os.environ["OLLAMA_API_KEY"] = ask["variable"]
            self.client = ollama.Client(host=ask["url"], headers=headers, transport=recording(httpx, ask["wire"]),
                                        timeout=TIMEOUT_S if ask["case"] == "timeout" else None)
            os.environ.pop("OLLAMA_API_KEY", None)

    def _chat(self, said=None, **more):
        return self.client.chat(self.model, said or SAID, **more)

    def _read(self, parts):
        parts = list(parts)
        return {"text": "".join(part.message.content or "" for part in parts), "parts_n": sum(bool(part.message.content) for part in parts),
                "finish": parts[-1].done_reason, "in": parts[-1].prompt_eval_count, "out": parts[-1].eval_count}

    def chat(self):
        """One object."""
        return self._read([self._chat()])

    def stream(self):
        """Lines."""
        return self._read(self._chat(stream=True))

    def length(self):
        """No more than three tokens."""
        return self._read([self._chat(options={"num_predict": 3})])

    def _answer_calls(self, messages):
        calls = [call.function for message in messages for call in message.tool_calls or []]
        results = [{"role": "tool", "tool_name": call.name, "content": RESULTS[call.name]} for call in calls]
        said = {"role": "assistant", "tool_calls": [{"function": {"name": call.name, "arguments": call.arguments}} for call in calls]}
        return {"calls": [[call.name, dict(call.arguments)] for call in calls]}, [*SAID, said, *results]

    def tools(self):
        """Calls, their results, the answer."""
        calls, messages = self._answer_calls([self._chat(tools=TOOLS).message])
        return {**calls, "text": self._chat(messages, tools=TOOLS).message.content}

    def tools_stream(self):
        """The same as streams."""
        calls, messages = self._answer_calls([part.message for part in self._chat(tools=TOOLS, stream=True)])
        return {**calls, "text": self._read(self._chat(messages, tools=TOOLS, stream=True))["text"]}

    def schema(self):
        """An object of a class."""
        return {"object": Sight.model_validate_json(self._chat(format=SIGHT, options={"num_predict": 128}).message.content).model_dump()}

    def json_object(self):
        """Any object."""
        return {"object": json.loads(self._chat(format="json").message.content)}

    def embed(self):
        """Texts."""
        answer = self.client.embed(self.model, TEXTS)
        return {**floats(answer.embeddings), "in": answer.prompt_eval_count}

    def text(self):
        """A completion."""
        answer = self.client.generate(self.model, "hi")
        return {"text": answer.response, "finish": answer.done_reason, "in": answer.prompt_eval_count, "out": answer.eval_count}

    def models(self):
        """All."""
        return {"ids": sorted(model.model for model in self.client.list().models)}

    def image(self):
        """One inside of the message."""
        return {"text": self._chat([{"role": "user", "content": "what is it?", "images": [base64.b64decode(PICTURE)]}]).message.content}

    def unknown(self):
        """A model that there is not."""
        return self.client.chat("absent", SAID)

    def cancel(self):
        """Goes after some tokens."""
        stream = self._chat(stream=True, options={"num_predict": 20000})
        for parts_n, _ in enumerate(stream, 1):
            if parts_n == LEFT_AFTER_N:
                break
        stream.close()
        return {"parts_n": parts_n}

    def timeout(self):
        """Does not wait."""
        return self._chat()

    def thinking(self):
        """Thoughts beside words."""
        message = self._chat(think=True).message
        return {"text": message.content, "reasoning": message.thinking}
