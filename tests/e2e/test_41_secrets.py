"""Where secrets could be read from outside: the environment of who needs none, and core dumps."""
import os
import resource
import signal
import subprocess

import pytest

from process import Process
from sidecar import BUILD, program
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
