"""What is estimated of a model's memory, beside what a real runner of it takes at its peak; and a model that is refused."""
import json
import re

import pytest

import group as groups
from test_real import runners
from tiny_model import Shape
from waiting import until

pytestmark = pytest.mark.limit(240)

MIB = 1 << 20
# name: shape, num_ctx, num_batch, words of the prompt. Each takes 200 MiB to 1 GiB, of which the base of a runner is a part: by its
# cache (many layers), by the scores of attention (many heads that share few keys; the prompt fills the context), by its vocabulary.
MODELS = {
    "layers": (Shape(layers=64, width=64, heads=8, heads_kv=8, head_width=128, feed_forward=64), 1024, 64, 100),
    "grouped": (Shape(layers=2, width=256, heads=64, heads_kv=4, head_width=32, feed_forward=512), 1024, 512, 1000),
    "vocabulary": (Shape(layers=16, width=256, heads=8, heads_kv=8, head_width=128, feed_forward=512, vocabulary=60000), 2048, 64, 100),
}


@pytest.fixture(scope="session")
def shapes(models):
    """The three of them, beside `tiny`."""
    models.create({name: shape for name, (shape, *_) in MODELS.items()})
    return models


def peak(sidecar, is_mapped: bool) -> int:
    """Of the one runner: anonymous memory now, where the model is mapped (pages of its file count for nobody); else the most ever."""
    (pid,) = runners(sidecar)
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        said = dict(re.findall(r"(\w+):\s+(\d+) kB", file.read()))
    return 1024 * (int(said["RssAnon"]) if is_mapped else int(said["VmHWM"]) - int(said["RssFile"]))


def estimate(sidecar, name) -> int:
    """What the proxy has said that it takes."""
    return int(sidecar.process.wait_log(rf" debug proxy memory_estimate model={name} .*total=(\d+)").group(1))


@pytest.mark.parametrize("is_mapped", [True, False], ids=["mapped", "read"])
@pytest.mark.parametrize("name", MODELS)
def test_the_estimate_is_within_20_percent_of_the_runners_peak(sidecar, shapes, name, is_mapped):
    _, num_ctx, num_batch, words = MODELS[name]
    shapes.use(sidecar)
    sidecar.configure("supervisor", log_level="debug")
    sidecar.configure("preload", models=name)
    sidecar.configure("pin:" + name, use_mmap="yes" if is_mapped else "no", num_gpu="0")
    sidecar.start()
    sidecar.wait_ready(timeout=30)
    options = {"num_ctx": num_ctx, "num_batch": num_batch, "num_predict": 2, "num_thread": 1}
    body = {"model": name, "prompt": " ".join(["ba"] * words), "raw": True, "stream": False, "options": options}
    answer = sidecar.ask("POST", "/api/generate", body, timeout=200)
    assert answer.status == 200 and answer.json["prompt_eval_count"] >= words
    estimated, measured = estimate(sidecar, name), peak(sidecar, is_mapped)
    print(f"\n| {name} | {num_ctx} | {num_batch} | {'yes' if is_mapped else 'no'} | {estimated / MIB:.0f} | {measured / MIB:.0f} |")
    assert 100 * MIB < measured < 1024 * MIB
    assert abs(estimated - measured) <= 0.2 * measured


@pytest.fixture
def limited(sidecar):
    """A sidecar in a control group with 512 MiB; Ollama 0.9.5 itself looks at the memory of the machine alone."""
    group = groups.make(512 * MIB)
    if isinstance(group, str):
        pytest.skip(group)
    sidecar.before = ["/bin/sh", sidecar.write("enter.sh", 'echo $$ >"$1" && shift && exec "$@"\n'), group.procs]
    yield sidecar
    sidecar.clean_up()
    until(lambda: not open(group.procs, encoding="utf-8").read(), 10, "an empty group")
    group.close()


def test_a_model_that_cant_fit_is_refused_before_the_kernel_kills_its_runner(limited, shapes):
    shapes.use(limited)
    limited.configure("preload", models="layers")
    limited.start()
    limited.wait_ready(timeout=30)
    large, small = ({"num_ctx": num_ctx, "num_gpu": 0, "num_batch": 64, "num_predict": 1, "num_thread": 1} for num_ctx in (4096, 512))
    answer = limited.generate("layers", options=large)
    assert answer.status == 500 and answer.json["error"].startswith("model requires more system memory (1.0 GiB) than is available (448 MiB): "
                                                                    "1.0 GiB for the KV cache of num_ctx 4096, "), answer.body
    limited.process.wait_log(r" warning proxy memory_refused model=layers ")
    fits = int(re.search(r"a num_ctx of up to (\d+) would fit", answer.json["error"])[1])
    assert limited.generate("layers", options=small).status == 200
    assert limited.generate("layers", options=large).status == 500 and len(runners(limited)) == 1  # what is loaded stays
    assert limited.generate("layers", options={**large, "num_ctx": fits}).status == 200  # which is no empty promise
    assert json.loads(limited.ctl("--json", "status").stdout)["memory"]["oom_kills"] == 0
