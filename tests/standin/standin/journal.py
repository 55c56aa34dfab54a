"""STANDIN_JOURNAL: one JSON line for each event, so that a test sees what the backend saw.

Events and their fields (every line has t, the epoch time, and pid):

    started    argv, env (every OLLAMA_* variable)      listening  host, port
    request    id, conn, method, path, headers (list of [name, value], in order), body_bytes, body_sha256, body (2 KB),
               images ([bytes, sha256] of each, decoded)
    answered   id, status                               cancelled  id, tokens (the client went before the end)
    read_left  the same of a GET or a show, which others than the test may ask
    first_token id, model                               done       id, model, tokens
    loaded     model, seconds, options (named ones)     unloaded   model; why (room: for another one; options: it is loaded again with others)
    load_aborted model, id (its client left, or it failed)
    runner     model, runner (the pid of its process)
    pull_start id, model, resumed_at                    pull_done  id, model
    pull_failed id, model, error                        fault      id, what (a scripted one, as it strikes)
    term_ignored signal                                 stopping   signal
    connected  conn, peer                               closed     conn

One write(2) for each line on a file opened for appending: readable at once, whole, from several processes.
"""
import json
import os
import time

_fd = None


def open_journal() -> None:
    """Open the file named by the environment; without one every note is dropped."""
    global _fd
    path = os.environ.get("STANDIN_JOURNAL")
    if path:
        _fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)


def note(event: str, **fields) -> None:
    """Append one event. No lock: it is also called from signal handlers."""
    if _fd is None:
        return
    line = {"t": round(time.time(), 6), "pid": os.getpid(), "event": event, **fields}
    os.write(_fd, (json.dumps(line) + "\n").encode())
