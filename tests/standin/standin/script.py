"""Scripted faults: the JSON object in the file that STANDIN_SCRIPT names, read again at each use.

A test rewrites the file (by rename) while the stand-in runs. Keys under "models": {"NAME": {...}} win over the
top level for that model. Durations are in the unit that the key names; counts are per process lifetime unless said.

    key                    meaning
    start_delay_s          wait this long before binding
    crash_at_start         {"times": N, "code": C | "signal": "KILL", "after_s": S}: the first N processes end like
                           that, before binding (with after_s: that long after it), counted in STANDIN_STATE
    ignore_term            SIGTERM and SIGINT are ignored
    hang_everything        requests are read and never answered
    busy                   inference answers 503 "server busy …"
    tags_delay_s, tags_hang    for GET /api/tags
    tags_garbage           html, truncated, not_json, status_500, reset, empty, bad_http
    refuses                a text: generate and chat answer 400 with it, before they look for the model
    fails_at               {"text": T, "times": N (default: always), "status": S (500)}: they answer with that status where the last message,
                           or the prompt, has T in it; counted in STANDIN_STATE
    garbage_answer         the same for generate and chat, and: no_done (ends cleanly without the last chunk),
                           done_twice, bytes_after_done, hints (many 103s, then a proper answer)
    tokens                 how many tokens an answer has (default: the words of a sentence)
    token_delay_ms         between tokens (default 20)
    first_token_delay_ms   before the first one (default: as token_delay_ms)
    pause                  {"after_tokens": N, "s": S, "works_ms": M}: a pause of S seconds after so many tokens (0: before the
                           first), in which M ms of processor time are taken each second, as a runner is never quite idle
    token_bytes            length of each token
    tool_calls             [{"function": {"name": …, "arguments": {…}}}, …]: /api/chat says those of them that it is given as tools,
                           unless the last message is of one; where it is told of them in words, as text in <tool_call>
    extracts               a text: an answer is those lines of the last message that have it in them, a token each; where there are none,
                           "nothing"
    chars_a_token          prompt_eval_count is the characters of all messages by this (default: the words of the last one)
    thinking               a text: what is thought before each answer, unless the request's `think` is false
    crash_after_tokens     SIGKILL to itself after so many tokens
    close_after_tokens     the connection is dropped without a last chunk
    reset_after_tokens     the same with a TCP reset
    hang_after_tokens      nothing more is sent
    error_after_tokens     a line {"error": …} in mid-stream; error_text sets its text
    load_s                 a model that is not in memory takes so long to load
    load_fails             true or a text: loading answers 500 with it
    load_fails_times       only the first N loads fail (default: all)
    runner                 each loaded model has a process of its own, which may be stopped and killed; it works for
                           load_s of processor time to load, prefill_s before the first token, and an instant for each token
    prefill_s              see runner
    eat_while_loading      true: the runner eats memory until the kernel kills it; eat_before_tokens, and
                           eat_after_tokens (N): the same later
    garbage_load           as garbage_answer, for a request that only loads
    crash_while_loading    {"code": C | "signal": "KILL", "says": [lines], "times": N (1)}: Ollama itself ends so, half-way
                           through a load; counted in STANDIN_STATE
    crash_while_answering  the same, after "after_tokens" tokens (0: before the first)
    show                   {"model_info": …, "tensors": …, "parameters": …}: what POST /api/show says, beside its own
    show_delay_s           before it says it
    size_vram              what /api/ps says of a loaded model (default 0: it is on the CPU)
    loaded_at_most         so many models fit: one that nobody uses goes for another one, which waits until there is one
    parallel               requests that one model answers at once (default: no limit)
    show_bytes             length of the license that a model is shown with
    pull_bytes             size of a model's big layer (default 64 MB, sparse on disk)
    pull_rate_bytes_s      download speed (default: 1.5 s for the whole)
    pull_fail_at           fraction of the big layer at which a pull ends with "unexpected EOF"; what was there stays
    pull_fail_times        how often it does so, for each model, counted in STANDIN_STATE (default 1)
    pull_stall_at          fraction at which bytes stop coming (lines go on, as the real one's do)
    pull_stall_silent      the lines stop too
    pull_stall_times       how often, for each model, counted in STANDIN_STATE (default 1)
    pull_error             disk_full, unknown_model, dead_network, success_but_absent, or any other text as it is
    pull_error_times       only the first N pulls of a model (default: all), counted in STANDIN_STATE
    models                 {"NAME": {any key from "busy" down}}

    journal_body_bytes     (top level) how much of each request's body the journal has (default 2048)

STANDIN_STATE is a directory for counters that outlive a process; by default the script's own.
STANDIN_MODELS is a comma list of models that are installed at start.
"""
import json
import os
import sys
import threading

from . import names

_lock = threading.Lock()
_last: dict = {}
_counts: dict = {}


def read() -> dict:
    """The script as it is now; an unreadable one is reported, and the last good one stays in force."""
    global _last
    path = os.environ.get("STANDIN_SCRIPT")
    if not path:
        return {}
    try:
        with open(path, encoding="utf-8") as file:
            loaded = json.load(file)
        if not isinstance(loaded, dict):
            raise ValueError("not a JSON object")
        _last = loaded
    except FileNotFoundError:
        _last = {}
    except (OSError, ValueError) as error:
        print(f"stand-in: STANDIN_SCRIPT {path}: {error}", file=sys.stderr, flush=True)
    return _last


def for_model(name) -> dict:
    """The script as it applies to one model (a Name, or None for the top level)."""
    script = read()
    merged = {key: value for key, value in script.items() if key != "models"}
    if name is not None:
        for text, override in (script.get("models") or {}).items():
            other = names.parse(text)
            if other is not None and other.key == name.key:
                merged.update(override)
    return merged


def bump(counter: str) -> int:
    """Count one more of something across processes, and return how many there were before."""
    directory = os.environ.get("STANDIN_STATE") or os.path.dirname(os.environ.get("STANDIN_SCRIPT", ""))
    with _lock:
        if not directory:
            _counts[counter] = _counts.get(counter, 0) + 1
            return _counts[counter] - 1
        os.makedirs(directory, exist_ok=True)
        path = os.path.join(directory, counter.replace("/", "_") + ".count")
        with open(path, "ab") as file:
            before = file.tell()
            file.write(b".")
        return before


def strikes(script: dict, fault: str, counter: str, default_times=None) -> bool:
    """Whether a fault that happens only FAULT_times times happens now; counts it."""
    times = script.get(fault + "_times", default_times)
    if times is None:
        return True
    return bump(f"{fault}.{counter}") < times
