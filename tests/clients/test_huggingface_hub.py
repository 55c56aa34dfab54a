"""huggingface_hub from PyPI and our jobs in one cache: each reads what the other has pulled, goes on with what it has left, and waits for it."""
import importlib.util
import json
import subprocess
import sys

import pytest

from hub_jobs import files, jobs, wanted  # noqa: F401
from waiting import SLACK, until

if not importlib.util.find_spec("huggingface_hub"):
    pytest.skip("huggingface_hub is not installed: `make check-deps` installs it", allow_module_level=True)

WEIGHTS = "model.safetensors"
READ = """
import json, sys, huggingface_hub as hub
top = hub.snapshot_download("org/model", local_files_only=True)
paths = {name: hub.hf_hub_download("org/model", name, local_files_only=True) for name in sys.argv[1:]}
info = hub.scan_cache_dir()
repo, = info.repos
print(json.dumps({"top": top, "paths": paths, "warnings": [str(w) for w in info.warnings], "size": repo.size_on_disk, "refs": sorted(repo.refs),
                  "revisions": [r.commit_hash for r in repo.revisions], "missing": hub.try_to_load_from_cache("org/model", "none.json")}))
"""
DOWNLOAD = "import huggingface_hub as hub; print(hub.snapshot_download('org/model', max_workers=1))"
DELETE = "import huggingface_hub as hub; i = hub.scan_cache_dir(); i.delete_revisions(*[v.commit_hash for r in i.repos for v in r.revisions]).execute()"


def start(jobs, code, *arguments):
    """A Python that does this with the client."""
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
                            env={**jobs.env, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"})


def ended(python):
    out, err = python.communicate(timeout=60 * SLACK)
    assert python.returncode == 0, err
    return out


def run(jobs, code, *arguments):
    return ended(start(jobs, code, *arguments))


def cdn_ranges(jobs):
    return [r.range for r in jobs.hub.asked("/", host="cdn")]


def test_it_reads_what_we_have_pulled(jobs):
    content = files(**{"sub/more.json": b"{}"})
    revision = jobs.hub.commit("org/model", content)
    last = jobs.pull()
    requests_n = len(jobs.hub.requests)
    told = json.loads(run(jobs, READ, *wanted(content)))
    assert told["top"] == last["local_path"] and told["revisions"] == [revision] and told["refs"] == ["main"] and told["warnings"] == [] and told["missing"] is None
    for name, path in told["paths"].items():
        with open(path, "rb") as file:
            assert file.read() == content[name]
    assert told["size"] == last["size_bytes"] and len(jobs.hub.requests) == requests_n


def test_it_downloads_only_what_we_have_left_out(jobs):
    content = files()
    revision = jobs.hub.commit("org/model", content)
    jobs.pull()
    before_n = len(jobs.hub.requests)
    run(jobs, DOWNLOAD)
    got = [r.path.rsplit("/", 1)[1] for r in jobs.hub.requests[before_n:] if r.method == "GET" and "/resolve/" in r.path]
    assert got == ["README.md"] and jobs.snapshot(revision) == content
    assert jobs.listed()["org/model"]["revision"] == revision


def test_we_list_what_it_has_downloaded_and_download_nothing(jobs):
    content = files()
    revision = jobs.hub.commit("org/model", content)
    assert run(jobs, DOWNLOAD).strip().endswith(revision)
    line = jobs.listed()["org/model"]
    assert line["revision"] == revision and line["size_bytes"] == sum(map(len, content.values()))
    jobs.pull()
    assert len(cdn_ranges(jobs)) == 1


def test_what_it_left_behind_when_it_was_killed_is_no_model_and_we_complete_it(jobs):
    content = files()
    revision = jobs.hub.commit("org/model", content)
    jobs.hub.fault(".", host="cdn", hold_after=20_000)
    python = start(jobs, DOWNLOAD)
    until(jobs.hub.reached.is_set, 60, "its download to stand")
    python.kill()
    python.communicate()
    assert jobs.listed() == {}
    jobs.pull()
    assert wanted(content).items() <= jobs.snapshot(revision).items() and "org/model" in jobs.listed()
    run(jobs, READ, WEIGHTS)


def test_it_completes_what_we_left_behind_when_we_were_killed(jobs):
    content = files()
    revision = jobs.hub.commit("org/model", content)
    jobs.hub.fault(".", host="cdn", hold_after=16_384)
    job = jobs.start("pull", "org/model")
    until(jobs.hub.reached.is_set, 10, "the download to stand")
    job.kill()
    run(jobs, DOWNLOAD)
    assert jobs.snapshot(revision) == content
    jobs.pull()
    assert jobs.listed()["org/model"]["revision"] == revision


def test_it_waits_for_a_file_that_we_download(jobs):
    content = files()
    revision = jobs.hub.commit("org/model", content)
    jobs.hub.fault(".", host="cdn", hold_after=16_384)
    job = jobs.start("pull", "org/model")
    until(jobs.hub.reached.is_set, 10, "the download to stand")
    python = start(jobs, DOWNLOAD)
    until(lambda: jobs.hub.asked(WEIGHTS, method="HEAD"), 60, "its turn at the file")
    jobs.hub.release()
    ended(python)
    job.wait()
    assert len(cdn_ranges(jobs)) == 1 and jobs.snapshot(revision) == content


def test_we_wait_for_a_file_that_it_downloads(jobs):
    content = files()
    revision = jobs.hub.commit("org/model", content)
    jobs.hub.fault(".", host="cdn", hold_after=16_384)
    python = start(jobs, DOWNLOAD)
    until(jobs.hub.reached.is_set, 60, "its download to stand")
    job = jobs.start("pull", "org/model")
    until(lambda: len(jobs.hub.asked("/tree/")) >= 2, 20, "our turn at the files")
    jobs.hub.release()
    ended(python)
    assert job.wait()["status"] == "success" and len(cdn_ranges(jobs)) == 1
    assert wanted(content).items() <= jobs.snapshot(revision).items()


def test_what_it_deletes_is_gone_for_us(jobs):
    jobs.hub.commit("org/model", files())
    jobs.pull()
    run(jobs, DELETE)
    assert jobs.listed() == {}
    jobs.pull()
    assert "org/model" in jobs.listed()
