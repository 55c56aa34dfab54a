"""The same harness as tests/e2e, with real engines, a small hub, and no Ollama."""
import os
import shutil
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
sys.path[:0] = [HERE, os.path.join(TESTS, "e2e")]
sys.path.append(os.path.join(TESTS, "real"))

import tiny_model  # noqa: E402
from conftest_shared import folder, pytest_configure, pytest_report_header, pytest_runtest_call  # noqa: E402,F401
from engines import TEMPLATE  # noqa: E402
from hub_server import Hub  # noqa: E402
from serving import Serving  # noqa: E402


@pytest.fixture
def hub():
    """A hub, still empty."""
    made = Hub()
    yield made
    made.close()


@pytest.fixture(scope="session")
def gguf(tmp_path_factory):
    """gguf(name, layers, template): the bytes of a tiny model with random weights."""
    folder_of_all = tmp_path_factory.mktemp("gguf")

    def make(name, layers=2, template=TEMPLATE):
        path = folder_of_all / f"{name}-{layers}-{bool(template)}.gguf"
        if not path.exists():
            tiny_model.write(path, tiny_model.Shape(layers=layers, context=2048), template)
        return path.read_bytes()

    return make


@pytest.fixture
def serving(folder, hub):  # noqa: F811
    """A sidecar that serves the hub's models, not yet started; afterwards nothing of it may be left."""
    made = Serving(folder, hub)
    yield made
    complaints = made.clean_up()
    assert not complaints, "\n".join(complaints + [process.tail(200) for process in made.processes])


def has(python, *modules):
    """Whether this python has these modules."""
    look = f"import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, {modules})))"
    return os.access(python, os.X_OK) and subprocess.run([python, "-c", look], check=False).returncode == 0


def engines_python():
    """The python with the large packages."""
    return os.environ.get("ENGINES_PYTHON") or os.path.join(os.path.dirname(TESTS), "build", "engines", "bin", "python")


def needs(*modules):
    """Skip where it has not these."""
    if not has(engines_python(), *modules):
        pytest.skip(f"{engines_python()} has not {', '.join(modules)} (`scripts/deps engines` installs gigabytes)")


@pytest.fixture(scope="session")
def llama_server(tmp_path_factory):
    """A folder with a `llama-server`: the one on PATH, else the wheel's."""
    found = shutil.which("llama-server")
    if found:
        return os.path.dirname(found)
    if not has(sys.executable, "xllamacpp"):
        pytest.skip("no llama-server on PATH, and no package xllamacpp (make check-deps installs it)")
    path = tmp_path_factory.mktemp("bin")
    script = path / "llama-server"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{os.path.join(HERE, "llama_server.py")}" "$@"\n')
    script.chmod(0o755)
    return str(path)
