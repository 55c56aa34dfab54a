"""langchain-openai and langchain-ollama, as their users use them: a method for each case."""
import httpx
import httpx2
import langchain_ollama
import langchain_openai
import openai
from shared import ADDRESS, LEFT_AFTER_N, PICTURE, RESULTS, SAID, TALK, TEXTS, TIMEOUT_S, TOOLS, Sight, calls_of, floats, recording, said_with


class LangChain:
    """What both packages of LangChain's do alike; chat_model(more) is theirs."""

    image_of = staticmethod(said_with)

    def __init__(self, ask):
        self.ask, self.model, self.headers = ask, ask["model"], {"X-Request-Id": ask["tag"]}

    def chat(self):
        """One message."""
        message = self.chat_model().invoke(SAID)
        usage = message.usage_metadata
        return {"text": message.content, "finish": message.response_metadata.get("finish_reason") or message.response_metadata["done_reason"],
                "in": usage["input_tokens"], "out": usage["output_tokens"], "sum": usage["total_tokens"]}

    def _read(self, model, said=None):
        whole, parts_n = None, 0
        for part in model.stream(said or SAID):
            whole, parts_n = part if whole is None else whole + part, parts_n + bool(part.content)
        return whole, parts_n

    def stream(self):
        """Chunks, and the counts."""
        whole, parts_n = self._read(self.chat_model(**self.with_usage))
        usage = whole.usage_metadata
        return {"text": whole.content, "parts_n": parts_n, "in": usage["input_tokens"], "out": usage["output_tokens"], "sum": usage["total_tokens"]}

    def conversation(self):
        """Chunks, behind some turns."""
        whole, parts_n = self._read(self.chat_model(), TALK)
        return {"text": whole.content, "parts_n": parts_n}

    def _answer_calls(self, message):
        results = [{"role": "tool", "tool_call_id": call["id"], "name": call["name"], "content": RESULTS[call["name"]]} for call in message.tool_calls]
        return calls_of((call["id"], call["name"], call["args"]) for call in message.tool_calls), [*SAID, message, *results]

    def tools(self):
        """Calls, their results, the answer."""
        model = self.chat_model().bind_tools(TOOLS)
        calls, messages = self._answer_calls(model.invoke(SAID))
        return {**calls, "text": model.invoke(messages).content}

    def tools_stream(self):
        """The same as streams."""
        model = self.chat_model().bind_tools(TOOLS)
        calls, messages = self._answer_calls(self._read(model)[0])
        return {**calls, "text": self._read(model, messages)[0].content}

    def schema(self):
        """An object of a class."""
        return {"object": self.chat_model(**self.limit(128)).with_structured_output(Sight, method="json_schema").invoke(SAID).model_dump()}

    def image(self):
        """One inside of the message."""
        return {"text": self.chat_model().invoke(said_with("data:image/png;base64," + PICTURE)).content}

    def unknown(self):
        """A model that there is not."""
        return self.chat_model(model="absent").invoke(SAID)

    def cancel(self):
        """Goes after some tokens."""
        stream = self.chat_model(**self.limit(20000)).stream(SAID)
        for parts_n, _ in enumerate(stream, 1):
            if parts_n == LEFT_AFTER_N:
                break
        stream.close()
        return {"parts_n": parts_n}


class LangChainOpenAi(LangChain):
    """langchain-openai."""

    with_usage = {"stream_usage": True}
    limit = staticmethod(lambda tokens_n: {"max_tokens": tokens_n})

    def _common(self):
        return {"base_url": self.ask["url"] + "/v1", "model": self.model, "api_key": self.ask.get("key", "none"),
                "max_retries": self.ask.get("retries", 0), "default_headers": self.headers,
                "http_client": openai.DefaultHttpxClient(transport=recording(httpx2, self.ask["wire"]))}

    def chat_model(self, **more):
        """ChatOpenAI."""
        return langchain_openai.ChatOpenAI(**{**self._common(), **more})

    def tool_choice(self):
        """A tool is asked for by its name."""
        message = self.chat_model().bind_tools(TOOLS, tool_choice="add").invoke(SAID)
        return {"names": [call["name"] for call in message.tool_calls], "finish": message.response_metadata["finish_reason"]}

    def tool_none(self):
        """No tool is to be called."""
        message = self.chat_model().bind_tools(TOOLS, tool_choice="none").invoke(SAID)
        return {"calls": message.tool_calls, "text": message.content}

    def embed(self):
        """Texts, as check_embedding_ctx_length=False has it."""
        return floats(langchain_openai.OpenAIEmbeddings(**self._common(), check_embedding_ctx_length=False).embed_documents(TEXTS))

    def embed_tokens(self):
        """What it does by default: numbers of tokens in place of texts."""
        return langchain_openai.OpenAIEmbeddings(**self._common()).embed_documents(TEXTS)

    def text(self):
        """A completion."""
        return {"text": langchain_openai.OpenAI(**self._common()).invoke("hi")}

    def image_address(self):
        """One that would have to be fetched."""
        return self.chat_model().invoke(said_with(ADDRESS))

    def several(self):
        """More than one answer."""
        return self.chat_model(n=2).invoke(SAID)

    def timeout(self):
        """Does not wait."""
        return self.chat_model(timeout=TIMEOUT_S).invoke(SAID)

    def thinking(self):
        """It leaves thoughts out."""
        message = self.chat_model(reasoning_effort="high").invoke(SAID)
        return {"text": message.content, "reasoning": message.additional_kwargs.get("reasoning_content")}

    def logprobs(self):
        """Of each token."""
        content = self.chat_model(logprobs=True, top_logprobs=2).invoke(SAID).response_metadata["logprobs"]["content"]
        return {"n": len(content), "tops": len(content[0]["top_logprobs"])}


class LangChainOllama(LangChain):
    """langchain-ollama."""

    with_usage: dict = {}
    limit = staticmethod(lambda tokens_n: {"num_predict": tokens_n})

    def _common(self):
        headers = {**self.headers, **({"Authorization": "Bearer " + self.ask["key"]} if "key" in self.ask else {})}
        return {"base_url": self.ask["url"], "model": self.model,
                "sync_client_kwargs": {"headers": headers, "transport": recording(httpx, self.ask["wire"])}}

    def chat_model(self, **more):
        """ChatOllama."""
        return langchain_ollama.ChatOllama(**{**self._common(), **more})

    def embed(self):
        """Texts."""
        return floats(langchain_ollama.OllamaEmbeddings(**self._common()).embed_documents(TEXTS))

    def text(self):
        """A completion."""
        return {"text": langchain_ollama.OllamaLLM(**self._common()).invoke("hi")}

    def thinking(self):
        """Thoughts beside words."""
        message = self.chat_model(reasoning=True).invoke(SAID)
        return {"text": message.content, "reasoning": message.additional_kwargs["reasoning_content"]}
