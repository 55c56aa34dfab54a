"""deploy/kubernetes: the official schemas, names and numbers that must fit each other and the image, and the pod's containers run as
they are by podman, which knows no native sidecars: there ours is one of the ordinary ones."""
import copy
import json
import os
import subprocess

import pytest
import yaml

from podman import ROOT
from sidecar import program
from waiting import until

MANIFEST = os.path.join(ROOT, "deploy", "kubernetes", "app-with-sidecar.yaml")
ETC = "/etc/ollama-sidecar"


@pytest.fixture
def manifest() -> dict:
    """Its objects by kind."""
    with open(MANIFEST, encoding="utf-8") as file:
        return {one["kind"]: one for one in yaml.safe_load_all(file)}


@pytest.fixture
def pod(manifest) -> dict:
    """The pod's specification."""
    return manifest["Deployment"]["spec"]["template"]["spec"]


@pytest.mark.parametrize("version", ["1.29", "newest"])
def test_it_fits_the_schemas(manifest, version):
    """Kubernetes' own, in which a field that does not exist is an error; from the first version that has native sidecars."""
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed (make check-deps installs it)")
    version = validator.latest_version() if version == "newest" else version
    for one in manifest.values():
        validator.validate(one, version, strict=True)
    wrong = copy.deepcopy(manifest["Deployment"])
    wrong["spec"]["template"]["spec"]["initContainers"][0]["securityContext"]["readonlyRootFilesystem"] = True
    with pytest.raises(validator.ValidationError):
        validator.validate(wrong, version, strict=True)


def test_names_fit_each_other(manifest, pod):
    """What is named in one place is there in another."""
    template = manifest["Deployment"]["spec"]["template"]
    labels = template["metadata"]["labels"]
    assert manifest["Deployment"]["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert manifest["Service"]["spec"]["selector"].items() <= labels.items()
    sidecar, app = pod["initContainers"][0], pod["containers"][0]
    assert manifest["Service"]["spec"]["ports"][0]["targetPort"] in [port["name"] for port in app["ports"]]
    for container in (sidecar, app):
        ports = [port["name"] for port in container["ports"]]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if probe in container:
                assert container[probe]["httpGet"]["port"] in ports
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert {mount["name"] for mount in sidecar["volumeMounts"]} == set(volumes)
    assert volumes["models"]["persistentVolumeClaim"]["claimName"] == manifest["PersistentVolumeClaim"]["metadata"]["name"]
    assert volumes["configuration"]["configMap"]["name"] == manifest["ConfigMap"]["metadata"]["name"]


def test_it_is_a_native_sidecar_whose_probes_gate_the_right_things(pod):
    """The app's start waits for the open port, not for models; requests come while they can be held."""
    sidecar = pod["initContainers"][0]
    assert sidecar["restartPolicy"] == "Always"
    assert [sidecar[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")] == \
        ["/live", "/live", "/ready"]


def test_it_fits_the_image(pod):
    """Ports, folders, user; nobody is root, nothing but the mounts can be written, nothing can be gained."""
    with open(os.path.join(ROOT, "Dockerfile"), encoding="utf-8") as file:
        dockerfile = file.read()
    sidecar, app = pod["initContainers"][0], pod["containers"][0]
    assert "EXPOSE 11434" in dockerfile and [port["containerPort"] for port in sidecar["ports"]] == [11434]
    mounts = {mount["name"]: mount["mountPath"] for mount in sidecar["volumeMounts"]}
    assert mounts == {"models": "/ollama/data", "configuration": ETC, "run": "/run/ollama-sidecar", "tmp": "/tmp"}
    for path in (mounts["models"], mounts["run"], ETC):
        assert path in dockerfile
    assert f"--uid {sidecar['securityContext']['runAsUser']}" in dockerfile
    assert pod["securityContext"]["fsGroup"] == sidecar["securityContext"]["runAsUser"]
    with open(os.path.join(ROOT, "deploy", "compose", "app", "Dockerfile"), encoding="utf-8") as file:
        assert f"USER {app['securityContext']['runAsUser']}\n" in file.read()
    assert pod["securityContext"]["runAsNonRoot"]
    for container in (sidecar, app):
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in container["resources"]["limits"]


def test_there_is_time_to_stop(pod):
    """The app's preStop, 45 s for its last answers, and then our shutdown_timeout."""
    pause_s = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1])
    assert pod["terminationGracePeriodSeconds"] >= pause_s + 45 + 8


def write_configuration(manifest, folder: str) -> str:
    """The ConfigMap's files in this folder; the ini's path."""
    for name, text in manifest["ConfigMap"]["data"].items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    return os.path.join(folder, "supervisor.ini")


def test_its_configuration_is_right(manifest, folder):
    """--check says nothing; the app's URL leads to the door, on this pod's loopback alone."""
    ini = write_configuration(manifest, folder)
    env = {"PATH": os.environ["PATH"], "OLLAMA_HOST": "0.0.0.0:11434"}
    words = [program("ollama-supervisor"), "-c", ini]
    checked = subprocess.run([*words, "--check"], env=env, text=True, capture_output=True, timeout=30, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    dumped = subprocess.run([*words, "--dump"], env=env, text=True, capture_output=True, timeout=30, check=True).stdout
    for line in ("listen = [::]:11434", "open = no", "manage_from = loopback", "idle_action = stop"):
        assert line in dumped, dumped
    app = manifest["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    variables = {one["name"]: one["value"] for one in app["env"]}
    assert variables["OLLAMA_URL"] == "http://127.0.0.1:11434"
    assert variables["APP_MODEL"] in manifest["ConfigMap"]["data"]["preload-models.txt"].split()


def playable(manifest, user: int) -> str:
    """The manifest as podman's kube play has it: ours an ordinary container, the first one; with this user where there is one."""
    made = copy.deepcopy(manifest)
    pod = made["Deployment"]["spec"]["template"]["spec"]
    sidecar = pod.pop("initContainers")[0]
    del sidecar["restartPolicy"]
    pod["containers"].insert(0, sidecar)
    for container in pod["containers"]:
        container["image"] = f"localhost/{container['image']}:latest"
        container["imagePullPolicy"] = "Never"
        if user:
            container["securityContext"]["runAsUser"] = user
    return yaml.safe_dump_all(made[kind] for kind in ("ConfigMap", "PersistentVolumeClaim", "Deployment"))


@pytest.fixture(params=[0, 1000650000], ids=["as-it-is", "another-user"])
def played(images, machine, manifest, folder, request):
    """The pod, running, with the manifest's users, and with one that a platform chose: its containers, inspected, by name."""
    path = os.path.join(folder, "pod.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(playable(manifest, request.param))
    machine.podman("network", "create", "pods")
    done = machine.podman("kube", "play", "--network", "pods", path)
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        ids = machine.podman("ps", "--all", "--quiet").stdout.split()
        yield {one["Name"].rsplit("-", 1)[-1]: one for one in json.loads(machine.podman("inspect", *ids).stdout)}
    finally:
        machine.podman("kube", "down", path)
        machine.podman("volume", "rm", "--all", "--force")
        machine.podman("network", "rm", "--force", "pods")


@pytest.mark.limit(700)
def test_the_pods_containers_run_as_the_manifest_says(played, machine, request):
    """User, read-only root, no capabilities, the claim: the app is answered, its model pulled, and strangers are refused."""
    sidecar, app = played["ollama"], played["app"]
    address = next(network["IPAddress"] for one in played.values() for network in one["NetworkSettings"]["Networks"].values()
                   if network["IPAddress"])

    def logs() -> str:
        return "".join(machine.podman("logs", one["Id"]).stdout + machine.podman("logs", one["Id"]).stderr for one in (sidecar, app))

    def ask(url: str, *args) -> str:
        return machine.run("curl", "-sS", "-w", " %{http_code}", *args, f"http://{address}:{url}").stdout

    until(lambda: ask("8080/").endswith("200"), 30, "the app", logs)
    body = json.dumps({"messages": [{"role": "user", "content": "hi"}]})
    assert "This is the stand-in speaking" in ask("8080/chat", "--data", body), logs()
    assert ask("11434/ready").endswith("200") and ask("11434/live").endswith("200")
    assert ask("11434/api/tags").endswith("403") and ask("11434/api/generate", "--data", "{}").endswith("403")
    assert sidecar["HostConfig"]["ReadonlyRootfs"] and app["HostConfig"]["ReadonlyRootfs"]
    status = machine.podman("exec", sidecar["Id"], "cat", "/proc/1/status").stdout
    lines = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert lines["Uid"].split() == [str(request.node.callspec.params["played"] or 11434)] * 4 and lines["NoNewPrivs"] == "1" and int(lines["CapEff"], 16) == 0
    health = machine.podman("exec", sidecar["Id"], "sidecarctl", "-c", f"{ETC}/supervisor.ini", "health", "--ready")
    assert health.returncode == 0, health.stdout + health.stderr
    assert " warning " not in logs() and " error " not in logs(), logs()
    stopped = machine.podman("stop", "--time", "20", sidecar["Id"])
    assert stopped.returncode == 0
    assert json.loads(machine.podman("inspect", sidecar["Id"]).stdout)[0]["State"]["ExitCode"] == 0, logs()
