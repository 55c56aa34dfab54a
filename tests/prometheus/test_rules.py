"""Alerts, the configuration and the targets of deploy/prometheus, as promtool reads them."""
import glob
import os
import re
import subprocess

import pytest
import yaml

from expressions import PROMETHEUS, ROOT, operands, rules

HERE = os.path.dirname(os.path.abspath(__file__))
CONFIGURATION = os.path.join(PROMETHEUS, "prometheus.yml")
TARGETS = sorted(glob.glob(os.path.join(PROMETHEUS, "targets/*.yml")))


def run(*words) -> str:
    """What it says; it must be content."""
    done = subprocess.run(words, text=True, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_promtool_takes_the_rules(promtool):
    said = run(promtool, "check", "rules", "--lint-fatal", *glob.glob(os.path.join(PROMETHEUS, "rules/*.yml")))
    assert f"SUCCESS: {len(rules())} rules found" in said


def test_each_alert_fires_when_it_should_and_only_then(promtool):
    run(promtool, "test", "rules", os.path.join(HERE, "rules.yml"))


def test_the_configuration_is_valid_with_all_that_it_names(promtool):
    said = run(promtool, "check", "config", "--lint-fatal", CONFIGURATION)
    assert "1 rule files found" in said and "FAILED" not in said


def test_no_alert_is_left_without_a_test():
    with open(os.path.join(HERE, "rules.yml"), encoding="utf-8") as file:
        tests = yaml.safe_load(file)["tests"]
    fired = "\n".join(sample["labels"] for test in tests for one in test["promql_expr_test"] for sample in one["exp_samples"])
    missing = [rule["alert"] for rule in rules() if f'alertname="{rule["alert"]}", alertstate="firing"' not in fired]
    assert not missing


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_wrong_how_bad_it_is_and_what_to_do(rule):
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert "{{ $labels.instance }}" in rule["annotations"]["summary"], "whose it is"
    assert rule["annotations"]["description"].endswith(".")


@pytest.mark.parametrize("path", TARGETS, ids=os.path.basename)
def test_targets_name_a_job_that_the_alert_knows(path):
    with open(path, encoding="utf-8") as file:
        groups = yaml.safe_load(file)
    down = next(rule for rule in rules() if rule["alert"] == "SidecarDown")["expr"]
    for group in groups:
        assert group["targets"] and group["labels"]["job"] in down.split('"')[1].split("|")


def test_the_optimizers_job_asks_each_15_s_and_waits_10_s_R4_8():
    with open(os.path.join(PROMETHEUS, "llm-optimizer.yml"), encoding="utf-8") as file:
        job, = yaml.safe_load(file)["scrape_configs"]
    assert (job["scrape_interval"], job["scrape_timeout"], job["static_configs"]) == ("15s", "10s", [{"targets": ["127.0.0.1:8512"]}])


@pytest.mark.parametrize("expr, parts", [
    ("up == 0", ["up"]),
    ("a / b > 0.05", ["a / b"]),
    ('a{x="and b"} >= 1', ['a{x="and b"}']),
    ("a == 0 unless on (job) b == 1", ["a", "b"]),
], ids=str)
def test_what_an_alert_compares(expr, parts):
    assert operands(expr) == parts


def test_every_document_that_an_alert_names_is_there():
    for rule in rules():
        for path in re.findall(r"\bdocs/[\w-]+\.md", "".join(rule["annotations"].values())):
            assert os.path.exists(os.path.join(ROOT, path)), path


def test_the_manual_has_each_alert_with_its_severity_and_leads_to_its_runbook():
    """Whose anchor is there: `make lint` follows the links of documents."""
    with open(os.path.join(ROOT, "docs/monitoring.md"), encoding="utf-8") as file:
        rows = [line.strip("| \n").split(" | ") for line in file if line.startswith(("| Sidecar", "| Llm"))]
    told = sorted((name, severity, "docs/" + re.search(r"\]\((.*)\)", todo)[1]) for name, severity, _, todo in rows)
    assert told == sorted((rule["alert"], rule["labels"]["severity"], rule["annotations"]["runbook"]) for rule in rules())
