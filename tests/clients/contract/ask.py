"""The Python clients: each line of stdin names one and a case, each line of stdout says what it saw.

One process for all, as importing them takes seconds (asking.py is the other end; contract_cases.py says what is to be seen). A
client is a class, a case one of its methods.
"""
import json
import sys
import threading

import tiktoken
from langchain_python import LangChainOllama, LangChainOpenAi
from ollama_python import OllamaPython
from openai_python import OpenAiPython

CLIENTS = {"openai (Python)": OpenAiPython, "langchain-openai": LangChainOpenAi, "langchain-ollama": LangChainOllama,
           "ollama (Python)": OllamaPython}
lock = threading.Lock()


def say(value) -> None:
    """One line, whole."""
    with lock:
        print(json.dumps(value, default=str), flush=True)


def answer_one(ask) -> None:
    """What the client saw."""
    saw = {"id": ask["id"], "value": None, "error": None, "wire": []}
    ask["wire"] = saw["wire"]
    try:
        value = getattr(CLIENTS[ask["client"]](ask), ask["case"])()
        saw["value"] = value if isinstance(value, dict) else repr(value)
    except Exception as error:  # whatever a client raises is what is looked for
        saw["error"] = {"name": type(error).__name__, "message": str(error),
                        **{name: getattr(error, name, None) for name in ("status_code", "param", "code", "type")}}
    say(saw)


def main() -> None:
    """What it would fetch from afar to count tokens by is made here: each byte is one."""
    tiktoken.get_encoding = lambda _: tiktoken.Encoding("bytes", pat_str=r".", special_tokens={},
                                                        mergeable_ranks={bytes([byte]): byte for byte in range(256)})
    say({"versions": {}})
    for line in sys.stdin:
        threading.Thread(target=answer_one, args=(json.loads(line),), daemon=True).start()


main()
