"""What programs write: as lines of the log, bounded, harmless, and never a reason to wait."""
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from sidecar import program
from waiting import SLACK, until

DIGEST = "c1d97a160fb962d0169ed045bac921c0903cfa75c632c3285fd12ba2ab7723bb"


def add(sidecar, name, script, **keys):
    """A program of the sidecar's that runs this Python script once."""
    path = sidecar.write(f"{name}.py", script)
    sidecar.configure(f"program:{name}", command=f"{sys.executable} {path}", required="no", **{"restart": "never", **keys})


def cpu_s(pid):
    """Processor time of one process."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def zombies(pid):
    """Dead children of a process that nobody has reaped."""
    found = []
    with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as file:
        for child in file.read().split():
            try:
                with open(f"/proc/{child}/stat", encoding="utf-8") as stat:
                    if stat.read().rpartition(")")[2].split()[0] == "Z":
                        found.append(child)
            except OSError:
                continue
    return found


def said(sidecar, name):
    """What our log has of a program's lines."""
    return [match.group(1) for match in (re.search(rf" \w+ {name} output (.*)", line) for line in sidecar.process.log) if match]


def test_partial_last_line_is_told(sidecar):
    """Scenario 56: a last line without an end."""
    add(sidecar, "half", "import sys; sys.stdout.write('whole\\nERROR: half a li'); sys.exit(3)")
    sidecar.start()
    sidecar.process.wait_log(r" error half output ERROR: half a li$")
    sidecar.process.wait_log(r"program=half .*reason=\"exit code 3: ERROR: half a li\"")


@pytest.mark.parametrize("form", ["text", "json"])
def test_escape_codes_and_broken_bytes_are_harmless(sidecar, form):
    add(sidecar, "evil", "import os; os.write(1, b'ERROR: \\033[31mred\\033[0m\\033]0;title\\007 \\xc2\\x9b2J"
        " \\xe2\\x80\\xaegnp.exe \\xff\\x00\\x08 10%\\r\\nWARN: 10%\\rWARN: 20%\\rWARN: 30%\\n')")
    sidecar.configure("supervisor", log_format=form)
    sidecar.start()
    line = sidecar.process.wait_log(r".*ERROR: red.*").group(0)
    bar = sidecar.process.wait_log(r".*WARN: 30%.*").group(0)
    if form == "json":
        assert json.loads(line)["message"] == "ERROR: red ?2J ?gnp.exe ??? 10%" and json.loads(line)["module"] == "evil"
        assert json.loads(bar)["message"] == "WARN: 30%" and json.loads(bar)["level"] == "warning"
    else:
        assert line.endswith(" error evil output ERROR: red ?2J ?gnp.exe ??? 10%")
        assert bar.endswith(" warning evil output WARN: 30%")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", "".join(sidecar.process.log))


def test_lines_of_any_length(sidecar):
    add(sidecar, "long", "import sys\nfor n in (1022, 1023, 1024, 100_000, 3_000_000): sys.stdout.write('ERROR:' + 'x' * (n - 6) + '\\n')\n"
        "print('ERROR: end')")
    sidecar.start()
    sidecar.process.wait_log(r" error long output ERROR: end")
    assert [len(line) for line in said(sidecar, "long")] == [1022, 1023, 1023, 1023, 1023, 10]


def test_orphan_that_holds_the_pipe_holds_nobody_up(sidecar):
    """Scenario 53: the main process is gone, and somebody else has its stdout. It is closed, which the orphan learns."""
    add(sidecar, "main", "import os, signal, sys, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid(); signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"  # else it would be gone before it writes
        "    signs = open('orphan.signs', 'w')\n"
        "    try:\n"
        "        while True:\n"
        "            os.write(1, b'still here\\n'); time.sleep(0.02)\n"
        "    except BrokenPipeError:\n"
        "        signs.write('closed'); signs.close(); os._exit(0)\n"
        "time.sleep(0.2); print('ERROR: main is gone'); sys.stdout.flush(); os._exit(0)\n", restart="always")
    sidecar.boot(tokens=1)
    began = time.monotonic()
    sidecar.process.wait_log(r"exited program=main .*code=0")
    sidecar.process.wait_log(r" exec program=main", since=len(sidecar.process.log) - 3)
    assert time.monotonic() - began < 5 * SLACK
    signs = os.path.join(sidecar.directory, "orphan.signs")
    until(lambda: os.path.exists(signs) and open(signs, encoding="utf-8").read() == "closed", 5, "the orphan to find its pipe closed")
    sidecar.ctl("stop", "main")
    assert sidecar.generate().status == 200


def test_child_that_closes_its_stdout_costs_nothing(sidecar):
    """Scenario 54: the end of a pipe is seen once, and not again and again."""
    add(sidecar, "closer", "import os, time\nos.write(1, b'ERROR: closing\\n')\nos.close(1); os.close(2)\ntime.sleep(1000)")
    sidecar.boot(tokens=1)
    sidecar.process.wait_log(r" closer output ERROR: closing")
    before = cpu_s(sidecar.process.pid)
    time.sleep(1)  # what is measured is this second
    assert cpu_s(sidecar.process.pid) - before < 0.1 * SLACK
    assert re.search(r"closer +ready", sidecar.ctl("status").stdout)


class Mute:
    """A supervisor whose log goes nowhere good."""

    def __init__(self, sidecar, stderr):
        sidecar.write_ini()
        sidecar.backend.script(tokens=1)
        self.popen = subprocess.Popen([program("ollama-supervisor"), "-c", sidecar.ini], env=sidecar.environment(), cwd=sidecar.directory,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True,
                                      close_fds=True)

    def stop(self):
        """Its exit code."""
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(15 * SLACK)


@pytest.mark.parametrize("target", ["unread", "dead", "full", "closed"])
def test_log_that_nobody_takes_blocks_nobody(sidecar, target):
    """Scenario 55: a pipe that nobody reads, one whose reader died, a full disk, no stderr at all."""
    sidecar.installed = "m"
    sidecar.configure("supervisor", log_level="debug")
    add(sidecar, "chatter", "while True: print('ERROR: ' + 'x' * 500, flush=True)", output_rate="0")
    reader, writer = os.pipe()
    if target == "full":
        os.close(writer)
        writer = os.open("/dev/full", os.O_WRONLY)
    if target == "dead":
        os.close(reader)
        reader = -1
    if target == "closed":
        sidecar.write_ini()
        sidecar.backend.script(tokens=1)
        mute = Mute.__new__(Mute)
        mute.popen = subprocess.Popen(["/bin/sh", "-c", 'exec "$0" "$@" 2>&-', program("ollama-supervisor"), "-c", sidecar.ini],
                                      env=sidecar.environment(), cwd=sidecar.directory, stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, start_new_session=True)
    else:
        mute = Mute(sidecar, writer)
    try:
        until(lambda: sidecar.health().get("code") == 200, 15, "/health with status 200")
        for _ in range(5):
            began = time.monotonic()
            assert sidecar.ctl("status").returncode == 0
            assert time.monotonic() - began < 2 * SLACK
        assert sidecar.generate().status == 200
        ollama = json.loads(sidecar.ctl("--json", "status").stdout)["programs"][0]["pid"]
        os.kill(ollama, signal.SIGKILL)
        until(lambda: json.loads(sidecar.ctl("--json", "status").stdout)["programs"][0]["pid"] not in (0, ollama), 5, "another Ollama")
        if target == "unread":  # a reader who comes late finds out that something is missing
            os.set_blocking(reader, False)
            text = b""

            def look():
                nonlocal text
                try:
                    text += os.read(reader, 1 << 20)
                except BlockingIOError:
                    pass
                return b"log_dropped lines=" in text
            until(look, 5, "log_dropped")
    finally:
        code = mute.stop()
        os.close(writer)
        if reader >= 0:
            os.close(reader)
    assert code == 0


def test_flood_is_slowed_and_counted_and_harms_nobody(sidecar):
    """A program that writes without end: the others restart and answer as ever, and PID 1 stays calm."""
    sidecar.configure("supervisor", log_level="debug")
    sidecar.configure("program:flood", command="yes", required="no", output_rate="50")
    sidecar.boot(tokens=1)
    note = sidecar.process.wait_log(r"warning supervisor output_dropped program=flood lines=(\d+)")
    assert int(note.group(1)) > 1000
    before, began = cpu_s(sidecar.process.pid), time.monotonic()
    times = []
    while time.monotonic() - began < 2:  # what is measured is these seconds
        asked = time.monotonic()
        assert sidecar.ctl("status").returncode == 0
        times.append(time.monotonic() - asked)
    used = (cpu_s(sidecar.process.pid) - before) / (time.monotonic() - began)
    print(f"cpu {used:.1%}, status median {sorted(times)[len(times) // 2] * 1000:.1f} ms, worst {max(times) * 1000:.1f} ms")
    assert used < 0.3 * SLACK, f"{used:.0%} of a processor"
    assert sorted(times)[len(times) // 2] < 0.3 * SLACK
    old, lines = sidecar.pid_of("ollama"), len(sidecar.process.log)
    os.kill(old, signal.SIGKILL)
    began = time.monotonic()
    sidecar.process.wait_log(r" exec program=ollama", since=lines)
    assert time.monotonic() - began < 1 * SLACK
    assert sidecar.generate().status == 200
    flooded = len(said(sidecar, "flood"))
    assert 250 <= flooded < 250 + 50 * 30 * SLACK  # the burst, and the rate since
    sidecar.ctl("stop", "flood")
    sidecar.process.wait_log(r"exited program=flood", since=lines)


def test_ordinary_lines_are_quiet_and_bad_ones_are_not(sidecar):
    add(sidecar, "mixed", "print('time=x level=INFO msg=fine')\nprint('time=x level=WARN msg=hm')\nprint('level=error msg=no')\n"
        "print('[GIN] 2026/11/22 - 01:07:09 | 404 | 296.64µs | 127.0.0.1 | POST \"/api/generate\"')\n"
        "print('{\"level\":\"error\",\"msg\":\"json\"}')\nprint('W1122 01:07:08.123456 1 f.go:1] klog')\nprint('ERROR: end')")
    sidecar.start()
    sidecar.process.wait_log(r" error mixed output ERROR: end")
    assert said(sidecar, "mixed") == ["time=x level=WARN msg=hm", "level=error msg=no", '{"level":"error","msg":"json"}',
                                      "W1122 01:07:08.123456 1 f.go:1] klog", "ERROR: end"]
    assert sidecar.process.logged(r" warning mixed output time=x level=WARN") and sidecar.process.logged(r" error mixed output level=error")


def starts_runner(sidecar, options, digest=DIGEST):
    """Ollama's line for a runner's start, as 0.9.5 writes it."""
    return ('time=2026-11-22T01:07:08.693Z level=INFO source=server.go:438 msg="starting llama server" cmd="/usr/bin/ollama runner '
            f'--model {sidecar.directory}/store/blobs/sha256-{digest} {options} --port 46543"')


def test_one_line_for_each_runner_with_its_models_name(sidecar):
    """R0.2: parallel 1 and mmap can be confirmed in the quiet log."""
    folder = os.path.join(sidecar.directory, "store", "manifests", "registry.ollama.ai", "library", "llama3.2")
    os.makedirs(folder)
    with open(os.path.join(folder, "1b"), "w", encoding="utf-8") as file:
        json.dump({"layers": [{"digest": "sha256:" + DIGEST}]}, file)
    add(sidecar, "fake", f"print('''{starts_runner(sidecar, '--ctx-size 2048 --batch-size 512 --threads 2 --parallel 1')}''', flush=True)\n"
        f"print('''{starts_runner(sidecar, '--ctx-size 8192 --no-mmap --parallel 2', 'f' * 64)}''', flush=True)\n"
        "import time; time.sleep(1000)")
    sidecar.boot(tokens=1)
    first = sidecar.process.wait_log(r" info fake runner (.*)").group(1)
    second = sidecar.process.wait_log(r" info fake runner (.*mmap=no.*)").group(1)
    assert first in ("model=llama3.2:1b parallel=1 mmap=yes context=2048 batch=512",
                     "model=sha256-c1d97a160fb9 parallel=1 mmap=yes context=2048 batch=512")  # the second came before it was found
    assert second == "model=sha256-ffffffffffff parallel=2 mmap=no context=4096"
    assert not said(sidecar, "fake") and len(sidecar.process.logged(" fake runner ")) == 2
    until(lambda: not zombies(sidecar.process.pid), 5, "whoever looked for the name to be reaped")


def test_name_of_the_model_of_a_runner(sidecar):
    folder = os.path.join(sidecar.directory, "store", "manifests", "hf.co", "org", "model")
    os.makedirs(folder)
    with open(os.path.join(folder, "Q4"), "w", encoding="utf-8") as file:
        json.dump({"layers": [{"digest": "sha256:" + DIGEST}]}, file)
    add(sidecar, "fake", f"print('''{starts_runner(sidecar, '--ctx-size 2048 --parallel 1')}''', flush=True)\nimport time; time.sleep(1000)")
    sidecar.start()
    assert sidecar.process.wait_log(r" info fake runner (.*)").group(1) == "model=hf.co/org/model:Q4 parallel=1 mmap=yes context=2048"
    until(lambda: not zombies(sidecar.process.pid), 5, "whoever looked for the name to be reaped")


def test_models_on_a_disk_that_hangs_hold_nobody_up(sidecar):
    folder = os.path.join(sidecar.directory, "store", "manifests", "registry.ollama.ai", "library", "slow")
    os.makedirs(folder)
    os.mkfifo(os.path.join(folder, "latest"))  # opening it waits for ever
    add(sidecar, "fake", f"print('''{starts_runner(sidecar, '--ctx-size 2048 --parallel 1')}''', flush=True)\nimport time; time.sleep(1000)")
    sidecar.boot(tokens=1)
    assert sidecar.generate().status == 200
    assert sidecar.process.wait_log(r" info fake runner (.*)").group(1) == "model=sha256-c1d97a160fb9 parallel=1 mmap=yes context=2048"
    until(lambda: not zombies(sidecar.process.pid), 5, "whoever looked for the name to be reaped")
    assert sidecar.stop() == 0
