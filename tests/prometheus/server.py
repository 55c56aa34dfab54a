"""A Prometheus of a test's own: the configuration that is shipped, but that it asks twice a second, and whom the test says."""
import json
import os
import shutil
import urllib.error
import urllib.parse
import urllib.request

import yaml

import ports
from expressions import PROMETHEUS
from process import Process
from waiting import until

PROGRAM = shutil.which("prometheus")


class Prometheus:
    """targets: {job: [port]}. Started at once."""

    def __init__(self, folder: str, targets: dict):
        self.port = ports.free()
        self.folder = os.path.join(folder, "prometheus")
        shutil.copytree(PROMETHEUS, self.folder)
        shutil.rmtree(os.path.join(self.folder, "targets"))
        os.mkdir(os.path.join(self.folder, "targets"))
        self._write("targets/these.yml", [{"targets": [f"127.0.0.1:{port}" for port in of_job], "labels": {"job": job}} for job, of_job in targets.items()])
        with open(os.path.join(PROMETHEUS, "prometheus.yml"), encoding="utf-8") as file:
            shipped = yaml.safe_load(file)
        shipped["global"] = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "1s"}
        self._write("prometheus.yml", shipped)
        self.process = Process([PROGRAM, f"--config.file={self.folder}/prometheus.yml", f"--storage.tsdb.path={self.folder}/data",
                                f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"], dict(os.environ), self.folder)
        until(self.is_ready, 30, "Prometheus to be ready", self.process.tail)

    def _write(self, name: str, value) -> None:
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            yaml.safe_dump(value, file)

    def get(self, path: str, **parameters):
        """What its API answers; a mistake of ours is an AssertionError in its own words."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}?{urllib.parse.urlencode(parameters, doseq=True)}", timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path} {parameters}: {error.read().decode()}") from None

    def is_ready(self) -> bool:
        """Whether it answers."""
        assert not self.process.ended(), self.process.tail()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def query(self, expr: str) -> list:
        """[(labels, number)] of this moment, NaN left out."""
        found = [(one["metric"], float(one["value"][1])) for one in self.get("/api/v1/query", query=expr)["result"]]
        return [(labels, number) for labels, number in found if number == number]

    def wait(self, expr: str) -> list:
        """Until it has data."""
        return until(lambda: self.query(expr), 20, f"data for {expr}", self.process.tail)

    def values(self, label: str, match: str) -> list:
        """The values that a label has, as a dashboard's variable gets them."""
        return self.get(f"/api/v1/label/{label}/values", **{"match[]": match})
