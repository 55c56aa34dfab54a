"""The parts of the Ollama stand-in; each module says what it imitates.

    cli        the command line: serve, --version, list, ps, pull, show
    server     listening sockets, signals, one thread for each connection
    wire       HTTP/1.1: requests in, answers out, and noticing that a client has gone
    routes     which handler answers which method and path
    api        the native /api handlers        v1         the OpenAI-shaped handlers
    generate   tokens and their faults         runners    which models are loaded, and for how long
    pulls      /api/pull and its faults        store      manifests and blobs on disk
    process    a runner as a process of its own
    names      model names                     settings   OLLAMA_* variables
    script     the scripted faults             journal    what the tests read afterwards
"""

VERSION = "0.9.5-standin"
