"""Loads on the real Ollama: shared, not ended by who leaves, told to all when they fail; options ride, and pins hold."""
import contextlib
import json
import os
import shutil

import pytest

from client import ask
from test_real import runners
from waiting import until

pytestmark = pytest.mark.limit(120)

ROUTES = {
    "/api/generate": {"prompt": "hello"}, "/api/chat": {"messages": [{"role": "user", "content": "hello"}]},
    "/api/embed": {"input": "hello"}, "/api/embeddings": {"prompt": "hello"},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hello"}]}, "/v1/completions": {"prompt": "hello"},
    "/v1/embeddings": {"input": "hello"}}


def body_for(path, **options):
    """A short request."""
    body = {"model": "tiny", "stream": False, **ROUTES[path]}
    return {**body, "options": {"num_predict": 2, **options}} if path.startswith("/api/") else {**body, "max_tokens": 2}


def ready(sidecar):
    """Started, Ollama answering."""
    sidecar.configure("supervisor", log_level="debug")
    sidecar.start()
    sidecar.wait_ready()
    return sidecar


def runners_begun(sidecar) -> int:
    """How many runners Ollama has started so far."""
    return len(sidecar.process.logged(r" info ollama runner "))


def test_the_first_client_leaves_in_the_middle_of_the_load_proxy_scenario_24(sidecar):
    ready(sidecar)
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", body_for("/api/generate"))
        sidecar.process.wait_log(r" load_begin .*model=tiny")
    answer = sidecar.ask("POST", "/api/chat", body_for("/api/chat"), timeout=60)
    assert answer.status == 200
    assert runners_begun(sidecar) == 1, sidecar.process.tail()
    assert not sidecar.process.logged(r"aborting load")
    assert len(sidecar.process.logged(r" load_begin ")) == 1


def test_a_load_ends_well_though_all_have_left_proxy_scenario_24(sidecar):
    ready(sidecar)
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", body_for("/api/generate"))
        sidecar.process.wait_log(r" load_begin .*model=tiny")
    sidecar.process.wait_log(r" load_end model=tiny result=loaded", timeout=60)
    (loaded,) = sidecar.ask("GET", "/api/ps").json["models"]
    assert loaded["name"] == "tiny:latest"


def test_twenty_held_clients_of_all_dialects_share_one_load_proxy_scenario_24(sidecar):
    sidecar.configure("supervisor", log_level="debug")
    sidecar.start()
    until(sidecar.health, 10, "the proxy")
    paths = list(ROUTES)
    calls = [sidecar.background("POST", paths[n % len(paths)], body_for(paths[n % len(paths)]), timeout=90) for n in range(20)]
    for call in calls:
        assert call.result().status == 200
    assert runners_begun(sidecar) == 1 and len(sidecar.process.logged(r" load_begin ")) == 1, sidecar.process.tail()


def test_contexts_ride_on_what_is_loaded_proxy_scenario_36(sidecar):
    ready(sidecar)
    for _ in range(2):
        for path in list(ROUTES):
            for options in ({"num_ctx": 2048}, {}, {"num_ctx": 512}, {"num_gpu": -1}, {"num_ctx": 1024.0}):
                assert sidecar.ask("POST", path, body_for(path, **options), timeout=60).status == 200
    assert runners_begun(sidecar) == 1, sidecar.process.tail()
    assert sidecar.ask("POST", "/api/chat", body_for("/api/chat", num_ctx=4096), timeout=60).status == 200
    assert runners_begun(sidecar) == 2  # more than what is loaded: once
    for path in list(ROUTES):
        assert sidecar.ask("POST", path, body_for(path, num_ctx=2048), timeout=60).status == 200
    assert runners_begun(sidecar) == 2, sidecar.process.tail()


def test_routes_in_turn_with_differing_options_load_once_with_a_pin_proxy_scenario_36(sidecar):
    sidecar.configure("pin:tiny", num_ctx="1024", num_batch="128")
    ready(sidecar)
    for options in ({}, {"num_ctx": 4096, "use_mmap": False}, {"num_batch": 32, "num_thread": None}):
        for path in list(ROUTES):
            assert sidecar.ask("POST", path, body_for(path, **options), timeout=60).status == 200
    assert runners_begun(sidecar) == 1, sidecar.process.tail()
    (words,) = runners(sidecar).values()
    assert "--no-mmap" not in words


def test_a_load_that_fails_tells_all_why(sidecar, models):
    own = os.path.join(sidecar.directory, "models")
    shutil.copytree(os.path.join(models.directory, "models"), own)
    blobs = os.path.join(own, "blobs")
    largest = max((os.path.join(blobs, name) for name in os.listdir(blobs)), key=os.path.getsize)
    os.truncate(largest, os.path.getsize(largest) * 7 // 10)
    sidecar.env["OLLAMA_MODELS"] = own
    ready(sidecar)
    with contextlib.ExitStack() as stack:  # all are there before any is whole: none is late for the load that fails
        calls = [stack.enter_context(sidecar.connect(timeout=90)) for _ in ROUTES]
        bodies = [json.dumps(body_for(path)).encode() for path in ROUTES]
        for call, path, body in zip(calls, ROUTES, bodies):
            call.sock.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                                f"Content-Length: {len(body)}\r\n\r\n".encode() + body[:-1])
        for call, body in zip(calls, bodies):
            call.sock.sendall(body[-1:])
        answers = [call.receive() for call in calls]
        texts_of = [answer.json["error"] for answer in answers]
    assert {answer.status for answer in answers} == {500}, (texts_of, sidecar.process.tail())
    texts = {error if isinstance(error, str) else error["message"] for error in texts_of}
    assert len(texts) == 1 and texts.pop(), (texts, sidecar.process.tail())


def test_what_only_unloads_loads_nothing(sidecar):
    ready(sidecar)
    answer = sidecar.ask("POST", "/api/generate", {"model": "tiny", "keep_alive": 0})
    assert answer.json["done_reason"] == "unload" and runners_begun(sidecar) == 0
    assert sidecar.generate("tiny", options={"num_predict": 2}).status == 200
    assert sidecar.ask("POST", "/api/generate", {"model": "tiny", "keep_alive": 0}).status == 200
    until(lambda: not sidecar.ask("GET", "/api/ps").json["models"], 10, "an unloaded model")
    assert sidecar.generate("tiny", options={"num_predict": 2}).status == 200
    assert runners_begun(sidecar) == 2


@pytest.mark.parametrize("body, status", [
    ({"model": "nosuch", "prompt": "x"}, 404), ({"model": "tiny", "prompt": "x", "options": {"num_ctx": "many"}}, None),
    ({"model": "a b", "prompt": "x"}, None), ({"model": "tiny", "prompt": "x", "keep_alive": "soon"}, 400)])
def test_what_is_not_about_loading_has_its_own_words(sidecar, body, status):
    ready(sidecar)
    port = int(sidecar.env["OLLAMA_HOST"].rsplit(":", 1)[1])
    direct, through = ask(port, "POST", "/api/generate", body), sidecar.ask("POST", "/api/generate", body)
    assert (through.status, through.body) == (direct.status, direct.body)
    assert status in (None, through.status)
