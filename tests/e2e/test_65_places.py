"""Where the control socket and what is kept are, when their own place can't be had; and who they belong to."""
import os
import stat
import subprocess

import ports
import pytest
from sidecar import program
from waiting import until

NOBODY = 65534
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")


@pytest.fixture
def homeless(sidecar):
    """A control socket whose folder can't be made."""
    sidecar.configure("supervisor", control_socket="/proc/nowhere/control.sock")
    return sidecar


def asked(sidecar, *verb):
    """sidecarctl by the configuration, as its owner asks."""
    return sidecar.run("sidecarctl", "-c", sidecar.ini, *verb)


def test_the_control_socket_is_in_state_dir_where_its_own_place_can_not_be_had(homeless):
    """It is told, and sidecarctl finds it by the same configuration."""
    homeless.boot()
    second = os.path.join(homeless.directory, "state", "control.sock")
    homeless.process.wait_log(rf' warning supervisor control_elsewhere path="/proc/nowhere/control.sock" error=".*" now="{second}"')
    assert stat.S_IMODE(os.stat(second).st_mode) == 0o600
    status = asked(homeless, "status")
    assert status.returncode == 0 and "ollama" in status.stdout
    assert asked(homeless, "health", "--ready").returncode == 0
    assert asked(homeless, "reload").returncode == 0
    assert asked(homeless, "status").returncode == 0
    assert homeless.stop() == 0
    assert not os.path.exists(second)


def test_another_supervisor_there_is_let_be(homeless):
    """Two that share a volume: the second one goes on without a socket, and takes nothing from the first."""
    homeless.boot()
    second = os.path.join(homeless.directory, "state", "control.sock")
    first_process = homeless.process
    pid = asked(homeless, "--json", "status").stdout.split('"pid":')[1].split(",")[0]
    homeless.configure("proxy", listen=f"127.0.0.1:{ports.free()}")
    homeless.configure("program:ollama", autostart="no")
    other = homeless.start("ollama-supervisor")
    other.wait_log(r" warning supervisor control_failed ")
    other.wait_log(r" ready ")
    assert other.stop() == 0
    homeless.process = first_process
    assert os.path.exists(second)
    assert asked(homeless, "--json", "status").stdout.split('"pid":')[1].split(",")[0] == pid


def test_health_without_any_socket_asks_the_door_of_the_configuration(homeless):
    """As in a container where nothing at all can be written; where nobody is behind the door, it says that nobody answers."""
    homeless.configure("supervisor", state_dir="/proc/nowhere/state")
    homeless.boot()
    homeless.process.wait_log(r" warning supervisor control_failed ")
    health = asked(homeless, "health")
    assert health.returncode == 0 and health.stdout.startswith("ok, ready"), health.stdout + health.stderr
    assert asked(homeless, "health", "--ready").returncode == 0
    status = asked(homeless, "status")
    assert status.returncode == 111 and "/proc/nowhere/control.sock" in status.stderr
    assert homeless.stop() == 0
    health = asked(homeless, "health")
    assert health.returncode == 111 and "nobody answers at /proc/nowhere/control.sock" in health.stderr


def test_health_tells_what_a_door_without_a_socket_says(homeless):
    homeless.configure("supervisor", state_dir="/proc/nowhere/state")
    homeless.backend.script(start_delay_s=30)
    homeless.start()
    homeless.process.wait_log(" proxy listening ")
    health = asked(homeless, "health")
    assert health.returncode == 1 and "starting" in health.stdout, health.stdout + health.stderr


@ROOT
@pytest.mark.limit(60)
def test_state_dir_is_the_proxys_where_that_is_another_user(sidecar):
    """So that it can write there what it knows of a sleeping Ollama; and we write there as that user, too."""
    os.chmod(sidecar.directory, 0o711)
    if subprocess.run([program("ollama-proxy"), "--version"], user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True,
                      check=False).returncode:
        pytest.skip("the folder of the build is closed to other users")
    sidecar.configure("program:proxy", user="nobody")
    sidecar.configure("supervisor", idle_timeout="1s", idle_action="stop")
    sidecar.boot(tokens=1)
    state = os.path.join(sidecar.directory, "state")
    assert os.stat(state).st_uid == NOBODY
    assert sidecar.generate().status == 200
    for name in ("known-answers", "sleep.txt"):
        path = os.path.join(state, name)
        until(lambda path=path: os.path.exists(path), 20, path, sidecar.process.tail)
        assert os.stat(path).st_uid == NOBODY, name
    assert not sidecar.process.logged(r" (known|diary)_failed ")
    assert sidecar.stop() == 0


@ROOT
def test_a_state_dir_with_roots_files_stays_roots(sidecar):
    """Nothing that is there is given away."""
    state = os.path.join(sidecar.directory, "state")
    os.mkdir(state)
    sidecar.write("state/sleep.txt", "")
    sidecar.configure("program:proxy", user="nobody")
    sidecar.configure("supervisor", idle_timeout="1h")
    os.chmod(sidecar.directory, 0o711)
    sidecar.boot(tokens=1)
    until(lambda: os.path.getsize(os.path.join(state, "sleep.txt")) > 0, 10, "what we keep", sidecar.process.tail)
    assert os.stat(state).st_uid == 0 and os.stat(os.path.join(state, "sleep.txt")).st_uid == 0
    assert not sidecar.process.logged(r" state_made ")


@ROOT
def test_where_there_is_no_such_user_it_runs_as_we_do(sidecar):
    """user_required = no: one file for an image's user and for a machine without it; root is told."""
    sidecar.configure("program:ollama", user="no-such-user", user_required="no")
    sidecar.boot(tokens=1)
    assert [line for line in sidecar.process.log if 'there is no user "no-such-user"' in line and "it runs as root" in line]
    with open(f"/proc/{sidecar.pid_of('ollama')}/status", encoding="utf-8") as file:
        assert "Uid:\t0\t0\t0\t0\n" in file.read()
    assert sidecar.generate().status == 200
