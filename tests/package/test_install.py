"""`make install`, `make uninstall` and `make dist`, into folders of the tests' own."""
import gzip
import json
import os
import re
import shutil
import stat
import subprocess

import pytest

from sidecar import BUILD, ROOT

PROGRAMS = ("ollama-supervisor", "ollama-proxy", "ollama-preload", "sidecarctl")


def make(*args, cwd=ROOT) -> str:
    """What make says, its last line on stdout last; it has to succeed. Flags of a make that runs the tests are none of its own."""
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    done = subprocess.run(["make", "--no-print-directory", *args], cwd=cwd, env=env, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr + done.stdout


def installed(top: str) -> list:
    """Every file below top, as it will be called."""
    return sorted("/" + os.path.relpath(os.path.join(path, name), top)
                  for path, _, names in os.walk(top) for name in names)


def install(stage: str, *args, verb="install") -> str:
    """make install, or another verb, of what the lanes build."""
    return make(verb, f"BUILD={os.path.relpath(BUILD, ROOT)}", f"DESTDIR={stage}", *args)


@pytest.mark.limit(120)
@pytest.mark.parametrize("prefix", ["/usr/local", "/usr", "/opt/sidecar"])
def test_what_is_installed_is_what_is_uninstalled(folder, prefix):
    stage = os.path.join(folder, "a stage")  # DESTDIR may have blanks
    said = install(stage, f"PREFIX={prefix}")
    assert not re.search(r"^(cc|gcc|ar) ", said, re.M), f"something was built:\n{said}"
    files = installed(stage)
    for program in PROGRAMS:
        assert f"{prefix}/bin/{program}" in files
    for page in os.listdir(os.path.join(ROOT, "docs/man")):
        assert f"{prefix}/share/man/man{page[-1]}/{page}" in files
    for name in ("supervisor.ini", "optimizer.ini", "preload-models.txt", "models.json"):
        assert f"/etc/ollama-sidecar/{name}" in files
    for end in ("/systemd/system/ollama-sidecar.service", "/systemd/system/llm-optimizer.service", "/sysusers.d/ollama-sidecar.conf", "/tmpfiles.d/ollama-sidecar.conf"):
        assert [name for name in files if name.endswith(end)], files
    assert f"{prefix}/share/ollama-sidecar/profiles/attach.ini" in files
    for name in ("llm-optimizer.yml", "prometheus.yml", "rules/ollama-sidecar.yml", "targets/sidecar.yml"):
        assert f"{prefix}/share/ollama-sidecar/prometheus/{name}" in files
    for name in ("sidecar.json", "optimizer.json", "balancer.json"):
        assert f"{prefix}/share/ollama-sidecar/grafana/{name}" in files
    assert f"{prefix}/share/doc/ollama-sidecar/docs/systemd.md" in files
    for name in os.listdir(os.path.join(ROOT, "deploy/completion")) if os.path.isdir(os.path.join(ROOT, "deploy/completion")) else ():
        assert [one for one in files if "/share/" in one and name.removesuffix(".bash") == os.path.basename(one)], (name, files)
    for name in files:
        mode = stat.S_IMODE(os.stat(stage + name).st_mode)
        assert mode == (0o755 if "/bin/" in name else 0o644), f"{name} has {mode:o}"
    install(stage, f"PREFIX={prefix}", verb="uninstall")
    assert installed(stage) == []
    assert not [path for path, _, _ in os.walk(stage) if "ollama-sidecar" in os.path.relpath(path, stage)]


@pytest.mark.limit(60)
def test_no_file_names_a_folder_of_another_installation(folder):
    install(folder, "PREFIX=/opt/sidecar", "SYSCONFDIR=/opt/sidecar/etc")
    unit = open(f"{folder}/opt/sidecar/lib/systemd/system/ollama-sidecar.service", encoding="utf-8").read()
    assert "ExecStart=/opt/sidecar/bin/ollama-supervisor -c /opt/sidecar/etc/ollama-sidecar/supervisor.ini\n" in unit
    assert "/usr/local/bin/ollama-supervisor" not in unit and "/usr/local/share" not in unit
    assert "ConditionPathExists=|/usr/local/bin/ollama\n" in unit, "Ollama's own place stays"
    attach = open(f"{folder}/opt/sidecar/share/ollama-sidecar/profiles/attach.ini", encoding="utf-8").read()
    assert "presets = /opt/sidecar/etc/ollama-sidecar/models.json\n" in attach and "../" not in attach


@pytest.mark.limit(60)
def test_the_programs_of_a_staged_tree_run(folder):
    install(folder, "PREFIX=/usr")
    with open(os.path.join(BUILD, "version"), encoding="utf-8") as file:
        version = file.read().strip()
    for program in PROGRAMS:
        done = subprocess.run([f"{folder}/usr/bin/{program}", "--version"], text=True, capture_output=True, check=False)
        assert done.returncode == 0 and version in done.stdout, (program, done)
    for ini in ("etc/ollama-sidecar/supervisor.ini", "etc/ollama-sidecar/optimizer.ini", "usr/share/ollama-sidecar/profiles/attach.ini"):
        path = os.path.join(folder, ini)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:  # as if it were installed
            file.write(text.replace("/etc/ollama-sidecar", f"{folder}/etc/ollama-sidecar"))
        done = subprocess.run([f"{folder}/usr/bin/ollama-supervisor", "-c", path, "--check"], text=True, capture_output=True,
                              check=False, env={"PATH": os.environ["PATH"]})
        assert done.returncode == 0, (ini, done)


def parts_of(stage: str) -> tuple:
    """The libraries of an installation's list, by name, and its notices."""
    with open(f"{stage}/usr/share/doc/ollama-sidecar/sbom.cdx.json", encoding="utf-8") as file:
        listed = json.load(file)
    with open(f"{stage}/usr/share/doc/ollama-sidecar/NOTICES", encoding="utf-8") as file:
        notices = file.read()
    assert (listed["bomFormat"], listed["specVersion"]) == ("CycloneDX", "1.5") and listed["metadata"]["component"]["name"] == "ollama-sidecar"
    found = {one["name"]: one for one in listed["components"]}
    assert len(found) == len(listed["components"]), listed
    return found, notices


def linkage(component: dict) -> str:
    """static or dynamic."""
    return next(one["value"] for one in component["properties"] if one["name"] == "ollama-sidecar:linkage")


@pytest.mark.limit(60)
def test_an_installation_tells_what_it_consists_of(folder):
    """The list of libraries with versions, and the notices of those that are built in."""
    install(folder, "PREFIX=/usr")
    found, notices = parts_of(folder)
    needed = set()
    for program in PROGRAMS:
        told = subprocess.run(["readelf", "-d", f"{folder}/usr/bin/{program}"], capture_output=True, text=True, check=True).stdout
        needed |= set(re.findall(r"\(NEEDED\).*\[lib(\w+)\.so", told))
    assert {name for name, one in found.items() if linkage(one) == "dynamic"} >= {"glibc" if name == "c" else name for name in needed}
    assert {"inih", "llhttp", "curl", "cjson"} <= set(found)
    for name, one in found.items():
        assert one["version"] != "unknown" and one["version"][0].isdigit(), one
        package = re.match(r"pkg:deb/\w+/([^@]+)@", one.get("purl", ""))
        if package:
            version = subprocess.run(["dpkg-query", "-W", "-f", "${Version}\n", package[1]], capture_output=True, text=True, check=True).stdout
            assert one["version"] in version.split(), (name, version)
    for name in (name for name, one in found.items() if linkage(one) == "static"):
        part = re.search(rf"^---- {name} \S+\n\n(.*?)(?=^---- |\Z)", notices, re.M | re.S)
        assert part and re.search("copyright", part[1], re.I), f"no notice of {name}"


@pytest.mark.limit(60)
def test_a_configuration_that_is_there_is_its_owners(folder):
    install(folder)
    ini = f"{folder}/etc/ollama-sidecar/supervisor.ini"
    with open(ini, "w", encoding="utf-8") as file:
        file.write("[supervisor]\n")
    os.unlink(f"{folder}/etc/ollama-sidecar/models.json")
    assert f"kept as it is: {ini}" in install(folder)
    assert open(ini, encoding="utf-8").read() == "[supervisor]\n"
    assert os.path.exists(f"{folder}/etc/ollama-sidecar/models.json"), "one that is missing comes again"
    assert f"kept, as it was changed: {ini}" in install(folder, verb="uninstall")
    assert installed(folder) == ["/etc/ollama-sidecar/supervisor.ini"]


@pytest.mark.limit(60)
def test_root_builds_nothing_in_a_repository_of_another_user(folder):
    """git tells root nothing of it, so the version can't be asked for again."""
    copy = os.path.join(folder, "copy")
    os.mkdir(copy)
    names = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=False)
    if names.returncode:
        pytest.skip("not in a git repository")
    for name in names.stdout.decode().split("\0"):
        if name and not name.startswith(("tests/", "bench/")) and os.path.isfile(os.path.join(ROOT, name)):
            os.makedirs(os.path.dirname(os.path.join(copy, name)), exist_ok=True)
            shutil.copy2(os.path.join(ROOT, name), os.path.join(copy, name))
    os.mkdir(os.path.join(copy, "build"))
    with open(os.path.join(copy, "build/version"), "w", encoding="utf-8") as file:
        file.write("0.1.0+abc1234\n")
    assert not os.path.exists(os.path.join(copy, ".git")), "git tells nothing here either"
    said = make("-n", "all", cwd=copy)
    assert "0.1.0+abc1234" in said
    with open(os.path.join(copy, "build/version"), "w", encoding="utf-8") as file:
        file.write("0.0.9+abc1234\n")
    assert "0.0.9" not in make("-n", "all", cwd=copy).replace("echo '0.0.9", ""), "that of another version counts for nothing"


def copy_within_a_repository(folder: str) -> str:
    """A copy of the Makefile and its parts, of which the repository around it knows nothing."""
    copy = os.path.join(folder, "sidecars")
    shutil.copytree(os.path.join(ROOT, "scripts"), os.path.join(copy, "scripts"))
    shutil.copy(os.path.join(ROOT, "Makefile"), copy)
    for args in (["init", "-q"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"], ["tag", "v9.9"]):
        subprocess.run(["git", *args], cwd=folder, check=True)
    return copy


@pytest.mark.limit(60)
def test_a_copy_in_another_repository_has_its_own_version(folder):
    copy = copy_within_a_repository(folder)
    make("build/version", cwd=copy)
    with open(os.path.join(copy, "build/version"), encoding="utf-8") as file:
        assert re.fullmatch(r"\d+\.\d+\.\d+\n", file.read())


@pytest.mark.limit(60)
def test_a_source_archive_that_can_t_be_made_is_none(folder):
    copy = copy_within_a_repository(folder)
    done = subprocess.run(["make", "--no-print-directory", "dist"], cwd=copy, text=True, capture_output=True, check=False)
    assert done.returncode != 0, done.stdout
    assert not [name for _, _, names in os.walk(os.path.join(copy, "build")) for name in names if name.endswith(".tar.gz")]


@pytest.mark.limit(60)
def test_a_page_that_can_t_be_packed_is_in_no_program(folder):
    """Where gzip is not installed, or fails."""
    gzips = os.path.join(folder, "gzip")
    with open(gzips, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\nexit 127\n")
    os.chmod(gzips, 0o755)
    part = f"{folder}/build/gen/proxy/ui/main.js.def"
    done = subprocess.run(["make", "--no-print-directory", f"BUILD={folder}/build", part], cwd=ROOT, text=True, capture_output=True, check=False,
                          env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"})
    assert done.returncode != 0 and not os.path.exists(part), done.stdout
    os.unlink(gzips)
    make(f"BUILD={folder}/build", part)
    with open(part, encoding="utf-8") as file:
        packed = bytes(int(number) for number in file.read().split(",") if number.strip())
    assert b"import " in gzip.decompress(packed)


@pytest.mark.limit(60)
@pytest.mark.parametrize("verb", ["install", "uninstall"])
@pytest.mark.parametrize("words", ["PREFIX=/opt/a b", "SYSCONFDIR=/etc dir", "PREFIX=/opt/a|b"])
def test_a_folder_that_can_t_be_had_is_refused_before_anything_is_touched(folder, verb, words):
    done = subprocess.run(["make", "--no-print-directory", verb, f"BUILD={os.path.relpath(BUILD, ROOT)}", f"DESTDIR={folder}", words], cwd=ROOT,
                          text=True, capture_output=True, check=False)
    assert done.returncode != 0 and "has a blank or | in its name" in done.stderr, done
    assert os.listdir(folder) == []


@pytest.mark.limit(60)
def test_a_folder_s_name_is_taken_as_it_is(folder):
    install(folder, "PREFIX=/opt/x&y")
    with open(f"{folder}/opt/x&y/lib/systemd/system/ollama-sidecar.service", encoding="utf-8") as file:
        assert "ExecStart=/opt/x&y/bin/ollama-supervisor -c /etc/ollama-sidecar/supervisor.ini\n" in file.read()


@pytest.mark.limit(60)
def test_the_source_archive_is_the_same_wherever_it_is_made(folder):
    if subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, check=False).returncode:
        pytest.skip("not in a git repository")
    found = []
    for name in ("one", "two"):
        made = make("dist", f"BUILD={folder}/{name}").splitlines()[-1]
        assert re.fullmatch(r".*/ollama-sidecar-\d+\.\d+\.\d+\.tar\.gz", made)
        with open(made, "rb") as file:
            found.append(file.read())
    assert found[0] == found[1]
    listed = subprocess.run(["tar", "-t"], input=gzip.decompress(found[0]), capture_output=True, check=True).stdout.decode().split("\n")
    top = os.path.basename(made).removesuffix(".tar.gz") + "/"
    assert top + "Makefile" in listed and top + "LICENSE" in listed
    assert not [name for name in listed if name and not name.startswith(top)]
