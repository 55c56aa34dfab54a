"""The model server without an Ollama: it boots from the shipped profile, is healthy, and what nobody has ends at once (C.6, R1)."""
import os

import pytest

from sidecar import BUILD, ROOT
from waiting import until

PROFILE = os.path.join(ROOT, "deploy/profiles/model-server.ini")
NONE = "Model 'o/n' not available locally. Use the /pull endpoint"
CHAT = {"model": "o/n", "messages": [{"role": "user", "content": "x"}]}


@pytest.fixture(name="alone")
def fixture_alone(sidecar):
    """From the shipped profile; its port and its folders are the test's."""
    sidecar.env.update(SIDECAR_PROXY_LISTEN=f"127.0.0.1:{sidecar.port}", SIDECAR_SUPERVISOR_CONTROL_SOCKET=sidecar.socket,
                       SIDECAR_SUPERVISOR_STATE_DIR=os.path.join(sidecar.directory, "state"))
    with open(PROFILE, encoding="utf-8") as file:
        sidecar.write("supervisor.ini", file.read())
    sidecar.start(ini=False).wait_log(r" ready after_ms=")
    return sidecar


def test_c_6_r1_it_boots_and_is_healthy_without_an_ollama(alone):
    process = alone.process
    assert process.logged(r" listening address=\S+ backend=none\b")
    health = alone.health()
    assert (health["code"], health["status"], health["state"], health["waiting_for"]) == (200, "ok", "ready", [])
    for path in ("/ready", "/live"):
        assert alone.ask("GET", path).json == {"status": "ok"}
    assert b"llm_optimizer_up 0" not in alone.ask("GET", "/metrics").body
    assert alone.ctl("health").returncode == 0
    assert ", backend" not in alone.ctl("status").stdout
    assert "; backend: none (no Ollama)" in alone.run("ollama-supervisor", "-c", alone.ini, "--dump").stdout
    assert not process.logged(r" exec program=(ollama|preload)\b") and not process.logged(r" (error|warning) ")
    assert alone.stop() == 0
    assert not alone.backend.journal("started")


@pytest.mark.parametrize("path, body, error", [
    ("/api/chat", CHAT, {"error": NONE}),
    ("/api/generate", {"model": "o/n", "prompt": "x"}, {"error": NONE}),
    ("/api/embed", {"model": "o/n", "input": "x"}, {"error": NONE}),
    ("/api/show", {"name": "o/n"}, {"error": NONE}),
    ("/generate", {"model": "o/n", "prompt": "x"}, {"error": NONE}),
    ("/v1/chat/completions", CHAT, {"error": {"message": NONE, "type": "not_found_error", "param": "model", "code": "model_not_found"}}),
    ("/v1/completions", {"model": "o/n", "prompt": "x"}, {"error": {"message": NONE, "type": "not_found_error", "param": "model", "code": "model_not_found"}}),
    ("/v1/responses", {"model": "o/n", "input": "x"}, {"error": {"message": NONE, "type": "not_found_error", "param": "model", "code": "model_not_found"}}),
    ("/v1/messages", {**CHAT, "max_tokens": 5}, {"type": "error", "error": {"type": "not_found_error", "message": NONE}}),
])
def test_r1_2_a_model_that_nobody_has_ends_at_once_in_the_words_of_its_api(alone, path, body, error):
    answer = alone.ask("POST", path, body, timeout=5)
    assert answer.status == 404, answer.body
    assert answer.json == error
    assert not alone.process.logged(r" exec program=ollama\b") and not alone.process.logged(r" load_end ")


@pytest.mark.parametrize("method, path, body, status, words", [
    ("POST", "/api/chat", {"messages": []}, 400, "it names no model"),
    ("POST", "/api/show", {}, 400, "it names no model"),
    ("POST", "/api/pull", {"model": "o/n"}, 501, "/api/pull is for Ollama, and there is none here: POST /pull has models of a hub pulled"),
    ("DELETE", "/api/delete", {"model": "o/n"}, 501, "/api/delete is for Ollama, and there is none here: DELETE /models/NAME removes models of a hub"),
    ("POST", "/api/blobs/sha256:" + 64 * "0", "x", 501, "/api/blobs/: is for Ollama"),
])
def test_what_only_ollama_does_is_refused_in_words(alone, method, path, body, status, words):
    answer = alone.ask(method, path, body, timeout=5)
    assert answer.status == status and words in answer.json["error"], answer.body


def test_what_ollamas_clients_ask_first_is_answered(alone):
    assert alone.ask("GET", "/").body == b"Ollama is running" and alone.ask("HEAD", "/").status == 200
    assert alone.ask("GET", "/api/version").json == {"version": "0.9.5"}
    assert alone.ask("GET", "/api/ps").json == {"models": []}


def test_r1_4_no_model_is_there_yet(alone):
    assert alone.ask("GET", "/models").json == {"models": []}


def test_it_exits_when_idle(sidecar):
    sidecar.configure("models", serve="yes")
    sidecar.configure("program:ollama", autostart="no")
    sidecar.configure("supervisor", idle_timeout="1s", idle_action="exit")
    process = sidecar.start()
    process.wait_log(r" ready after_ms=")
    assert sidecar.ask("POST", "/api/chat", CHAT).status == 404
    assert process.wait(15) == 0
    assert process.logged(r" stopping cause=idle")


def test_an_ollama_comes_and_goes_by_a_reload(sidecar):
    sidecar.configure("models", serve="yes")
    sidecar.configure("program:ollama", autostart="no")
    sidecar.installed = "m"
    sidecar.backend.script(tokens=1)
    sidecar.start().wait_log(r" ready after_ms=")
    assert sidecar.generate("m").status == 404
    sidecar.configure("program:ollama", autostart="yes")
    sidecar.write_ini()
    assert sidecar.ctl("reload").returncode == 0
    until(lambda: sidecar.generate("m").status == 200, 15, "an answer of the Ollama that has come", sidecar.process.tail)
    sidecar.configure("program:ollama", autostart="no")
    sidecar.write_ini()
    assert sidecar.ctl("reload").returncode == 0
    until(lambda: sidecar.generate("m").status == 404, 15, "it is asked no more", sidecar.process.tail)
    assert sidecar.stop() == 0


@pytest.mark.parametrize("engine, said", [(None, r"NO ENGINE ON PATH"), ("llama-server", r"an engine: .*/llama-server")])
def test_c_6_make_run_wants_no_ollama_for_it_and_says_what_is_missing(sidecar, engine, said):
    root = os.path.join(sidecar.directory, "root")
    os.makedirs(os.path.join(root, "bin"))
    for name in ("scripts", "deploy", "containers.config.json"):
        os.symlink(os.path.join(ROOT, name), os.path.join(root, name))
    os.symlink(BUILD, os.path.join(root, "build"))
    for name in ("make", *([engine] if engine else [])):  # all is built
        os.symlink("/bin/true", os.path.join(root, "bin", name))
    sidecar.env.update(PATH=f"{root}/bin:/usr/bin:/bin", PROFILE="model-server", SIDECAR_PROXY_LISTEN=f"127.0.0.1:{sidecar.port}",
                       SIDECAR_SUPERVISOR_CONTROL_SOCKET=sidecar.socket, SIDECAR_SUPERVISOR_STATE_DIR=os.path.join(sidecar.directory, "state"))
    sidecar.process = sidecar.launch(["bash", os.path.join(root, "scripts/run")])
    sidecar.processes.append(sidecar.process)
    sidecar.process.wait_log(r" ready after_ms=")
    assert sidecar.process.logged(said) and not sidecar.process.logged(r"STAND-IN")
    assert sidecar.health()["status"] == "ok"
    assert sidecar.stop() == 0
