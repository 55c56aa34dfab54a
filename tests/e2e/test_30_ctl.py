"""sidecarctl: the owner's hand."""
import json
import os
import socket
import stat

import pytest

import ports
from sidecar import Sidecar
from waiting import until


def test_status_lists_the_programs(sidecar):
    sidecar.boot(tokens=1)
    run = sidecar.ctl("status")
    assert run.returncode == 0, run.stderr
    for name in ("ollama", "proxy"):
        line = next(line for line in run.stdout.splitlines() if name in line)
        assert "ready" in line and str(sidecar.pid_of(name)) in line, run.stdout


def test_socket_is_private(sidecar):
    sidecar.boot(tokens=1)
    assert stat.S_IMODE(os.stat(sidecar.socket).st_mode) == 0o600
    assert sidecar.stop() == 0
    assert not os.path.exists(sidecar.socket)


def test_health(sidecar):
    sidecar.boot(tokens=1)
    run = sidecar.ctl("health")
    assert run.returncode == 0 and "ok" in run.stdout


def test_health_is_1_while_not_healthy(sidecar):
    sidecar.backend.script(start_delay_s=60)
    sidecar.start()
    sidecar.wait_health(lambda health: health["code"] == 503)
    assert sidecar.ctl("health").returncode == 1


def test_stop_and_start_of_a_program(sidecar):
    sidecar.boot(tokens=1)
    old = sidecar.pid_of("ollama")
    assert sidecar.ctl("stop", "ollama").returncode == 0
    until(lambda: old not in sidecar.programs(), 5, "ollama to be gone", sidecar.process.tail)
    assert len(sidecar.backend.journal("started")) == 1
    assert sidecar.ctl("start", "ollama").returncode == 0
    sidecar.wait_ready()
    assert sidecar.pid_of("ollama") != old and sidecar.generate().status == 200


@pytest.mark.parametrize("name", ["ollama", "proxy"])
def test_restart_of_a_program(sidecar, name):
    sidecar.boot(tokens=1)
    old = sidecar.pid_of(name)
    assert sidecar.ctl("restart", name).returncode == 0
    until(lambda: sidecar.pid_of(name) != old, 8, f"a new {name}", sidecar.process.tail)
    sidecar.wait_ready()
    assert sidecar.generate().status == 200


def test_planned_restart_of_the_proxy_drains_the_old_one(sidecar):
    sidecar.boot(tokens=30, token_delay_ms=100)
    with sidecar.connect(timeout=20) as connection:
        answer = connection.request("POST", "/api/generate", {"model": "m", "prompt": "x"})
        objects = answer.objects()
        next(objects)
        old = sidecar.pid_of("proxy")
        assert sidecar.ctl("restart", "proxy").returncode == 0
        until(lambda: sidecar.pid_of("proxy") != old, 5, "a new proxy", sidecar.process.tail)
        assert sidecar.ask("GET", "/live").status == 200
        assert [value for _, value in objects][-1]["done"] is True and answer.clean


def test_reload_takes_a_good_file_and_refuses_a_bad_one(sidecar):
    sidecar.boot(tokens=1)
    assert sidecar.ctl("reload").returncode == 0
    sidecar.configure("supervisor", idle_timeout="soon")
    sidecar.write_ini()
    run = sidecar.ctl("reload")
    assert run.returncode == 1 and "idle_timeout" in run.stdout + run.stderr
    assert sidecar.generate().status == 200


@pytest.mark.parametrize("mistake", ["[proxy\nx = y\n", "[supervisor]\nidle_timout = 3\n", "[program:x]\n", "[key:a]\nrights = everything\n", "[proxy]\nlisten = nowhere\n"])
def test_a_mistake_in_the_file_does_not_hide_the_supervisor(sidecar, mistake):
    sidecar.boot(tokens=1)
    sidecar.write("supervisor.ini", f"[supervisor]\ncontrol_socket = {sidecar.socket}\n" + mistake)
    run = sidecar.run("sidecarctl", "-c", sidecar.ini, "reload")
    assert run.returncode == 1 and "supervisor.ini:" in run.stderr and "nothing has changed" in run.stderr, run
    run = sidecar.run("sidecarctl", "-c", sidecar.ini, "health")
    assert run.returncode == 0 and run.stdout.startswith("ok, ready") and f"what can be read of it says: {sidecar.socket}" in run.stderr, run


def test_reload_changes_the_idle_timeout(sidecar):
    sidecar.boot(tokens=1)
    sidecar.configure("supervisor", idle_timeout="1s")
    sidecar.write_ini()
    assert sidecar.ctl("reload").returncode == 0
    assert sidecar.process.wait(8) == 0


def test_reload_starts_what_had_failed_or_was_not_to_start(sidecar):
    sidecar.configure("program:broken", command="/nonexistent/x", required="no", max_restarts="0")
    sidecar.configure("program:later", command="sleep 1000", autostart="no")
    sidecar.boot(tokens=1)
    sidecar.configure("program:broken", command="sleep 1000")
    sidecar.configure("program:later", autostart="yes")
    sidecar.write_ini()
    assert sidecar.ctl("reload").returncode == 0
    for name in ("broken", "later"):
        sidecar.process.wait_log(rf"program={name} from=down to=ready")


def test_reload_follows_a_link_to_where_it_leads_now(sidecar):
    sidecar.write_ini()
    os.rename(sidecar.ini, sidecar.ini + ".1")
    os.symlink(sidecar.ini + ".1", sidecar.ini)
    sidecar.backend.script(tokens=1)
    sidecar.start(ini=False)
    sidecar.wait_ready()
    with open(sidecar.ini + ".1", encoding="utf-8") as old, open(sidecar.ini + ".2", "w", encoding="utf-8") as new:
        new.write(old.read() + "\n[program:more]\ncommand = sleep 1000\n")
    os.unlink(sidecar.ini + ".1")
    os.unlink(sidecar.ini)
    os.symlink(sidecar.ini + ".2", sidecar.ini)
    assert sidecar.ctl("reload").returncode == 0
    sidecar.process.wait_log(r"program=more from=down to=ready")


def test_dump(sidecar):
    sidecar.env["SIDECAR_SUPERVISOR_SHUTDOWN_TIMEOUT"] = "6s"
    sidecar.boot(tokens=1)
    for run in (sidecar.ctl("dump"), sidecar.run("ollama-supervisor", "-c", sidecar.ini, "--dump")):
        assert run.returncode == 0, run.stderr
        line = next(line for line in run.stdout.splitlines() if "shutdown_timeout" in line)
        assert "6s" in line and "SIDECAR_SUPERVISOR_SHUTDOWN_TIMEOUT" in line, line
        assert any(f":{sidecar.port}" in line and "listen" in line for line in run.stdout.splitlines())


@pytest.mark.parametrize("verb", [("frobnicate",), ("start",), ()])
def test_wrong_usage(sidecar, verb):
    sidecar.boot(tokens=1)
    assert sidecar.ctl(*verb).returncode == 100


def test_unknown_program_is_refused(sidecar):
    sidecar.boot(tokens=1)
    run = sidecar.ctl("restart", "olama")
    assert run.returncode == 1 and "olama" in run.stdout + run.stderr


def test_nobody_answers(sidecar):
    run = sidecar.ctl("status")
    assert run.returncode == 111 and sidecar.socket in run.stderr


def test_answers_on_the_socket_are_json_lines(sidecar):
    sidecar.boot(tokens=1)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(sidecar.socket)
        sock.sendall(b"status\n")
        data = sock.recv(65536)
    for line in data.splitlines():
        json.loads(line)
    assert data.endswith(b"\n")


def test_noise_on_the_socket_does_no_harm(sidecar):
    sidecar.boot(tokens=1)
    for noise in (b"\n", b"x" * 100_000, b"\x00\xff\n", b"status", b"restart " + b"a" * 5000 + b"\n"):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            sock.connect(sidecar.socket)
            try:
                sock.sendall(noise)
            except OSError:
                pass
    assert sidecar.ctl("status").returncode == 0


def test_second_instance_on_the_same_socket_is_refused(sidecar):
    sidecar.boot(tokens=1)
    first = sidecar.process
    sidecar.configure("proxy", listen=f"127.0.0.1:{ports.free()}")
    second = sidecar.start()
    assert second.wait() in (100, 111)
    sidecar.process = first
    assert sidecar.ctl("status").returncode == 0


def test_second_instance_on_the_same_models_is_told(sidecar, folder):
    sidecar.boot("m", tokens=1)
    path = os.path.join(folder, "other")
    os.mkdir(path)
    other = Sidecar(path)
    try:
        other.env["OLLAMA_MODELS"] = sidecar.backend.models
        other.start()
        other.wait_ready()
        other.process.wait_log(rf"warning supervisor models_shared folder=\"{sidecar.backend.models}\"")
        assert not sidecar.process.logged("models_shared")
        assert other.stop() == 0
    finally:
        assert not other.clean_up()
