"""Engines that do not load a model, or die of it: the next one is tried, then the model rests; and each is its own affair."""
import json
import os
import re
import signal
import sys

import pytest

from client import Background, Connection, ask
from test_122_swap import HELLO, chat, ready, said
from waiting import until


@pytest.fixture
def server(sidecar, engines):
    """start(*names, **keys of [models]): a model server without Ollama and with these engines; the models a/a and b/b are in its cache."""
    def start(*names, **keys):
        for model in ("a/a", "b/b"):
            engines.cache.model(model)
        for name in names or ("first",):
            engines.add(name, quantize_flags="--quantized")
        sidecar.configure("program:ollama", autostart="no")
        sidecar.configure("models", **keys)
        sidecar.start()
        until(lambda: ready(sidecar), 10, "the proxy answers", sidecar.process.tail)
        return sidecar.port

    return start


def test_r1_5_what_one_engine_can_not_load_the_next_one_does(sidecar, server, engines):
    engines.script(engines={"first": {"exit_while_loading": {"code": 1, "says": ["ValueError: this architecture is not supported"]}}})
    port = server("first", "second")
    answer = chat(port, "a/a")
    assert said(answer) == "I am a/a" and answer.header("X-Sidecar-Backend") == "second"
    assert [entry["engine"] for entry in engines.starts()] == ["first", "second"]
    assert not sidecar.process.logged(" model_rests ")


def test_r1_6_a_model_that_no_engine_loads_rests_and_says_until_when(sidecar, server, engines):
    engines.script(exit_while_loading={"code": 1, "says": ["ValueError: it is broken"]})
    port = server("first", "second", load_cooldown="100s")
    waiting = [Background(chat, port, "a/a") for _ in range(5)]
    for one in waiting:
        answer = one.result(60)
        assert answer.status == 503, answer.body
        words = answer.json["error"]["message"]
        assert re.search(r"first: .*it is broken; second: .*it is broken; it is tried again in \d+ s$", words), words
        assert 1 <= int(answer.header("Retry-After")) <= 100
    assert len(engines.starts()) == 2
    sidecar.process.wait_log(" model_rests model=a/a for_ms=100000 ")
    told = ask(port, "POST", "/api/chat", {"model": "a/a", "messages": HELLO})
    assert told.status == 503 and "it is broken" in told.json["error"]
    assert len(engines.starts()) == 2  # at once
    engines.script()
    assert said(chat(port, "b/b")) == "I am b/b"


def test_after_its_rest_it_is_tried_again(server, engines):
    engines.script(exit_while_loading={"code": 1, "times": 1})
    port = server(load_cooldown="1s")
    assert chat(port, "a/a").status == 503
    until(lambda: chat(port, "a/a").status == 200, 20, "it is loaded")
    assert len(engines.starts()) == 2


def test_an_engine_that_is_killed_while_it_loads(server, engines):
    engines.script(load_s=600)
    port = server("first", "second")
    waiting = [Background(chat, port, "a/a") for _ in range(3)]
    pid = engines.wait("listening", timeout=20, engine="first")["pid"]
    engines.script()
    os.kill(pid, signal.SIGKILL)
    assert [one.result(60).header("X-Sidecar-Backend") for one in waiting] == ["second"] * 3


def test_one_that_is_killed_before_its_answer_begins_is_started_again_and_asked_again(server, engines):
    engines.script(first_token_delay_ms=600000)
    port = server()
    waiting = [Background(chat, port, "a/a") for _ in range(3)]
    pid = engines.wait("request", timeout=20, count=3)["pid"]
    engines.script()
    os.kill(pid, signal.SIGKILL)
    assert [said(one.result(60)) for one in waiting] == ["I am a/a"] * 3
    assert len(engines.starts()) == 2


def test_one_that_dies_in_an_answer_breaks_that_one_alone(server, engines):
    engines.script(tokens=6, token_delay_ms=50, models={"a/a": {"crash_after_tokens": 3, "crash_times": 1}})
    port = server(max_cache_models="2")
    with Connection(port, timeout=60) as connection:
        other = Background(chat, port, "b/b")
        answer = connection.request("POST", "/v1/chat/completions", {"model": "a/a", "messages": HELLO, "stream": True})
        text = answer.body
    assert b"[DONE]" not in text and b'"error"' in text
    assert said(other.result(60)) == "tok " * 6
    assert said(chat(port, "a/a")) == "tok " * 6
    assert len(engines.journal("started", model="b/b")) == 1


def test_a_program_that_is_not_there_is_no_engine(sidecar, server, engines):
    sidecar.configure("engine:absent", command="no-such-engine-anywhere %(path)s --port %(port)s")
    port = server("second", engines="absent, second")
    assert chat(port, "a/a").header("X-Sidecar-Backend") == "second"
    assert not sidecar.process.logged(" engine_failed ")


def test_an_engine_is_looked_for_in_the_path_of_its_own_environment(sidecar, server, engines):
    folder = os.path.join(sidecar.directory, "engines")
    os.mkdir(folder)
    os.symlink(sys.executable, os.path.join(folder, "python-of-its-own"))
    sidecar.configure("engine:own", command=engines.command("own").replace(sys.executable, "python-of-its-own"),
                      environment=f"PATH={folder}:{os.environ['PATH']}")
    port = server(engines="own")
    assert chat(port, "a/a").header("X-Sidecar-Backend") == "own"


def test_none_of_the_engines_is_installed(sidecar, engines):
    engines.cache.model("a/a")
    sidecar.configure("engine:absent", command="no-such-engine-anywhere %(path)s --port %(port)s")
    sidecar.configure("models", engines="absent")
    sidecar.configure("program:ollama", autostart="no")
    sidecar.start()
    until(lambda: ready(sidecar), 10, "the proxy answers", sidecar.process.tail)
    answer = chat(sidecar.port, "a/a")
    assert answer.status == 503 and answer.header("Retry-After") is None
    assert answer.json["error"]["message"] == ("no engine can load this model: absent: it is not installed: there is no program "
                                                 "no-such-engine-anywhere in PATH")


def test_r1_6_four_bits_are_a_preference(server, engines):
    engines.script(refuses_flag={"flag": "--quantized", "says": ["ImportError: bitsandbytes is missing"]})
    port = server("first", q4_threshold_bytes="1")
    pulled = os.path.join(engines.cache.folder("a/a"), ".ollama-sidecar.json")
    with open(pulled, "w", encoding="utf-8") as file:
        file.write('{"preferred_quantized": true}')
    assert said(chat(port, "a/a")) == "I am a/a"
    tried = ["--quantized" in entry["argv"] for entry in engines.journal("started", model="a/a")]
    assert tried == [True, False]


def test_a_model_that_does_not_fit_into_memory_is_not_tried(server, engines):
    with open("/proc/meminfo", encoding="ascii") as file:
        memory = int(file.readline().split()[1]) * 1024
    engines.cache.model("huge/huge")
    blobs = os.path.join(engines.cache.folder("huge/huge"), "blobs")
    largest = max((os.path.join(blobs, name) for name in os.listdir(blobs)), key=os.path.getsize)
    os.truncate(largest, 3 * memory)  # a hole; in 4 bits it would be half of that
    port = server()
    answer = chat(port, "huge/huge")
    assert answer.status == 503
    assert "its weights need about" in answer.json["error"]["message"] and "memory_check" in answer.json["error"]["message"]
    assert engines.starts() == []


def test_how_long_a_load_took_is_noted_beside_the_model(server, engines):
    engines.script(load_s=0.3)
    port = server()
    assert said(chat(port, "a/a")) == "I am a/a"

    def noted():
        with open(os.path.join(engines.cache.folder("a/a"), ".ollama-sidecar.json"), encoding="utf-8") as file:
            return json.load(file)

    until(lambda: os.path.exists(os.path.join(engines.cache.folder("a/a"), ".ollama-sidecar.json")), 20, "the note")
    assert noted()["load_duration_ns"] >= 250_000_000 and noted()["backend"] == "first"


def test_what_engines_do_is_in_health_and_metrics(server, engines):
    port = server()
    assert said(chat(port, "a/a")) == "I am a/a"
    assert ask(port, "GET", "/health").json["instances"] == [{"model": "a/a", "engine": "first", "state": "ready", "in_use": 0, "waiting": 0}]
    assert b'sidecar_instance_ready{model="a/a"} 1\n' in ask(port, "GET", "/metrics").body


def test_a_client_that_leaves_while_its_model_is_loaded_does_not_end_the_load(server, engines):
    engines.script(load_s=0.5)
    port = server()
    with Connection(port, timeout=30) as connection:
        connection.send("POST", "/v1/chat/completions", {"model": "a/a", "messages": HELLO})
        engines.wait("started", timeout=20)
    engines.wait("loaded", timeout=20)
    assert said(chat(port, "a/a")) == "I am a/a"
    assert len(engines.starts()) == 1
