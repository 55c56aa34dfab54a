"""Gaps: some or all of us do not run for a while, stopped, frozen or suspended. Nobody pays for it: no limit counts that time,
nothing is taken for hung, who waits keeps his place, streams go on, and what may have died meanwhile is not relied on."""
import json
import os
import signal
import time

import pytest

from freezing import Freezer, Signals
from played_backend import RESET, Held, chunk, head, line, single
from process import state_of
from test_03_live import restarts
from test_45_adversity import pass_time
from waiting import SLACK, until

GAP_S = 3


def pids_of(sidecar, part):
    """Of one part, or of all."""
    parts = {"supervisor": lambda: sidecar.process.pid, "ollama": lambda: sidecar.pid_of("ollama"),
             "proxy": lambda: sidecar.pid_of("proxy"), "preload": lambda: sidecar.pid_of("preload")}
    if part != "all":
        return [parts[part]()]
    return [parts[name]() for name in ("supervisor", "ollama", "proxy")]


def gap(pids, seconds=GAP_S, way=Signals()):
    """All of them do not run for so long; in the end the one that was first to stop is the last to go on."""
    way.freeze(pids)
    pass_time(seconds)
    way.thaw(list(reversed(pids)))


def assert_nobody_was_blamed(sidecar):
    """No restart, no verdict of a hang, and no answer that broke."""
    assert restarts(sidecar, "ollama") == 0 and restarts(sidecar, "proxy") == 0
    for pattern in (r"cause=hung", r"client_stalled", r"answer_broken", r"\brefused id="):
        assert not sidecar.process.logged(pattern), sidecar.process.tail()


@pytest.fixture(params=["signals", "cgroup"])
def way(request):
    """Both ways to be frozen; the second where it can be had."""
    try:
        made = Signals() if request.param == "signals" else Freezer()
    except OSError as error:
        pytest.skip(f"no control group that freezes: {error}")
    yield made


@pytest.fixture
def frozen(way, sidecar):
    """A sidecar that can be frozen as a whole that way."""
    way.enter(sidecar)
    yield sidecar, way
    for process in sidecar.processes:
        if state_of(process.pid) == "T":
            way.thaw([process.pid])
    sidecar.clean_up()
    way.close()


# ---- streams, and who waits ----

@pytest.mark.parametrize("part", ["supervisor", "proxy", "ollama", "all"])
def test_a_stream_goes_on(sidecar, part):
    """Every token comes, in order, and the answer's end; limits much shorter than the gap hurt nobody."""
    sidecar.configure("program:ollama", live_interval="1s", live_misses="5")
    sidecar.configure("program:proxy", watchdog="10s")
    sidecar.configure("proxy", write_timeout="2s", header_timeout="2s", heartbeat_interval="1s")
    sidecar.boot(tokens=30, token_delay_ms=50)
    with sidecar.connect(timeout=30) as client:
        answer = client.request("POST", "/api/generate", {"model": "m", "prompt": "x"})
        objects = answer.objects()
        texts = [next(objects)[1]["response"]]
        gap(pids_of(sidecar, part))
        for _, item in objects:
            texts.append(item["response"])
        assert answer.clean and item["done"], sidecar.process.tail()
    assert "".join(texts).split() == [f"t{n}" for n in range(30)]
    assert sidecar.generate().status == 200
    assert_nobody_was_blamed(sidecar)


def test_all_frozen_together_and_used_again(frozen):
    """A stream, a request in line behind it and an idle client: all are served behind the gap."""
    sidecar, way = frozen
    sidecar.configure("environment", OLLAMA_NUM_PARALLEL="1")
    sidecar.configure("program:ollama", live_interval="300ms", live_misses="1", start_timeout="3s")
    sidecar.configure("program:proxy", watchdog="1s")
    sidecar.configure("proxy", write_timeout="2s", hold_timeout="3s")
    sidecar.boot(tokens=20, token_delay_ms=50)
    with sidecar.connect(timeout=30) as idle:
        assert idle.request("GET", "/api/version").body
        first = sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "x"})
        sidecar.backend.wait("first_token")
        second = sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "y"})
        sidecar.wait_health(lambda health: health["requests"]["queued"] == 1)
        gap(pids_of(sidecar, "all"), 5, way)
        for answer in (first.result(20), second.result(20)):
            assert answer.status == 200 and answer.clean and b'"done":true' in answer.body.replace(b" ", b"")
        assert idle.request("GET", "/api/version").body
    assert_nobody_was_blamed(sidecar)


@pytest.mark.parametrize("part", ["proxy", "all"])
def test_who_waits_for_a_start_keeps_his_place(sidecar, part):
    """start_timeout and hold_timeout are longer than the start and shorter than the start with the gap; first come, first served."""
    sidecar.configure("program:ollama", start_timeout="5s")
    sidecar.configure("environment", OLLAMA_NUM_PARALLEL="1")
    sidecar.configure("proxy", hold_timeout="5s", header_timeout="2s")
    sidecar.installed = "m"
    sidecar.backend.script(start_delay_s=2, tokens=1)
    sidecar.start()
    sidecar.process.wait_log(r" proxy listening ")
    waiting = []
    for n in range(3):
        waiting.append(sidecar.background("POST", "/api/generate", {"model": "m", "prompt": f"p{n}", "stream": False}, 30))
        sidecar.wait_health(lambda health, n=n: health["requests"]["held"] == n + 1)
    gap(pids_of(sidecar, part), 6)
    assert [call.result(20).status for call in waiting] == [200, 200, 200]
    asked = [json.loads(entry["body"])["prompt"] for entry in sidecar.backend.requests("/api/generate")]
    assert asked == ["p0", "p1", "p2"]
    assert_nobody_was_blamed(sidecar)


# ---- the proxy's limits on its clients ----

def test_a_request_that_was_half_sent_has_its_time_left(sidecar):
    """header_timeout; and with it the limit on slow bodies."""
    sidecar.configure("proxy", header_timeout="2s")
    sidecar.boot(tokens=1)
    body = b'{"model": "m", "prompt": "x", "stream": false}'
    with sidecar.connect() as slow_head, sidecar.connect() as slow_body:
        slow_head.sock.sendall(b"GET /api/version HTTP/1.1\r\nHost: local")
        slow_body.sock.sendall(b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:9])
        pass_time(0.3)
        gap(pids_of(sidecar, "proxy"))
        pass_time(0.5)
        slow_head.sock.sendall(b"host\r\n\r\n")
        slow_body.sock.sendall(body[9:])
        assert slow_head.receive().status == 200
        assert slow_body.receive().status == 200
    assert_nobody_was_blamed(sidecar)


def test_a_client_that_takes_nothing_has_its_time_left(sidecar):
    """write_timeout."""
    sidecar.configure("proxy", write_timeout="4s")
    sidecar.boot(tokens=600, token_bytes=16384, token_delay_ms=0)
    with sidecar.connect(timeout=30) as client:
        answer = client.request("POST", "/api/generate", {"model": "m", "prompt": "x"})
        sidecar.backend.wait("first_token")
        pass_time(0.5)
        gap(pids_of(sidecar, "proxy"), 5)
        pass_time(0.5)
        assert answer.body.count(b'"response"') == 601 and answer.clean, sidecar.process.tail()
    assert_nobody_was_blamed(sidecar)


# ---- connections to Ollama ----

def test_a_kept_connection_is_not_used_behind_a_gap(sidecar):
    """It may be dead without knowing. A client that stays is reason enough to notice each gap."""
    sidecar.configure("supervisor", log_level="debug")
    sidecar.boot(tokens=1)
    with sidecar.connect() as client:
        def ask():
            assert client.request("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False}).json["done"]
            return sidecar.backend.requests("/api/generate")[-1]["conn"]

        first = ask()
        assert ask() == first
        gap(pids_of(sidecar, "proxy"), 3)
        sidecar.process.wait_log(r"proxy resumed by_ms=\d+")
        assert ask() != first
    assert_nobody_was_blamed(sidecar)


def test_what_was_sent_on_a_connection_that_died_is_asked_again_unseen(before, sidecar):
    """No byte of an answer had come."""
    plays = [Held(RESET), lambda request: single({"model": "m", "response": "t", "done": True, "done_reason": "stop"})]
    first, taken = plays[0], []

    def play(request):
        taken.append(request)
        return plays[min(len(taken), len(plays)) - 1](request)

    backend = before(play=play)
    asked = sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False})
    until(lambda: backend.requests, 5, "the request")
    Signals.freeze([sidecar.process.pid])
    first.go.set()
    pass_time(3)
    Signals.thaw([sidecar.process.pid])
    answer = asked.result()
    assert answer.status == 200 and answer.clean and len(backend.requests) == 2
    assert sidecar.process.logged(r" retry id=")


def test_an_answer_that_died_in_the_gap_ends_honestly(before, sidecar):
    """A byte of it had come, so it is not asked again, and its client is told."""
    go = Held(RESET)

    def play(_request):
        yield head() + chunk(line())
        yield from go(None)

    backend = before(play=play)
    with sidecar.connect() as client:
        answer = client.request("POST", "/api/generate", {"model": "m", "prompt": "x"})
        objects = answer.objects()
        assert next(objects)[1]["response"] == "t"
        Signals.freeze([sidecar.process.pid])
        go.go.set()
        pass_time(3)
        Signals.thaw([sidecar.process.pid])
        rest = [item for _, item in objects]
        assert "error" in rest[-1] and not answer.clean and len(backend.requests) == 1


def test_an_ollama_that_died_in_the_gap_is_started_and_asked_again(sidecar):
    """All stop, Ollama dies, all go on: who had no byte yet is answered by the next Ollama."""
    sidecar.boot(tokens=1, first_token_delay_ms=1500)
    asked = sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False})
    sidecar.backend.wait("loaded")
    until(lambda: sidecar.backend.requests("/api/generate"), 5, "the request")
    pids = pids_of(sidecar, "all")
    Signals.freeze(pids)
    os.kill(pids[1], signal.SIGKILL)
    pass_time(3)
    Signals.thaw([pids[2], pids[0]])
    assert asked.result(20).status == 200
    assert restarts(sidecar, "ollama") == 1 and restarts(sidecar, "proxy") == 0


# ---- pulls ----

@pytest.mark.parametrize("part", ["preload", "ollama", "everything"])
def test_a_pull_goes_on(sidecar, part):
    """A gap that is longer than a pull may stall is no stall; bytes come so slowly that the first line behind it tells of none."""
    sidecar.configure("preload", models="m", retries="0")
    sidecar.configure("program:preload", stall_timeout="4s")
    sidecar.configure("program:ollama", live="none")
    sidecar.backend.script(pull_bytes=12, pull_rate_bytes_s=1, tokens=1)
    sidecar.start()
    sidecar.process.wait_log(r" exec program=preload")
    sidecar.wait_health(lambda health: any(model["completed"] > 2 for model in health["models"]["pulling"]))
    pids = pids_of(sidecar, "all") + pids_of(sidecar, "preload") if part == "everything" else pids_of(sidecar, part)
    gap(pids, 3 if part == "ollama" else 6)
    sidecar.wait_ready(30)
    assert not sidecar.process.logged(r"pull_retry|pull_failed"), sidecar.process.tail()
    assert len(sidecar.backend.journal("pull_start")) == 1
    assert_nobody_was_blamed(sidecar)


def test_no_heap_of_heartbeats_behind_a_gap(sidecar):
    """Timers that came due meanwhile do not fire one after the other: one heartbeat at the most is behind it at once."""
    sidecar.configure("proxy", heartbeat_after="500ms", heartbeat_interval="500ms")
    sidecar.boot(tokens=1, first_token_delay_ms=int(9000 * SLACK))
    with sidecar.connect(timeout=30) as client:
        answer = client.request("POST", "/api/generate", {"model": "m", "prompt": "x"})
        pieces = answer.pieces()
        next(pieces)
        gap(pids_of(sidecar, "all"), 5)
        thawed = time.monotonic()
        early = 0
        for when, data in pieces:
            if when - thawed > 0.4:
                break
            early += len(data)
        assert early <= 2, f"{early} heartbeats at once"
    assert_nobody_was_blamed(sidecar)




# ---- a model that fell from the GPU to the CPU ----

VRAM = 4000000000


def on_gpu(sidecar, **script):
    """A model that is on the GPU, and is known to be."""
    sidecar.boot(size_vram=VRAM, **script)
    assert sidecar.generate().status == 200
    until(lambda: asked_n(sidecar) == 1, 5, "a look behind the load")


def gap_of_proxy(sidecar):
    """One that it sees, as somebody is there."""
    with sidecar.connect() as client:
        assert client.request("GET", "/api/version").body
        gap(pids_of(sidecar, "proxy"))


def asked_n(sidecar, pid=None):
    """How often /api/ps was answered; by this Ollama. (One that is told to stop may not come to say so.)"""
    asked = {(entry["pid"], entry["id"]) for entry in sidecar.backend.requests("/api/ps")}
    return len([entry for entry in sidecar.backend.journal("answered") if (entry["pid"], entry["id"]) in asked and pid in (None, entry["pid"])])


def test_a_model_that_fell_to_the_cpu_has_ollama_restarted(sidecar):
    """Noticed behind the gap, told with the reason in log, status and on the page, done when the answer under way has ended; who
    asks meanwhile is answered by the next Ollama. And once: it is on the CPU from then on, and that is left so."""
    on_gpu(sidecar, tokens=1)
    sidecar.backend.script(size_vram=VRAM, tokens=80, token_delay_ms=100)
    with sidecar.connect(timeout=30) as client:
        objects = client.request("POST", "/api/generate", {"model": "m", "prompt": "x"}).objects()
        next(objects)
        sidecar.backend.script(size_vram=0, tokens=1)
        gap(pids_of(sidecar, "proxy"))
        sidecar.process.wait_log(rf"warning proxy gpu_lost model=\"m:latest\" vram_bytes={VRAM}")
        later = sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "y", "stream": False})
        assert restarts(sidecar, "ollama") == 0
        assert list(objects)[-1][1]["done"]  # the answer was not cut off
    assert later.result(20).status == 200
    sidecar.process.wait_log(r"program=ollama from=ready to=stopping cause=hung .*reason=\"model m:latest fell from the GPU to the CPU")
    assert restarts(sidecar, "ollama") == 1 and restarts(sidecar, "proxy") == 0
    assert "fell from the GPU to the CPU" in json.loads(sidecar.ctl("status", "--json").stdout)["trouble"]["text"]
    before = asked_n(sidecar)
    gap_of_proxy(sidecar)
    assert sidecar.generate().status == 200
    until(lambda: asked_n(sidecar) > before, 5, "a look behind the load")
    pass_time(1.5)
    assert restarts(sidecar, "ollama") == 1


def test_a_model_that_is_loaded_again_behind_a_gap_and_falls(sidecar):
    """The runner that was there stays on the GPU, and only the next load shows that it can't be had any more."""
    on_gpu(sidecar, tokens=1)
    before = asked_n(sidecar)
    gap_of_proxy(sidecar)
    until(lambda: asked_n(sidecar) > before, 5, "a look behind the gap")
    assert sidecar.generate(prompt="", keep_alive=0).status == 200
    sidecar.backend.wait("unloaded")
    gap_of_proxy(sidecar)
    sidecar.backend.script(size_vram=0, tokens=1)
    assert sidecar.generate().status == 200
    sidecar.process.wait_log(r"gpu_lost model=")
    sidecar.process.wait_log(r"program=ollama from=ready to=stopping cause=hung")
    assert sidecar.generate().status == 200


def test_a_gap_that_only_the_supervisor_has_seen(sidecar):
    """It tells the proxy, which may have slept through it: nobody is there, and it waits for ever."""
    sidecar.configure("program:ollama", live_interval="500ms", live_misses="9")
    on_gpu(sidecar, tokens=1)
    before = asked_n(sidecar)
    gap(pids_of(sidecar, "supervisor"))
    sidecar.process.wait_log(r"supervisor resumed by_ms=\d+")
    until(lambda: asked_n(sidecar) > before, 5, "a look behind the gap")
    assert restarts(sidecar, "ollama") == 0


def test_the_same_loss_again_is_left_as_it_is(sidecar):
    """A GPU that comes and goes has Ollama restarted once in ten minutes; who waited for a restart goes on without."""
    on_gpu(sidecar, tokens=1)
    for n in range(2):
        sidecar.backend.script(size_vram=0, tokens=1)
        gap_of_proxy(sidecar)
        sidecar.process.wait_log(r"gpu_lost model=" if n == 0 else r"gpu_not_restored model=")
        sidecar.backend.script(size_vram=VRAM, tokens=1)
        assert sidecar.generate().status == 200  # at the gate until it is clear that nothing will come
        if n == 0:
            until(lambda: asked_n(sidecar, sidecar.pid_of("ollama")), 10, "a look behind the load")
    assert restarts(sidecar, "ollama") == 1


def test_where_there_is_no_gpu_it_is_not_asked_for_ever(sidecar):
    """Three loads are enough to know."""
    sidecar.boot(models="m,a,b,c", tokens=1)
    for n, model in enumerate(["m", "a", "b"]):
        assert sidecar.generate(model).status == 200
        until(lambda n=n: asked_n(sidecar) == n + 1, 5, "a look behind the load")
    assert sidecar.generate("c").status == 200
    pass_time(1.5)
    assert asked_n(sidecar) == 3


def test_without_a_gpu_nothing_is_asked_behind_a_gap(sidecar):
    """And nothing is restarted."""
    sidecar.boot(tokens=1)
    assert sidecar.generate().status == 200
    until(lambda: asked_n(sidecar) == 1, 5, "a look behind the load")
    before = asked_n(sidecar)
    gap_of_proxy(sidecar)
    pass_time(1.5)
    assert asked_n(sidecar) == before and restarts(sidecar, "ollama") == 0


@pytest.mark.parametrize("keys", [{"options": {"num_gpu": 0}}, {}], ids=["wanted", "no_gap"])
def test_a_model_that_somebody_wants_on_the_cpu(sidecar, keys):
    """By its options, or without a gap: nobody has lost anything."""
    on_gpu(sidecar, tokens=1)
    if keys:
        gap_of_proxy(sidecar)
    else:
        assert sidecar.generate(prompt="", keep_alive=0).status == 200
    before = asked_n(sidecar)
    sidecar.backend.script(size_vram=0, tokens=1)
    assert sidecar.generate(**keys).status == 200
    if not keys:
        until(lambda: asked_n(sidecar) > before, 5, "a look behind the load")
    pass_time(1.5)
    assert not sidecar.process.logged("gpu_lost") and restarts(sidecar, "ollama") == 0
