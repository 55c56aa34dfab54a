"""The image from the repository's own Dockerfile: what it says of itself, and its life from start to stop."""
import json

import pytest

from shipped import ETC

PROGRAMS = ("ollama-supervisor", "ollama-proxy", "ollama-preload", "sidecarctl")
NO_MODELS = {"OLLAMA_PRELOAD_MODELS": "none"}


def config_of(shipped) -> dict:
    """The image's configuration."""
    done = shipped.podman.run("image", "inspect", shipped.image)
    return json.loads(done.stdout)[0]


def test_what_the_image_says_of_itself(shipped):
    """Exec form, the signal, the port, the health check; the base's environment stays."""
    image = config_of(shipped)
    config = image["Config"]
    assert config["Entrypoint"] == ["/usr/local/bin/ollama-supervisor", "-c", f"{ETC}/supervisor.ini"]
    assert not config.get("Cmd")
    assert config["StopSignal"] in ("SIGTERM", "15")
    assert list(config["ExposedPorts"]) == ["11434/tcp"]
    assert not config.get("User"), "PID 1 gives the volume to Ollama's user, which takes root"
    assert not config.get("Volumes"), "one declared here would hide what is mounted at /root/.ollama"
    check = image.get("HealthCheck") or image.get("Healthcheck") or config.get("Healthcheck")
    assert check["Test"] == ["CMD", "/usr/local/bin/sidecarctl", "-c", f"{ETC}/supervisor.ini", "health", "--ready"]
    assert {name.rsplit(".", 1)[1] for name in config["Labels"] if name.startswith("org.opencontainers.image.")} >= \
        {"title", "description", "version", "licenses"}
    environment = dict(pair.split("=", 1) for pair in config["Env"])
    assert environment["OLLAMA_HOST"] == "0.0.0.0:11434"
    assert environment["NVIDIA_VISIBLE_DEVICES"] == "all" and "nvidia" in environment["LD_LIBRARY_PATH"]


@pytest.mark.limit(90)
def test_the_image_as_it_ships(shipped):
    """It moves Ollama out of the way, pulls its list, is healthy then, and stops with 0 by the image's signal."""
    box = shipped.run(volume=shipped.volume())
    box.wait_log(r" listening address=\[::\]:11434")
    box.wait_log(r" ollama_moved OLLAMA_HOST=127\.0\.0\.1:11435")
    box.wait_log(r" pull_started ")
    box.wait_ready()
    assert box.healthy()
    assert box.generate().status == 200
    listed = box.exec("ollama", "list")  # comes through the proxy
    assert listed.returncode == 0 and "llama3.2:1b" in listed.stdout, listed.stdout + listed.stderr
    assert box.stop() == 0
    assert box.logged(r" stopping cause=SIGTERM")


def test_nothing_outside_is_reached_from_the_tests_network(shipped):
    """What the other tests stand on: there is no way out of a container."""
    box = shipped.run(env=NO_MODELS)
    box.wait_ready()
    routes = box.exec("cat", "/proc/net/route").stdout.splitlines()[1:]
    assert routes and not [line for line in routes if line.split()[1] == "00000000"], routes
    assert box.stop() == 0
