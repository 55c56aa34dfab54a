"""The real Ollama under the unit's confinement: what it needs of the kernel, its files and its runner's memory is not taken away."""
import json
import os
import subprocess
import sys
import tempfile

import pytest

from service import STATE

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(os.path.dirname(HERE), "real"))

from real_ollama import RealModels, real_ollama  # noqa: E402

pytestmark = pytest.mark.limit(180)


@pytest.fixture
def real(service):
    """The service, with the machine's real Ollama as /usr/local/bin/ollama, and the model `tiny`."""
    path = real_ollama()
    if not path:
        pytest.skip("no real ollama on PATH")
    machine = service.machine
    machine.copy_in(path, "/usr/local/bin/ollama")
    machine.must("chmod", "755", "/usr/local/bin/ollama")
    with tempfile.TemporaryDirectory(prefix="sc-models-") as directory:
        RealModels(path, directory)
        packed = os.path.join(directory, "models.tar")
        subprocess.run(["tar", "-cf", packed, "-C", directory, "models"], check=True)
        machine.copy_in(packed, "/root/models.tar")
    machine.must("tar", "-xf", "/root/models.tar", "-C", STATE, "--no-same-owner")
    machine.must("chown", "-R", "ollama-sidecar:", f"{STATE}/models")
    yield service
    service.stop()
    machine.must("rm", "-rf", "/usr/local/bin/ollama", "/root/models.tar")


def test_a_real_ollama_loads_a_model_and_answers_below_the_unit(real):
    real.started()
    version = json.loads("".join(real.ask(path="/api/version")))["version"]
    lines = [json.loads(line) for line in real.ask(model="tiny", prompt="hello")]
    assert lines[-1]["done"] is True and len(lines) > 2, (version, lines[-1:])
    real.wait_journal(r"model=\"?tiny.* mmap=")
    assert not [line for line in real.journal().splitlines() if "Operation not permitted" in line], real.journal()
    assert real.machine.exists(f"{STATE}/.ollama/id_ed25519"), "its key is in the state, too"
