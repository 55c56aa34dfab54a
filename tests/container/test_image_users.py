"""The shipped image's volume and users: whoever owns the volume, whoever the container runs as, whatever can be written."""
import os
import shutil

import pytest

from shipped import DATA
from waiting import until

NO_MODELS = {"OLLAMA_PRELOAD_MODELS": "none"}
OLLAMA = 11434
READ_ONLY = ("--read-only", "--read-only-tmpfs=false")


def owner(box, path: str) -> str:
    """UID:GID of a path in the container."""
    return box.sh(f"stat -c %u:%g {path}").strip()


def user_of(box, program: str) -> str:
    """The user id that a program runs as."""
    return box.sh(f"stat -c %u /proc/{box.pid_of(program)}").strip()


@pytest.fixture
def volume(folder):
    """A folder of this machine's that is root's, and empty, as a fresh disk is."""
    path = os.path.join(folder, "volume")
    os.makedirs(os.path.join(path, "lost+found"), 0o700)
    os.chmod(folder, 0o755)
    return path


def works(box) -> None:
    """A model is pulled from the host's side, answers, and sidecarctl reaches it."""
    box.wait_ready()
    pulled = box.exec("ollama", "pull", "m")
    assert pulled.returncode == 0, pulled.stdout + pulled.stderr
    assert box.generate("m").status == 200
    status = box.exec("sidecarctl", "status")
    assert status.returncode == 0 and "ollama" in status.stdout, status.stdout + status.stderr
    assert box.healthy()


@pytest.mark.limit(90)
def test_a_volume_that_is_roots_and_empty_becomes_ollamas_and_is_kept(shipped, volume):
    """And a second start finds all: nothing is pulled, nothing is said, the container is another one."""
    box = shipped.run(volume=volume)
    box.wait_ready()
    for name in ("ollama", "proxy"):
        assert user_of(box, name) == str(OLLAMA)
    for name in ("models", ".ollama", ".sidecar"):
        assert owner(box, f"{DATA}/{name}") == f"{OLLAMA}:{OLLAMA}", name
    works(box)
    assert box.stop() == 0
    again = shipped.run(volume=volume, network=False, env={"SIDECAR_SUPERVISOR_LOG_LEVEL": "debug"})
    again.wait_log(r" ready after_ms=")
    assert not again.logged(r" (pull_started|models_made) ") and not again.logged(r" (warning|error) ")
    assert "m:latest" in again.exec("ollama", "list").stdout
    assert again.stop() == 0


@pytest.mark.limit(60)
def test_a_volume_with_roots_files_keeps_ollama_root_in_words(shipped, volume):
    """As the official image left it. It works as before, and the log says what would change that."""
    models = os.path.join(volume, "models", "manifests")
    os.makedirs(models)
    os.chmod(os.path.join(volume, "models"), 0o755)
    box = shipped.run(volume=volume, env=NO_MODELS)
    box.wait_log(rf" warning supervisor models_kept .*hint=\"chown -R {OLLAMA}:{OLLAMA} {DATA}/models\"")
    works(box)
    assert user_of(box, "ollama") == "0" and user_of(box, "proxy") == str(OLLAMA)
    assert box.stop() == 0


@pytest.mark.limit(60)
def test_a_volume_of_somebody_else(shipped, volume):
    """Of a user that is neither root nor Ollama's: it stays his, and Ollama root, who may write there."""
    os.makedirs(os.path.join(volume, "models"))
    for path in (volume, os.path.join(volume, "models")):
        os.chown(path, 4321, 4321)
    box = shipped.run(volume=volume, env=NO_MODELS)
    box.wait_log(r" warning supervisor models_kept .*owner=4321 ")
    works(box)
    assert owner(box, f"{DATA}/models") == "4321:4321"
    assert box.stop() == 0


@pytest.mark.limit(60)
def test_a_volume_where_the_official_image_has_it(shipped, volume):
    """Mounted at /root/.ollama, with models in it: it is the volume, and they are there."""
    made = shipped.run(volume=volume, env=NO_MODELS)
    works(made)
    assert made.stop() == 0
    for name in (".sidecar", ".ollama"):  # a volume of the official image's has the models and Ollama's own files
        shutil.rmtree(os.path.join(volume, name), ignore_errors=True)
    box = shipped.run("--volume", f"{volume}:/root/.ollama", env=NO_MODELS)
    box.wait_ready()
    assert "m:latest" in box.exec("ollama", "list").stdout
    assert box.sh(f"grep -c ' {DATA} ' /proc/self/mountinfo").strip() == "1"
    assert box.generate("m").status == 200
    assert box.stop() == 0


@pytest.mark.limit(60)
@pytest.mark.parametrize("kind", ["named", "none"])
def test_a_named_volume_and_none(shipped, kind):
    """A named one takes the image's own owner; without any the container's layer serves."""
    box = shipped.run(volume=shipped.volume() if kind == "named" else "", env=NO_MODELS)
    works(box)
    assert user_of(box, "ollama") == str(OLLAMA)
    assert not box.logged(r" (warning|error) ")
    assert box.stop() == 0


@pytest.mark.limit(60)
@pytest.mark.parametrize("user", ["12345:0", "12345:12345", "11434:11434"])
def test_any_user(shipped, folder, user):
    """A user that the platform chooses (OpenShift: with group 0), or the image's own: all runs as that one, and nobody complains
    where it may write."""
    volume = os.path.join(folder, "volume")
    os.makedirs(volume)
    os.chmod(folder, 0o755)
    uid, gid = map(int, user.split(":"))
    os.chown(volume, uid if gid else 0, gid)
    os.chmod(volume, 0o770)
    box = shipped.run("--user", user, volume=volume, env=NO_MODELS)
    works(box)
    for path in ("1", str(box.pid_of("ollama")), str(box.pid_of("proxy"))):
        assert box.sh(f"stat -c %u /proc/{path}").strip() == str(uid)
    complaints = [line for line in box.logged(r" (warning|error) ") if " control_elsewhere " not in line]
    assert not complaints, complaints
    assert bool(box.logged(" control_elsewhere ")) == (gid != 0), "only group 0 may write where the socket is by default"
    assert box.stop() == 0


@pytest.mark.limit(60)
def test_any_user_on_a_named_volume_of_group_0(shipped):
    """The image's folder is group 0's, so that OpenShift's users may write there."""
    box = shipped.run("--user", "1000650000:0", volume=shipped.volume(), env=NO_MODELS)
    works(box)
    assert not box.logged(r" (warning|error) ")
    assert box.stop() == 0


@pytest.mark.limit(90)
@pytest.mark.parametrize("user", ["", "12345:0"])
def test_a_read_only_root_with_nothing_but_the_volume(shipped, volume, user):
    """No tmpfs anywhere: the control socket is on the volume, and all works, a second time too, after a kill."""
    if user:
        os.chown(volume, 12345, 0)
    box = shipped.run(*READ_ONLY, *(("--user", user) if user else ()), volume=volume, env=NO_MODELS)
    box.wait_log(rf" warning supervisor control_elsewhere .*Read-only file system.* now=\"{DATA}/.sidecar/control.sock\"")
    works(box)
    assert user_of(box, "ollama") == (user.split(":")[0] or str(OLLAMA))
    assert len(box.logged(r" (warning|error) ")) == 1, box.process.tail()
    assert box.kill() == 137
    again = shipped.run(*READ_ONLY, *(("--user", user) if user else ()), volume=volume, env=NO_MODELS)
    works(again)
    assert again.stop() == 0


@pytest.mark.limit(60)
def test_a_read_only_root_as_podman_and_docker_compose_have_it(shipped, volume):
    """With a tmpfs on /run and /tmp nothing is said at all."""
    box = shipped.run("--read-only", "--tmpfs", "/run", "--tmpfs", "/tmp", volume=volume, env=NO_MODELS)
    works(box)
    assert not box.logged(r" (warning|error) ")
    assert box.stop() == 0


@pytest.mark.limit(60)
def test_nothing_at_all_can_be_written(shipped):
    """It is told, and what needs no writing works: health by HTTP, and the answers of a model that is there."""
    box = shipped.run(*READ_ONLY, env={**NO_MODELS, "STANDIN_MODELS": "m", "STANDIN_STATE": "/dev/shm"})
    box.wait_log(r" warning supervisor control_failed .*Read-only file system")
    box.wait_log(r" warning supervisor models_failed .*Read-only file system")
    until(box.healthy, 15, "to be healthy", box.process.tail)
    assert box.exec("sidecarctl", "health", "--ready").returncode == 0
    status = box.exec("sidecarctl", "status")
    assert status.returncode == 111 and "nobody answers at" in status.stderr
    assert box.stop() == 0


@pytest.mark.limit(60)
def test_a_read_only_volume_is_told(shipped, folder):
    """Models that are there are served; that none can be pulled is said in words."""
    volume = os.path.join(folder, "volume")
    os.makedirs(volume)
    os.chmod(folder, 0o755)
    made = shipped.run(volume=volume, env=NO_MODELS)
    works(made)
    assert made.stop() == 0
    box = shipped.run("--volume", f"{volume}:{DATA}:ro", env=NO_MODELS)
    box.wait_log(r" warning supervisor models_read_only path=\"/ollama/data/models\" ")
    box.wait_ready()
    assert box.generate("m").status == 200
    pulled = box.exec("ollama", "pull", "other")
    assert pulled.returncode != 0 and "Error: " in pulled.stdout + pulled.stderr, pulled.stdout + pulled.stderr
    assert "other" not in box.exec("ollama", "list").stdout
    assert box.stop() == 0


@pytest.mark.limit(60)
@pytest.mark.parametrize("options", [("--cap-drop", "all"), ("--cap-drop", "all", "--security-opt", "no-new-privileges")])
def test_root_without_capabilities_runs_all_as_root_in_words(shipped, options):
    """It may not become somebody else then: a warning, and all works; --user 11434:0 is the better choice."""
    box = shipped.run(*options, volume=shipped.volume(), env=NO_MODELS)
    until(lambda: len([line for line in box.log if "may not change" in line and "it runs as root" in line]) == 3, 10, "a warning for each",
          box.process.tail)
    box.wait_ready()
    assert box.stop() == 0
