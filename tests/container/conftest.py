"""Fixtures: a sidecar whose supervisor is PID 1, in a PID namespace or in a real container."""
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]

from conftest_shared import folder, pytest_configure, pytest_report_header, pytest_runtest_call  # noqa: E402,F401
from lending import lent  # noqa: E402
from pid1 import Container, Pid1, why_no_namespace  # noqa: E402
from podman import Podman  # noqa: E402
from shipped import Shipped  # noqa: E402
from sidecar import Sidecar  # noqa: E402


@pytest.fixture(scope="session")
def podman():
    """Podman, with the image; the tests are skipped where it can't be had."""
    yield from lent(Podman())


@pytest.fixture(scope="session")
def shipped_image():
    """The image as it is shipped, with the stand-in inside; skipped where it can't be had."""
    yield from lent(Shipped())


@pytest.fixture
def shipped(shipped_image):
    """The same, without containers of an earlier test."""
    yield shipped_image
    shipped_image.clean_up()


@pytest.fixture(scope="session")
def namespace():
    """Skips where PID namespaces are not permitted."""
    why = why_no_namespace()
    if why:
        pytest.skip(f"no PID namespace: {why}")


def finish(made):
    """Nothing of it may be left."""
    complaints = made.clean_up()
    assert not complaints, "\n".join(complaints + [process.tail() for process in made.processes])


@pytest.fixture
def container(podman, folder):  # noqa: F811
    """A Container, not yet started."""
    made = Container(folder, podman)
    yield made
    finish(made)


@pytest.fixture(params=["namespace", "container"])
def pid1(request, folder):  # noqa: F811
    """A Pid1 or a Container, not yet started."""
    if request.param == "namespace":
        request.getfixturevalue("namespace")
        made = Pid1(folder)
    else:
        made = Container(folder, request.getfixturevalue("podman"))
    yield made
    finish(made)


@pytest.fixture
def sidecar(folder):  # noqa: F811
    """A Sidecar that is an ordinary process."""
    made = Sidecar(folder)
    yield made
    finish(made)
