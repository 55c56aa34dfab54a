"""The compose files as Docker Compose itself reads them: the specification's schema, paths, what each combination of them has."""
import json
import os
import shutil
import subprocess

import pytest
import yaml

from podman import ROOT
from stack import BIN, checkout

BALANCER = "deploy/compose/balancer.yaml"
MODEL_SERVER = "deploy/compose/model-server.yaml"
FILES = ("docker-compose.yaml", "docker-compose.override.yaml", "deploy/compose/gpu.yaml", BALANCER, MODEL_SERVER)


@pytest.fixture(scope="session")
def docker_compose():
    """Its path: Docker's own, whichever is installed."""
    for path in (os.path.join(BIN, "docker-compose"), shutil.which("docker-compose")):
        if path and os.path.exists(path):
            return path
    pytest.skip("docker-compose is not installed (make check-deps installs it where there is a wheel of it)")


@pytest.fixture
def config(docker_compose, folder):
    """What it makes of files in this folder, in the end."""

    def read(*files, cwd=folder, **env):
        words = [word for file in files for word in ("-f", file)]
        done = subprocess.run([docker_compose, *words, "config", "--format", "json"], cwd=cwd, text=True, capture_output=True,
                              timeout=60, check=False, env={"PATH": os.environ["PATH"], "HOME": cwd, **env})
        assert done.returncode == 0, done.stderr
        assert not done.stderr, done.stderr
        return json.loads(done.stdout)["services"]

    checkout(os.path.join(folder, "sidecar"))
    return read


def test_what_up_reads_with_no_editing(config, folder):
    """C.6, R3.1: both services, the published port, the folder, the app's variable."""
    here = os.path.join(folder, "sidecar")
    services = config(cwd=here)
    assert sorted(services) == ["app", "ollama"]
    ollama, app = services["ollama"], services["app"]
    assert ollama["build"]["context"] == here and ollama["build"]["args"] == {"BASE": "ollama/ollama"}
    assert app["build"]["context"] == os.path.join(here, "deploy/compose/app")
    assert [(port["host_ip"], port["published"], port["target"]) for port in ollama["ports"]] == [("127.0.0.1", "11434", 11434)]
    assert [(volume["source"], volume["target"]) for volume in ollama["volumes"]] == [(os.path.join(here, "data"), "/ollama/data")]
    assert app["environment"]["OLLAMA_URL"] == "http://ollama:11434"
    assert ollama["mem_limit"] == str(4 << 30) and ollama["stop_grace_period"] == "15s"
    assert not any(ollama["environment"].values()), "nothing is set that the owner has not set"


def test_the_file_alone_has_the_one_service(config, folder):
    """What `include` brings in."""
    assert list(config("docker-compose.yaml", cwd=os.path.join(folder, "sidecar"))) == ["ollama"]


@pytest.mark.parametrize("way", ["include", "extends"])
def test_folders_beside_another_stack(config, folder, way):
    """Both ways read the paths from our file on, wherever the stack's file is."""
    entry = "sidecar/docker-compose.yaml"
    stack = {"services": {"web": {"image": "web"}}}
    if way == "include":
        stack["include"] = [entry]
    else:
        stack["services"]["ollama"] = {"extends": {"file": entry, "service": "ollama"}}
    with open(os.path.join(folder, "compose.yaml"), "w", encoding="utf-8") as file:
        yaml.safe_dump(stack, file)
    services = config()
    assert sorted(services) == ["ollama", "web"]
    assert services["ollama"]["build"]["context"] == os.path.join(folder, "sidecar")
    assert services["ollama"]["volumes"][0]["source"] == os.path.join(folder, "sidecar", "data")


def test_gpu(config, folder):
    """All of NVIDIA's, on top of the rest; by COMPOSE_FILE as the file itself says."""
    here = os.path.join(folder, "sidecar")
    with open(os.path.join(here, "deploy/compose/gpu.yaml"), encoding="utf-8") as file:
        line = next(line for line in file if "COMPOSE_FILE=" in line)
    services = config(cwd=here, COMPOSE_FILE=line.split("COMPOSE_FILE=")[1].strip())
    assert sorted(services) == ["app", "ollama"]
    devices = services["ollama"]["deploy"]["resources"]["reservations"]["devices"]
    assert [(device["driver"], device["count"], device["capabilities"]) for device in devices] == [("nvidia", -1, ["gpu"])]


def test_the_balancer(config, folder):
    """R2.4: by COMPOSE_FILE in .env at the root; Redis, the Ollamas, and two balancers whose image has what it takes."""
    here = os.path.join(folder, "sidecar")
    shutil.copy(os.path.join(here, ".env.example"), os.path.join(here, ".env"))
    services = config(cwd=here, BALANCER_PORT="8000")
    assert sorted(services) == ["balancer-1", "balancer-2", "ollama-1", "ollama-2", "ollama-3", "redis"]
    for name, published in (("balancer-1", "8000"), ("balancer-2", "3001")):
        one = services[name]
        assert one["build"]["context"] == here and one["build"]["args"] == {"BASE": "ollama/ollama", "BALANCER": "yes"}
        assert [(port["host_ip"], port["published"], port["target"]) for port in one["ports"]] == [("127.0.0.1", published, 3000)]
        assert {volume["target"]: volume["source"] for volume in one["volumes"]} == {
            "/etc/ollama-sidecar/supervisor.ini": os.path.join(here, "deploy/profiles/balancer.ini"),
            "/etc/ollama-sidecar/containers.config.json": os.path.join(here, "containers.config.json")}
    assert not any("ports" in services[name] for name in services if not name.startswith("balancer-")), "the balancers alone are reached from outside"
    assert {name for name in services if "queue" in services[name]["networks"]} == {"balancer-1", "balancer-2", "redis"}
    assert list(services["redis"]["networks"]) == ["queue"], "the Ollamas do not reach Redis"
    assert not any("container_name" in one for one in services.values()), "one that has a name can not be scaled"


def test_the_model_server(config, folder):
    """R1: port 8005, an image that has it, the profile, a volume for what is pulled, all GPUs."""
    here = os.path.join(folder, "sidecar")
    one = config(MODEL_SERVER, cwd=here, HF_TOKEN="hf_secret")["model-server"]
    assert one["build"]["context"] == here and one["build"]["args"] == {"BASE": "vllm/vllm-openai", "MODELS": "yes"}
    assert [(port["host_ip"], port["published"], port["target"]) for port in one["ports"]] == [("127.0.0.1", "8005", 8005)]
    assert {volume["target"]: volume["source"] for volume in one["volumes"]} == {
        "/ollama/data": "models", "/etc/ollama-sidecar/supervisor.ini": os.path.join(here, "deploy/profiles/model-server.ini")}
    assert {name: value for name, value in one["environment"].items() if value} == {"HF_TOKEN": "hf_secret"}
    device, = one["deploy"]["resources"]["reservations"]["devices"]
    assert device["count"] == -1 and device["driver"] == "nvidia"


def test_the_model_server_without_gpus(config, folder):
    """As docs/model-server.md says."""
    with open(os.path.join(folder, "sidecar", "cpu.yaml"), "w", encoding="utf-8") as file:
        file.write("services: {model-server: {deploy: !reset null}}\n")
    one = config(MODEL_SERVER, "cpu.yaml", cwd=os.path.join(folder, "sidecar"), MODEL_SERVER_BASE="engines")["model-server"]
    assert "deploy" not in one and one["build"]["args"]["BASE"] == "engines"


OBSERVE = "deploy/compose/observe.yaml"


@pytest.mark.parametrize("targets", ["sidecar.yml", "balancer.yml", "model-server.yml", "host.yml"])
def test_prometheus_and_grafana(config, folder, targets):
    """Beside each of our stacks: in its network, with its targets; ports of this machine alone, and nothing of the sidecar's is changed."""
    here = os.path.join(folder, "sidecar")
    services = config(OBSERVE, cwd=here, GRAFANA_PASSWORD="sesame", OBSERVE_TARGETS=targets)
    assert sorted(services) == ["grafana", "prometheus"]
    mounted = {volume["target"]: volume["source"] for volume in services["prometheus"]["volumes"]}
    assert mounted["/etc/prometheus/targets/targets.yml"] == os.path.join(here, "deploy/prometheus/targets", targets)
    paths = [volume["source"] for one in services.values() for volume in one["volumes"] if volume["type"] == "bind"]
    assert len(paths) == 5 and all(os.path.exists(path) for path in paths), paths
    assert sorted(services["prometheus"]["networks"]) == ["default", "watched"] and list(services["grafana"]["networks"]) == ["default"]
    for one in services.values():
        assert one["read_only"] and one["cap_drop"] == ["ALL"] and [port["host_ip"] for port in one["ports"]] == ["127.0.0.1"]
        assert not one["image"].endswith("latest") and ":" in one["image"]
    grafana = services["grafana"]["environment"]
    assert grafana["GF_SECURITY_ADMIN_PASSWORD"] == "sesame" and grafana["GF_AUTH_ANONYMOUS_ENABLED"] == "false"


@pytest.mark.parametrize("env", [{}, {"GRAFANA_PASSWORD": ""}], ids=["none", "an empty one"])
def test_grafana_has_no_password_of_its_own(docker_compose, folder, env):
    checkout(os.path.join(folder, "sidecar"))
    done = subprocess.run([docker_compose, "-f", OBSERVE, "config"], cwd=os.path.join(folder, "sidecar"), text=True, capture_output=True,
                          timeout=60, check=False, env={"PATH": os.environ["PATH"], "HOME": folder, **env})
    assert done.returncode and "GRAFANA_PASSWORD is not set" in done.stderr


def test_the_base_can_be_chosen(config, folder):
    """OLLAMA_BASE pins or changes the image below ours."""
    services = config(cwd=os.path.join(folder, "sidecar"), OLLAMA_BASE="ollama/ollama:0.9.5")
    assert services["ollama"]["build"]["args"] == {"BASE": "ollama/ollama:0.9.5"}


def dockerfile_health_check() -> list:
    """The words of the image's own."""
    with open(os.path.join(ROOT, "Dockerfile"), encoding="utf-8") as file:
        text = file.read()
    return json.loads(text.split("HEALTHCHECK", 1)[1].split("CMD", 1)[1].splitlines()[0])


@pytest.mark.parametrize("name, service", [("docker-compose.yaml", "ollama"), (BALANCER, "balancer-1"), (BALANCER, "balancer-2"),
                                           (MODEL_SERVER, "model-server")])
def test_the_health_check_is_the_images(name, service):
    """podman drops it from images of its own format, so it stands here too; they ask the same."""
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        check = yaml.safe_load(file)["services"][service]["healthcheck"]["test"]
    assert check == ["CMD", *dockerfile_health_check()]


@pytest.mark.parametrize("name", FILES)
def test_every_variable_has_a_default(name):
    """So that `up` needs no .env, and warns of nothing."""
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        text = "".join(line.split(" #")[0] for line in file if not line.lstrip().startswith("#"))
    assert all(":-" in part.split("}")[0] for part in text.split("${")[1:]), text
