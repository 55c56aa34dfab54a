"""What every lane over real processes shares: a folder for each test, and a time limit without a plugin."""
import faulthandler
import os
import shutil
import signal
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from sidecar import BUILD  # noqa: E402
from waiting import SLACK  # noqa: E402

LIMIT = 30


def pytest_configure(config):
    """Declare the one marker. A shell starts what is in its background with these two ignored, and all that we start would inherit it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    config.addinivalue_line("markers", "limit(seconds): time limit of this test (default 30)")


def pytest_report_header():
    """What is tested."""
    return f"sidecar: {BUILD}, limits x{SLACK:g}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """Raise in the test when its time is up, with every thread's stack on stderr."""
    marker = item.get_closest_marker("limit")
    seconds = (marker.args[0] if marker else LIMIT) * SLACK

    def too_late(_number, _frame):
        faulthandler.dump_traceback(file=sys.__stderr__)
        raise TimeoutError(f"the test took longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, too_late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def folder():
    """A short path, as UNIX sockets need one."""
    path = tempfile.mkdtemp(prefix="sc-")
    yield path
    shutil.rmtree(path, ignore_errors=True)
