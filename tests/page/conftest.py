"""A browser for all, and for each test a page before a sidecar: a real one, of which /sidecar/ is played (page_front.py)."""
import os
import shutil
import sys
import tempfile

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
sys.path[:0] = [os.path.join(TESTS, "clients"), os.path.join(TESTS, "e2e")]

from browser import find_browser  # noqa: E402
from cdp import Browser  # noqa: E402
from conftest_shared import folder, pytest_configure, pytest_report_header, pytest_runtest_call  # noqa: E402,F401
from page_front import Front  # noqa: E402
from sidecar import BUILD, Sidecar  # noqa: E402
import states  # noqa: E402


@pytest.fixture(scope="session")
def browser():
    """One process for all tests."""
    if not find_browser():
        pytest.skip("no browser is installed")
    path = tempfile.mkdtemp(prefix="sc-")
    made = Browser(find_browser(), path)
    yield made
    made.close()
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def page(browser):  # pylint: disable=redefined-outer-name
    """A tab of its own, which has nothing to complain of in the end."""
    made = browser.page()
    made.size(1440, 900)
    yield made
    complaints = made.complaints
    made.close()
    assert not complaints, complaints


@pytest.fixture
def sidecar(folder):  # noqa: F811
    """With the model `tiny`, not yet started."""
    made = Sidecar(folder)
    yield made
    complaints = made.clean_up()
    assert not complaints, "\n".join(complaints + [process.tail() for process in made.processes])


@pytest.fixture
def front(sidecar):  # pylint: disable=redefined-outer-name
    """A proxy alone, of which only the page's files are wanted, and all else is played."""
    sidecar.configure("proxy", backend="http://127.0.0.1:9")
    sidecar.start("ollama-proxy")
    sidecar.process.wait_log(" listening ")
    made = Front(states.status(), sidecar.port)
    yield made
    made.close()


@pytest.fixture
def whole(sidecar):  # pylint: disable=redefined-outer-name
    """A sidecar before a stand-in that answers slowly, of which /sidecar/ is played."""
    sidecar.boot("tiny", tokens=8, token_delay_ms=40)
    made = Front(states.status(), sidecar.port)
    made.sidecar = sidecar
    yield made
    made.close()


@pytest.fixture
def own(sidecar):  # pylint: disable=redefined-outer-name
    """Of which nothing is played, before a stand-in that answers slowly."""
    sidecar.boot("tiny", tokens=8, token_delay_ms=40)
    sidecar.url = f"http://127.0.0.1:{sidecar.port}/ui"
    return sidecar


@pytest.fixture
def sleepy(sidecar):  # pylint: disable=redefined-outer-name
    """It sleeps soon; to be named before `own`."""
    sidecar.configure("supervisor", idle_action="stop", idle_timeout="1s")


@pytest.fixture
def far(sidecar):  # pylint: disable=redefined-outer-name
    """Of which nothing is played, as it is seen from far away, behind a proxy that is trusted; to be gone to by its `url`."""
    sidecar.configure("key:boss", secret="sesame-boss-0123456789", rights="inference, observe, manage")
    sidecar.configure("key:guest", secret="sesame-guest-0123456789", rights="inference, observe")
    sidecar.configure("proxy", trusted_proxies="127.0.0.1")
    sidecar.boot("tiny", tokens=8, token_delay_ms=40)
    made = Front(None, sidecar.port)
    made.added = {"X-Forwarded-For": "203.0.113.7"}
    yield made
    made.close()


@pytest.fixture(scope="session")
def pictures():
    """Where screenshots go, to be looked at."""
    path = os.path.join(BUILD, "page")
    os.makedirs(path, exist_ok=True)
    return path
