"""What the Dockerfile makes of us, without its base: its entry point, its configuration, its health check, its stop."""
import json
import os
import re

import pytest

from podman import ROOT
from process import Process
from sidecar import program
from standin import PROGRAM
from waiting import until

PROGRAMS = ("ollama-supervisor", "ollama-proxy", "ollama-preload", "sidecarctl")


def instruction(name: str) -> str:
    """An instruction of the Dockerfile, its lines joined."""
    with open(os.path.join(ROOT, "Dockerfile"), encoding="utf-8") as file:
        text = file.read().replace("\\\n", " ")
    return re.findall(rf"^{name}\s+(.*)$", text, re.M)[-1]


@pytest.mark.limit(60)
def test_the_image_as_it_ships(container):
    """It moves Ollama out of the way, pulls its list, is healthy then, and stops with 0 by the image's signal."""
    entry = json.loads(instruction("ENTRYPOINT"))
    check = json.loads(re.search(r"CMD\s+(\[.*\])", instruction("HEALTHCHECK")).group(1))
    etc = "/etc/ollama-sidecar"
    container.mounts |= {program(name): f"/usr/local/bin/{name}:ro" for name in PROGRAMS}
    container.mounts[os.path.join(ROOT, "deploy/profiles/container.ini")] = f"{etc}/supervisor.ini:ro"
    for name in ("preload-models.txt", "models.json"):
        assert name in instruction("COPY")
        container.mounts[os.path.join(ROOT, name)] = f"{etc}/{name}:ro"
    container.env.update(OLLAMA_HOST="0.0.0.0:11434",  # as the official image has it
                         PATH=f"/usr/local/bin:/usr/bin:/bin:{os.path.dirname(PROGRAM)}")
    container.options = ["--network", "none", "--stop-signal", instruction("STOPSIGNAL")]
    container.backend.script(pull_bytes=1 << 20, pull_rate_bytes_s=1 << 20, tokens=2)
    container.process = Process(container.wrap(entry), container.podman.env, container.directory)
    container.processes.append(container.process)
    container.process.wait_log(r" listening address=\[::\]:11434")
    container.process.wait_log(r" ollama_moved OLLAMA_HOST=127\.0\.0\.1:11435")
    container.process.wait_log(r" pull_started ")
    assert container.command("exec", "{}", "sidecarctl", "health").returncode == 1  # the list is not there yet
    until(lambda: container.command("exec", "{}", *check).returncode == 0, 20, "to be healthy", container.process.tail)
    until(lambda: container.command("exec", "{}", "sidecarctl", "health").returncode == 0, 20, "to have the whole list",
          container.process.tail)
    listed = container.command("exec", "{}", "ollama", "list")  # comes through the proxy
    assert listed.returncode == 0 and "llama3.2:1b" in listed.stdout, listed.stdout + listed.stderr
    assert container.command("stop", "{}").returncode == 0
    assert container.process.wait() == 0
    assert container.process.logged(r" stopping cause=SIGTERM")
