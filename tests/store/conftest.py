"""The script of proxy/store in a real redis-server; the harness is that of tests/e2e."""
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE] + [os.path.join(os.path.dirname(HERE), other) for other in ("e2e", "soak")]

from conftest_shared import folder, pytest_configure, pytest_report_header, pytest_runtest_call  # noqa: E402,F401
from balancer import Balancer, Replica  # noqa: E402
from redis_server import PROGRAM, RedisServer  # noqa: E402


@pytest.fixture(scope="session")
def redis_server():
    """A redis-server for all tests of this process."""
    if not PROGRAM:
        pytest.skip("no redis-server on PATH")
    server = RedisServer()
    yield server
    server.end()


@pytest.fixture
def connection(redis_server):
    """To an empty Redis."""
    made = redis_server.connect()
    made.ask("FLUSHALL")
    yield made
    made.close()


@pytest.fixture
def fresh(connection):
    """The script, which nobody has called yet."""
    return Balancer(connection)


@pytest.fixture
def balancer(fresh):
    """The script, which grants: its first moment is over."""
    fresh.call("nobody", "ack")
    fresh.later(2000)
    return fresh


@pytest.fixture
def a(balancer):
    """A replica that is known."""
    made = Replica(balancer, "a")
    made.beat()
    return made


@pytest.fixture
def b(balancer):
    """Another one."""
    made = Replica(balancer, "b")
    made.beat()
    return made
