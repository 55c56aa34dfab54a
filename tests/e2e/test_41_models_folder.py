"""Whose the folder of models is, and what Ollama is started as because of it."""
import os

import pytest

from test_41_rights import NOBODY, ROOT, uids
from waiting import until


def chown(path: str, uid: int) -> None:
    """The folder and all that is in it."""
    for folder, _, files in os.walk(path):
        for name in [folder] + [os.path.join(folder, file) for file in files]:
            os.chown(name, uid, uid)


@pytest.fixture
def for_nobody(sidecar):
    """Ollama as nobody, with a home of its own."""
    os.chmod(sidecar.directory, 0o777)
    home = os.path.join(sidecar.directory, "home")
    os.mkdir(home)
    os.chown(home, NOBODY, NOBODY)
    sidecar.configure("program:ollama", user="nobody", environment=f"HOME={home}", umask="0")
    os.chmod(sidecar.write("journal.jsonl", ""), 0o666)  # the stand-in's, whoever it is
    return sidecar


@ROOT
def test_a_fresh_volume_becomes_ollamas(for_nobody):
    models = for_nobody.backend.models
    os.makedirs(os.path.join(models, "lost+found"), 0o700)
    for_nobody.configure("supervisor", log_level="debug")
    for_nobody.boot(tokens=1)
    assert uids(for_nobody.pid_of("ollama")) == {NOBODY}
    assert os.stat(models).st_uid == NOBODY and os.stat(os.path.join(models, "lost+found")).st_uid == 0
    assert os.stat(os.path.join(for_nobody.directory, "home", ".ollama")).st_uid == NOBODY
    assert for_nobody.process.logged(rf'models_made path="{models}" uid={NOBODY} gid={NOBODY}')
    assert for_nobody.generate().status == 200


@ROOT
def test_a_folder_that_is_not_there_is_made(for_nobody):
    for_nobody.env["OLLAMA_MODEL_CACHE_DIR"] = models = os.path.join(for_nobody.directory, "a", "b", "models")
    for_nobody.env["OLLAMA_MODELS"] = ""
    for_nobody.boot(tokens=1)
    for path in (models, os.path.dirname(models), os.path.dirname(os.path.dirname(models))):
        assert os.stat(path).st_uid == NOBODY
    assert for_nobody.backend.journal("started")[0]["env"]["OLLAMA_MODELS"] == models


@ROOT
def test_what_belongs_to_root_keeps_ollama_root(for_nobody):
    """A volume of before: Ollama must still be able to write there."""
    models = for_nobody.backend.models
    os.makedirs(os.path.join(models, "blobs"))
    with open(os.path.join(models, "blobs", "sha256-1"), "w", encoding="utf-8") as file:
        file.write("x")
    for_nobody.boot(tokens=1)
    assert uids(for_nobody.pid_of("ollama")) == {0}
    assert for_nobody.generate().status == 200
    told = for_nobody.process.wait_log(r'warning supervisor models_kept path="(\S+)" owner=root user=nobody hint="chown -R 65534:65534 (\S+)"')
    assert told.groups() == (models, models)
    assert for_nobody.ctl("reload").returncode == 0
    first = for_nobody.pid_of("ollama")
    chown(models, NOBODY)  # as the line says
    assert for_nobody.ctl("reload").returncode == 0
    until(lambda: for_nobody.pid_of("ollama") != first, 5, "another Ollama")
    until(lambda: uids(for_nobody.pid_of("ollama")) == {NOBODY}, 5, "its user, which it becomes on its way to its program")
    assert len(for_nobody.process.logged("models_kept")) == 1  # once, not for each reload
    for_nobody.wait_ready()
    assert for_nobody.generate().status == 200


@ROOT
@pytest.mark.parametrize("inside", ["", "models"])
def test_a_link_of_ollamas_user_does_not_keep_ollama_root(for_nobody, inside):
    """Who was Ollama's user could have put it there, and would be root at the next start."""
    models = os.path.join(for_nobody.directory, "volume", "models")
    precious = os.path.join(for_nobody.directory, "precious")
    os.makedirs(os.path.join(precious, "models", "root-s"))
    os.makedirs(os.path.dirname(models))
    os.symlink(precious, models)
    chown(os.path.dirname(models), NOBODY)
    os.chown(models, NOBODY, NOBODY, follow_symlinks=False)
    for_nobody.env["OLLAMA_MODELS"] = os.path.join(models, inside) if inside else models
    for_nobody.start()
    for_nobody.process.wait_log(r"warning supervisor models_failed path=.* error=.a link that is not root's")
    for_nobody.process.wait_log(r" exec .*program=ollama")
    until(lambda: uids(for_nobody.pid_of("ollama")) == {NOBODY}, 5, "its user, which it becomes on its way to its program")
    assert not for_nobody.process.logged("models_kept") and os.stat(precious).st_uid == 0


def test_a_folder_that_can_not_be_made_is_told(sidecar):
    sidecar.write("file", "x")
    sidecar.env["OLLAMA_MODELS"] = os.path.join(sidecar.directory, "file", "models")
    sidecar.start()
    sidecar.process.wait_log(r'warning supervisor models_failed path="\S+/file/models" error="Not a directory"')
    sidecar.process.wait_log(r" exec program=ollama")  # which may know better; this one does not
    assert sidecar.stop() == 0
