"""The balancer's files as they are shipped: what our programs, and those that they are for, would say of them."""
import json
import os
import re
import subprocess
import sys
import tomllib

import pytest

from sidecar import ROOT, program

sys.path.append(os.path.join(ROOT, "tests", "lint"))
import fly as rule  # noqa: E402


def read(name: str) -> str:
    """A file of the repository."""
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def check(ini: str, *words, **environment) -> tuple:
    """What --check, or another option, says of a configuration; that there is no such user here is no matter of the file."""
    done = subprocess.run([program("ollama-supervisor"), "-c", os.path.join(ROOT, ini), *(words or ["--check"])], text=True, capture_output=True,
                          env={"PATH": os.environ["PATH"], **environment}, timeout=20, check=False)
    return done.returncode, "".join(line for line in (done.stdout + done.stderr).splitlines(True) if 'there is no user "ollama"' not in line)


COMPOSE = "deploy/compose/balancer.yaml"


def test_the_profile_is_right():
    """As `make run PROFILE=balancer` has it, and as compose mounts it, where neither list nor .env are beside it."""
    assert check("deploy/profiles/balancer.ini") == (0, "")
    code, said = check("deploy/profiles/balancer.ini", "--dump", OLLAMA_NUM_PARALLEL="3", BALANCER_PORT="3999")
    assert code == 0 and "listen = 0.0.0.0:3999" in said and "slots = 3" in said, said


def test_the_ollamas_of_the_list_are_those_of_compose():
    services = set(re.findall(r"^  (ollama-\d+):$", read(COMPOSE).split("\nservices:\n")[1].split("\nnetworks:\n")[0], re.M))
    listed = json.loads(read("containers.config.json"))
    assert len(services) == 3 and {one["host"] for one in listed} == services and {one["port"] for one in listed} == {11434}


def test_what_env_example_names_is_read_by_somebody():
    """… by compose, or by the profile; and what compose reads is told in docs/balancer.md."""
    named = set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", read(".env.example"), re.M))
    compose = set(re.findall(r"\$\{([A-Z0-9_]+)", read(COMPOSE)))
    assert {"COMPOSE_FILE", "BALANCER_PORT", "OLLAMA_NUM_PARALLEL"} <= named <= compose | {"COMPOSE_FILE"}
    told = set(re.findall(r"[A-Z][A-Z0-9_]{3,}", read("docs/balancer.md")))
    assert compose <= told, compose - told


@pytest.fixture(name="fly")
def fixture_fly() -> dict:
    """deploy/fly/balancer.toml."""
    return tomllib.loads(read("deploy/fly/balancer.toml"))


def test_flys_file_has_keys_that_fly_knows(fly):
    found: list = []
    rule.judge(fly, rule.KNOWN, "", found.append)
    assert not found


def test_flys_file_fits_its_profile_and_the_image(fly):
    """Ports, times, paths from the root on; and nobody sleeps, as nothing would wake him."""
    settings = rule.Settings(read(fly["files"][0]["local_path"]), read("common/conf_params.def"))
    service = fly["services"][0]
    assert service["internal_port"] == service["ports"][0]["port"] and settings("proxy", "listen") == f"[::]:{service['internal_port']}"
    assert rule.seconds(settings("supervisor", "shutdown_timeout")) < rule.seconds(fly["kill_timeout"]) <= 300
    assert settings("supervisor", "idle_timeout") == "0" and service["auto_stop_machines"] == "off"
    assert service["concurrency"]["soft_limit"] > int(settings("proxy", "max_queue"))
    assert service["ports"][0]["http_options"]["idle_timeout"] < rule.seconds(settings("proxy", "keepalive_timeout"))
    assert service["http_checks"][0]["path"] == "/live" and settings("proxy", "stream_encoding") == "none"
    dockerfile = read(fly["build"]["dockerfile"])
    assert all(re.search(rf"^ARG {name}\b", dockerfile, re.M) for name in fly["build"]["args"])
    assert fly["files"][0]["guest_path"] in dockerfile


def test_flys_profile_is_right_and_asks_the_app_that_is_named(fly):
    code, said = check(fly["files"][0]["local_path"])
    assert (code, said) == (0, "")
    code, said = check(fly["files"][0]["local_path"], "--dump", **fly["env"])
    assert code == 0 and f"url = http://{fly['env']['OLLAMA_APP']}.internal:11434" in said, said
