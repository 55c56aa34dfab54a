"""Fixtures of the lane `package`: what `make install`, the unit and the Debian package give a user."""
import glob
import os
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]

from conftest_shared import folder, pytest_configure, pytest_report_header, pytest_runtest_call  # noqa: E402,F401
from machine import Machine, Unavailable  # noqa: E402
from service import Service  # noqa: E402


def made(*command) -> str:
    """The last line that a script of this folder prints; the tests are skipped, and say why, where it can't do its work."""
    done = subprocess.run(command, text=True, capture_output=True, check=False, timeout=900)
    if done.returncode and "not installed" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr[-3000:]
    return (done.stdout.splitlines() or [""])[-1]


@pytest.fixture(scope="session")
def changes():
    """The .changes of the Debian package, built from a copy of this tree."""
    return made(os.path.join(HERE, "deb"))


@pytest.fixture(scope="session")
def deb(changes):
    """The package itself."""
    return next(name for name in glob.glob(os.path.join(os.path.dirname(changes), "*.deb")) if "dbgsym" not in name)


@pytest.fixture(scope="session")
def machine(deb):
    """A booted systemd, with the stand-in as /usr/bin/ollama and the package's file as /root/sidecar.deb."""
    made(os.path.join(HERE, "system"), deb)
    booted = Machine(os.path.join(os.path.dirname(os.path.dirname(deb)), "system.tar"))
    try:
        booted.open()
        booted.copy_in(deb, "/root/sidecar.deb")
    except Unavailable as why:
        booted.close()
        pytest.skip(str(why))
    yield booted
    booted.close()


@pytest.fixture
def service(machine):
    """The service as the package installs it, not yet started; nothing of other tests is left."""
    one = Service(machine)
    one.install()
    one.reset()
    yield one
    one.reset()
