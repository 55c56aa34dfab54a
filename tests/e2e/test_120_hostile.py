"""R1.1, R1.7: a hub that is broken or means harm, a network that is bad, a cache that is odd: what a pull, a list and a removal make of it."""
import email.utils
import errno
import hashlib
import json
import os
import time

import pytest

from hub_jobs import files, jobs, wanted  # noqa: F401
from hub_server import LFS_BYTES
from test_120_cache import gguf, index, lay
from test_120_killed import killer  # noqa: F401
from waiting import until

WEIGHTS = "model.safetensors"
ROW = {"type": "file", "oid": "a" * 40, "size": 3}


def etag(content):
    return hashlib.sha256(content).hexdigest()


# answers

@pytest.mark.parametrize("headers, low, high", [
    ({"Retry-After": "DATE"}, 1700, 1800), ({"RateLimit": '"api";r=0;t=1800'}, 1801, 1801), ({"RateLimit": '"api";r=7;t=1800'}, 0, 0), ({"Retry-After": "soon"}, 0, 0),
    ({"Retry-After": "999999999999999999"}, 7 * 86_400, 7 * 86_400)])
def test_when_a_hub_wants_to_be_asked_again(jobs, headers, low, high):
    jobs.hub.commit("org/model", files())
    jobs.env["SIDECAR_PRELOAD_RETRIES"] = "0"
    headers = {name: email.utils.formatdate(time.time() + 1800, usegmt=True) if value == "DATE" else value for name, value in headers.items()}
    jobs.hub.fault("/tree/", status=429, headers=headers, times=None)
    assert low <= jobs.refused(code="rate_limited").get("retry_after_s", 0) <= high


def test_a_list_goes_on_by_a_relative_link_without_quotes(jobs):
    content = files(**{f"vocab{number}.txt": b"%d" % number for number in range(12)})
    revision = jobs.hub.commit("org/model", content)
    rows = [file.row(path) for path, file in sorted(jobs.hub.repositories["org/model"].commits[revision].items())]
    jobs.hub.fault("/tree/", status=200, headers={"Link": f"<?page=1>; rel=first, </api/models/org/model/tree/{revision}?cursor=3>; rel=next"}, body=json.dumps(rows[:3]).encode())
    jobs.pull()
    assert jobs.snapshot(revision) == wanted(content)


@pytest.mark.parametrize("status, code", [(404, "not_found"), (500, "network"), (302, "network")])
def test_an_error_is_not_read_to_its_end(jobs, status, code):
    jobs.hub.commit("org/model", files())
    jobs.env["SIDECAR_PRELOAD_RETRIES"] = "0"
    jobs.hub.fault("/revision/", status=status, headers={"Location": "/other", "Content-Length": str(1 << 50)}, body=b"x" * 1_000_000, hold_after=900_000)
    jobs.refused(code=code)


def test_a_page_in_the_place_of_a_file_costs_nothing_of_what_is_there(jobs):
    content = files(weights_n=200_000)
    revision = jobs.hub.commit("org/model", content)
    jobs.hub.fault(".", host="cdn", cut_after=70_000, is_chunked=True)
    jobs.hub.fault(".", host="cdn", status=200, body=b"<html>log in</html>")
    jobs.hub.fault(".", host="cdn", status=200, headers={"Content-Encoding": "gzip"}, body=b"packed")
    jobs.hub.fault("resolve/.*" + WEIGHTS, status=302, when=lambda _: sum(r.host == "cdn" for r in jobs.hub.requests) == 3,
                   headers={"Location": f"{jobs.hub.cdn_url}/{etag(content[WEIGHTS])}", "X-Linked-Etag": '"' + "c" * 64 + '"'})
    jobs.pull()
    assert jobs.snapshot(revision) == wanted(content)
    assert [r.range for r in jobs.hub.asked("/", host="cdn")] == [None] + 4 * ["bytes=70000-"]


def test_a_page_in_the_place_of_a_file_is_told(jobs):
    content = files()
    jobs.hub.commit("org/model", content)
    jobs.env["SIDECAR_PRELOAD_RETRIES"] = "1"
    jobs.hub.fault(etag(content[WEIGHTS]), host="cdn", status=200, body=b"<html>log in</html>", times=None)
    assert "wants a login" in jobs.refused(code="mismatch")["error"]
    assert len(jobs.hub.asked("/", host="cdn")) == 2 and jobs.listed() == {}


def test_odd_names_are_asked_for_and_linked_as_they_are(jobs):
    content = files(**{"模型 %41#?&+.json": b"{}", "a b/c'd\".json": b"[]", "émoji😀.txt": b"x" * LFS_BYTES})
    revision = jobs.hub.commit("org/model", content)
    jobs.pull()
    assert jobs.snapshot(revision) == wanted(content)


@pytest.mark.parametrize("status, code, word", [
    (401, "unauthorized", "HF_TOKEN"), (403, "forbidden", "no right"), (403, "gated", "ask for access"), (403, "forbidden", "to nobody"), (404, "not_found", "check its name"),
    (451, "forbidden", "to nobody")])
def test_each_refusal_of_a_hub_has_its_words(jobs, status, code, word):
    jobs.hub.commit("org/model", files())
    jobs.env["HF_TOKEN"] = "hf_some"
    error = {"gated": "GatedRepo", "not_found": "RepoNotFound"}.get(code) or ("DisabledRepo" if (status, word) == (403, "to nobody") else None)
    jobs.hub.fault("/revision/", status=status, headers={"X-Error-Message": "It is \x1b[2Jso.", **({"X-Error-Code": error} if error else {})}, times=None)
    last = jobs.refused(code=code)
    assert last["status"] == (401 if code == "unauthorized" else 404 if code == "not_found" else 403) and word in last["error"], last


def test_a_link_that_has_run_out_is_asked_for_anew(jobs):
    content = files()
    revision = jobs.hub.commit("org/model", content)
    jobs.hub.fault(".", host="cdn", status=403, body=b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>")
    jobs.pull()
    assert jobs.snapshot(revision) == wanted(content) and len(jobs.hub.asked("resolve/.*" + WEIGHTS)) == 2


# very many, very large

def test_sizes_beyond_all_disks_are_refused(jobs):
    rows = [{**ROW, "path": f"m-{n:05}-of-05000.safetensors", "lfs": {"oid": f"{n:064x}", "size": 1 << 53, "pointerSize": 130}} for n in range(1, 5001)]
    jobs.hub.commit("org/model", files(), rows=[{**ROW, "path": "config.json"}, *rows])
    assert "more bytes" in jobs.refused(code="bad_file")["error"] and not jobs.hub.asked("/resolve/")


def test_ten_thousand_files_are_listed_page_by_page_and_those_that_are_wanted_come(jobs):
    content = files(**{f"logs/run-{number}.bin": b"%d" % number for number in range(10_000)})
    revision = jobs.hub.commit("org/model", content)
    jobs.pull()
    assert set(jobs.snapshot(revision)) == set(wanted(files())) and len(jobs.hub.asked("/tree/")) == 11


@pytest.mark.limit(90)  # for 12,000 files to be made on a busy disk: the look at them has the time that each job has
def test_a_model_of_very_many_parts_is_looked_at_in_time(jobs):
    names = [f"m-{number:05}-of-06000.safetensors" for number in range(1, 6001)]
    blobs = lay(jobs, {"config.json": b"{}", "model.safetensors.index.json": index(*names), **{name: name.encode() for name in names}})
    assert list(jobs.listed()) == ["org/model"]
    os.unlink(blobs[names[-1]])
    os.unlink(os.path.join(jobs.folder(), "snapshots", "1" * 40, names[-1]))
    assert jobs.listed() == {}


def test_a_model_of_very_many_gguf_files_has_a_line_that_fits(jobs):
    lay(jobs, {f"{'n' * 100}{number}-Q4_K_M.gguf": gguf(words=number) for number in range(1500)})
    job = jobs.start("list")
    assert job.wait()["models_n"] == 1
    assert 100 < len(job.lines[0]["files"]) < 1500 and len(json.dumps(job.lines[0])) < 48 * 1024


# odd caches, odd environments

@pytest.mark.parametrize("trouble", ["read only", "limited", "offline"])
def test_what_is_whole_is_enough_where_it_could_not_be_pulled_now(jobs, killer, trouble):
    jobs.hub.commit("org/model", files(1))
    jobs.pull()
    if trouble == "limited":
        jobs.hub.fault("/revision/", times=None, status=429, headers={"Retry-After": "600"})
    if trouble == "offline":
        jobs.env["TRANSFORMERS_OFFLINE"] = "true"
    if trouble == "read only":
        jobs.env.update(LD_PRELOAD=killer, KILL_AT="1", KILL_BELOW=jobs.cache, KILL_ERROR=str(errno.EROFS))
    assert jobs.pull()["status"] == "success"
    if trouble == "read only":
        jobs.hub.commit("org/model", files(2))
        assert jobs.cache in jobs.refused(code="read_only")["error"]


@pytest.mark.parametrize("endpoint", ["{}/", "{}/mirror", "{}/mirror//", "{}/a/b/"])
def test_a_hub_below_a_path(jobs, endpoint):
    revision = jobs.hub.commit("org/model", files())
    jobs.hub.page_n = 2
    jobs.hub.below = endpoint[2:].rstrip("/")
    jobs.env["HF_ENDPOINT"] = endpoint.format(jobs.hub.url)
    jobs.pull()
    assert jobs.snapshot(revision) == wanted(files())


@pytest.mark.parametrize("environment, where", [
    ({"HF_HUB_CACHE": "{}/a b/ü"}, "{}/a b/ü"), ({"HF_HOME": "~/hf"}, "{}/hf/hub"), ({"HF_HOME": "rel"}, "{}/rel/hub"), ({"XDG_CACHE_HOME": "{}/x"}, "{}/x/huggingface/hub"),
    ({}, "{}/.cache/huggingface/hub"), ({"HF_HUB_CACHE": "", "HF_HOME": "{}/y/"}, "{}/y/hub")])
def test_where_the_cache_is(jobs, environment, where):
    revision = jobs.hub.commit("org/model", files())
    del jobs.env["HF_HOME"]
    jobs.env.update({name: value.format(jobs.directory) for name, value in environment.items()})
    jobs.cache = where.format(jobs.directory)
    last = jobs.start("pull", "org/model", before=["env", "-C", jobs.directory]).wait()
    assert last["local_path"] == os.path.join(jobs.folder(), "snapshots", revision) and jobs.snapshot(revision) == wanted(files())


def test_a_model_whose_files_are_in_a_chunk_store_comes_by_its_plain_links(jobs):
    content = files()
    revision = jobs.hub.commit("org/model", content)
    xet = {"X-Xet-Hash": "d" * 64, "X-Linked-Etag": f'"{etag(content[WEIGHTS])}"', "X-Linked-Size": "40000", "Location": f"{jobs.hub.cdn_url}/{etag(content[WEIGHTS])}",
           "Link": f'<{jobs.hub.url}/api/models/org/model/xet-read-token/{revision}>; rel="xet-auth", <{jobs.hub.cdn_url}/v1/reconstruction>; rel="xet-reconstruction-info"'}
    jobs.hub.fault("resolve/.*" + WEIGHTS, status=302, headers=xet)
    jobs.pull()
    assert jobs.snapshot(revision) == wanted(content) and not jobs.hub.asked("xet-read-token|reconstruction")


def test_a_branch_that_moves_in_the_pull_is_pulled_as_it_was(jobs):
    old = files(1)
    first = jobs.hub.commit("org/model", old)
    jobs.hub.fault(".", host="cdn", hold_after=10_000)
    job = jobs.start("pull", "org/model")
    until(jobs.hub.reached.is_set, 10, "the download to stand")
    second = jobs.hub.commit("org/model", files(2))
    jobs.hub.release()
    assert job.wait()["revision"] == first and jobs.snapshot(first) == wanted(old)
    assert jobs.pull()["revision"] == second

def test_a_model_whose_folder_is_a_link_is_a_model_and_can_be_removed(jobs):
    lay(jobs, files())
    other = os.path.join(jobs.directory, "other")
    os.rename(jobs.folder(), other)
    os.symlink(other, jobs.folder())
    assert "org/model" in jobs.listed()
    assert jobs.run("remove", "org/model")["freed_bytes"] > 40_000
    assert not os.path.lexists(jobs.folder()) and os.listdir(other) == []
