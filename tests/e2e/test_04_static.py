"""The supervisor of `make static`: the same program without a shared library, from boot to stop."""
import os
import signal

import pytest

from sidecar import BUILD

STATIC = os.path.join("static", "ollama-supervisor")

pytestmark = pytest.mark.skipif(not os.access(os.path.join(BUILD, STATIC), os.X_OK),
                                reason="`make static` has not been run: it needs a compiler for musl (musl-tools)")


def mapped_files(pid):
    with open(f"/proc/{pid}/maps", encoding="utf-8") as file:
        return {os.path.basename(line.split()[5]) for line in file if len(line.split()) > 5 and "/" in line}


def test_the_static_supervisor_boots_restarts_answers_and_stops(sidecar):
    sidecar.installed = "m"
    sidecar.backend.script(tokens=2)
    sidecar.env["PATH"] = BUILD + ":" + sidecar.env["PATH"]  # ollama-proxy is not beside it
    sidecar.start(STATIC)
    sidecar.wait_ready()
    assert not [name for name in mapped_files(sidecar.process.pid) if ".so" in name]
    assert sidecar.generate().json["response"] == "t0 t1 "
    lines = len(sidecar.process.log)
    os.kill(sidecar.pid_of("ollama"), signal.SIGKILL)
    sidecar.process.wait_log(r" exec program=ollama\b", since=lines)
    sidecar.wait_ready()
    assert sidecar.ctl("status").returncode == 0
    assert sidecar.stop() == 0
    assert sidecar.programs() == {}


def test_the_static_supervisor_tells_mistakes(sidecar):
    sidecar.configure("supervisor", idle_timeout="soon")
    sidecar.write_ini()
    done = sidecar.run(STATIC, "-c", sidecar.ini, "--check")
    assert done.returncode == 100 and "idle_timeout" in done.stderr
