"""Each measurement of bench/ gives its table on a machine that has none of the others, and the report is put together of them; no figure is judged."""
import json
import os
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from sidecar import BUILD, ROOT
from waiting import SLACK


@pytest.mark.limit(90)
def test_the_supervisor_is_measured_where_nothing_else_is_installed(folder):
    stamp = os.path.join(BUILD, "bench", "stamp")
    subprocess.run(["make", "-s", f"BUILD={BUILD}", stamp], cwd=ROOT, check=True, timeout=60)
    env = {"PATH": folder, "BUILD_DIR": BUILD, "TMPDIR": folder}
    done = subprocess.run([sys.executable, os.path.join(ROOT, "bench", "supervisor"), "--rounds", "1", "--idle", "0.1"], env=env,
                          cwd=folder, capture_output=True, text=True, timeout=25 * SLACK, check=False)
    assert done.returncode == 0, done.stderr
    assert "s6-svscan: not on PATH, left out" in done.stderr
    rows = re.findall(r"^\| ollama-supervisor +\| \d+ \([\d–]+\) .* \| 1 +\| 1 +\|.*\|$", done.stdout, re.M)
    assert len(rows) == 2  # one program, three programs
    assert not [row for row in rows if "| – " in row]  # a column without a figure
    assert os.listdir(folder) == []


@pytest.mark.limit(60)
def test_a_cold_start_is_measured_before_the_stand_in(folder):
    env = {"PATH": os.environ["PATH"], "BUILD_DIR": BUILD, "TMPDIR": folder}
    done = subprocess.run([sys.executable, os.path.join(ROOT, "bench", "coldstart"), "--rounds", "2", "--ollama", "stand-in"], env=env,
                          cwd=folder, capture_output=True, text=True, timeout=40 * SLACK, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^\| by hand, polled every 5 ms +\| \d+ \(\d+–\d+\) +\| – +\| \d+ ", done.stdout, re.M), done.stdout
    assert re.search(r"^\| ollama-supervisor +\| \d+ \(\d+–\d+\) +\| -?\d+ \(-?\d+–-?\d+\) +\| \d+ ", done.stdout, re.M), done.stdout
    assert os.listdir(folder) == []


@pytest.mark.limit(90)
def test_what_a_prompt_costs_is_measured_for_each_length(folder):
    program = os.path.join(BUILD, "bench", "prompt")
    subprocess.run(["make", "-s", f"BUILD={BUILD}", program], cwd=ROOT, check=True, timeout=60)
    done = subprocess.run([program, "10000"], cwd=folder, capture_output=True, text=True, timeout=25 * SLACK, check=False)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^\| [a-z' ]+ \| (?:read, counted|made shorter) \|(?: \d+\.\d\d \|){3}$", done.stdout, re.M)) == 2 * 12


@pytest.mark.limit(60)
def test_balancers_are_measured_where_no_other_is_installed(folder):
    env = {"PATH": folder, "BUILD_DIR": BUILD, "TMPDIR": folder}
    done = subprocess.run([sys.executable, os.path.join(ROOT, "bench", "balance", "live", "run"), "--rounds", "1", "--window", "4", "--warm", "1"],
                          env=env, cwd=folder, capture_output=True, text=True, timeout=50 * SLACK, check=False)
    assert done.returncode == 0, done.stderr + done.stdout  # none failed
    assert "nginx least_conn: nginx is not there, left out" in done.stderr and "2 x ollama-proxy: redis-server is not there, left out" in done.stderr
    rows = re.findall(r"^\| ollama-proxy \| -?\d+\.\d\d \| \d+\.\d\d \|  \| \d+\.\d\d \| \d+\.\d\d \| \d+ \d+ \d+ \| \d+ \| 0 \|$", done.stdout, re.M)
    assert len(rows) == 2, done.stdout  # equal, and mixed speeds
    assert os.listdir(folder) == []


# what is kept, and the report

def measured(folder, results, *words, path=None):
    """Runs one of bench/ in its quickest form, which keeps what it found in `results`."""
    env = {"PATH": path or folder, "BUILD_DIR": BUILD, "TMPDIR": folder, "BENCH_RESULTS": results}
    done = subprocess.run([sys.executable, os.path.join(ROOT, "bench", words[0]), *words[1:]], env=env, cwd=folder, capture_output=True, text=True,
                          timeout=100 * SLACK, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done


def tools(*names):
    """Programs of build/bench."""
    paths = [os.path.join(BUILD, "bench", name) for name in names]
    subprocess.run(["make", "-s", f"BUILD={BUILD}", *paths], cwd=ROOT, check=True, timeout=60 * SLACK)
    return paths


def kept(results, name):
    with open(os.path.join(results, f"{name}.json"), encoding="utf-8") as file:
        return json.load(file)


def sections(text):
    """{heading of the second level: what stands below it}."""
    found = re.split(r"^## (.*)\n", text, flags=re.M)
    return dict(zip(found[1::2], found[2::2]))


@pytest.mark.limit(200)
def test_the_report_is_put_together_from_what_each_measurement_keeps(folder):
    results, scratch = os.path.join(folder, "results"), os.path.join(folder, "scratch")
    os.mkdir(scratch)
    prompt = tools("stamp", "loader", "emitter", "relay", "prompt")[-1]
    measured(scratch, results, "supervisor", "--rounds", "1", "--idle", "0.1", "--save")
    done = measured(scratch, results, "proxy/run", "--rounds", "1", "--window", "0.3", "--only", "s1,requests", "--save")
    assert "LEFT OUT: nginx" in done.stderr
    measured(scratch, results, "growth/run", "--rounds", "1", "--window", "0.5", "--only", "streams,queue", "--most", "10", "--save")
    measured(scratch, results, "printed", "--save", "optimizer", prompt, "10000")
    measured(scratch, results, "report")
    with open(os.path.join(results, "report.md"), encoding="utf-8") as file:
        parts = sections(file.read())
    for title, name, row in (("The supervisor beside others", "supervisor", r"^\| ollama-supervisor +\| \d+ "),
                             ("The proxy beside others", "proxy", r"^\| ollama-proxy \| [\d,]+ \| \d+\.\d \| – \|"),
                             ("Growth", "growth", r"^\| queue: in \| 1 to 10 requests in line \| -?\d+\.\d\d \| -?\d+\.\d\d \| (?:yes|NO) \|$"),
                             ("Prompts: read and made shorter", "optimizer", r"^\| prose \| read, counted \| \d+\.\d\d \|")):
        assert re.search(row, parts[title], re.M), parts[title]
        facts = kept(results, name)["facts"]
        assert facts["command"] in parts[title] and facts["machine"] in parts["Machine"] and facts["date"].endswith(" UTC")
        assert f"]({name}.json)" in parts[title] and f"]({name}.svg)" in parts[title]
        assert ElementTree.parse(os.path.join(results, f"{name}.svg")).getroot().tag.endswith("svg")
    assert facts["versions"]["ollama-sidecar"], facts
    for title in ("Cold start", "Balancing: the policy, played", "Balancing: before played Ollamas", "Soak"):
        assert "Not measured." in parts[title], parts[title]
    streams = [one["values"]["streams: CPU"] for one in kept(results, "growth")["results"] if one["curve"] == "streams"]
    assert len(streams) == 2 and min(streams) > 0  # 1 and 10
    assert os.listdir(scratch) == []


def line_of(name, steep):
    """A curve as bench/growth keeps it, that grows by this power."""
    return [{"curve": name, "x": x, "round": 0, "values": {name: 3 * x ** steep}} for x in (1, 10, 100)]


def test_a_report_tells_which_aims_were_missed(folder):
    results = {"facts": {"machine": "a machine", "rounds": 1}, "results": line_of("queue: in", 2) + line_of("queue: out", 1)}
    with open(os.path.join(folder, "growth.json"), "w", encoding="utf-8") as file:
        json.dump(results, file)
    text = measured(folder, folder, "report", "--print").stdout
    assert "- queue: in: slope 2.00, at most 1.1: not explained yet\n" in text and "queue: out: slope" not in text
    assert "| queue: in | 1 to 100 requests in line | 2.00 | 2.00 | NO |\n| queue: out | 1 to 100 requests in line | 1.00 | 1.00 | yes |\n" in text
    assert sorted(os.listdir(folder)) == ["growth.json"]  # it was printed, no more


@pytest.mark.limit(120)
def test_what_a_program_prints_is_kept_with_its_code(folder):
    results, (simulate,) = os.path.join(folder, "results"), tools("simulate")
    env = {"PATH": os.environ["PATH"], "BUILD_DIR": BUILD, "BENCH_RESULTS": results}
    done = subprocess.run([sys.executable, os.path.join(ROOT, "bench", "printed"), "--save", "balance", simulate, "1", "20"], env=env, cwd=folder,
                          capture_output=True, text=True, timeout=60 * SLACK, check=False)
    found = kept(results, "balance")
    assert done.returncode == found["code"] and found["text"] in done.stdout
    assert len(found["tables"][0]["rows"]) == 24 and found["tables"][0]["head"][:3] == ["machines", "arrivals", "load"]
    missed = [row for row in found["tables"][0]["rows"] if row[-1] == "NO"]
    assert bool(missed) == bool(done.returncode)
    text = measured(folder, results, "report", "--print").stdout
    assert len(re.findall(r"^- .*, at most [\d.]+$|^- .*: .*± .*, at most ", text, re.M)) == len(missed)
