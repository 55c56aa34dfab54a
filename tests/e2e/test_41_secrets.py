"""Where secrets could be read from outside: the environment of who needs none, and core dumps."""
import os
import resource
import shutil
import signal

import pytest

from sidecar import BUILD
from waiting import until

KEY = "sesame-team-0123456789"
OURS_ALONE = {"SIDECAR_REDIS_PASSWORD": "sesame-redis-0123456789", "SIDECAR_REDIS_URL": "redis://:sesame-url@127.0.0.1:1", "SIDECAR_KEY": KEY}


def environment_of(pid: int) -> str:
    """All that it was started with."""
    with open(f"/proc/{pid}/environ", "rb") as file:
        return file.read().decode()


# ---- the environment of others ----

def test_variables_that_are_ours_alone_are_given_to_nobody_else(sidecar):
    """As the proxy and the preloader read them; else whoever breaks into Ollama has Redis as well."""
    sidecar.env.update(OURS_ALONE)
    sidecar.script_program("x", "exec sleep 1000", required="no")
    sidecar.script_program("told", "exec sleep 1000", required="no", environment="SIDECAR_KEY=sesame-given")
    sidecar.boot(tokens=1)
    for name in ("ollama", "x", "told"):
        environment = environment_of(sidecar.pid_of(name))
        assert sidecar.mark in environment
        assert not [value for value in OURS_ALONE.values() if value in environment], name
        assert ("SIDECAR_KEY=sesame-given" in environment) == (name == "told"), "what is given to it on purpose it has"
    given = environment_of(sidecar.pid_of("proxy"))
    assert all(f"{name}={value}" in given for name, value in OURS_ALONE.items())


def test_variables_of_a_file_that_are_ours_alone(sidecar):
    path = sidecar.write("all.env", "".join(f"{name}={value}\n" for name, value in OURS_ALONE.items()) + "OTHER=there\n")
    sidecar.configure("supervisor", env_file=path)
    sidecar.boot(tokens=1)
    environment = environment_of(sidecar.pid_of("ollama"))
    assert "OTHER=there" in environment and "sesame" not in environment


# ---- core dumps ----

MAY_DUMP = pytest.mark.skipif("san" in os.path.basename(BUILD) or resource.getrlimit(resource.RLIMIT_CORE)[1] != resource.RLIM_INFINITY,
                              reason="sanitized, or there are no core dumps here: ulimit -Hc")


def core_limit(pid: int) -> str:
    """In bytes."""
    with open(f"/proc/{pid}/limits", encoding="utf-8") as file:
        return next(line.split()[4] for line in file if line.startswith("Max core file size"))


@pytest.fixture
def with_cores(sidecar):
    """The sidecar, where a crash leaves a dump."""
    if not shutil.which("prlimit"):
        pytest.skip("there is no prlimit (util-linux)")
    sidecar.before = ["prlimit", "--core=unlimited:unlimited"]
    return sidecar


@MAY_DUMP
def test_who_knows_secrets_leaves_no_core_dump(with_cores):
    """The supervisor, the proxy and the preloader; not who knows none, nor where `limits` say otherwise."""
    with_cores.script_program("x", "exec sleep 1000", required="no")
    with_cores.script_program("few", "exec sleep 1000", required="no", limits="core=8192")
    with_cores.boot(tokens=1)
    before = with_cores.pid_of("proxy")
    assert {core_limit(pid) for pid in (with_cores.process.pid, before, with_cores.pid_of("ollama"))} == {"unlimited"}, "there are no secrets"
    with_cores.configure("key:team", secret=KEY)
    with_cores.write_ini()
    assert with_cores.ctl("reload").returncode == 0
    until(lambda: with_cores.pid_of("proxy") != before, 10, "a proxy that knows the key", with_cores.process.tail)
    assert {core_limit(pid) for pid in (with_cores.process.pid, with_cores.pid_of("proxy"))} == {"1"}
    lines = len(with_cores.process.log)
    assert with_cores.ctl("restart", "x").returncode == 0 and with_cores.ctl("restart", "few").returncode == 0
    for name, limit in (("x", "unlimited"), ("few", "8192")):
        with_cores.process.wait_log(rf" exec .*program={name}\b", since=lines)
        until(lambda name=name, limit=limit: core_limit(with_cores.pid_of(name)) == limit, 10, f"the limit of {name}", with_cores.process.tail)
    with_cores.configure("program:proxy", limits="core=65536")  # who looks for a mistake may have one
    with_cores.write_ini()
    before = with_cores.pid_of("proxy")
    assert with_cores.ctl("reload").returncode == 0
    until(lambda: with_cores.pid_of("proxy") != before and core_limit(with_cores.pid_of("proxy")) == "65536", 10, "a proxy of other limits", with_cores.process.tail)


@MAY_DUMP
@pytest.mark.parametrize("has_secret", [False, True])
def test_a_proxy_that_crashes(with_cores, has_secret):
    """What the kernel itself says of a lone one: dumped, or killed."""
    with open("/proc/sys/kernel/core_pattern", encoding="utf-8") as file:
        if not file.read(1).isalnum():
            pytest.skip("core dumps don't stay in the folder of who crashed")
    if has_secret:
        with_cores.configure("key:team", secret=KEY)
    process = with_cores.start("ollama-proxy")
    process.wait_log(r" listening ")
    process.kill(signal.SIGABRT)
    died = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert died.si_code == (os.CLD_KILLED if has_secret else os.CLD_DUMPED)
    assert process.wait(10) == -signal.SIGABRT
    for name in os.listdir(with_cores.directory):
        assert not (has_secret and name.startswith("core")), name
