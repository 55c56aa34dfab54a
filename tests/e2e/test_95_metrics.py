"""GET /metrics: what Prometheus gets, who gets it, and that it disturbs nobody. (R4.1, R4.7)"""
import prometheus_text
from test_52_asleep import starts, wait_asleep

STRANGER = ("X-Forwarded-For", "8.8.8.8")


def scrape(sidecar, headers=()):
    """As Prometheus does, and as strictly."""
    answer = sidecar.ask("GET", "/metrics", headers=headers)
    assert answer.status == 200 and answer.clean is not False, answer.body
    assert answer.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.header("Cache-Control") == "no-store" and answer.header("Content-Encoding") is None
    return prometheus_text.read(answer.body)


def test_the_version_is_told_where_there_is_no_optimizer_R4_1(sidecar):
    sidecar.boot()
    metrics = scrape(sidecar, [("Accept-Encoding", "gzip"), ("Accept", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4")])
    assert metrics.of("sidecar_build_info", version=sidecar.health()["version"]) == 1
    assert not [name for name, _ in metrics if "optimizer" in name]


def test_a_head_has_no_body_and_nothing_else_is_allowed(sidecar):
    sidecar.boot()
    with sidecar.connect() as connection:
        head = connection.request("HEAD", "/metrics")
        assert head.status == 200 and int(head.header("Content-Length")) > 0
        refused = connection.request("POST", "/metrics", {})
        assert refused.status == 405 and refused.header("Allow") == "GET, HEAD"


def test_strangers_get_no_metrics_R4_7(sidecar):
    sidecar.configure("proxy", trusted_proxies="127.0.0.1")
    sidecar.configure("key:prometheus", secret="sesame-observe-0123456789", rights="observe")
    sidecar.configure("key:app", secret="sesame-infer-0123456789", rights="inference")
    sidecar.boot()
    refused = sidecar.ask("GET", "/metrics", headers=[STRANGER])
    assert refused.status == 401 and b"sidecar_" not in refused.body
    assert sidecar.ask("GET", "/metrics", headers=[STRANGER, ("Authorization", "Bearer sesame-infer-0123456789")]).status == 403
    assert sidecar.ask("GET", "/metrics", headers=[("Origin", "https://evil.example")]).status == 403
    assert scrape(sidecar, [STRANGER, ("Authorization", "Bearer sesame-observe-0123456789")])
    assert scrape(sidecar)


def test_a_scrape_neither_wakes_nor_keeps_awake(sidecar):
    sidecar.configure("supervisor", idle_action="stop", idle_timeout="300ms")
    sidecar.boot(tokens=1)
    while not sidecar.process.logged(r" asleep action=stop"):
        scrape(sidecar)
    wait_asleep(sidecar)
    for _ in range(20):
        scrape(sidecar)
    assert sidecar.health()["state"] == "asleep" and starts(sidecar) == 1
