"""deploy/kubernetes/balancer.yaml: the official schemas, names and numbers that must fit each other and the image, and its configuration as
our programs read it."""
import copy
import os
import re
import subprocess

import pytest
import yaml

from podman import ROOT
from sidecar import program

MANIFEST = os.path.join(ROOT, "deploy", "kubernetes", "balancer.yaml")


@pytest.fixture(name="objects")
def fixture_objects() -> dict:
    """Its objects by kind and name."""
    with open(MANIFEST, encoding="utf-8") as file:
        made = [one for one in yaml.safe_load_all(file) if one]
    found = {(one["kind"], one["metadata"]["name"]): one for one in made}
    assert len(found) == len(made)
    return found


@pytest.fixture(name="pods")
def fixture_pods(objects) -> dict:
    """The pods' templates by name."""
    return {name: one["spec"]["template"] for (kind, name), one in objects.items() if kind in ("Deployment", "StatefulSet")}


def container(template: dict) -> dict:
    """The one that a pod has."""
    one, = template["spec"]["containers"]
    return one


def settings(objects) -> dict:
    """The ConfigMap's supervisor.ini, as sections."""
    found: dict = {}
    for line in objects["ConfigMap", "balancer"]["data"]["supervisor.ini"].splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
        elif "=" in line and not line.startswith(";"):
            key, value = line.split("=", 1)
            section[key.strip()] = value.strip()
    return found


@pytest.mark.parametrize("version", ["1.29", "newest"])
def test_it_fits_the_schemas(objects, version):
    """Kubernetes' own, in which a field that does not exist is an error."""
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed (make check-deps installs it)")
    version = validator.latest_version() if version == "newest" else version
    for one in objects.values():
        validator.validate(one, version, strict=True)
    wrong = copy.deepcopy(objects["PodDisruptionBudget", "ollama"])
    wrong["spec"]["maxUnavailabel"] = 1
    with pytest.raises(validator.ValidationError):
        validator.validate(wrong, version, strict=True)


def test_names_fit_each_other(objects, pods):
    """Each selector finds pods of its name alone, each port and volume is there, claims included."""
    for (kind, name), one in objects.items():
        selector = one["spec"].get("selector") or one["spec"].get("podSelector") if kind != "ConfigMap" else None
        if selector:
            labels = selector.get("matchLabels", selector)
            assert [pod for pod, template in pods.items() if labels.items() <= template["metadata"]["labels"].items()] == [name], (kind, name)
        if kind == "Service":
            assert {port["targetPort"] for port in one["spec"]["ports"]} <= {port["name"] for port in container(pods[name])["ports"]}
        if kind == "NetworkPolicy":
            rule, = one["spec"]["ingress"]
            assert rule["from"] == [{"podSelector": {"matchLabels": pods["balancer"]["metadata"]["labels"]}}]
            assert {port["port"] for port in rule["ports"]} <= {port["name"] for port in container(pods[name])["ports"]}
    for name, template in pods.items():
        kind = "StatefulSet" if name == "ollama" else "Deployment"
        claims = {one["metadata"]["name"] for one in objects[kind, name]["spec"].get("volumeClaimTemplates", [])}
        volumes = {one["name"] for one in template["spec"].get("volumes", [])}
        assert {mount["name"] for mount in container(template).get("volumeMounts", [])} == claims | volumes
        ports = {port["name"] for port in container(template)["ports"]}
        for probe in ("livenessProbe", "readinessProbe"):
            for way in ("httpGet", "tcpSocket"):
                assert container(template)[probe].get(way, {"port": next(iter(ports))})["port"] in ports


def test_the_balancers_choose_and_not_the_service(objects, pods):
    """Headless, so that the name has all addresses; it and Redis' are what the configuration asks, and slots what Ollama answers at once."""
    service = objects["Service", "ollama"]["spec"]
    assert service["clusterIP"] == "None" and not service.get("publishNotReadyAddresses")
    assert objects["StatefulSet", "ollama"]["spec"]["serviceName"] == "ollama"
    ini = settings(objects)
    assert ini["backend:ollama"] == {"api": "ollama", "url": f"http://ollama:{service['ports'][0]['port']}", "slots": "1"}
    assert ini["redis"]["url"] == f"redis://redis:{objects['Service', 'redis']['spec']['ports'][0]['port']}"
    assert ini["proxy"]["listen"] == f"[::]:{container(pods['balancer'])['ports'][0]['containerPort']}"
    variables = {one["name"]: one["value"] for one in container(pods["ollama"])["env"]}
    assert variables["OLLAMA_NUM_PARALLEL"] == ini["backend:ollama"]["slots"]
    assert objects["Deployment", "redis"]["spec"]["replicas"] == 1 and objects["Deployment", "redis"]["spec"]["strategy"]["type"] == "Recreate"


def test_a_balancer_and_ollamas_are_left_when_nodes_are_drained(objects):
    """A budget for each, and it lets somebody go: one that does not would hold up the node for ever."""
    assert objects["PodDisruptionBudget", "balancer"]["spec"]["minAvailable"] < objects["Deployment", "balancer"]["spec"]["replicas"]
    assert 1 <= objects["PodDisruptionBudget", "ollama"]["spec"]["maxUnavailable"] < objects["StatefulSet", "ollama"]["spec"]["replicas"]
    assert objects["Deployment", "balancer"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_there_is_time_to_stop(objects, pods):
    """preStop, then what is under way."""
    limit_s = int(re.fullmatch(r"(\d+)s", settings(objects)["supervisor"]["shutdown_timeout"]).group(1))
    for name, needed_s in (("balancer", limit_s), ("ollama", 60)):
        pause_s = int(container(pods[name])["lifecycle"]["preStop"]["exec"]["command"][-1])
        assert pods[name]["spec"]["terminationGracePeriodSeconds"] >= pause_s + needed_s
    # an Ollama that stops is known to be going for longer than names are believed
    assert int(container(pods["ollama"])["lifecycle"]["preStop"]["exec"]["command"][-1]) >= 2 * 10


def test_nobody_is_root(pods):
    """Nor may become it; nothing but the mounts can be written. Ours fits the image."""
    with open(os.path.join(ROOT, "Dockerfile"), encoding="utf-8") as file:
        dockerfile = file.read()
    for template in pods.values():
        one = container(template)
        context = one["securityContext"]
        assert template["spec"]["securityContext"]["runAsNonRoot"] and not template["spec"]["automountServiceAccountToken"]
        assert context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"] and context["capabilities"] == {"drop": ["ALL"]}
        assert context["runAsUser"] and "memory" in one["resources"]["limits"]
    balancer = container(pods["balancer"])
    assert f"--uid {balancer['securityContext']['runAsUser']}" in dockerfile
    mounts = {mount["name"]: mount["mountPath"] for mount in balancer["volumeMounts"]}
    assert mounts == {"configuration": "/etc/ollama-sidecar", "data": "/ollama/data", "run": "/run/ollama-sidecar", "tmp": "/tmp"}


def test_its_configuration_is_right(objects, pods, folder):
    """--check says nothing of it, and the proxy is to run without an Ollama of our own."""
    for name, text in objects["ConfigMap", "balancer"]["data"].items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    env = {"PATH": os.environ["PATH"], **{one["name"]: one["value"] for one in container(pods["balancer"])["env"]}}
    words = [program("ollama-supervisor"), "-c", os.path.join(folder, "supervisor.ini")]
    checked = subprocess.run([*words, "--check"], env=env, text=True, capture_output=True, timeout=30, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
