"""A Prometheus scrapes our programs while they work: each question of each dashboard, and what each alert looks at, has data."""
import re
import subprocess

import pytest

from client import Background
from engines import Engines
from expressions import dashboards, operands, questions, rules
from fleet import Fleet
from server import PROGRAM, Prometheus
from test_122_swap import chat, ready
from test_52_asleep import wait_asleep
from waiting import until

BOARDS = dashboards()
OWN = {"ollama-balancer": "sidecar_backend_", "llm-optimizer": "llm_optimizer_", "model-server": "sidecar_instance_"}  # names of metrics


@pytest.fixture
def prometheus(folder):  # noqa: F811
    """start(job, ports…) gives a Prometheus that asks these."""
    started = []

    def start(job: str, *ports) -> Prometheus:
        started.append(Prometheus(folder, {job: ports}))
        for port in ports:
            started[-1].wait(f'up{{job="{job}", instance="127.0.0.1:{port}"}} == 1')
        return started[-1]

    if not PROGRAM:
        pytest.skip("prometheus is not installed (make check-deps installs Debian's)")
    yield start
    complaints = [complaint for one in started for complaint in one.process.end()]
    assert not complaints


def filled_in(expr: str, prometheus: Prometheus, board: dict) -> str:
    """As Grafana fills in a question: what is chosen is all that its variables find."""
    chosen = {"__rate_interval": "2m", "__range": "15m"}
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            match, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
            chosen[variable["name"]] = "(" + "|".join(prometheus.values(label, fill(match, chosen))) + ")"
    return fill(expr, chosen)


def fill(text: str, values: dict) -> str:
    """Variables of a dashboard in a text."""
    return re.sub(r"\$(\w+)", lambda m: values[m[1]], text)


def without_data(prometheus: Prometheus, name: str, job: str) -> list:
    """What of a dashboard, and of the alerts about the same, has none: [(title, expression)]."""
    board = BOARDS[name]
    asked = [(title, filled_in(expr, prometheus, board)) for title, expr in questions(board) if name != "sidecar.json" or is_about(job, expr)]
    asked += [(rule["alert"], part) for rule in rules() if is_about(job, rule["expr"]) for part in operands(rule["expr"])]
    return [(title, expr) for title, expr in asked if not prometheus.query(expr)]


def is_about(job: str, expr: str) -> bool:
    """Whether it is about the sidecar itself, or about what only the balancer, the optimizer or the model server has."""
    return next((owner for owner, prefix in OWN.items() if prefix in expr), "ollama-sidecar") == job


def all_has_data(prometheus: Prometheus, name: str, job: str) -> None:
    """Once what has happened was scraped."""
    until(lambda: not without_data(prometheus, name, job), 30, "data for each question",
          lambda: "\n".join(f"{title}: {expr}" for title, expr in without_data(prometheus, name, job)))


def is_clean(promtool: str, sidecar) -> None:
    """`promtool check metrics`: names, units, help, types."""
    scraped = sidecar.ask("GET", "/metrics").body
    done = subprocess.run([promtool, "check", "metrics"], input=scraped, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0 and not done.stdout and not done.stderr, done.stdout.decode() + done.stderr.decode()


def counts(prometheus: Prometheus) -> None:
    """From here on what happens is an increase: what there is now was scraped twice."""
    prometheus.wait("count_over_time(sidecar_requests_total[1m]) > 1")


@pytest.mark.limit(150)
def test_the_sidecar_R4_8(new_sidecar, prometheus, promtool):
    """It pulls, loads, streams, sleeps, wakes, loses an answer, and keeps one waiting who leaves."""
    sidecar = new_sidecar()
    sidecar.configure("supervisor", idle_action="stop", idle_timeout="1s")
    sidecar.configure("preload", models="m, other")
    sidecar.boot("", tokens=3, token_delay_ms=5, load_s=0.2, pull_bytes=200_000, pull_rate_bytes_s=10_000_000)
    watching = prometheus("ollama-sidecar", sidecar.port)
    assert sidecar.generate("m", stream=True).status == 200
    wait_asleep(sidecar)
    counts(watching)
    assert sidecar.generate("m", stream=True).status == 200
    assert sidecar.generate("other").status == 200
    sidecar.backend.script(tokens=3, token_delay_ms=5, error_after_tokens=1)
    sidecar.generate("m")
    sidecar.backend.script(tokens=3, hang_after_tokens=1)
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", {"model": "m", "prompt": "x"})
        next(connection.receive().pieces())
    watching.wait("sidecar_wasted_seconds_total > 0")
    all_has_data(watching, "sidecar.json", "ollama-sidecar")
    is_clean(promtool, sidecar)


@pytest.mark.limit(150)
def test_the_balancer(new_sidecar, prometheus, promtool):
    """Two of them before three Ollamas, of which one dies, and one is drained."""
    sidecar, second = new_sidecar(), new_sidecar()
    fleet = Fleet(sidecar)
    for name in ("one", "two", "three"):
        fleet.add(name, tokens=5, token_delay_ms=5)
    fleet.open()
    second.settings = {**sidecar.settings, "proxy": {**sidecar.settings["proxy"], "listen": f"127.0.0.1:{second.port}"}}
    second.start("ollama-proxy").wait_log(" member_up .*three")
    watching = prometheus("ollama-balancer", sidecar.port, second.port)
    answers = [Background(each.generate, "m", f"p{n}", True) for n in range(3) for each in (sidecar, second)]
    assert [answer.result(30).status for answer in answers] == [200] * 6
    counts(watching)
    answers = [Background(each.generate, "m", f"q{n}", True) for n in range(3) for each in (sidecar, second)]
    assert [answer.result(30).status for answer in answers] == [200] * 6
    fleet.kill("one")
    assert sidecar.ask("POST", "/sidecar/backends/two/drain").status == 200
    watching.wait('sidecar_backend_up{backend="one"} == 0')
    watching.wait('sidecar_backend_drained{backend="two"} == 1')
    all_has_data(watching, "balancer.json", "ollama-balancer")
    is_clean(promtool, sidecar)


@pytest.mark.limit(150)
def test_the_optimizer_R4_8(new_sidecar, prometheus, promtool):
    """Each strategy, answers that are shared with the cache, and an error."""
    sidecar = new_sidecar()
    sidecar.configure("optimizer", enabled="yes", models="auto", cache="memory")
    sidecar.configure("strategy:A", max_tokens=199, model="m", tools="native")
    sidecar.configure("strategy:B", min_tokens=200, max_tokens=600, model="m")
    sidecar.configure("strategy:C", min_tokens=601, map_model="m", reduce_model="m", chunk_tokens=1000)
    sidecar.boot("m", tokens=3, token_delay_ms=5)
    watching = prometheus("llm-optimizer", sidecar.port)

    def chat(words: int):
        talk = [{"role": role, "content": "word " * words} for role in ("user", "assistant")]
        return sidecar.ask("POST", "/v1/chat/completions", {"model": "auto", "temperature": 0, "messages": [*talk, {"role": "user", "content": "so?"}]})

    counts(watching)
    for words in (5, 5, 200, 1500):
        assert chat(words).status == 200
    sidecar.backend.script(tokens=3, error_after_tokens=1)
    assert chat(6).status >= 500
    watching.wait("llm_optimizer_errors_total > 0")
    all_has_data(watching, "optimizer.json", "llm-optimizer")
    is_clean(promtool, sidecar)


@pytest.mark.limit(150)
def test_the_model_server(new_sidecar, prometheus, promtool):
    """One engine has a model loaded, and another model waits for its own."""
    sidecar = new_sidecar()
    engines = Engines(sidecar)
    for model in ("a/a", "b/b"):
        engines.cache.model(model)
    engines.add("first")
    sidecar.configure("program:ollama", autostart="no")
    sidecar.start()
    until(lambda: ready(sidecar), 10, "the proxy answers", sidecar.process.tail)
    watching = prometheus("model-server", sidecar.port)
    engines.script(load_s=0.2)
    assert chat(sidecar.port, "a/a").status == 200
    engines.script(load_s=60)
    Background(chat, sidecar.port, "b/b")
    watching.wait('sidecar_instance_waiting{model="b/b"} == 1')
    all_has_data(watching, "sidecar.json", "model-server")
    is_clean(promtool, sidecar)
