"""sidecarctl status: what programs take, how they ended, and when they start again."""
import json
import sys

from waiting import until


def programs(sidecar):
    """{name: what status says of it}"""
    run = sidecar.ctl("--json", "status")
    assert run.returncode == 0, run.stderr
    return {p["name"]: p for p in json.loads(run.stdout)["programs"]}


def test_memory_and_time_of_a_program_and_all_it_started(sidecar):
    script = sidecar.write("big.py", "import os, time\nblock = b'x' * 30_000_000\nif os.fork() == 0:\n    os.setsid()\n    more = b'y' * 20_000_000\n"
                           "    parent = os.getppid()\n    while os.getppid() == parent: time.sleep(0.05)\n    os._exit(0)\n"
                           "while time.process_time() < 0.5: pass\ntime.sleep(1000)")
    sidecar.configure("program:big", command=f"{sys.executable} {script}", required="no")
    sidecar.boot(tokens=1)
    big = until(lambda: (lambda p: p if p["processes"] == 2 and p["cpu_ms"] >= 400 and p["rss_bytes"] > 80_000_000 else None)(programs(sidecar)["big"]),
                10, "two processes of 80 MB and half a second", lambda: str(programs(sidecar)["big"]))
    assert big["rss_bytes"] < 1_000_000_000 and big["cpu_ms"] < 60_000
    assert big["next_start_ms"] is None
    row = next(line for line in sidecar.ctl("status").stdout.splitlines() if line.startswith("big"))
    assert " MiB " in row, row


def test_what_is_down_takes_nothing(sidecar):
    sidecar.configure("program:later", command="sleep 1000", autostart="no", required="no")
    sidecar.boot(tokens=1)
    later = programs(sidecar)["later"]
    assert (later["rss_bytes"], later["cpu_ms"], later["processes"], later["next_start_ms"]) == (None, None, None, None)
    assert programs(sidecar)["proxy"]["processes"] == 1 and programs(sidecar)["ollama"]["rss_bytes"] > 1_000_000


def test_backoff_says_how_it_ended_and_when_it_starts_again(sidecar):
    script = sidecar.write("bad.py", "print('ERROR: the address 127.0.0.1:1 is taken, and this is a long story'); raise SystemExit(3)")
    sidecar.configure("program:bad", command=f"{sys.executable} {script}", required="no", backoff_min="20s", backoff_max="20s")
    sidecar.boot(tokens=1)
    bad = until(lambda: (lambda p: p if p["state"] == "backoff" else None)(programs(sidecar)["bad"]), 10, "backoff")
    assert bad["last_exit"] == "exit code 3" and 0 < bad["next_start_ms"] <= 30_000
    run = sidecar.ctl("status")
    assert "starts again in " in " ".join(run.stdout.split()) and "ERROR: the address" in run.stdout
    assert max(map(len, run.stdout.splitlines())) <= 100, run.stdout
