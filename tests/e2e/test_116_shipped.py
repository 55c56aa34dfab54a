"""The balancer's files as they are shipped: what our programs, and those that they are for, would say of them."""
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
