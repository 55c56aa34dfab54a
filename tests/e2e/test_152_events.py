"""GET /sidecar/events: what goes on, as it changes; who looks on keeps nobody awake, and nobody from leaving. (R5.3)"""
import time

import pytest

from looking import Events, live, wait_live
from test_52_asleep import starts, wait_asleep
from waiting import until


def test_hello_then_the_state_then_what_changes(sidecar):
    sidecar.boot(tokens=100, token_delay_ms=50)
    with Events(sidecar) as events:
        assert events.answer.status == 200 and events.answer.header("Content-Type") == "text/event-stream"
        assert events.answer.header("Cache-Control").startswith("no-store") or "no-store" in str(events.answer.headers)
        name, hello = events.next()
        assert name == "hello" and hello["rights"]["manage"] is True
        name, first = events.next()
        assert name == "status" and first["health"]["state"] == "ready" and "rights" not in first
        assert first["supervisor"]["programs"]
        with sidecar.connect() as connection:
            connection.send("POST", "/api/generate", {"model": "m", "prompt": "x"})
            events.until(lambda status: [row["phase"] for row in status["requests"]["live"]] == ["streaming"])
            events.until(lambda status: [model["state"] for model in status["models"]] == ["loaded"])
        events.until(lambda status: not status["requests"]["live"] and status["requests"]["recent"])


def test_what_changes_just_behind_a_question_is_asked_for_soon(sidecar):
    sidecar.boot()
    assert sidecar.generate().status == 200

    def is_loaded(status):
        return [model["state"] for model in status["models"]] == ["loaded"]
    with Events(sidecar) as events:
        events.until(is_loaded)
        assert sidecar.ask("POST", "/sidecar/models/unload", {"model": "m"}, headers=[("Content-Type", "application/json")]).status == 200
        began = time.monotonic()
        events.until(lambda status: not is_loaded(status))
        assert time.monotonic() - began < 20  # without a change it would be asked again after half a minute


def test_ollama_is_asked_while_somebody_looks_and_when_something_may_have_changed(sidecar):
    sidecar.boot(tokens=400, token_delay_ms=50)

    def asked():
        return len(sidecar.backend.requests("/api/ps"))

    def is_loaded(status):
        return [model["state"] for model in status["models"]] == ["loaded"] and [row["phase"] for row in status["requests"]["live"]] == ["streaming"]
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", {"model": "m", "prompt": "x"})
        wait_live(sidecar, phase="streaming")
        before = asked()
        until(lambda: live(sidecar)[0]["tokens"] > 60, 20, "some seconds")
        assert asked() <= before + 1  # nobody looks: the watch over GPUs alone wants to know, after a load
        with Events(sidecar) as events:
            events.until(is_loaded)
            before = asked()
            for _ in range(10):  # it is told each second, as tokens come
                assert events.next()[1]["requests"]["live"]
                assert sidecar.ask("GET", "/health").status == 200
            assert asked() <= before + 2  # what was loaded just behind the first question, and the watch over GPUs
            sidecar.ask("DELETE", "/sidecar/requests/" + live(sidecar)[0]["id"])
            events.until(lambda status: not status["requests"]["live"])
            until(lambda: asked() > before, 10, "Ollama to be asked", sidecar.process.tail)


def test_without_a_change_it_is_told_every_few_seconds(sidecar):
    sidecar.boot()
    with Events(sidecar) as events:
        assert events.next()[0] == "hello"
        first, second = events.next()[1], events.next()[1]
        assert second["uptime_s"] > first["uptime_s"]


def test_who_looks_on_keeps_ollama_not_awake(sidecar):
    sidecar.configure("supervisor", idle_action="stop", idle_timeout="500ms")
    sidecar.boot()
    with Events(sidecar, timeout=60) as events:
        wait_asleep(sidecar)
        asleep = events.until(lambda status: status["health"]["state"] == "asleep")
        assert asleep["models"] and starts(sidecar) == 1


def test_who_looks_on_keeps_the_sidecar_not_from_leaving(sidecar):
    sidecar.configure("supervisor", idle_action="exit", idle_timeout="500ms")
    sidecar.boot()
    with Events(sidecar, timeout=60) as events:
        assert events.next()[0] == "hello"
        assert sidecar.process.wait(60) == 0
        while events.next():
            pass


def test_a_restart_of_the_proxy_ends_them_well(sidecar):
    sidecar.boot()
    with Events(sidecar) as events:
        assert events.next()[0] == "hello"
        assert sidecar.ctl("restart", "proxy").returncode == 0
        while events.next():
            pass
        assert events.answer.clean is not False
    with Events(sidecar) as events:
        assert events.next()[0] == "hello"


def test_no_more_than_sixteen_listen_and_eight_of_an_address(sidecar):
    sidecar.configure("proxy", trusted_proxies="127.0.0.1", open="private")
    sidecar.boot()
    listeners = []
    try:
        for i in range(16):
            listeners.append(Events(sidecar, headers=[("X-Forwarded-For", f"10.0.0.{1 + i // 8}")]))
            assert listeners[-1].next()[0] == "hello"
            if i == 7:
                refused = sidecar.ask("GET", "/sidecar/events", headers=[("X-Forwarded-For", "10.0.0.1")])
                assert refused.status == 503 and refused.header("Retry-After") and "8 of the address 10.0.0.1" in refused.json["error"]
        refused = sidecar.ask("GET", "/sidecar/events")
        assert refused.status == 503 and refused.header("Retry-After") and "too many listen" in refused.json["error"]
        assert "GET /sidecar/status" in refused.json["error"]
    finally:
        for one in listeners:
            one.connection.close()
    assert until(lambda: sidecar.health()["requests"]["in_flight"] == 0, 5, "nobody")


@pytest.mark.parametrize("path", ["events", "status", "requests", "models", "logs", "settings"])
def test_no_page_of_another_site_takes_a_place(sidecar, path):
    """An image, a frame, a window: what such a page needs no leave for, as it may not read the answer."""
    sidecar.boot()

    def ask(site, mode, *more):
        return sidecar.ask("GET", f"/sidecar/{path}", headers=[("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", mode), *more])
    for site in ("cross-site", "same-site"):
        for mode in ("no-cors", "navigate"):
            refused = ask(site, mode)
            assert refused.status == 403, (site, mode)
    if path != "events":
        for site, mode, *more in (("same-origin", "cors"), ("none", "navigate"), ("same-site", "cors", ("Origin", "http://localhost:3000"))):
            assert ask(site, mode, *more).status == 200
