"""[preload] load: a model is loaded when Ollama has started, before anybody asks for it; who asks goes first."""
import json
import os
import signal

import pytest

from waiting import until


def loads(sidecar) -> list:
    """The bodies of the loads that Ollama was asked for."""
    return [json.loads(request["body"]) for request in sidecar.backend.requests("/api/embed")]


def boot(sidecar, models="m", **script):
    """Started, and Ollama has loaded something."""
    sidecar.installed = models
    sidecar.backend.script(**{"tokens": 1, **script})
    sidecar.start()
    return sidecar.backend.wait("loaded")


def wait_load_ms(sidecar) -> int:
    """When the first load had ended; once it has."""
    return until(lambda: json.loads(sidecar.ctl("--json", "status").stdout)["boots"][0]["load_ms"], 5, "load_ms")


def state_file(sidecar) -> str:
    return os.path.join(sidecar.directory, "state", "last-load.json")


def test_a_model_is_loaded_before_anybody_asks(sidecar):
    sidecar.configure("preload", load="m")
    assert boot(sidecar)["model"] == "m:latest"
    sidecar.process.wait_log(r" first_load model=m$")
    assert wait_load_ms(sidecar) > 0
    assert sidecar.generate().status == 200
    assert len(sidecar.backend.journal("loaded")) == 1 and len(loads(sidecar)) == 1
    assert not os.path.exists(state_file(sidecar))


def test_an_ollama_that_dies_of_it_does_not_die_of_it_again(sidecar):
    sidecar.configure("preload", load="m")
    sidecar.installed = "m"
    sidecar.backend.script(tokens=1, load_s=60)
    sidecar.start()
    sidecar.process.wait_log(r" first_load model=m$")
    until(lambda: loads(sidecar), 5, "the load")
    os.kill(sidecar.pid_of("ollama"), signal.SIGKILL)
    sidecar.process.wait_log(r" first_load_given_up load=\"m\"")
    sidecar.backend.script(tokens=1)
    sidecar.wait_health(lambda health: health["code"] == 200 and len(sidecar.backend.journal("listening")) == 2)
    assert sidecar.ask("GET", "/api/tags").status == 200
    assert len(loads(sidecar)) == 1
    assert sidecar.generate().status == 200  # what is asked for is loaded, and it goes on as before
    os.kill(sidecar.pid_of("ollama"), signal.SIGKILL)
    sidecar.backend.wait("loaded", count=2)
    until(lambda: len(sidecar.process.logged(" first_load model")) == 2, 5, "the second load's line")


def test_pins_are_heard(sidecar):
    sidecar.configure("preload", load="m")
    sidecar.configure("pin:m", num_ctx="512", keep_alive="1h")
    boot(sidecar)
    (body,) = loads(sidecar)
    assert body["options"] == {"num_ctx": 512, "use_mmap": True} and body["keep_alive"] in ("3600000ms", "1h", 3600)


def test_the_last_one_is_loaded_with_the_context_that_was_used(sidecar):
    sidecar.configure("preload", load="last")
    sidecar.boot(models="m,other", tokens=1)
    assert not sidecar.process.logged("first_load") and not loads(sidecar)  # nothing was, so far
    assert sidecar.generate("other").status == 200
    assert sidecar.generate("m", options={"num_ctx": 777, "temperature": 0}).status == 200
    until(lambda: json.load(open(state_file(sidecar), encoding="utf-8"))["model"] == "m", 5, "a file that says so")
    assert sidecar.stop() == 0
    before = len(sidecar.backend.journal("loaded"))
    sidecar.start()
    assert sidecar.backend.wait("loaded", count=before + 1)["model"] == "m:latest"
    assert loads(sidecar)[-1]["options"]["num_ctx"] == 777
    assert sidecar.generate("m", options={"num_ctx": 777}).status == 200
    assert len(sidecar.backend.journal("loaded")) == before + 1
    assert os.stat(state_file(sidecar)).st_mode & 0o777 == 0o600


def test_who_asks_while_ollama_starts_is_first(sidecar):
    sidecar.configure("preload", load="m")
    sidecar.installed = "m,other"
    sidecar.backend.script(tokens=1, start_delay_s=1, load_s=0.2)
    sidecar.start()
    sidecar.process.wait_log(" proxy listening ")
    asked = sidecar.background("POST", "/api/generate", {"model": "other", "prompt": "x", "stream": False})
    assert asked.result().status == 200
    assert [entry["model"] for entry in sidecar.backend.journal("loaded")] == ["other:latest"]
    assert sidecar.generate("m").status == 200 and not sidecar.process.logged("first_load")


def test_who_asks_for_the_same_model_shares_the_load(sidecar):
    sidecar.configure("preload", load="m")
    sidecar.installed = "m"
    sidecar.backend.script(tokens=1, load_s=0.7)
    sidecar.start()
    sidecar.process.wait_log(r" first_load model=m$")
    assert sidecar.generate("m").status == 200
    assert len(sidecar.backend.journal("loaded")) == 1 and len(loads(sidecar)) == 1


def test_each_start_of_ollama_loads_it_again(sidecar):
    sidecar.configure("preload", load="m")
    boot(sidecar)
    sidecar.wait_ready()
    wait_load_ms(sidecar)  # an Ollama that ends before it has answered may have died of the load
    os.kill(sidecar.pid_of("ollama"), signal.SIGKILL)
    sidecar.backend.wait("loaded", count=2, timeout=10)
    assert len(loads(sidecar)) == 2


def test_a_new_proxy_loads_nothing_where_something_was(sidecar):
    sidecar.configure("preload", load="m")
    boot(sidecar, models="m,other")
    assert sidecar.generate("other").status == 200
    before = len(loads(sidecar))
    for how in ("restart", "kill"):
        if how == "restart":
            assert sidecar.ctl("restart", "proxy").returncode == 0
            sidecar.process.wait_log(r" drained ")
        else:
            os.kill(sidecar.pid_of("proxy"), signal.SIGKILL)
            until(lambda: len(sidecar.process.logged(r" exec .*program=proxy")) == 3, 5, "another proxy")
        assert sidecar.generate("nosuch").status == 404
    assert len(sidecar.process.logged(r" first_load ")) == 1
    assert all(body["model"] in ("nosuch",) for body in loads(sidecar)[before:])


def test_a_model_of_the_list_is_loaded_when_it_is_pulled(sidecar):
    sidecar.configure("preload", models="m", load="m")
    boot(sidecar, models="", pull_bytes=1 << 20, pull_rate_bytes_s=1 << 21)
    assert sidecar.backend.journal("pull_done") and not sidecar.process.logged("first_load_refused")


def test_a_model_that_is_not_there_is_a_warning(sidecar):
    sidecar.configure("preload", load="nosuch")
    sidecar.boot(tokens=1)
    sidecar.process.wait_log(r" warning proxy first_load_refused load=\"nosuch\"")
    assert sidecar.generate("m").status == 200


def test_a_load_that_fails_is_a_warning_and_no_more(sidecar):
    sidecar.configure("preload", load="m")
    sidecar.boot(tokens=1, load_fails="no room", load_fails_times=1)
    sidecar.process.wait_log(r" warning proxy load_end model=m result=failed .*no room")
    assert sidecar.generate("m").status == 200


@pytest.mark.parametrize("content", [b"", b"{", b"\0\xff", b"[" * 3000, b'{"model":"../m"}', b'{"model":"m","options":{"num_ctx":0}}',
                                     b'{"model":"m"}' + b" " * 5000])
def test_a_file_of_somebody_else_is_ignored(sidecar, content):
    sidecar.configure("preload", load="last")
    os.mkdir(os.path.join(sidecar.directory, "state"))
    sidecar.write("state/last-load.json", content)
    sidecar.boot(tokens=1)
    sidecar.process.wait_log(r" warning proxy last_load_ignored path=\".*/state/last-load.json\"")
    assert not sidecar.process.logged("first_load model") and sidecar.generate("m").status == 200
    until(lambda: open(state_file(sidecar), "rb").read().startswith(b'{"model":"m","options":'), 5, "a file of ours")
    assert len(sidecar.process.logged("last_load_ignored")) == 1


def test_a_model_that_is_gone_is_named(sidecar):
    sidecar.configure("preload", load="last")
    os.mkdir(os.path.join(sidecar.directory, "state"))
    sidecar.write("state/last-load.json", '{"model":"gone"}')
    sidecar.boot(tokens=1)
    sidecar.process.wait_log(r" warning proxy first_load_refused load=\"last\" model=gone ")


def test_what_no_start_would_load_is_not_remembered(sidecar):
    sidecar.configure("preload", load="last")
    sidecar.boot(models="m,other", tokens=1)
    assert sidecar.generate("other").status == 200
    assert sidecar.generate("m", options={"num_ctx": 0}).status == 200
    assert json.load(open(state_file(sidecar), encoding="utf-8"))["model"] == "other"
    os.kill(sidecar.pid_of("ollama"), signal.SIGKILL)
    sidecar.process.wait_log(r" first_load model=other$")
    assert not sidecar.process.logged("last_load_ignored")


def test_a_folder_that_can_not_be_written_is_one_warning(sidecar):
    sidecar.configure("preload", load="last")
    sidecar.write("state", "no folder")
    sidecar.boot(models="m,other", tokens=1)
    for model in ("m", "other", "m"):
        assert sidecar.generate(model).status == 200
    sidecar.process.wait_log(r" warning proxy last_load_failed path=")
    assert len(sidecar.process.logged("last_load_failed")) == 1


def test_a_reload_says_what_the_next_ollama_loads(sidecar):
    sidecar.boot(models="m,other", tokens=1)
    assert sidecar.generate("m").status == 200
    sidecar.configure("preload", load="other")
    sidecar.write_ini()
    assert sidecar.ctl("reload").returncode == 0
    sidecar.process.wait_log(r" drained ")
    assert not sidecar.process.logged(r" first_load ")
    assert sidecar.ctl("restart", "ollama").returncode == 0
    sidecar.process.wait_log(r" first_load model=other$")


def test_a_wrong_name_is_refused(sidecar):
    sidecar.configure("preload", load="a b")
    sidecar.start()
    assert sidecar.process.wait() == 100
    assert sidecar.process.logged(r"supervisor.ini:\d+: error: .*load: write none, last, or a model's name: ")
