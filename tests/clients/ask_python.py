"""The Python clients, and two strict readers: each line of stdin asks one of them, each line of stdout says what it saw.

One process for all, as importing them takes seconds; each question has a thread of its own (asking.py is the other end).
"""
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tempfile
import threading

import client as wire  # tests/e2e, by PYTHONPATH
import langchain_ollama
import langchain_openai
import ollama
import openai

LIMIT_S = 90  # of programs and of our own readers, where the question says no other; a test ends sooner
MESSAGES = [{"role": "user", "content": "hi"}]
QUESTION = {"chat": ("/api/chat", {"messages": MESSAGES}), "text": ("/api/generate", {"prompt": "hi"}),
            "v1-chat": ("/v1/chat/completions", {"messages": MESSAGES}), "v1-text": ("/v1/completions", {"prompt": "hi"}),
            "preset": ("/generate", {"prompt": "hi"}), "preset-events": ("/generate", {"prompt": "hi"})}
HEADERS = {"Content-Type": "application/json"}


class Refused(Exception):
    """A strict reader's or curl's way to say no."""

    def __init__(self, text, status=None):
        super().__init__(text)
        self.status_code = status


def ollama_py(ask):
    """ollama of PyPI."""
    client, stream = ollama.Client(host=ask["url"]), ask["stream"]
    if ask["api"] == "chat":
        answer = client.chat(ask["model"], MESSAGES, stream=stream)
        yield from (part.message.content for part in (answer if stream else [answer]))
    else:
        answer = client.generate(ask["model"], "hi", stream=stream)
        yield from (part.response for part in (answer if stream else [answer]))


def openai_py(ask):
    """openai of PyPI."""
    client = openai.OpenAI(base_url=ask["url"] + "/v1", api_key="none", max_retries=0)
    if ask["api"] == "chat":
        answer = client.chat.completions.create(model=ask["model"], messages=MESSAGES, stream=ask["stream"])
        for part in answer if ask["stream"] else [answer]:
            yield from ((choice.delta if ask["stream"] else choice.message).content or "" for choice in part.choices)
    else:
        answer = client.completions.create(model=ask["model"], prompt="hi", stream=ask["stream"])
        for part in answer if ask["stream"] else [answer]:
            yield from (choice.text for choice in part.choices)


def langchain(model, ask):
    """A model of LangChain's, asked as its users do."""
    if ask["stream"]:
        for part in model.stream("hi"):
            yield part if isinstance(part, str) else part.content
    else:
        answer = model.invoke("hi")
        yield answer if isinstance(answer, str) else answer.content


def langchain_ollama_py(ask):
    """langchain-ollama: ChatOllama and OllamaLLM."""
    kind = langchain_ollama.ChatOllama if ask["api"] == "chat" else langchain_ollama.OllamaLLM
    return langchain(kind(base_url=ask["url"], model=ask["model"]), ask)


def langchain_openai_py(ask):
    """langchain-openai: ChatOpenAI and OpenAI."""
    kind = langchain_openai.ChatOpenAI if ask["api"] == "chat" else langchain_openai.OpenAI
    return langchain(kind(base_url=ask["url"] + "/v1", model=ask["model"], api_key="none", max_retries=0), ask)


def text_of(value) -> str:
    """The text of one object of any of the four APIs."""
    if "message" in value:
        return value["message"]["content"]
    if "response" in value:
        return value["response"]
    choices = [choice.get("delta") or choice.get("message") or choice for choice in value["choices"]]
    return "".join(choice.get("content", choice.get("text")) or "" for choice in choices)


def complain(value) -> None:
    """An error object is an error."""
    if "error" in value:
        error = value["error"]
        raise Refused("error object: " + (error if isinstance(error, str) else error["message"]))


def headers_of(ask) -> dict:
    """What is sent beside the question."""
    return {**HEADERS, "Accept": "text/event-stream"} if ask["api"] == "preset-events" else HEADERS


def send(ask):
    """The open answer, with status 200."""
    path, body = QUESTION[ask["api"]]
    connection = wire.Connection(int(ask["url"].rsplit(":", 1)[1]), timeout=LIMIT_S)
    answer = connection.request("POST", path, {"model": ask["model"], "stream": ask["stream"], **body},
                                headers_of(ask).items())
    if answer.status != 200:
        raise Refused(answer.body.decode(), answer.status)
    return answer


def whole_lines(answer, ask):
    """The lines of an answer with their ends taken off; what stands behind the last one is no line."""
    rest = b""
    for _, data in answer.pieces():
        ask["raw"] += data
        *lines, rest = (rest + data).split(b"\n")
        yield from lines
    if rest.strip(b" "):
        raise Refused(f"unfinished line {rest[:80]!r}")
    if not answer.clean:
        raise Refused("the connection ended before the answer did")


def strict_lines(ask):
    """Every line is an object, none is blank, the last one says that it is done; else one object, properly ended."""
    answer = send(ask)
    if not ask["stream"]:
        value = json.loads(answer.body)
        ask["raw"] += answer.body
        complain(value)
        if not answer.clean:
            raise Refused("the connection ended before the answer did")
        yield text_of(value)
        return
    is_done = False
    for line in whole_lines(answer, ask):
        value = json.loads(line)  # a blank line is an error, too
        complain(value)
        is_done = value["done"]
        yield text_of(value)
    if not is_done:
        raise Refused("no line said done")


def strict_events(ask):
    """A blank line ends an event, whatever came before it; an event without data is an error, as in older clients for Go."""
    answer, data, is_done = send(ask), [], False
    if answer.header("content-type") != "text/event-stream":
        raise Refused("not text/event-stream")
    for line in whole_lines(answer, ask):
        name, _, value = line.partition(b":")
        if line == b"" and data == [b"[DONE]"]:
            is_done, data = True, []
        elif line == b"":
            event, data = json.loads(b"\n".join(data)), []
            complain(event)
            yield text_of(event)
        elif name == b"data":
            data.append(value.removeprefix(b" "))
        elif name:
            raise Refused(f"a field {name!r}")
    if not is_done:
        raise Refused("no [DONE]")


def curl(ask):
    """curl --fail-with-body: what it prints, and its exit code."""
    path, body = QUESTION[ask["api"]]
    headers = [word for pair in headers_of(ask).items() for word in ("-H", ": ".join(pair))]
    done = subprocess.run(["curl", "-sSN", "--fail-with-body", ask["url"] + path, *headers, "-d",
                           json.dumps({"model": ask["model"], "stream": ask["stream"], **body})],
                          capture_output=True, timeout=ask.get("limit_s", LIMIT_S), check=False)
    ask["raw"] += done.stdout
    texts = re.findall(rb"(?:^|\n) *(?:data: )?(\{.*\})", done.stdout)
    yield from (text_of(value) for value in map(json.loads, texts) if "error" not in value)
    if done.returncode:
        status = re.search(rb"returned error: (\d+)", done.stderr)
        raise Refused((done.stderr + done.stdout[-500:]).decode(), int(status.group(1)) if status else None)


def ollama_run(ask):
    """`ollama run`, of the program that OLLAMA_PROGRAM names: what it prints, and its exit code."""
    with tempfile.TemporaryDirectory(prefix="sc-home-") as home:  # it makes its key there
        env = {"PATH": os.environ["PATH"], "HOME": home, "OLLAMA_HOST": ask["url"].removeprefix("http://")}
        done = subprocess.run([os.environ["OLLAMA_PROGRAM"], "run", ask["model"], "hi"], stdin=subprocess.DEVNULL, env=env,
                              capture_output=True, text=True, timeout=ask.get("limit_s", LIMIT_S), check=False)
    yield done.stdout.rstrip("\n")
    if done.returncode:
        raise Refused(done.stderr.rpartition("Error: ")[2])


def ollama_run_version() -> str:
    """Without a server it tells its own."""
    done = subprocess.run([os.environ["OLLAMA_PROGRAM"], "--version"], capture_output=True, text=True, check=True,
                          env={**os.environ, "OLLAMA_HOST": "127.0.0.1:1"})
    version = re.search(r"client version is (\S+)", done.stdout + done.stderr).group(1)
    return "built without a version" if version == "0.0.0" else version


CLIENTS = {"ollama (Python)": ollama_py, "openai (Python)": openai_py, "langchain-ollama": langchain_ollama_py,
           "langchain-openai": langchain_openai_py, "curl": curl, "strict line reader": strict_lines,
           "strict event reader": strict_events, "ollama run (Go)": ollama_run}
lock = threading.Lock()


def say(value) -> None:
    """One line, whole."""
    with lock:
        print(json.dumps(value), flush=True)


def status_of(error):
    """An HTTP status that a client's error has."""
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) and status > 0 else None


def answer_one(ask) -> None:
    """What the client saw."""
    ask["raw"], saw = b"", {"id": ask["id"], "parts": [], "error": None, "status": None}
    try:
        for text in CLIENTS[ask["client"]](ask):
            saw["parts"].append(text)
    except Exception as error:  # whatever a client raises is what is looked for
        saw.update(error=f"{type(error).__name__}: {error}", status=status_of(error))
    say({**saw, "raw": ask["raw"].decode("latin-1")})


def main() -> None:
    """Versions first, then answers."""
    packages = ("ollama", "openai", "langchain-ollama", "langchain-openai")
    shown = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True)
    run = {"ollama run (Go)": ollama_run_version()} if os.environ.get("OLLAMA_PROGRAM") else {}
    say({"versions": {**run, "Python": sys.version.split()[0], "curl": shown.stdout.split()[1],
                      **{f"{name} (Python)" if name in ("ollama", "openai") else name: importlib.metadata.version(name)
                         for name in packages}}})
    for line in sys.stdin:
        threading.Thread(target=answer_one, args=(json.loads(line),), daemon=True).start()


main()
