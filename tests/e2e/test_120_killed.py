"""R1.7: a pull that is killed, wherever it is: what is there is never taken for a model before it is whole, and the next one goes on with it."""
import errno
import hashlib
import os
import shutil
import signal
import subprocess

import pytest

from hub_jobs import files, jobs, wanted  # noqa: F401
from waiting import SLACK, until

HERE = os.path.dirname(os.path.abspath(__file__))
WEIGHTS = "model.safetensors"


def etag(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def killer(jobs):
    """LD_PRELOAD of kill_at.c."""
    if "san" in os.environ.get("BUILD_DIR", ""):
        pytest.skip("a sanitizer wants to be loaded first")
    path = os.path.join(jobs.directory, "kill_at.so")
    subprocess.run([os.environ.get("CC", "cc").split()[-1], "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", path, os.path.join(HERE, "kill_at.c"), "-ldl"], check=True)
    return path


def sharded(seed=1):
    """A small model in two parts with an index, one file of it in a folder."""
    parts = {f"model-0000{number}-of-00002.safetensors": bytes([seed, number]) * 600 for number in (1, 2)}
    index = '{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}'
    return {"config.json": b'{"seed":%d}' % seed, **parts, "model.safetensors.index.json": index.encode(), "sub/config.json": b"{}"}


def check_blobs(jobs, content):
    """What has a file's name has its bytes."""
    right = {etag(text): text for text in content.values()}
    for name, text in jobs.blobs().items():
        if len(name) == 64:
            assert text == right[name]


def start_killed(jobs, killer, at, do, **variables):
    """A job that is killed before this call."""
    environment = dict(jobs.env)
    jobs.env.update(LD_PRELOAD=killer, KILL_AT=str(at), KILL_BELOW=jobs.cache, **variables)
    job = jobs.start(do, "org/model")
    jobs.env = environment
    return job


def run_killed(jobs, killer, at, do):
    """The signal by which the job ended, or 0."""
    return start_killed(jobs, killer, at, do).popen.wait(30 * SLACK)


def calls(first=1, step=1):
    """The numbers of calls to kill a job at; whoever asks ends when it was not killed any more."""
    for at in range(first, 400, step):
        yield at
    raise AssertionError("it makes no end")


@pytest.mark.limit(120)
@pytest.mark.parametrize("quarter", [1, 2, 3, 4])
def test_killed_before_any_call_that_changes_a_file(jobs, killer, quarter):
    content = sharded()
    revision = jobs.hub.commit("org/model", content)
    killed_n = 0
    for at in calls(quarter, 4):
        shutil.rmtree(jobs.home, ignore_errors=True)
        code = run_killed(jobs, killer, at, "pull")
        check_blobs(jobs, content)
        listed = jobs.listed()
        if listed:
            assert jobs.snapshot(revision) == wanted(content), at
        if code == 0:
            break
        assert code == -signal.SIGKILL, at
        killed_n += 1
        jobs.pull()
        assert jobs.snapshot(revision) == wanted(content), at
        assert not [name for name in jobs.blobs() if "incomplete" in name], at
        assert jobs.listed()["org/model"]["revision"] == revision
    assert killed_n > 8 and listed


@pytest.mark.limit(120)
def test_killed_in_an_update_leaves_the_old_or_the_new(jobs, killer):
    old, new = sharded(1), sharded(2)
    first = jobs.hub.commit("org/model", old)
    jobs.pull()
    kept = os.path.join(jobs.directory, "kept")
    shutil.copytree(jobs.home, kept, symlinks=True)
    second = jobs.hub.commit("org/model", new)
    for at in calls():
        shutil.rmtree(jobs.home)
        shutil.copytree(kept, jobs.home, symlinks=True)
        code = run_killed(jobs, killer, at, "pull")
        revision = jobs.listed()["org/model"]["revision"]
        assert jobs.snapshot(revision) == wanted(old if revision == first else new), at
        if code == 0:
            break
        jobs.pull()
        assert jobs.snapshot(second) == wanted(new), at
    assert revision == second


@pytest.mark.limit(60)
def test_killed_in_a_removal_leaves_all_or_nothing(jobs, killer):
    content = files()
    revision = jobs.hub.commit("org/model", content)
    jobs.pull()
    kept = os.path.join(jobs.directory, "kept")
    shutil.copytree(jobs.home, kept, symlinks=True)
    for at in calls():
        shutil.rmtree(jobs.home)
        shutil.copytree(kept, jobs.home, symlinks=True)
        code = run_killed(jobs, killer, at, "remove")
        if "org/model" in jobs.listed():
            assert jobs.snapshot(revision) == wanted(content), at
        if code == 0:
            break
        jobs.run("remove", "org/model")
        assert not os.path.exists(jobs.folder()), at
    assert at > 10 and not os.path.exists(jobs.folder())


@pytest.mark.limit(120)
@pytest.mark.parametrize("error, code", [(errno.ENOSPC, "no_space"), (errno.EROFS, "read_only")])
def test_a_disk_that_takes_no_more_from_any_call_on(jobs, killer, error, code):
    content = sharded()
    revision = jobs.hub.commit("org/model", content)
    for at in calls(1, 3):
        shutil.rmtree(jobs.home, ignore_errors=True)
        last = start_killed(jobs, killer, at, "pull", KILL_ERROR=str(error)).wait()
        check_blobs(jobs, content)
        if last.get("status") == "success":
            break
        assert last["code"] == code and jobs.cache in last["error"], (at, last)
        if jobs.listed():
            assert jobs.snapshot(revision) == wanted(content), at
        jobs.pull()
        assert jobs.snapshot(revision) == wanted(content), at
    assert at > 20


@pytest.mark.parametrize("pattern, hold_after", [
    ("/revision/", 0), ("/revision/", 9), ("/tree/", 0), ("/tree/", 9), (r"config\.json$", 0), (r"config\.json$", 9), ("signature", 0), ("signature", 1),
    ("signature", 16_384), ("signature", 39_999)])
def test_killed_while_the_hub_is_waited_for(jobs, pattern, hold_after):
    content = files()
    revision = jobs.hub.commit("org/model", content)
    jobs.hub.fault(pattern, hold_after=hold_after)
    job = jobs.start("pull", "org/model")
    until(jobs.hub.reached.is_set, 10, "the hub to be waited for")
    job.kill()
    assert jobs.listed() == {}
    check_blobs(jobs, content)
    jobs.pull()
    assert jobs.snapshot(revision) == wanted(content)
