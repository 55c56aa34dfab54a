"""The Debian package: how it is built, what it holds, and that it comes and goes as Debian's do."""
import glob
import os
import re
import shutil
import subprocess

import pytest

from machine import ROOT
from service import ETC, STATE, UNIT, Service

pytestmark = pytest.mark.limit(900)  # the first one builds the package


def read(*path) -> str:
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def test_the_version_is_told_once(changes):
    version = re.search(r"^VERSION := (\S+)$", read("Makefile"), re.M).group(1)
    assert read("debian/changelog").startswith(f"ollama-sidecar ({version}) ")
    assert f"_{version}_" in os.path.basename(changes)


def test_it_is_built_with_its_unit_tests_and_hardened(changes, deb, folder):
    log = read(os.path.dirname(changes), "LOG")
    assert len(re.findall(r"^test_\w+: [1-9]\d* passed$", log, re.M)) >= 100
    subprocess.run(["dpkg-deb", "-x", deb, folder], check=True)
    for program in ("ollama-supervisor", "ollama-proxy", "ollama-preload", "sidecarctl"):
        path = f"{folder}/usr/bin/{program}"
        told = subprocess.run(["readelf", "-hlSd", "-W", path], text=True, capture_output=True, check=True).stdout
        assert "DYN" in told and "GNU_RELRO" in told and "BIND_NOW" in told and ".debug_info" not in told
        assert os.path.getsize(path) < 1_000_000
    for page in glob.glob(f"{folder}/usr/share/man/man*/*"):
        assert page.endswith(".gz")
    assert not glob.glob(os.path.join(ROOT, "debian", "ollama-sidecar", "*")), "it is not built in this tree"


def test_lintian_has_no_complaint(changes):
    if not shutil.which("lintian"):
        pytest.skip("lintian is not installed (make check-deps installs it)")
    done = subprocess.run(["lintian", "--fail-on", "error,warning,pedantic", "--pedantic", changes], text=True, capture_output=True, check=False)
    assert done.returncode == 0 and not re.search(r"^[EWP]: ", done.stdout, re.M), done.stdout


def installed_files(machine) -> list:
    """Files, not folders, that dpkg knows of ours."""
    names = machine.must("dpkg", "-L", "ollama-sidecar").split("\n")
    return [name for name in names if name and machine.run("test", "-d", name).returncode]


@pytest.fixture
def purged(machine):
    """A machine on which the package is not installed, nor was."""
    machine.run("apt-get", "purge", "-y", "-q", "ollama-sidecar", timeout=120)
    machine.run("rm", "-rf", ETC + ".shipped")
    return machine


def test_installed_it_starts_and_removed_it_leaves_configuration_and_models_and_purged_nothing(purged):
    machine, service = purged, Service(purged)
    said = machine.must("apt-get", "install", "-y", "-q", "/root/sidecar.deb", timeout=120)
    assert "/etc/systemd/system/multi-user.target.wants/ollama-sidecar.service" in said or machine.must("systemctl", "is-enabled", UNIT)
    assert service.show("ActiveState") == "active", service.journal()
    assert service.ask(path="/api/version")
    files = installed_files(machine)
    assert "/usr/bin/sidecarctl" in files and [name for name in files if name.endswith(f"/systemd/system/{UNIT}")]
    assert machine.must("dpkg", "-V", "ollama-sidecar") == "", "nothing is changed by being started"
    machine.must("touch", f"{STATE}/models/a-model")
    machine.must("sh", "-c", f"echo '; mine' >>{ETC}/supervisor.ini")

    machine.must("apt-get", "remove", "-y", "-q", "ollama-sidecar", timeout=120)
    assert service.show("LoadState") in ("not-found", "masked") and service.processes() == {}
    left = [name for name in files if machine.exists(name)]
    assert left and all(name.startswith(ETC) for name in left), left
    assert machine.exists(f"{STATE}/models/a-model")

    machine.must("apt-get", "install", "-y", "-q", "/root/sidecar.deb", timeout=120)
    assert "; mine" in machine.must("cat", f"{ETC}/supervisor.ini"), "a configuration is its owner's"
    assert service.show("ActiveState") == "active", service.journal()

    machine.must("apt-get", "purge", "-y", "-q", "ollama-sidecar", timeout=120)
    assert not [name for name in files if machine.exists(name)]
    for path in (ETC, STATE, "/run/ollama-sidecar", "/usr/share/doc/ollama-sidecar", "/usr/share/ollama-sidecar",
                 f"/etc/systemd/system/multi-user.target.wants/{UNIT}", f"/var/lib/systemd/deb-systemd-helper-enabled/{UNIT}.dsh-also"):
        assert not machine.exists(path), path
    assert machine.run("id", "ollama-sidecar").returncode == 0, "users stay, as Debian has it"


def test_purged_it_is_gone_where_models_have_a_disk_of_their_own(purged):
    machine = purged
    machine.must("apt-get", "install", "-y", "-q", "/root/sidecar.deb", timeout=120)
    machine.must("mount", "-t", "tmpfs", "none", f"{STATE}/models")
    try:
        machine.must("apt-get", "purge", "-y", "-q", "ollama-sidecar", timeout=120)
        assert machine.run("dpkg-query", "-W", "ollama-sidecar").returncode != 0
    finally:
        machine.must("umount", f"{STATE}/models")
        machine.must("rm", "-rf", STATE)


def test_installed_before_any_ollama_it_waits_for_one(purged):
    machine, service = purged, Service(purged)
    machine.must("mv", "/usr/bin/ollama", "/usr/bin/ollama.away")
    try:
        machine.must("apt-get", "install", "-y", "-q", "/root/sidecar.deb", timeout=120)
        assert service.show("ActiveState") == "inactive"
        assert machine.run("systemctl", "is-failed", UNIT).returncode != 0
    finally:
        machine.must("mv", "/usr/bin/ollama.away", "/usr/bin/ollama")
    assert service.start().returncode == 0 and service.ask(path="/api/version")


def test_an_upgrade_starts_the_new_one(purged):
    machine, service = purged, Service(purged)
    service.install()
    main = service.main_pid()
    machine.must("apt-get", "install", "-y", "-q", "--reinstall", "/root/sidecar.deb", timeout=120)
    assert service.show("ActiveState") == "active" and service.main_pid() not in (0, main)
    assert service.ask(path="/api/version")
