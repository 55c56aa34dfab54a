"""What happens to the clients: a table of cases, and which client is asked how."""
import dataclasses

WORDS = 12
WHOLE = "".join(f"t{index} " for index in range(WORDS))
MODELS = ("tiny", "broken")
# The first token comes after several of these; what is refused at once comes before the first.
QUICK = {"heartbeat_after": "300ms", "heartbeat_interval": "200ms"}
SLOW = {"heartbeat_after": "20s"}
WAIT_S = 1.5
SHARED_S = 3  # what all wait for, some of whom come late
BEATS = 3     # at least so many heartbeats fit into either

# client: which of the APIs it is asked by; "chat" and "text" are its own, in one way or the other
PYTHON = {
    "ollama (Python)": ("chat", "text"),
    "langchain-ollama": ("chat", "text"),
    "openai (Python)": ("chat", "text"),
    "langchain-openai": ("chat", "text"),
    "curl": ("chat", "text", "v1-chat", "v1-text", "preset", "preset-events"),
    "strict line reader": ("chat", "text", "preset"),
    "strict event reader": ("v1-chat", "v1-text", "preset-events"),
    "ollama run (Go)": ("run",),
}
NODE = {
    "ollama (Node)": ("chat", "text"),
    "ai-sdk-ollama": ("chat",),
    "openai (Node)": ("chat", "text"),
    "@ai-sdk/openai-compatible": ("chat", "text"),
}
BROWSER = {"page in a browser": ("chat", "v1-chat")}  # no more at a time: browsers have six connections to one place
CLIENTS = {**PYTHON, **NODE, **BROWSER}
STREAMS_ONLY = ("strict event reader", "ollama run (Go)")  # never one object
NO_STATUS = ("ollama run (Go)",)  # shows an error's text and no status
ASKED = ("chat", "text", "v1-chat", "v1-text")


@dataclasses.dataclass(frozen=True)
class Case:
    """One row of the table."""

    name: str
    title: str
    outcome: str               # "whole", "error", or a status
    script: dict               # the stand-in's
    proxy: dict                # keys of [proxy]
    words: str = ""            # of the error's reason
    model: str = "tiny"
    is_asked_early: bool = False  # at once, while Ollama is not up yet
    modes: tuple = ("stream", "single")
    apis: tuple = (*ASKED, "run")
    begins: bool = False       # some text arrives before the error

    @property
    def is_slow(self) -> bool:
        """Whether heartbeats come before what ends it."""
        return self.proxy is not SLOW and not self.begins


CASES = (
    Case("load", "the model loads", "whole", {"load_s": SHARED_S}, QUICK),
    Case("prefill", "the prompt is read", "whole", {"first_token_delay_ms": WAIT_S * 1000}, QUICK),
    Case("waking", "Ollama starts", "whole", {"start_delay_s": SHARED_S}, QUICK, is_asked_early=True),
    Case("chunk", "`heartbeat = chunk`", "whole", {"load_s": WAIT_S / 2, "first_token_delay_ms": WAIT_S * 1000},
         {**QUICK, "heartbeat": "chunk"}),
    # `ollama run` would pull it
    Case("unknown", "unknown model", "404", {}, SLOW, "not found", model="absent", apis=ASKED),
    Case("no_load", "it can't be loaded", "500", {"load_fails": "no room for the model"}, SLOW, "no room for the model",
         model="broken"),
    Case("late_unknown", "unknown model, after Ollama's start", "error", {"start_delay_s": SHARED_S}, QUICK, "not found",
         model="absent", is_asked_early=True, apis=ASKED),
    Case("late_load", "the load fails", "error", {"load_s": SHARED_S, "load_fails": "no room for the model"}, QUICK,
         "no room for the model", model="broken"),
    Case("late_error", "Ollama says an error before the first token", "error",
         {"first_token_delay_ms": WAIT_S * 1000, "error_after_tokens": 0, "error_text": "the runner stumbled"}, QUICK,
         "the runner stumbled"),
    Case("late_lost", "Ollama's connection breaks before the first token", "error",
         {"first_token_delay_ms": WAIT_S * 500, "close_after_tokens": 0}, QUICK, "did not answer"),
    Case("late_dies", "Ollama dies before the first token, twice", "error",
         {"first_token_delay_ms": WAIT_S * 500, "crash_after_tokens": 0}, QUICK, "did not answer"),
    Case("mid_error", "Ollama says an error", "error", {"error_after_tokens": 6, "error_text": "the runner stumbled"}, QUICK,
         "the runner stumbled", modes=("stream",), begins=True),
    Case("mid_lost", "Ollama's connection breaks", "error", {"reset_after_tokens": 6}, QUICK, "broke off", modes=("stream",),
         begins=True),
    Case("mid_unfinished", "it ends without `done`", "error", {"garbage_answer": "no_done"}, QUICK,
         "without saying that it is done", modes=("stream",), begins=True),
)


def asks(case: Case):
    """(client, api, mode) of every question that belongs to a case."""
    for client, apis in CLIENTS.items():
        for api in sorted(set(apis) & set(case.apis)):
            for mode in case.modes:
                if mode == "stream" or client not in STREAMS_ONLY:
                    yield client, api, mode


def judge(case: Case, saw: dict, whole: str = WHOLE) -> str:
    """The outcome in a word or two, as the table in docs/clients.md has it."""
    text = "".join(saw["parts"])
    if not saw["error"]:
        return "whole" if text == whole else f"WRONG: took {text!r} for the whole"
    if not whole.startswith(text):
        return f"WRONG: text {text!r}"
    if saw["status"] and saw["status"] >= 400:
        return str(saw["status"])
    return "told" if case.words and case.words in saw["error"] else "error"


def wanted(case: Case, client: str) -> tuple:
    """The outcomes that are as they should be."""
    if case.outcome == "error":
        return ("told", "error")
    return ("told",) if case.outcome.isdigit() and client in NO_STATUS else (case.outcome,)


def beats(case: Case, mode: str, saw: dict) -> int:
    """How many heartbeats, of the kind that is to be there, are among the bytes."""
    lines = saw["raw"].split("\n")
    comments = sum(len(line) - len(line.lstrip(" ")) for line in lines) + lines.count(": ping")
    if case.proxy.get("heartbeat") != "chunk" or mode == "single":
        return comments
    return saw["parts"].count("") - 1 - comments  # the last one only says that it is done
