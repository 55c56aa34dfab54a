"""The image from the repository's own Dockerfile: what it says of itself, and its life from start to stop."""
import json
import os
import time

import pytest

from podman import ROOT
from shipped import DATA, ETC, mounted, slow
from waiting import until

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


def test_any_command_as_tini_would_run_it(shipped):
    """`docker run IMAGE -- COMMAND`: nothing of the sidecar is started, and its code is the container's."""
    box = shipped.run(args=("--", "sh", "-c", "echo pid=$PPID; exit 7"))
    assert box.wait() == 7 and box.logged("^pid=1$") and not box.logged(" boot ")


@pytest.mark.parametrize("maker", ["useradd --system --user-group", "useradd --system --no-user-group"])
def test_a_base_that_has_ollamas_user(shipped, maker):
    """As Ollama's installer makes it, with a number of its own: the Dockerfile's step for users gives it ours."""
    with open(os.path.join(ROOT, "Dockerfile"), encoding="utf-8") as file:
        step = next(part for part in file.read().split("\nRUN ") if "useradd" in part).split("\nCOPY ")[0]
    undo = "rm /root/.ollama && userdel ollama && { ! getent group ollama || groupdel ollama; } &&"
    done = shipped.podman.run("run", "--rm", "--network", "none", "--entrypoint", "", shipped.image, "sh", "-c",
                              f"{{ {undo} {maker} ollama && {step}; }} >&2 && id ollama && getent passwd ollama")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("uid=11434(ollama) gid=11434(ollama)") and ":/ollama/data:/usr/sbin/nologin" in done.stdout, done.stdout


def test_nothing_outside_is_reached_from_the_tests_network(shipped):
    """What the other tests stand on: there is no way out of a container."""
    box = shipped.run(env=NO_MODELS)
    box.wait_ready()
    routes = box.exec("cat", "/proc/net/route").stdout.splitlines()[1:]
    assert routes and not [line for line in routes if line.split()[1] == "00000000"], routes
    assert box.stop() == 0


def test_what_our_files_add(shipped):
    """Four stripped programs below 1 MiB, three small files; the libraries that the base lacks are named by the packages of docs/image.md."""
    box = shipped.run("--entrypoint", "", args=("sleep", "600"))
    sizes = box.sh("cd /usr/local/bin && stat -c '%s %n' *").split()
    programs = dict(zip(sizes[1::2], map(int, sizes[::2])))
    assert set(programs) == set(PROGRAMS)
    assert sum(programs.values()) < 1 << 20, programs
    etc = box.sh(f"cd {ETC} && stat -c '%s %a %U %n' *").splitlines()
    assert {line.split()[3] for line in etc} == {"supervisor.ini", "preload-models.txt", "models.json"}
    assert all(int(line.split()[0]) < 4096 and line.split()[1:3] == ["644", "root"] for line in etc), etc
    docs = "/usr/share/doc/ollama-sidecar"
    parts = {one["name"]: one["properties"][0]["value"] for one in json.loads(box.sh(f"cat {docs}/sbom.cdx.json"))["components"]}
    assert parts.items() >= {"inih": "static", "llhttp": "static", "curl": "dynamic", "cjson": "dynamic"}.items() and "hiredis" not in parts
    notices = box.sh(f"cat {docs}/NOTICES {docs}/LICENSE")
    assert "---- inih " in notices and "---- llhttp " in notices and "no file with its notice" not in notices and "MIT License" in notices
    linked = box.sh("ldd /usr/local/bin/* | sed -n 's/.*=> .*\\/\\(lib[a-z-]*\\)\\..*/\\1/p' | sort -u").split()
    assert "libcurl" in linked and "libinih" not in linked and "libllhttp" not in linked, linked
    left = box.sh("ls /var/lib/apt/lists; command -v gcc make || true").split()
    assert left in ([], ["auxfiles", "partial"], ["partial"]), "neither lists of packages nor a compiler are left"


def test_who_is_who_and_what_is_where(shipped):
    """The fixed user, the volume's place, and the way to it from where the official image has it."""
    box = shipped.run("--entrypoint", "", args=("sleep", "600"))
    assert box.sh("id -u ollama && id -g ollama && echo ~ollama").split() == ["11434", "11434", DATA]
    assert box.sh(f"readlink /root/.ollama && stat -c '%U %g %a' {DATA}").split() == [DATA, "ollama", "0", "775"]
    assert box.sh("cat /proc/1/comm").strip() == "sleep"


@pytest.mark.limit(60)
def test_nothing_that_talks_to_anybody_is_root(shipped, folder):
    """PID 1 alone is root; Ollama, the proxy and the preloader are not, and their home is on the volume."""
    with open(os.path.join(folder, "script.json"), "w", encoding="utf-8") as file:
        json.dump({"pull_bytes": 12 << 20, "pull_rate_bytes_s": 1 << 20}, file)  # time to look at the preloader
    os.chmod(folder, 0o755)
    box = shipped.run(*mounted(folder, "/script"), volume=shipped.volume(), env={"STANDIN_SCRIPT": "/script/script.json"})
    box.wait_log(r" pull_started ")
    for name in ("ollama", "proxy", "preload"):
        assert box.sh(f"stat -c %U /proc/{box.pid_of(name)}").strip() == "ollama", name
    assert box.sh("stat -c %U /proc/1").strip() == "root"
    box.wait_ready()
    environment = box.environment_of("ollama")
    assert environment["HOME"] == DATA and environment["OLLAMA_MODELS"] == f"{DATA}/models"
    assert environment["LD_LIBRARY_PATH"].startswith("/usr/local/nvidia") and environment["OLLAMA_HOST"] == "127.0.0.1:11435"
    assert not box.logged(r" (warning|error) ")
    assert box.stop() == 0


@pytest.mark.limit(60)
def test_pid_1_reaps_and_starts_again(shipped):
    """scenarios 14 and 19: orphans of podman exec; a killed Ollama and a killed proxy are there again, and nobody is refused."""
    box = shipped.run(env=NO_MODELS)
    box.wait_ready()
    assert box.sh("cat /proc/1/comm").strip() == "ollama-supervis"
    box.sh("for i in 1 2 3; do (sleep 0.1 &); done")
    for name in ("ollama", "proxy"):
        old = box.pid_of(name)
        box.sh(f"kill -KILL {old}")
        assert box.ask("GET", "/api/version", timeout=20).status == 200
        until(lambda name=name, old=old: box.pid_of(name) != old, 10, f"another {name}", box.process.tail)
    box.wait_ready()
    states = box.sh("cat /proc/[0-9]*/stat 2>/dev/null | sed 's/.*) \\(.\\) .*/\\1/'").split()
    assert "Z" not in states
    assert box.stop() == 0


@pytest.mark.limit(60)
def test_stop_in_the_grace_period_with_a_stream_under_way(shipped, folder):
    """podman's own KILL never comes, whatever Ollama does; the exit code is 0."""
    with open(os.path.join(folder, "script.json"), "w", encoding="utf-8") as file:
        json.dump({"tokens": 100000, "token_delay_ms": 50, "ignore_term": True}, file)
    os.chmod(folder, 0o755)
    box = shipped.run(*mounted(folder, "/script"), env={**NO_MODELS, "STANDIN_SCRIPT": "/script/script.json", "STANDIN_MODELS": "m"})
    box.wait_ready()
    with box.connect(30) as connection:
        objects = connection.request("POST", "/api/generate", {"model": "m", "prompt": "x"}).objects()
        next(objects)
        began = time.monotonic()
        assert box.stop(10) == 0
        assert time.monotonic() - began < slow(10)
        assert not any(value.get("done") for _, value in objects)
    assert box.logged(r" stopped exit_code=0")


@pytest.mark.limit(60)
def test_a_mounted_configuration_replaces_it_whole(shipped, folder):
    """It is all that counts, apart from the image's environment; the programs' users are its own matter."""
    ini = os.path.join(folder, "supervisor.ini")
    with open(ini, "w", encoding="utf-8") as file:
        file.write("[proxy]\nlisten = 0.0.0.0:11434\nopen = yes\n[preload]\nmodels = none\n")
    os.chmod(folder, 0o755)
    box = shipped.run(*mounted(ini, f"{ETC}/supervisor.ini"), volume=shipped.volume())
    box.wait_ready()
    dump = box.exec("sidecarctl", "dump").stdout
    assert "idle_timeout = 0" in dump and "open = yes" in dump, dump
    assert box.sh(f"stat -c %U /proc/{box.pid_of('ollama')}").strip() == "root"
    assert box.environment_of("ollama")["OLLAMA_MODELS"] == f"{DATA}/models"
    assert box.stop() == 0
