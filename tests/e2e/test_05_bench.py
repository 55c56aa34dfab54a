"""bench/supervisor, bench/coldstart and bench/optimizer give a table on a machine that has no other supervisor; no figure of it is judged."""
import os
import re
import subprocess
import sys

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
