"""Dashboards as Grafana reads them: whole, laid out without gaps to fall into, of one data source that the user chooses."""
import itertools
import os
import re

import pytest
import yaml

from expressions import ROOT, dashboards, panels, questions, rows

BOARDS = dashboards()
EACH = pytest.mark.parametrize("name", BOARDS)
TYPES = {"timeseries", "stat", "table", "state-timeline", "bargauge", "heatmap", "logs", "row"}
UNITS = {None, "s", "bytes", "Bps", "reqps", "short", "percentunit"}
BUILT_IN = {"__rate_interval", "__range"}
VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")


def test_there_is_one_for_each_R4_8():
    assert {name: board["uid"] for name, board in BOARDS.items()} == {
        "sidecar.json": "ollama-sidecar", "optimizer.json": "homelab-session-monitor", "balancer.json": "ollama-balancer"}


def test_the_optimizers_has_what_its_owner_wants_R4_8():
    board = BOARDS["optimizer.json"]
    asked = {title: expr for title, expr in questions(board)}
    assert [panel["type"] for panel in panels(board)].count("stat") >= 4
    assert "llm_optimizer_requests_total" in asked["Requests by strategy"] and "llm_optimizer_duration_seconds" in asked["Duration by strategy"]
    assert any("memory" in expr for _, expr in questions(board))
    assert [panel["type"] for panel in panels(board) if panel["datasource"]["type"] == "loki"] == ["logs"]


@EACH
def test_a_dashboard_is_whole(name):
    board = BOARDS[name]
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", board["uid"]) and board["title"] and board["schemaVersion"] >= 36 and "id" not in board
    there = rows(board) + panels(board)
    assert len({panel["id"] for panel in there}) == len(there)
    assert all(row["collapsed"] == bool(row["panels"]) for row in rows(board)), "a row that is folded up has its panels inside, no other has any"
    for panel in there:
        assert panel["type"] in TYPES and panel["title"], panel
        place = panel["gridPos"]
        assert 0 <= place["x"] and place["w"] > 0 and place["x"] + place["w"] <= 24 and place["h"] > 0, panel["title"]


@EACH
def test_no_panel_lies_on_another(name):
    for one, other in itertools.combinations(rows(BOARDS[name]) + panels(BOARDS[name]), 2):
        a, b = one["gridPos"], other["gridPos"]
        assert a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"] or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"], (one["title"], other["title"])


@EACH
def test_a_panel_says_what_it_shows_and_asks_the_chosen_source(name):
    sources = {variable["name"]: variable["query"] for variable in BOARDS[name]["templating"]["list"] if variable["type"] == "datasource"}
    for panel in panels(BOARDS[name]):
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"].get("unit") in UNITS, panel["title"]
        variable = re.fullmatch(r"\$\{(\w+)\}", panel["datasource"]["uid"])
        assert variable and sources[variable[1]] == panel["datasource"]["type"], panel["title"]
        assert panel["targets"] and all(target["expr"] for target in panel["targets"]), panel["title"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]), panel["title"]


@EACH
def test_a_table_of_several_questions_has_a_line_for_each_thing(name):
    """Lines are merged where all labels are the same: a metric's name would keep them apart."""
    for panel in panels(BOARDS[name]):
        if panel["type"] == "table" and len(panel["targets"]) > 1:
            assert all(re.match(r"\w+ by \(", target["expr"]) for target in panel["targets"]), panel["title"]


@EACH
def test_every_variable_that_is_used_is_there(name):
    variables = BOARDS[name]["templating"]["list"]
    known = {variable["name"] for variable in variables} | BUILT_IN
    texts = [expr for _, expr in questions(BOARDS[name]) + questions(BOARDS[name], "loki")]
    texts += [variable["query"]["query"] for variable in variables if variable["type"] == "query"]
    for text in texts:
        assert {one or other for one, other in VARIABLE.findall(text)} <= known, text


@EACH
def test_every_question_is_about_the_chosen_ones(name):
    """Each selector of our metrics: job and instance."""
    for title, expr in questions(BOARDS[name]):
        for selector in re.findall(r"\b(?:sidecar|llm_optimizer|up)\w*(\{[^}]*\})?", re.sub(r'"[^"]*"', lambda m: m[0].replace("}", ""), expr)):
            assert 'job=~"$job"' in selector and 'instance=~"$instance"' in selector, (title, expr)


@EACH
def test_every_metric_is_in_the_list(name):
    with open(os.path.join(ROOT, "docs/metrics.md"), encoding="utf-8") as file:
        listed = set(re.findall(r"`((?:sidecar|llm_optimizer)_\w+)[`{]", file.read()))
    for title, expr in questions(BOARDS[name]):
        for metric in re.findall(r"\b(?:sidecar|llm_optimizer)_\w+", expr):
            assert metric in listed or re.sub(r"_(bucket|sum|count)$", "", metric) in listed, (title, metric)


def test_grafana_is_told_where_they_are():
    with open(os.path.join(ROOT, "deploy/grafana/provisioning/dashboards/sidecar.yaml"), encoding="utf-8") as file:
        provider, = yaml.safe_load(file)["providers"]
    with open(os.path.join(ROOT, "deploy/grafana/provisioning/datasources/prometheus.yaml"), encoding="utf-8") as file:
        source, = yaml.safe_load(file)["datasources"]
    with open(os.path.join(ROOT, "deploy/compose/observe.yaml"), encoding="utf-8") as file:
        services = yaml.safe_load(file)["services"]
    mounted = {volume.split(":")[1]: volume.split(":")[0] for volume in services["grafana"]["volumes"]}
    assert mounted[provider["options"]["path"]] == "../grafana/dashboards"
    assert source["type"] == "prometheus" and source["url"] == "http://prometheus:9090" and "prometheus" in services
    assert source["jsonData"]["timeInterval"] == "15s", "how often the shipped configuration asks"
