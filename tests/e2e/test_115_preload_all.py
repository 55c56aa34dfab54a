"""[preload] targets = all: each model of the list on each of several Ollamas, as one list: what is told, what fails where, what is waited for."""
import json

from containers import Containers
from waiting import until

SMALL = {"tokens": 1, "pull_bytes": 100_000, "pull_rate_bytes_s": 10 << 20}


def models(sidecar) -> dict:
    """How far the list is, as /health has it: ready, pulling, failed."""
    return sidecar.health()["models"]


def names_of(sidecar, text: str) -> list:
    """The backends that lines of the log with this text in them name."""
    return [line.rsplit("backend=", 1)[1].split()[0] for line in sidecar.process.logged(text)]


def test_r2_4_each_model_is_pulled_on_every_backend_and_one_is_down_at_first(sidecar):
    """One after the other within each, in the list's order; what is there is not pulled; who is down is waited for, and nobody waits for him."""
    fleet = Containers(sidecar, "a", "b", "c")
    sidecar.configure("preload", models="x, y", targets="all")
    fleet.start("a", **SMALL)
    fleet.start("b", "y", **SMALL)
    process = sidecar.start()
    process.wait_log(r" pull_done model=y:latest .*backend=a")
    process.wait_log(r" pull_done model=x:latest .*backend=b")
    process.wait_log(r" preload_waiting backend=c why=")
    assert not process.logged(r" pull_done .*backend=c") and not process.logged(r" ready after")
    assert models(sidecar)["ready"] == []
    fleet.start("c", **SMALL)
    process.wait_log(r" preload_done ready=2 failed=0 left=0$")
    process.wait_log(r" ready after_ms=")
    assert models(sidecar)["ready"] == ["x:latest", "y:latest"]
    assert [fleet.pulled(name) for name in "abc"] == [["x:latest", "y:latest"], ["x:latest"], ["x:latest", "y:latest"]]
    assert not sidecar.backend.journal("started")  # no Ollama of our own
    assert sidecar.stop() == 0


def test_what_fails_somewhere_is_told_with_its_name(sidecar):
    """The others go on; the row says who has it not, and why."""
    fleet = Containers(sidecar, "a", "b", "c")
    sidecar.configure("preload", models="x, y", targets="all", required="yes")
    fleet.start("a", **SMALL)
    fleet.start("b", **SMALL, models={"x": {"pull_error": "unknown_model"}})
    fleet.start("c", **SMALL, models={"x": {"pull_error": "unknown_model"}})
    process = sidecar.start()
    assert process.wait(20) == 1  # required
    assert process.logged(r" preload_done ready=1 failed=1 left=0$")
    assert sorted(names_of(sidecar, r" pull_failed model=x:latest ")) == ["b", "c"]
    assert fleet.pulled("a") == ["x:latest", "y:latest"] and fleet.pulled("b")[-1] == "y:latest"


def test_a_row_names_who_has_it_not(sidecar):
    fleet = Containers(sidecar, "a", "b")
    sidecar.configure("preload", models="x", targets="all")
    fleet.start("a", **SMALL)
    fleet.start("b", **SMALL, pull_error="unknown_model")
    sidecar.start().wait_log(r" preload_done ready=0 failed=1 left=0$")
    failed = models(sidecar)["failed"]
    assert len(failed) == 1 and failed[0]["name"] == "x:latest" and failed[0]["reason"].startswith("b: "), failed
    assert sidecar.stop() == 0


def test_four_at_once_pull_and_the_others_have_their_turn(sidecar):
    """Those without a turn look each second, and pull when one of the four has ended."""
    names = [f"n{number}" for number in range(6)]
    fleet = Containers(sidecar, *names)
    sidecar.configure("preload", models="x", targets="all")
    for name in names:
        fleet.start(name, tokens=1, pull_bytes=64 << 20, pull_rate_bytes_s=1 << 20, pull_stall_at=0.01)
    process = sidecar.start()
    until(lambda: len([name for name in names if fleet.pulled(name)]) == 4, 10, "four that pull", process.tail)
    idle = [name for name in names if not fleet.pulled(name)]
    for name in idle:
        fleet.backends[name].wait("request", path="/api/tags", count=5)
    assert not any(fleet.pulled(name) for name in idle)
    for name in names:
        fleet.backends[name].script(**SMALL)
    sidecar.processes[int(next(name for name in names if name not in idle)[1:])].stop()  # it loses its turn
    for name in idle:
        process.wait_log(rf" pull_done model=x:latest .*backend={name}$")
    assert sidecar.stop() == 0


def test_each_backend_is_asked_with_its_key(sidecar):
    fleet = Containers(sidecar, "a", "b", key="sesame-0123456789")
    sidecar.configure("preload", models="x", targets="all")
    for name in "ab":
        fleet.start(name, **SMALL)
    sidecar.start().wait_log(r" preload_done ready=1 failed=0 left=0$")
    for name in "ab":
        asked = [entry for entry in fleet.backends[name].requests("/api/pull") + fleet.backends[name].requests("/api/tags")
                 if "ollama-preload" in json.dumps(entry["headers"])]
        assert len(asked) >= 2, asked
        assert all("Bearer sesame-0123456789" in json.dumps(entry["headers"]) for entry in asked), asked
    assert "sesame" not in sidecar.process.tail()
    assert sidecar.stop() == 0


def test_a_stop_in_the_midst_ends_all_of_them(sidecar):
    fleet = Containers(sidecar, "a", "b")
    sidecar.configure("preload", models="x", targets="all")
    for name in "ab":
        fleet.start(name, tokens=1, pull_bytes=64 << 20, pull_rate_bytes_s=1 << 20)
    process = sidecar.start()
    for name in "ab":
        fleet.backends[name].wait("pull_start")
    until(lambda: any(row["total"] > 64 << 20 and row["completed"] > 0 for row in models(sidecar)["pulling"]), 10, "bytes of both in one row")
    assert sidecar.stop() == 0
    assert process.logged(r" preload_done ready=0 failed=\d left=\d$")


def test_no_list_is_pulled_where_no_ollama_runs(sidecar):
    """targets = local, the default: that there is a list is warned of."""
    fleet = Containers(sidecar, "a")
    sidecar.configure("preload", models="x")
    fleet.start("a", **SMALL)
    process = sidecar.start()
    process.wait_log(r" ready after_ms=")
    assert process.logged(r"warning: \[preload\] targets: no model of the list is pulled, as no Ollama runs here"), process.tail()
    assert fleet.pulled("a") == []
    assert sidecar.stop() == 0


def test_a_reload_with_one_more_pulls_there_too(sidecar):
    fleet = Containers(sidecar, "a", "b")
    fleet.write("a")
    sidecar.configure("preload", models="x", targets="all")
    for name in "ab":
        fleet.start(name, **SMALL)
    process = sidecar.start()
    process.wait_log(r" preload_done ready=1 failed=0 left=0$")
    assert fleet.pulled("b") == []
    fleet.write()
    assert sidecar.ctl("reload").returncode == 0
    process.wait_log(r" pull_done model=x:latest .*backend=b")
    assert fleet.pulled("a") == ["x:latest"]
    assert sidecar.stop() == 0
