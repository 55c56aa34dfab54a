"""idle_action = stop: Ollama sleeps alone, and whoever needs it wakes it and is held meanwhile; none; what is told of it."""
import json
import os
import signal
import time

import pytest

from client import Background
from waiting import SLACK, until


def sleeps_soon(sidecar, idle_timeout="300ms", **more):
    """Configured to stop Ollama alone."""
    sidecar.configure("supervisor", idle_action="stop", idle_timeout=idle_timeout, **more)


def wait_asleep(sidecar, count=1):
    """Until it has fallen asleep so often, and Ollama is gone."""
    until(lambda: len(sidecar.process.logged(r" asleep action=stop")) >= count, 10, "sleep", sidecar.process.tail)
    until(lambda: state_of(sidecar, "ollama") == "down", 10, "Ollama to be down", sidecar.process.tail)


def status(sidecar):
    """What `sidecarctl --json status` says."""
    run = sidecar.ctl("--json", "status")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def state_of(sidecar, name):
    """The state of a program."""
    return next(row["state"] for row in status(sidecar)["programs"] if row["name"] == name)


def execs(sidecar, name):
    """How often it was started."""
    return len(sidecar.process.logged(rf" exec program={name} "))


def test_ollama_alone_sleeps_and_a_request_wakes_it_again_and_again(sidecar):
    sleeps_soon(sidecar)
    sidecar.configure("preload", models="m")
    sidecar.boot(tokens=1)
    proxy = sidecar.pid_of("proxy")
    for count in (1, 2, 3):
        wait_asleep(sidecar, count)
        assert status(sidecar)["sleep"]["state"] == "asleep" and status(sidecar)["trouble"] is None
        answer = sidecar.generate()
        assert answer.status == 200 and answer.json["done"]
        assert int(answer.header("X-Sidecar-Wait-Ms")) > 0
        assert execs(sidecar, "ollama") == count + 1
        boot = status(sidecar)["boots"][-1]
        assert boot["cause"] == "wake" and boot["exec_ms"] is not None and boot["api_ms"] is not None
    assert execs(sidecar, "preload") == 1 and sidecar.pid_of("proxy") == proxy
    assert len(sidecar.process.logged(r" awake ollama=ready ")) == 3
    assert sidecar.stop() == 0


def test_asleep_it_is_ready_and_says_so(sidecar):
    sleeps_soon(sidecar)
    sidecar.boot(tokens=1)
    wait_asleep(sidecar)
    assert sidecar.ask("GET", "/ready").status == 200
    assert sidecar.ask("GET", "/live").status == 200
    said = sidecar.ctl("status").stdout
    assert "ollama asleep for " in said and "running" in said
    assert status(sidecar)["state"] == "running"
    assert execs(sidecar, "ollama") == 1


def test_who_comes_while_ollama_is_being_stopped_is_held_and_it_starts_again_at_once(sidecar):
    sleeps_soon(sidecar)
    sidecar.configure("program:ollama", stop_timeout="700ms")
    sidecar.boot(tokens=1, ignore_term=True)
    sidecar.backend.wait("term_ignored", timeout=10)
    sidecar.backend.script(tokens=1)
    answer = sidecar.generate()
    assert answer.status == 200
    assert execs(sidecar, "ollama") == 2
    died = sidecar.process.wait_log(r" exited program=ollama")
    assert died


def test_work_and_a_stream_keep_it_awake(sidecar):
    sleeps_soon(sidecar, "400ms")
    sidecar.boot(tokens=12, token_delay_ms=100)
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", {"model": "m", "prompt": "hello"})
        objects = [value for _, value in connection.receive().objects()]
    assert objects[-1]["done"] and not sidecar.process.logged(" asleep ")
    wait_asleep(sidecar)


def test_many_who_come_at_once_wake_it_once(sidecar):
    sleeps_soon(sidecar)
    sidecar.boot(tokens=1, start_delay_s=0.2)
    wait_asleep(sidecar)
    waiting = [sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False}) for _ in range(20)]
    assert [call.result(20).status for call in waiting] == [200] * 20
    assert execs(sidecar, "ollama") == 2


@pytest.mark.parametrize("verb", ["start", "restart"])
def test_the_owner_wakes_it(sidecar, verb):
    sleeps_soon(sidecar)
    sidecar.boot(tokens=1)
    wait_asleep(sidecar)
    assert sidecar.ctl(verb, "ollama").returncode == 0
    sidecar.process.wait_log(r" awake ollama=ready")
    assert execs(sidecar, "ollama") == 2
    wait_asleep(sidecar, 2)  # and it sleeps again, as nobody asks


def test_a_stop_by_the_owner_while_it_sleeps_changes_nothing_and_a_request_still_wakes_it(sidecar):
    sleeps_soon(sidecar)
    sidecar.boot(tokens=1)
    wait_asleep(sidecar)
    assert sidecar.ctl("stop", "ollama").returncode == 0
    assert status(sidecar)["sleep"]["state"] == "asleep"
    assert sidecar.generate().status == 200


def test_stopped_by_the_owner_while_it_wakes_it_is_down_and_not_asleep(sidecar):
    sleeps_soon(sidecar)
    sidecar.boot(tokens=1)
    sidecar.backend.script(start_delay_s=60)
    wait_asleep(sidecar)
    assert sidecar.ctl("start", "ollama").returncode == 0
    until(lambda: status(sidecar)["sleep"]["state"] == "waking", 5, "waking")
    assert sidecar.ctl("stop", "ollama").returncode == 0
    sidecar.process.wait_log(r" awake ollama=down")
    assert state_of(sidecar, "ollama") == "down"


def test_a_task_that_needs_ollama_wakes_it(sidecar):
    """Another list: the preloader would wait for an Ollama that sleeps."""
    sleeps_soon(sidecar)
    sidecar.configure("preload", models="m")
    sidecar.boot(tokens=1)
    wait_asleep(sidecar)
    sidecar.configure("preload", models="m, other")
    sidecar.write_ini()
    assert sidecar.ctl("reload").returncode == 0
    sidecar.process.wait_log(r" preload_done ready=2 ")
    assert execs(sidecar, "ollama") == 2
    wait_asleep(sidecar, 2)


@pytest.mark.parametrize("keys", [{"idle_action": "none"}, {"idle_timeout": "0"}])
def test_a_reload_that_takes_the_sleep_away_wakes_it(sidecar, keys):
    sleeps_soon(sidecar)
    sidecar.boot(tokens=1)
    wait_asleep(sidecar)
    sidecar.configure("supervisor", **keys)
    sidecar.write_ini()
    assert sidecar.ctl("reload").returncode == 0
    sidecar.process.wait_log(r" awake ollama=ready")


def test_a_reload_to_exit_wakes_it_and_then_everything_ends(sidecar):
    sleeps_soon(sidecar)
    sidecar.boot(tokens=1)
    wait_asleep(sidecar)
    sidecar.configure("supervisor", idle_action="exit")
    sidecar.write_ini()
    assert sidecar.ctl("reload").returncode == 0
    assert sidecar.process.wait(10) == 0


def test_another_reload_lets_it_sleep_on(sidecar):
    sleeps_soon(sidecar)
    sidecar.boot(tokens=1)
    wait_asleep(sidecar)
    sidecar.configure("proxy", hold_timeout="1m")
    sidecar.write_ini()
    assert sidecar.ctl("reload").returncode == 0
    sidecar.process.wait_log(r" drained ")
    assert status(sidecar)["sleep"]["state"] == "asleep" and execs(sidecar, "ollama") == 1
    assert sidecar.generate().status == 200


def test_the_proxy_dies_while_ollama_sleeps(sidecar):
    sleeps_soon(sidecar)
    sidecar.configure("proxy", start="ready")
    sidecar.configure("preload", models="m")
    sidecar.boot(tokens=1)
    wait_asleep(sidecar)
    os.kill(sidecar.pid_of("proxy"), signal.SIGKILL)
    until(lambda: execs(sidecar, "proxy") == 2, 5, "another proxy")
    assert execs(sidecar, "ollama") == 1
    assert sidecar.generate().status == 200
    assert execs(sidecar, "ollama") == 2


def test_without_a_proxy_nobody_could_wake_it_so_it_stays(sidecar):
    sleeps_soon(sidecar, "100ms")
    sidecar.boot(tokens=1)
    assert sidecar.ctl("stop", "proxy").returncode == 0
    since = time.monotonic()
    until(lambda: time.monotonic() - since > 0.5 * SLACK, 10, "five times the limit")
    assert not sidecar.process.logged(" asleep ") or state_of(sidecar, "ollama") == "down"


def test_an_ollama_that_dies_at_its_wake_is_tried_again_and_the_request_is_held(sidecar):
    sleeps_soon(sidecar)
    sidecar.boot(tokens=1)
    wait_asleep(sidecar)
    sidecar.backend.script(tokens=1, start_delay_s=0.3)
    call = Background(sidecar.generate)
    until(lambda: execs(sidecar, "ollama") == 2, 5, "its start")
    os.kill(sidecar.pid_of("ollama"), signal.SIGKILL)
    assert call.result(20).status == 200
    assert execs(sidecar, "ollama") == 3


def test_stopping_everything_while_it_sleeps(sidecar):
    sleeps_soon(sidecar)
    sidecar.boot(tokens=1)
    wait_asleep(sidecar)
    began = time.monotonic()
    assert sidecar.stop() == 0
    assert time.monotonic() - began < 3 * SLACK


def test_none_does_nothing_but_a_line_for_those_who_look(sidecar):
    sidecar.configure("supervisor", idle_action="none", idle_timeout="100ms", log_level="debug")
    sidecar.boot(tokens=1)
    sidecar.process.wait_log(r" idle action=none")
    assert sidecar.generate().status == 200
    assert execs(sidecar, "ollama") == 1


# what is kept of it

def kept(sidecar) -> dict:
    """What is in the file."""
    with open(os.path.join(sidecar.directory, "state", "sleep.txt"), encoding="ascii") as file:
        return dict(line.rstrip("\n").split("=") for line in file)


def test_awake_and_asleep_are_counted_over_exits_and_who_is_woken_soon_sleeps_later(sidecar):
    sidecar.configure("supervisor", idle_timeout="2s")
    sidecar.boot(tokens=1)
    assert sidecar.process.wait(10) == 0
    assert kept(sidecar)["how"] == "exit" and kept(sidecar)["wakes"] == "0" and kept(sidecar)["cold_starts"] == "1"
    sidecar.start()
    sidecar.wait_ready()
    sleep = status(sidecar)["sleep"]
    assert sleep["wakes"] == 1 and sleep["cold_starts"] == 2 and sleep["awake_s"] >= 1
    assert sleep["idle_timeout_s"] == 4 and sleep["doubled"] == 1
    assert "sleeps when idle for 4.0s (twice idle_timeout, as it was woken soon)" in sidecar.ctl("status").stdout
    began = time.monotonic()
    assert sidecar.process.wait(10) == 0
    assert time.monotonic() - began > 3  # it was awake for longer this time
    since_ms = int(kept(sidecar)["since_ms"])
    sidecar.write("state/sleep.txt", "".join(f"{name}={value}\n" for name, value in {**kept(sidecar), "since_ms": since_ms - 3600000}.items()))
    sidecar.start()  # an hour later
    sidecar.wait_ready()
    sleep = status(sidecar)["sleep"]
    assert sleep["doubled"] == 0 and sleep["idle_timeout_s"] == 2 and sleep["wakes"] == 2 and 3600 <= sleep["asleep_s"] < 3660
    assert sidecar.process.wait(10) == 0


def test_a_sleep_of_ollama_alone_is_counted_and_one_that_was_short_is_followed_by_a_longer_watch(sidecar):
    sleeps_soon(sidecar, "400ms")
    sidecar.boot(tokens=1)
    wait_asleep(sidecar)
    assert kept(sidecar)["how"] == "stop"
    assert sidecar.generate().status == 200
    sleep = status(sidecar)["sleep"]
    assert (sleep["wakes"], sleep["cold_starts"], sleep["doubled"], sleep["idle_timeout_s"]) == (1, 2, 1, 0.8)
    wait_asleep(sidecar, 2)
    assert sidecar.stop() == 0
    assert kept(sidecar)["how"] == "awake" and kept(sidecar)["cooldown"] == "1"
    sidecar.start()
    sidecar.wait_ready()
    assert status(sidecar)["sleep"]["idle_timeout_s"] == 0.8  # it is remembered


def test_a_calendar_that_was_set_back_makes_no_sleep(sidecar):
    sidecar.configure("supervisor", idle_timeout="1h")
    os.makedirs(os.path.join(sidecar.directory, "state"))
    sidecar.write("state/sleep.txt", "awake_s=5\nasleep_s=7\ncold_starts=3\nwakes=2\ncooldown=1\nhow=exit\nsince_ms=4000000000000\n")
    sidecar.boot()
    sleep = status(sidecar)["sleep"]
    assert (sleep["asleep_s"], sleep["wakes"], sleep["cold_starts"], sleep["doubled"]) == (7, 3, 4, 1)


@pytest.mark.parametrize("content", [b"", b"\0" * 400, b"{}\n", b"x" * 100000])
def test_garbage_in_the_file_is_told_once_and_begun_anew(sidecar, content):
    sidecar.configure("supervisor", idle_timeout="1h")
    os.makedirs(os.path.join(sidecar.directory, "state"))
    sidecar.write("state/sleep.txt", content)
    sidecar.boot()
    assert len(sidecar.process.logged(r" warning supervisor diary_ignored .*sleep\.txt")) == 1
    until(lambda: os.path.getsize(os.path.join(sidecar.directory, "state", "sleep.txt")) in range(20, 300), 5, "another file")
    assert kept(sidecar)["cold_starts"] == "1"
    assert sidecar.stop() == 0


@pytest.mark.parametrize("nowhere", ["/proc/nowhere", "/dev/null/x"])
def test_where_nothing_can_be_kept_it_sleeps_and_wakes_all_the_same(sidecar, nowhere):
    sleeps_soon(sidecar, state_dir=nowhere)
    sidecar.boot(tokens=1)
    wait_asleep(sidecar)
    assert sidecar.generate().status == 200
    wait_asleep(sidecar, 2)
    assert len(sidecar.process.logged(" warning supervisor diary_failed ")) == 1
    assert status(sidecar)["sleep"]["wakes"] == 1
    assert sidecar.stop() == 0


def test_a_pipe_in_the_place_of_the_file_holds_nobody_up(sidecar):
    sidecar.configure("supervisor", idle_timeout="1h")
    os.makedirs(os.path.join(sidecar.directory, "state"))
    os.mkfifo(os.path.join(sidecar.directory, "state", "sleep.txt"))
    sidecar.boot()
    assert sidecar.stop() == 0
    assert kept(sidecar)["cold_starts"] == "1"


def test_who_never_sleeps_keeps_nothing(sidecar):
    sidecar.boot()
    assert "sleeps when idle" not in sidecar.ctl("status").stdout
    assert sidecar.stop() == 0
    assert not os.path.exists(os.path.join(sidecar.directory, "state", "sleep.txt"))


@pytest.mark.skipif("san" in os.environ.get("BUILD_DIR", ""), reason="a sanitizer's memory is not ours")
def test_asleep_supervisor_and_proxy_take_little(sidecar):
    """5 MB of PSS, which a page that others have too counts for in part only."""
    sleeps_soon(sidecar)
    sidecar.boot(tokens=1)
    for _ in range(3):
        assert sidecar.generate().status == 200
    wait_asleep(sidecar)
    pids = [sidecar.process.pid, sidecar.pid_of("proxy")]
    assert sorted(sidecar.process_children()) == [pids[1]]
    assert sum(pss_kb(pid) for pid in pids) < 5 * 1024


def pss_kb(pid) -> int:
    """proc_pid_smaps_rollup(5)"""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_on_fly_is_over_in_four_seconds_whatever_runs(sidecar, number):
    """Streams that never end, a request that waits, an Ollama that does not listen."""
    sidecar.configure("supervisor", shutdown_timeout="4s")
    sidecar.configure("proxy", slots="3")
    sidecar.boot(tokens=100000, token_delay_ms=20, ignore_term=True)
    streams = []
    for _ in range(3):
        connection = sidecar.connect()
        connection.send("POST", "/api/generate", {"model": "m", "prompt": "hello"})
        streams.append((connection, connection.receive().objects()))
    assert all(next(objects)[1]["response"] for _, objects in streams)
    waiting = Background(sidecar.generate)
    sidecar.wait_health(lambda health: health["requests"]["queued"] == 1)
    began = time.monotonic()
    assert sidecar.stop(number) == 0
    assert time.monotonic() - began < 4 + 0.5 * SLACK
    assert waiting.result().status == 503
    for connection, objects in streams:
        assert "error" in [value for _, value in objects][-1]
        connection.close()
    assert not sidecar.programs()
