"""openai of PyPI, as its users use it: a method for each case."""
import json

import httpx2
import openai
from shared import ADDRESS, LEFT_AFTER_N, PICTURE, RESULTS, SAID, TALK, TEXTS, TIMEOUT_S, TOOLS, Sight, calls_of, facts, floats, recording, said_with


class OpenAiPython:
    """openai of PyPI."""

    def __init__(self, ask):
        self.ask, self.model = ask, ask["model"]
        self.client = openai.OpenAI(base_url=ask["url"] + "/v1", api_key=ask.get("key", "none"), max_retries=ask.get("retries", 0),
                                    default_headers={"X-Request-Id": ask["tag"]},
                                    http_client=openai.DefaultHttpxClient(transport=recording(httpx2, ask["wire"])))

    def _create(self, **more):
        return self.client.chat.completions.create(**{"model": self.model, "messages": SAID, **more})

    def _read(self, chunks) -> dict:
        text, finish, usage, parts_n, thought = "", None, None, 0, ""
        for chunk in chunks:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                said = choice.text if hasattr(choice, "text") else choice.delta.content or ""
                thought += (getattr(getattr(choice, "delta", None), "reasoning", "") or "")
                text, parts_n, finish = text + said, parts_n + bool(said), choice.finish_reason or finish
        return {"text": text, "parts_n": parts_n, "finish": finish, "reasoning": thought, **facts(usage)}

    def chat(self):
        """One object."""
        answer = self._create(max_tokens=self.ask.get("max_tokens"))
        return {"text": answer.choices[0].message.content, "finish": answer.choices[0].finish_reason, **facts(answer.usage)}

    def stream(self):
        """Chunks."""
        return self._read(self._create(stream=True))

    def conversation(self):
        """Chunks, behind some turns."""
        return self._read(self._create(stream=True, messages=TALK))

    def usage(self):
        """Chunks, and the counts."""
        return self._read(self._create(stream=True, stream_options={"include_usage": True}))

    def length(self):
        """No more than three tokens, by both names of that."""
        old, new = self._create(max_tokens=3), self._create(max_completion_tokens=3)
        return {"text": old.choices[0].message.content, "finish": new.choices[0].finish_reason, **facts(new.usage)}

    def _answer_calls(self, message):
        made = message.tool_calls or []
        results = [{"role": "tool", "tool_call_id": call.id, "content": RESULTS[call.function.name]} for call in made]
        calls = calls_of((call.id, call.function.name, json.loads(call.function.arguments)) for call in made)
        return calls, [*SAID, message.model_dump(include={"role", "content", "tool_calls"}, exclude_none=True), *results]

    def tools(self):
        """Calls, their results, the answer."""
        choice = self._create(tools=TOOLS).choices[0]
        calls, messages = self._answer_calls(choice.message)
        return {**calls, "finish": choice.finish_reason, "text": self._create(tools=TOOLS, messages=messages).choices[0].message.content}

    def tools_stream(self):
        """The same as streams, put together by the client's own helper."""
        with self.client.chat.completions.stream(model=self.model, messages=SAID, tools=TOOLS) as stream:
            choice = stream.get_final_completion().choices[0]
        calls, messages = self._answer_calls(choice.message)
        return {**calls, "finish": choice.finish_reason, "text": self._read(self._create(tools=TOOLS, messages=messages, stream=True))["text"]}

    def tool_choice(self):
        """A tool is asked for by its name."""
        choice = self._create(tools=TOOLS, tool_choice={"type": "function", "function": {"name": "add"}}).choices[0]
        return {"names": [call.function.name for call in choice.message.tool_calls or []], "finish": choice.finish_reason}

    def tool_none(self):
        """No tool is to be called."""
        message = self._create(tools=TOOLS, tool_choice="none").choices[0].message
        return {"calls": message.tool_calls or [], "text": message.content}

    def schema(self):
        """An object of a class."""
        sight = self.client.chat.completions.parse(model=self.model, messages=SAID, response_format=Sight, max_tokens=128).choices[0].message.parsed
        return {"object": sight.model_dump()}

    def schema_stream(self):
        """The same as a stream."""
        with self.client.chat.completions.stream(model=self.model, messages=SAID, response_format=Sight, max_tokens=128) as stream:
            return {"object": stream.get_final_completion().choices[0].message.parsed.model_dump()}

    def json_object(self):
        """Any object."""
        return {"object": json.loads(self._create(response_format={"type": "json_object"}).choices[0].message.content)}

    def _embed(self, **more):
        answer = self.client.embeddings.create(model=self.model, input=TEXTS, **more)
        return {**floats(one.embedding for one in answer.data), "in": answer.usage.prompt_tokens}

    def embed(self):
        """What it asks for by default is base64."""
        return self._embed()

    def embed_float(self):
        """Numbers."""
        return self._embed(encoding_format="float")

    def embed_tokens(self):
        """Numbers of tokens in place of texts."""
        return self.client.embeddings.create(model=self.model, input=[[1, 2], [3]])

    def text(self):
        """A completion."""
        answer = self.client.completions.create(model=self.model, prompt="hi")
        return {"text": answer.choices[0].text, "finish": answer.choices[0].finish_reason, **facts(answer.usage)}

    def text_stream(self):
        """Chunks of one."""
        return self._read(self.client.completions.create(model=self.model, prompt="hi", stream=True, stream_options={"include_usage": True}))

    def models(self):
        """All."""
        return {"ids": sorted(model.id for model in self.client.models.list())}

    def retrieve(self):
        """One whose name has slashes."""
        return {"id": self.client.models.retrieve(self.model).id}

    def retrieve_unknown(self):
        """One that there is not."""
        return self.client.models.retrieve("absent")

    def image(self):
        """One inside of the message."""
        return {"text": self._create(messages=said_with("data:image/png;base64," + PICTURE)).choices[0].message.content}

    def image_address(self):
        """One that would have to be fetched."""
        return self._create(messages=said_with(ADDRESS))

    def unknown(self):
        """A model that there is not."""
        return self._create(model="absent")

    def bad_value(self):
        """A number that is none, in a place that is told."""
        return self._create(temperature="hot", max_tokens="few")

    def several(self):
        """More than one answer."""
        return self._create(n=2)

    def cancel(self):
        """Goes after some tokens."""
        with self._create(stream=True, max_tokens=20000) as stream:
            for parts_n, _ in enumerate(stream, 1):
                if parts_n == LEFT_AFTER_N:
                    break
        return {"parts_n": parts_n}

    def timeout(self):
        """Does not wait."""
        return self.client.with_options(timeout=TIMEOUT_S).chat.completions.create(model=self.model, messages=SAID)

    def thinking(self):
        """Thoughts beside words."""
        message = self._create(reasoning_effort="high").choices[0].message
        return {"text": message.content, "reasoning": getattr(message, "reasoning", None), "same": self._read(self._create(stream=True))["reasoning"]}

    def logprobs(self):
        """Of each token, and two that it might have been."""
        content = self._create(logprobs=True, top_logprobs=2).choices[0].logprobs.content
        plain = self._create(logprobs=True).choices[0].logprobs.content
        return {"n": len(content), "tops": len(content[0].top_logprobs), "plain_tops": len(plain[0].top_logprobs)}

    def responses(self):
        """The other API."""
        return self.client.responses.create(model=self.model, input="hi")
