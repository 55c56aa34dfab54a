"""A model that can't fit the limit on memory is refused with the figures, before anything is loaded; what might fit is tried."""
import json
import re

import pytest

from waiting import SLACK

EMBED = "/api/embed"
HEADS_KV, HEAD = 8, 64
LAYER_BYTES = 2 * 2 * HEADS_KV * HEAD  # of a token's keys and values as f16
CPU = {"num_gpu": 0}                   # so that it does not matter which devices the machine has
LARGE, SMALL = {**CPU, "num_ctx": 65536}, {**CPU, "num_ctx": 2048}


def limit_of(sidecar) -> int:
    """The limit that it goes by: of a control group, or the machine's memory."""
    return json.loads(sidecar.ctl("--json", "status").stdout)["memory"]["limit_bytes"]


def show(sidecar, layers=None, **more) -> dict:
    """What POST /api/show says of a model that takes twice the limit with a context of 65536, and little with a small one."""
    layers = layers or limit_of(sidecar) // 32768 // LAYER_BYTES
    info = {"general.architecture": "llama", "llama.block_count": layers, "llama.embedding_length": 2048, "llama.attention.head_count": 8,
            "llama.attention.head_count_kv": HEADS_KV, "llama.attention.key_length": HEAD, "llama.attention.value_length": HEAD,
            "llama.context_length": 131072, "llama.feed_forward_length": 8192, **more}
    return {"model_info": {key: value for key, value in info.items() if value is not None},
            "tensors": [{"name": "token_embd.weight", "type": "Q8_0", "shape": [2048, 1000]}]}


def boot(sidecar, change=None, **more):
    """A load takes a while, as it does in fact."""
    sidecar.configure("environment", OLLAMA_NUM_PARALLEL=None)
    sidecar.boot("m,other", tokens=1)
    said = show(sidecar, **more)
    said.update(change(said) if change else {})
    sidecar.backend.script(tokens=1, load_s=0.5 * SLACK, show=said)


def tries(sidecar) -> list:
    """The context of each load that was asked of the stand-in."""
    bodies = [json.loads(entry["body"]) for entry in sidecar.backend.requests(EMBED)]
    return [body["options"].get("num_ctx") for body in bodies if body.get("input") == []]


def shown(sidecar) -> int:
    """How often it was asked what a model is."""
    return len(sidecar.backend.requests("/api/show"))


def is_refused(answer) -> bool:
    """As Ollama itself would, and with more words."""
    text = answer.json["error"]
    text = text["message"] if isinstance(text, dict) else text
    return answer.status == 500 and bool(re.match(r"model requires more system memory \([\d.]+ [KMGT]iB\) than is available \([\d.]+ [KMGT]iB\): ", text))


def test_a_context_that_cant_fit_is_refused_with_the_figures_and_what_to_do(sidecar):
    boot(sidecar)
    answer = sidecar.generate(options=LARGE)
    assert is_refused(answer)
    told = re.search(r"[\d.]+ [MG]iB for the KV cache of num_ctx 65536, [\d.]+ [KMG]iB for buffers, 0 B for weights; "
                     r"a num_ctx of up to (\d+) would fit; the limit on memory is [\d.]+ [MG]iB$", answer.json["error"])
    assert told, answer.json["error"]
    assert not sidecar.backend.journal("loaded")
    assert "model=m reason=" in sidecar.process.wait_log(r" warning proxy memory_refused (.*)").group(1)
    health = sidecar.health()
    assert (health["code"], health["models"]["failed"]) == (200, [])
    fits = int(told[1])
    assert sidecar.generate(options={**CPU, "num_ctx": fits + 256}).status == 500
    assert sidecar.generate(options={**CPU, "num_ctx": fits}).status == 200


def test_the_load_that_was_begun_beside_is_ended_and_none_follows(sidecar):
    boot(sidecar)
    assert is_refused(sidecar.generate(options=LARGE))
    sidecar.backend.wait("load_aborted")
    assert all(is_refused(sidecar.generate(options=LARGE)) for _ in range(4))
    assert tries(sidecar) == [65536]  # and it is asked each time whether it is still the same model
    assert shown(sidecar) == 5
    assert len(sidecar.process.logged(r" memory_refused ")) == 1
    assert not sidecar.process.logged(r" cooldown_begin ")


def test_all_who_wait_are_told_and_who_wants_less_is_served(sidecar):
    boot(sidecar)
    sidecar.backend.script(tokens=1, load_s=1 * SLACK, show=show(sidecar), show_delay_s=0.5 * SLACK)
    calls = [sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False, "options": LARGE}) for _ in range(4)]
    less = sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False, "options": SMALL})
    assert all(is_refused(call.result()) for call in calls)
    assert less.result().status == 200 and [entry["options"]["num_ctx"] for entry in sidecar.backend.journal("loaded")] == [2048]


def test_what_fits_costs_its_load_no_time_and_is_asked_once(sidecar):
    boot(sidecar)
    sidecar.backend.script(tokens=1, show=show(sidecar), show_delay_s=60)
    assert sidecar.generate(options=SMALL, keep_alive=0).status == 200
    sidecar.backend.script(tokens=1, load_s=0.5 * SLACK, show=show(sidecar))
    for _ in range(3):
        assert sidecar.generate(options=SMALL, keep_alive=0).status == 200
        assert sidecar.ask("POST", "/api/generate", {"model": "m", "keep_alive": 0}).status == 200
    assert shown(sidecar) == 2


def test_a_refusal_leaves_what_is_loaded_as_it_is(sidecar):
    boot(sidecar)
    assert sidecar.generate(options=SMALL).status == 200
    assert is_refused(sidecar.generate(options=LARGE))
    assert sidecar.generate(options=SMALL).status == 200
    assert sidecar.generate().status == 200
    assert tries(sidecar) == [2048] and len(sidecar.backend.journal("loaded")) == 1


def test_the_models_own_parameters_and_ollamas_environment_count(sidecar):
    sidecar.configure("environment", OLLAMA_CONTEXT_LENGTH="65536", OLLAMA_NUM_PARALLEL="2")
    sidecar.boot("m", tokens=1)
    sidecar.backend.script(tokens=1, load_s=0.5 * SLACK, show=show(sidecar))
    answer = sidecar.generate(options=CPU)
    assert is_refused(answer) and " num_ctx 65536, " in answer.json["error"]
    told = int(re.search(r"a num_ctx of up to (\d+) ", answer.json["error"])[1])
    own = {**show(sidecar), "parameters": "stop                           \"x\"\nnum_ctx                        512"}
    sidecar.backend.script(tokens=1, load_s=0.5 * SLACK, show=own)
    assert sidecar.generate(options=CPU).status == 200
    assert told < 65536 / 2  # two at once


@pytest.mark.parametrize("path, body", [
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}), ("/v1/embeddings", {"input": "hi"}),
    ("/api/chat", {"messages": [{"role": "user", "content": "hi"}]}), (EMBED, {"input": "hi"})])
def test_each_dialect_is_told_in_its_own_shape(sidecar, path, body):
    sidecar.configure("pin:m", num_ctx="65536", num_gpu="0")
    boot(sidecar)
    assert is_refused(sidecar.ask("POST", path, {"model": "m", **body}))


def test_weights_count_where_they_are_not_mapped_and_only_warn_where_they_are(sidecar):
    sidecar.configure("pin:m", use_mmap="client")

    def heavy(said):
        return {"tensors": said["tensors"] + [{"name": "output.weight", "type": "F16", "shape": [1024, limit_of(sidecar) // 1024]}]}
    boot(sidecar, heavy)
    answer = sidecar.generate(options={**SMALL, "use_mmap": False})
    assert is_refused(answer) and "use_mmap true leaves the weights in their file" in answer.json["error"]
    assert is_refused(sidecar.generate(options=SMALL))  # who says nothing has them read on a CPU
    assert not sidecar.process.logged(r" memory_tight ")
    for num_ctx in (2048, 3000, 4000):
        assert sidecar.generate(options={**CPU, "num_ctx": num_ctx, "use_mmap": True}).status == 200
    (line,) = sidecar.process.logged(r" warning proxy memory_tight ")
    assert "model=m mapped=" in line


@pytest.mark.parametrize("change", [
    lambda said: {"model_info": {}, "tensors": []}, lambda said: {"model_info": None, "tensors": None},
    lambda said: {"model_info": {**said["model_info"], "llama.attention.head_count_kv": [8, 8]}},
    lambda said: {"model_info": {**said["model_info"], "llama.block_count": "many"}},
    lambda said: {"model_info": {**said["model_info"], "llama.block_count": 1e300}}])
def test_what_is_not_known_is_tried(sidecar, change):
    boot(sidecar, change)
    assert sidecar.generate(options=LARGE).status == 200


def test_it_is_off_where_it_is_set_so(sidecar):
    sidecar.configure("supervisor", memory_check="off")
    boot(sidecar)
    assert sidecar.generate(options=LARGE).status == 200 and shown(sidecar) == 0


def test_a_backend_that_is_not_ours_is_asked_nothing(sidecar, standin):
    backend, _ = standin(installed="m", tokens=1, load_s=0.2, show={"model_info": {
        "llama.block_count": 1 << 20, "llama.attention.head_count_kv": 1 << 20, "llama.attention.key_length": 128, "llama.attention.value_length": 128}})
    sidecar.configure("proxy", backend=f"http://127.0.0.1:{backend.port}")
    sidecar.configure("program:ollama", autostart="no")
    sidecar.start()
    sidecar.wait_ready()
    assert sidecar.generate(options=LARGE).status == 200 and not backend.requests("/api/show")


def test_a_changed_model_is_looked_at_anew(sidecar):
    boot(sidecar)
    assert is_refused(sidecar.generate(options=LARGE))
    sidecar.backend.script(tokens=1, load_s=0.3 * SLACK, show=show(sidecar, layers=1))
    assert sidecar.generate(options=LARGE).status == 200
