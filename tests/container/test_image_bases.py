"""The Dockerfile with BUILD_BASE: an older system's programs run on a newer base, and the other way round is refused in words. An
older one here is Debian 11, whose C library is Ubuntu 20.04's, as in Ollama 0.9.5's image."""
import os
import re

import pytest

from podman import ROOT, Unavailable
from shipped_image import Builder

OLD = "bullseye"
DOCKERFILE = os.path.join(ROOT, "Dockerfile")
BUILD_LIMIT_S = 900


@pytest.fixture(scope="module")
def bases():
    """(old, new): images like the official one, of an old system and of this machine's."""
    try:
        Builder.need_tools()
        with Builder(OLD) as builder:
            old = builder.official()
        with Builder() as builder:
            return old, builder.official()
    except Unavailable as why:
        pytest.skip(str(why))


@pytest.mark.limit(BUILD_LIMIT_S)
def test_what_an_old_system_built_runs_on_a_newer_base(bases):
    """Its own compiler, libraries and Python are enough; the programs are checked where they will run, by the build itself."""
    old, new = bases
    tag = "localhost/older-on-newer"
    with Builder() as builder:
        builder.check(builder.build(tag, ROOT, DOCKERFILE, BASE=new, BUILD_BASE=old))
        run = builder.podman.run("run", "--rm", "--network", "none", "--entrypoint", "", tag, "sh", "-c",
                                 "ldd --version | head -n 1; ollama-supervisor --version; stat -c %s /usr/local/bin/* | paste -s -d +")
        assert run.returncode == 0, run.stdout + run.stderr
        libc, version, sizes = run.stdout.splitlines()
        assert "2.31" not in libc and version.startswith("ollama-supervisor ")
        assert sum(map(int, sizes.split("+"))) < 1 << 20, sizes
        builder.podman.run("rmi", tag)


@pytest.mark.limit(BUILD_LIMIT_S)
def test_what_a_newer_system_built_is_refused_on_an_old_base(bases):
    """While it is built, with a sentence that says what to do."""
    old, new = bases
    with Builder() as builder:
        done = builder.build("localhost/newer-on-older", ROOT, DOCKERFILE, BASE=old, BUILD_BASE=new)
    assert done.returncode != 0
    told = done.stdout + done.stderr
    assert re.search(r"GLIBC_2\.\d+' not found", told), told[-3000:]
    assert "error: ollama-supervisor does not run on BASE: its libraries are older than those of BUILD_BASE" in told, told[-3000:]
    assert "Leave BUILD_BASE out" in told
