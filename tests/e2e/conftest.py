"""Fixtures: a sidecar before a stand-in, or a stand-in alone."""
import os
import sys
import uuid

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.append(os.path.join(os.path.dirname(HERE), "store"))

import ports  # noqa: E402
import standin as standin_module  # noqa: E402
from conftest_shared import folder, pytest_configure, pytest_report_header, pytest_runtest_call  # noqa: E402,F401
from engines import Engines  # noqa: E402
from process import clean_up  # noqa: E402
from played_backend import PlayedBackend  # noqa: E402
from played_openai import Authority, PlayedOpenai  # noqa: E402
from redis_server import PROGRAM as REDIS_SERVER, RedisServer  # noqa: E402
from sidecar import Sidecar  # noqa: E402


@pytest.fixture(autouse=True)
def _ports():
    """What a test has taken of them; the first to begin, and the last to end, of what belongs to one test alone."""
    count = ports.held()
    yield
    ports.give_back(count)


def _until_clean(made: Sidecar):
    """Its time as a fixture; afterwards nothing of it may be left."""
    yield made
    complaints = made.clean_up()
    assert not complaints, "\n".join(complaints + [process.tail() for process in made.processes])


@pytest.fixture
def sidecar(folder):  # noqa: F811
    """A Sidecar, not yet started."""
    yield from _until_clean(Sidecar(folder))


@pytest.fixture
def second(folder):  # noqa: F811
    """Another Sidecar, with a folder and ports of its own, not yet started."""
    directory = os.path.join(folder, "second")
    os.mkdir(directory)
    yield from _until_clean(Sidecar(directory))


@pytest.fixture
def engines(sidecar):
    """Engines that are played, and a cache of models, for the sidecar."""
    return Engines(sidecar)


@pytest.fixture
def redis():
    """A real server of Redis."""
    if not REDIS_SERVER:
        pytest.skip("no redis-server on PATH")
    server = RedisServer()
    yield server
    server.end()


@pytest.fixture
def standin(folder):  # noqa: F811
    """start(**script) gives (backend, process) of a stand-in alone that listens."""
    started, mark = [], uuid.uuid4().hex
    backend = standin_module.Backend(folder, ports.free())

    def start(installed="", env=(), wait=True, host="", **script):
        backend.script(**script)
        before = len(backend.journal("listening"))
        process = standin_module.start(backend, mark, installed, host.format(port=backend.port), env)
        started.append(process)
        if wait:
            backend.wait("listening", count=before + 1)
        return backend, process

    yield start
    complaints = clean_up(started, {mark})
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def before(sidecar):
    """start(*steps) puts a proxy, alone and with an access log, before a backend that plays these steps each time."""
    made = []

    def start(*steps, play=None, **keys):
        backend = PlayedBackend(play or (lambda request: steps))
        made.append(backend)
        sidecar.configure("proxy", **{"backend": f"http://127.0.0.1:{backend.port}", "access_log": "json", **keys})
        sidecar.start("ollama-proxy")
        sidecar.process.wait_log(" listening ")
        return backend

    yield start
    for backend in made:
        backend.close()


@pytest.fixture
def authority(folder):  # noqa: F811
    """A certificate authority; its certificate is at `path`."""
    return Authority(folder)


@pytest.fixture
def openai_backend(sidecar):
    """start(name, **keys of the backend, ini={…}) makes a backend that speaks OpenAI's API, and its section [backend:NAME]."""
    made = []

    def start(name="other", ini=None, **keys):
        backend = PlayedOpenai(**keys)
        made.append(backend)
        sidecar.configure(f"backend:{name}", **{"url": backend.url, "api": "openai", **(ini or {})})
        return backend

    yield start
    for backend in made:
        backend.close()


@pytest.fixture
def openai():
    """OpenAI's own package."""
    return pytest.importorskip("openai", reason="the package openai is not installed (make check-deps installs it)")
