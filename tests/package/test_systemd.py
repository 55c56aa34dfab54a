"""The service under a booted systemd, as the package installs it, with the stand-in as /usr/bin/ollama."""
import json
import os
import re
import subprocess
import time

import pytest

from machine import ROOT
from service import DROP_IN, ETC, STATE, UNIT
from waiting import SLACK, until

pytestmark = pytest.mark.limit(180)  # the first one builds the package, and makes and boots the machine
INI = f"{ETC}/supervisor.ini"


def test_the_unit_is_well_formed_and_confined(service):
    """No complaint, and an exposure of at most 2.0 (OK)."""
    verified = service.machine.run("systemd-analyze", "verify", "--man=no", UNIT)
    assert verified.returncode == 0 and "ollama-sidecar" not in verified.stdout + verified.stderr, verified
    exposure = service.machine.must("systemd-analyze", "security", "--no-pager", UNIT).splitlines()[-1]
    number = float(re.search(r"level for ollama-sidecar.service: ([\d.]+) OK", exposure).group(1))
    assert number <= 2.0, exposure


def test_r4_8_the_optimizer_s_unit_is_well_formed_and_as_confined(service):
    """It is installed, and neither enabled nor started: its owner says when it may pull."""
    machine, unit = service.machine, "llm-optimizer.service"
    verified = machine.run("systemd-analyze", "verify", "--man=no", unit)
    assert verified.returncode == 0 and "llm-optimizer" not in verified.stdout + verified.stderr, verified
    exposure = machine.must("systemd-analyze", "security", "--no-pager", unit).splitlines()[-1]
    number = float(re.search(rf"level for {unit}: ([\d.]+) OK", exposure).group(1))
    assert number <= 2.0, exposure
    assert machine.run("systemctl", "is-enabled", unit).stdout.strip() == "disabled"
    for name, value in {"ActiveState": "inactive", "Type": "notify", "Restart": "always", "RestartUSec": "5s"}.items():
        assert machine.must("systemctl", "show", "--value", "-p", name, unit).strip() == value, name


def test_r4_8_the_optimizer_runs_beside_it_on_the_same_models_and_is_started_again(service):
    """Ready by sd_notify; its log has its own name; one that crashes is back, as is one that ends by itself."""
    machine, unit = service.machine, "llm-optimizer.service"
    service.script(tokens=1)
    service.started()
    machine.must("mkdir", "-p", f"/run/systemd/system/{unit}.d")
    machine.write(f"/run/systemd/system/{unit}.d/test.conf", "[Service]\nEnvironment=OLLAMA_PRELOAD_MODELS=none\n")
    machine.must("systemctl", "daemon-reload")
    try:
        machine.must("systemctl", "start", unit)
        assert machine.curl("-f", "http://127.0.0.1:8512/live").returncode == 0
        assert machine.must("journalctl", "-q", "-u", unit, "-t", "llm-optimizer", "-n", "1")
        assert "ready" in machine.must("sidecarctl", "-s", "/run/llm-optimizer/control.sock", "status")
        machine.must("systemctl", "reload", unit)
        machine.must("sidecarctl", "-s", "/run/llm-optimizer/control.sock", "status")
        before = machine.must("systemctl", "show", "--value", "-p", "MainPID", unit).strip()
        machine.must("kill", "-TERM", before)  # an end with success, which Restart=on-failure would leave at that

        def again():
            shown = machine.must("systemctl", "show", "-p", "MainPID", "-p", "ActiveState", unit)
            return "ActiveState=active" in shown and f"MainPID={before}\n" not in shown

        until(again, 30, "a restart", lambda: machine.must("journalctl", "-q", "-u", unit))
    finally:
        machine.run("systemctl", "stop", unit)
        machine.run("rm", "-r", f"/run/systemd/system/{unit}.d")
        machine.run("systemctl", "daemon-reload")
    assert service.show("ActiveState") == "active"


def test_it_is_ready_and_answers_and_tells_its_state(service):
    service.script(tokens=3)
    service.started()
    assert service.show("StatusText") == "running"
    assert 'Status: "running"' in service.machine.must("systemctl", "status", "--no-pager", UNIT)
    lines = [json.loads(line) for line in service.ask(model="m", prompt="x")]
    assert lines[-1]["done"] is True and len(lines) >= 3
    assert service.ask(path="/health")
    service.wait_journal(r" ready after_ms=")
    assert service.machine.must("journalctl", "-q", "-u", UNIT, "-t", "ollama-sidecar", "-n", "1")


def test_it_has_no_right_of_root_and_writes_to_its_own_folders_alone(service):
    service.started()
    main = service.main_pid()
    names = set(service.processes().values())
    assert {"ollama-supervis", "ollama-proxy"} <= names and len(names) >= 3, names
    for pid in service.processes():
        status = service.machine.must("cat", f"/proc/{pid}/status")
        assert re.search(r"^CapEff:\s0+$", status, re.M) and re.search(r"^NoNewPrivs:\s1$", status, re.M)
        assert re.search(r"^Seccomp:\s2$", status, re.M), status
        assert service.machine.must("ps", "-o", "user:32=", "-p", str(pid)).strip() == "ollama-sidecar"
    inside = ["nsenter", f"--target={main}", "--mount", "setpriv", "--reuid=ollama-sidecar", "--regid=ollama-sidecar", "--init-groups"]
    assert service.machine.run(*inside, "touch", f"{STATE}/models/x").returncode == 0
    for path in ("/etc/ollama-sidecar/x", "/usr/x", "/var/lib/x", "/home/x"):
        assert service.machine.run(*inside, "touch", path).returncode != 0, path
    groups = service.machine.must("id", "-nG", "ollama-sidecar").split()
    assert "render" in groups and "video" in groups


def test_sidecarctl_needs_no_option_for_root_and_is_nobodys_else(service):
    service.started()
    status = service.machine.must("sidecarctl", "status")
    assert "ollama" in status and "ready" in status
    assert service.machine.run("sidecarctl", "health", "--ready").returncode == 0
    stranger = service.machine.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sidecarctl", "stop", "ollama")
    assert stranger.returncode == 111, stranger
    assert service.show("ActiveState") == "active"


def test_a_stop_is_a_success_within_its_time_and_ends_a_stream_honestly(service):
    service.script(tokens=100000, token_delay_ms=50)
    service.started()
    stream = subprocess.Popen(["nsenter", f"--target={service.machine.init}", "--net", "curl", "-sSN", "http://127.0.0.1:11434/api/generate",
                               "-d", '{"model":"m","prompt":"x"}'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert "response" in stream.stdout.readline()
    assert service.stop() < 12 * SLACK
    out, _ = stream.communicate(timeout=10)
    assert stream.returncode != 0 and '"error"' in out.splitlines()[-1], "an end without the last chunk"
    assert (service.show("ActiveState"), service.show("Result")) == ("inactive", "success"), service.journal()
    assert service.processes() == {}
    assert "Killing process" not in service.journal()
    assert service.machine.exists(STATE) and not service.machine.exists("/run/ollama-sidecar")


def test_a_killed_proxy_and_a_killed_ollama_are_ours_to_start_again(service):
    service.script(tokens=1)
    service.started()
    main, proxy = service.main_pid(), service.pid_of("ollama-proxy")
    service.machine.must("kill", "-KILL", str(proxy))
    until(lambda: service.pid_of("ollama-proxy") != proxy, 10, "another proxy")
    assert service.ask(model="m", prompt="x")
    pid = re.search(r"exec program=ollama pid=(\d+)", service.journal()).group(1)
    service.machine.must("kill", "-KILL", pid)
    assert service.ask(model="m", prompt="x"), "held until it is there again"
    assert service.main_pid() == main and service.show("NRestarts") == "0"


def test_a_supervisor_that_crashes_is_started_again_by_systemd(service):
    service.script(tokens=1)
    service.started()
    main, before = service.main_pid(), set(service.processes())
    service.machine.must("systemctl", "kill", "--signal=SEGV", "--kill-who=main", UNIT)
    until(lambda: service.show("NRestarts") == "1" and service.show("ActiveState") == "active", 20, "a restart", service.journal)
    assert service.main_pid() != main
    assert not before & set(service.processes()), "nothing of the first one is left"
    assert service.ask(model="m", prompt="x")


def test_a_supervisor_that_hangs_is_started_again_by_the_watchdog(service):
    service.drop_in("watchdog", "[Service]\nWatchdogSec=2s\nTimeoutAbortSec=1s\n")
    service.started()
    main = service.main_pid()
    time.sleep(3)  # longer than WatchdogSec: it lives as it says so
    assert service.main_pid() == main and service.show("NRestarts") == "0", service.journal()
    service.machine.must("kill", "-STOP", str(main))
    until(lambda: service.show("NRestarts") == "1" and service.show("ActiveState") == "active", 30, "a restart", service.journal)
    assert service.main_pid() != main
    service.wait_journal(r"Watchdog timeout")


def test_reload_puts_a_change_in_force_and_keeps_the_process(service):
    service.started()
    main = service.main_pid()
    service.machine.write(INI, "[proxy]\nlisten = 127.0.0.1:11434, 127.0.0.1:11444\n")
    service.machine.must("systemctl", "reload", UNIT)
    assert service.ask(11444, "/api/version")
    until(lambda: service.show("SubState") == "running", 10, "the end of the reload", service.journal)
    assert service.main_pid() == main


def test_reload_of_a_mistake_fails_and_says_why(service):
    service.started()
    main = service.main_pid()
    service.machine.write(INI, "[proxy]\nlisten = 127.0.0.1:11434\nmax_clients = many\n")
    done = service.machine.run("systemctl", "reload", UNIT)
    assert done.returncode != 0
    service.wait_journal(r"supervisor.ini:3: .*max_clients")
    assert service.show("ActiveState") == "active" and service.main_pid() == main
    assert service.ask(path="/api/version")


def test_a_model_that_is_added_to_the_list_is_pulled_by_a_reload(service):
    service.started()
    service.machine.write(f"{ETC}/preload-models.txt", "another  # of ours\n")
    service.machine.must("systemctl", "reload", UNIT)
    until(lambda: "another:latest" in "".join(service.ask(path="/api/tags")), 15, "the model", service.journal)


def test_a_first_pull_may_take_longer_than_the_limit_of_a_start(service):
    service.drop_in("pull", "[Service]\nTimeoutStartSec=3s\nEnvironment=OLLAMA_PRELOAD_MODELS=big\n")
    service.script(tokens=1, pull_bytes=6_000_000, pull_rate_bytes_s=1_000_000)
    service.machine.must("systemctl", "start", "--no-block", UNIT)
    until(lambda: service.show("StatusText").startswith("pulling models"), 10, "a status", lambda: service.show("StatusText"))
    assert service.show("ActiveState") == "activating"
    service.wait_state("active", "running", 30)
    assert service.show("NRestarts") == "0" and service.ask(model="big", prompt="x")


def drop_ins():
    """The blocks below "Drop-ins" of docs/systemd.md, by their comments."""
    with open(os.path.join(ROOT, "docs", "systemd.md"), encoding="utf-8") as file:
        section = re.split(r"^## ", file.read(), flags=re.M)
    blocks = next(part for part in section if part.startswith("Drop-ins")).split("\n\n    # ")[1:]
    texts = ["# " + re.sub(r"^    ", "", block.split("\n\n")[0], flags=re.M) + "\n" for block in blocks]
    return [pytest.param(text, id=text[2:].split(".")[0].split(",")[0].replace(" ", "-")) for text in texts]


@pytest.mark.parametrize("text", drop_ins())
def test_a_drop_in_of_the_documentation_does_what_it_says(service, text):
    service.script(tokens=1)
    service.machine.must("install", "-d", "-o", "ollama-sidecar", "/srv/models")
    service.drop_in("documented", text)
    service.started()
    assert service.ask(model="m", prompt="x")
    for line in re.findall(r"^(\w+)=(\S+)$", text, re.M):
        if line[0] not in ("Environment", "RequiresMountsFor", "MemoryMax"):
            assert service.show(line[0]) == line[1], line
    where = re.search(r"OLLAMA_MODELS=(\S+)", text)
    assert not where or service.machine.must("find", where.group(1), "-type", "f"), "models are written there"
    assert "LISTEN=" not in text or "[::]:11434" in service.machine.must("sidecarctl", "status")
    assert "MemoryMax" not in text or service.show("MemoryMax") == str(12 << 30)


def test_a_configuration_with_mistakes_is_not_tried_again(service):
    service.machine.write(INI, "[proxy]\nmax_clients = many\nlissten = 1\n")
    assert service.start().returncode != 0
    service.wait_state("failed")
    assert service.show("ExecMainStatus") == "100" and service.show("NRestarts") == "0"
    text = service.journal()
    assert "supervisor.ini:2: " in text and "supervisor.ini:3: " in text, "all mistakes at once"


def test_idle_it_ends_with_success_and_stays_away(service):
    service.drop_in("idle", "[Service]\nEnvironment=SIDECAR_SUPERVISOR_IDLE_TIMEOUT=1s\n")
    service.started()
    service.wait_state("inactive", "dead")
    assert service.show("Result") == "success" and service.show("NRestarts") == "0"
    service.wait_journal(r" stopped exit_code=0")
    assert service.show("ActiveState") == "inactive"


def test_without_an_ollama_it_is_skipped_and_says_so(service):
    service.machine.must("mv", "/usr/bin/ollama", "/usr/bin/ollama.away")
    try:
        assert service.start().returncode == 0
        assert (service.show("ActiveState"), service.show("ConditionResult")) == ("inactive", "no")
        status = service.machine.run("systemctl", "status", "--no-pager", UNIT).stdout
        assert "ConditionPathExists=|/usr/bin/ollama was not met" in status, status
    finally:
        service.machine.must("mv", "/usr/bin/ollama.away", "/usr/bin/ollama")


@pytest.fixture
def neighbour(service):
    """Ollama's own service, as its installer makes it: a user ollama, 127.0.0.1:11434, models at home."""
    machine = service.machine
    machine.run("useradd", "-r", "-s", "/bin/false", "-U", "-m", "-d", "/usr/share/ollama", "ollama")
    machine.write("/run/systemd/system/ollama.service", "[Service]\nUser=ollama\nGroup=ollama\nExecStart=/usr/bin/ollama serve\n"
                  "Environment=STANDIN_MODELS=theirs STANDIN_STATE=/tmp OLLAMA_HOST=127.0.0.1:11434\n")
    machine.must("systemctl", "daemon-reload")
    machine.must("systemctl", "start", "ollama.service")
    until(lambda: machine.curl("-f", "http://127.0.0.1:11434/api/version").returncode == 0, 15, "the neighbour")
    yield machine
    machine.run("systemctl", "stop", "ollama.service")
    machine.run("rm", "-f", "/run/systemd/system/ollama.service")


def test_beside_ollamas_own_service_it_says_so_and_gives_up(service, neighbour):
    assert service.start().returncode != 0
    service.wait_journal(r"listen_failed address=127\.0\.0\.1:11434 .* is in use .*it speaks Ollama's protocol: .*docs/systemd\.md")
    service.wait_state("failed", timeout=30)
    assert service.show("ExecMainStatus") == "111"
    assert neighbour.must("systemctl", "is-active", "ollama.service").strip() == "active"


def test_in_front_of_ollamas_own_service(service, neighbour):
    """docs/systemd.md, in front of it: the profile in the place of the file in /etc."""
    neighbour.must("cp", "/usr/share/ollama-sidecar/profiles/attach.ini", INI)
    service.started()
    tags = json.loads("".join(service.ask(11436, "/api/tags")))
    assert [model["name"] for model in tags["models"]] == ["theirs:latest"]
    assert "exec program=proxy" in service.journal() and "exec program=ollama" not in service.journal()
    assert service.machine.run("sidecarctl", "health").returncode == 0
    service.machine.must("systemctl", "reload", UNIT)


def test_in_the_place_of_ollamas_own_service(service, neighbour):
    """docs/systemd.md, in its place: its user, its models."""
    neighbour.must("systemctl", "stop", "ollama.service")
    service.drop_in("user", "[Service]\nUser=ollama\nGroup=ollama\nReadWritePaths=/usr/share/ollama\n"
                    "Environment=OLLAMA_MODELS=/usr/share/ollama/.ollama/models\n")
    service.started()
    assert service.ask(model="m", prompt="x")
    owner = neighbour.must("ps", "-o", "user:32=", "-p", str(service.main_pid())).strip()
    assert owner == "ollama"
    assert neighbour.must("stat", "-c", "%U", "/usr/share/ollama/.ollama/models").strip() == "ollama"
    assert neighbour.exists(DROP_IN)
    service.stop()
    neighbour.must("rm", "-r", DROP_IN)
    neighbour.must("systemctl", "daemon-reload")
    service.reset()
    service.started()
    assert neighbour.must("stat", "-c", "%U", STATE).strip() == "ollama-sidecar", "and back again"
