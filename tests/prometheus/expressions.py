"""What is asked of Prometheus: by rules, and by dashboards."""
import glob
import json
import os
import re

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROMETHEUS = os.path.join(ROOT, "deploy/prometheus")
SET_OPERATOR = re.compile(r"\s+(?:and|or|unless)\b(?:\s+(?:on|ignoring)\s*\([^)]*\))?\s+")
COMPARISON = re.compile(r"\s*(?:==|!=|>=|<=|>|<)\s*-?[\d.e]+\s*$")


def rules() -> list:
    """Each rule of each file, as a dictionary."""
    found = []
    for path in sorted(glob.glob(os.path.join(PROMETHEUS, "rules/*.yml"))):
        with open(path, encoding="utf-8") as file:
            found += [rule for group in yaml.safe_load(file)["groups"] for rule in group["rules"]]
    return found


def operands(expr: str) -> list:
    """What an alert compares, without the comparison: that has to be there while all is well, too. `A > 1 unless B == 1` has A and B."""
    return [COMPARISON.sub("", part).strip() for part in SET_OPERATOR.split(expr)]


def dashboards() -> dict:
    """{file's name: dashboard}."""
    found = {}
    for path in sorted(glob.glob(os.path.join(ROOT, "deploy/grafana/dashboards/*.json"))):
        with open(path, encoding="utf-8") as file:
            found[os.path.basename(path)] = json.load(file)
    return found


def panels(dashboard: dict) -> list:
    """Those that show something; a row that is folded up has its own inside."""
    return [panel for one in dashboard["panels"] for panel in [one, *one.get("panels", [])] if panel["type"] != "row"]


def rows(dashboard: dict) -> list:
    """What has panels below it, or inside."""
    return [panel for panel in dashboard["panels"] if panel["type"] == "row"]


def questions(dashboard: dict, kind: str = "prometheus") -> list:
    """(panel's title, expression) of all that it asks of such a source."""
    return [(panel["title"], target["expr"]) for panel in panels(dashboard) if panel["datasource"]["type"] == kind for target in panel["targets"]]
