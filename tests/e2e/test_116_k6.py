"""The load tests of k6/: scripts that k6 would take. Where there is no k6 they are read by node, with k6's modules played."""
import glob
import json
import os
import re
import shutil
import subprocess

import pytest

from fleet import Fleet
from sidecar import ROOT
from waiting import SLACK

FOLDER = os.path.join(ROOT, "k6")
SCRIPTS = sorted(os.path.basename(path) for path in glob.glob(os.path.join(FOLDER, "*.js")))
PLAYED = {
    "index.js": "export const check = () => true;\n",
    "http.js": "export default { post() {}, expectedStatuses() {} };\n",
    "metrics.js": "export class Trend { add() {} }\nexport class Counter { add() {} }\n",
}
# What k6 itself would want of a script: a function for each scenario, thresholds that are lists.
LOOK = """
globalThis.__ENV = JSON.parse(process.argv[3]); globalThis.__VU = 1; globalThis.__ITER = 0;
const script = await import(process.argv[2]);
const scenarios = Object.values(script.options.scenarios ?? { one: {} });
const missing = scenarios.map((one) => one.exec ?? "default").filter((name) => typeof script[name] !== "function");
if (missing.length) throw new Error(`no function: ${missing}`);
for (const [name, list] of Object.entries(script.options.thresholds)) if (!Array.isArray(list)) throw new Error(name);
console.log(JSON.stringify(script.options));
"""


@pytest.fixture(name="read")
def fixture_read(folder):
    """read(script, **environment): node imports it, and tells its options."""
    node = shutil.which("node")
    if not node:
        pytest.skip("node is not installed (make check-deps installs it)")
    shutil.copytree(FOLDER, os.path.join(folder, "k6"))
    modules = os.path.join(folder, "node_modules", "k6")
    os.makedirs(modules)
    names = {f"./{name[:-3]}" if name != "index.js" else ".": f"./{name}" for name in PLAYED}
    files = {**PLAYED, "package.json": json.dumps({"name": "k6", "type": "module", "exports": names})}
    for name, text in {**{f"node_modules/k6/{name}": text for name, text in files.items()}, "look.mjs": LOOK,
                       "package.json": '{"type":"module"}'}.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def look(script: str, **environment) -> subprocess.CompletedProcess:
        return subprocess.run([node, "look.mjs", f"./k6/{script}", json.dumps(environment)], cwd=folder, text=True, capture_output=True,
                              timeout=20 * SLACK, check=False)

    return look


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_is_a_script_that_k6_would_take(read, script):
    done = read(script)
    assert done.returncode == 0, done.stderr
    options = json.loads(done.stdout)
    assert options["thresholds"], "a load test that can not fail says nothing"


@pytest.mark.parametrize("script", [name for name in SCRIPTS if name != "smoke.js"])
def test_what_is_no_number_is_told(read, script):
    """… before the run, and not as a rate of NaN."""
    done = read(script, WORDS="many")
    assert done.returncode != 0 and "WORDS=many: a number is wanted" in done.stderr, done.stderr


def test_the_readme_names_what_the_scripts_read():
    """Each script has a row, each variable a word."""
    with open(os.path.join(FOLDER, "README.md"), encoding="utf-8") as file:
        readme = file.read()
    for script in SCRIPTS:
        assert f"| {script} |" in readme
        with open(os.path.join(FOLDER, script), encoding="utf-8") as file:
            text = file.read()
        comment, code = re.match(r"((?://[^\n]*\n)+)(.*)", text, re.S).groups()
        for name in set(re.findall(r'number\("(\w+)"', code)) | set(re.findall(r"__ENV\.(\w+)", code)):
            assert name in comment + readme, f"{script} reads {name}, and nobody says so"


@pytest.mark.limit(120)
@pytest.mark.parametrize("script, environment", [
    ("smoke.js", {}),
    ("steady.js", {"RATE": "4", "DURATION": "3s"}),
    ("spike.js", {"BASE_RATE": "1", "PEAK_RATE": "20", "QUIET": "1s", "WAVE": "2s", "AFTER": "1s"}),
    ("priorities.js", {"FLOOD_USERS": "6", "HIGH_RATE": "60", "DURATION": "4s"}),
    ("streaming.js", {"USERS": "4", "DURATION": "3s"}),
])
def test_k6_itself_runs_it_before_several_ollamas(sidecar, script, environment):
    """All thresholds are met where answers take a tenth of a second, and k6's exit code says so."""
    k6 = shutil.which("k6")
    if not k6:
        pytest.skip("k6 is not on PATH: its scripts are only read")
    fleet = Fleet(sidecar)
    for name in ("one", "two", "three"):
        fleet.add(name, tokens=5, token_delay_ms=20)
    fleet.open("ollama-proxy")
    words = [word for key, value in {"BASE_URL": f"http://127.0.0.1:{sidecar.port}", "MODEL": "m", **environment}.items() for word in ("-e", f"{key}={value}")]
    done = subprocess.run([k6, "run", "--no-usage-report", "--quiet", *words, os.path.join(FOLDER, script)], text=True, capture_output=True,
                          env={"PATH": os.environ["PATH"], "HOME": sidecar.directory}, timeout=90 * SLACK, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:] + sidecar.process.tail()
    assert "sidecar_answers" in done.stdout and sum(fleet.counts().values()) + sum(fleet.counts("/api/chat").values()) > 0
