"""R1.1, R1.7: pulls from a hub into its own cache: what comes, what is sent where, what is tried again, and what becomes of an interrupted one."""
import hashlib
import json
import os
import re
import shutil
import signal

import pytest

from hub_jobs import files, jobs, wanted  # noqa: F401
from hub_server import git_oid
from waiting import until

WEIGHTS = "model.safetensors"


def etag(content):
    return hashlib.sha256(content).hexdigest()


# what comes

def test_a_pull_makes_the_hubs_own_layout(jobs):
    content = files(**{"sub/extra.json": b"{}", "empty.txt": b""})
    revision = jobs.hub.commit("org/model", content, info={"pipeline_tag": "text-generation", "library_name": "transformers"})
    job = jobs.start("pull", "org/model")
    last = job.wait()
    top = os.path.join(jobs.folder(), "snapshots", revision)
    assert last["status"] == "success" and last["local_path"] == top and last["revision"] == revision
    assert jobs.snapshot(revision) == wanted(content)
    assert last["size_bytes"] == sum(map(len, wanted(content).values()))
    assert os.readlink(os.path.join(top, WEIGHTS)) == f"../../blobs/{etag(content[WEIGHTS])}"
    assert os.readlink(os.path.join(top, "sub/extra.json")) == f"../../../blobs/{git_oid(b'{}')}"
    with open(os.path.join(jobs.folder(), "refs", "main"), encoding="utf-8") as ref:
        assert ref.read() == revision
    assert set(jobs.blobs()) == {git_oid(text) if len(text) < 1000 else etag(text) for text in wanted(content).values()}
    assert (last["format"], last["file"], last["context_length"], last["has_chat_template"]) == ("safetensors", None, 2048, True)
    assert last["architecture"] == "LlamaForCausalLM" and last["description"] == "text-generation, transformers"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", last["pulled_at"])
    assert {name: line for name, line in last.items() if name != "status"} == jobs.listed()["org/model"]


def test_progress_is_as_ollama_tells_it(jobs):
    content = files(weights_n=400_000)
    jobs.hub.commit("org/model", content)
    jobs.hub.fault(etag(content[WEIGHTS]), slow_bytes_s=250_000)
    job = jobs.start("pull", "org/model")
    job.wait()
    assert job.lines[0] == {"status": "pulling manifest"}
    told = job.said(status=f"pulling {WEIGHTS}", digest=f"sha256:{etag(content[WEIGHTS])}", total=400_000)
    completed = [line["completed"] for line in told]
    assert completed == sorted(completed) and completed[-1] == 400_000 and 3 <= len(completed) <= 20
    assert job.said(status="verifying")


def test_the_list_of_files_may_have_pages(jobs):
    content = files(**{f"vocab{number}.txt": b"%d" % number for number in range(12)})
    revision = jobs.hub.commit("org/model", content)
    jobs.hub.page_n = 3
    jobs.pull()
    assert jobs.snapshot(revision) == wanted(content)
    assert len(jobs.hub.asked("/tree/")) == 6


def test_a_list_that_goes_on_elsewhere_is_refused(jobs):
    jobs.hub.commit("org/model", files())
    jobs.hub.fault("/tree/", status=200, headers={"Link": f'<{jobs.hub.cdn_url}/more>; rel="next"'}, body=b"[]")
    assert "another host" in jobs.refused(code="network")["error"]
    assert not jobs.hub.asked("/more")


def test_an_update_brings_what_is_new_and_keeps_the_rest(jobs):
    old = files()
    first = jobs.hub.commit("org/model", old)
    jobs.pull()
    new = {**old, "config.json": b'{"architectures":["Other"]}'}
    second = jobs.hub.commit("org/model", new)
    before_n = len(jobs.hub.requests)
    last = jobs.pull()
    assert (last["revision"], last["architecture"]) == (second, "Other")
    assert jobs.snapshot(second) == wanted(new) and jobs.snapshot(first) == wanted(old)
    assert [r.path.rsplit("/", 1)[1] for r in jobs.hub.requests[before_n:] if "/resolve/" in r.path] == ["config.json"]


def test_a_second_pull_asks_and_downloads_nothing(jobs):
    jobs.hub.commit("org/model", files())
    jobs.pull()
    before_n = len(jobs.hub.asked("/resolve/"))
    jobs.pull()
    assert len(jobs.hub.asked("/resolve/")) == before_n


def test_files_of_the_same_bytes_are_one_blob(jobs):
    content = files(**{"copy.json": b'{"version":"1.0"}'})
    revision = jobs.hub.commit("org/model", content)
    jobs.pull()
    assert jobs.snapshot(revision) == wanted(content)
    assert len(jobs.hub.asked(r"(copy|tokenizer)\.json$")) == 1


def test_a_branch_and_a_revision_can_be_named(jobs):
    main = jobs.hub.commit("org/model", files(1))
    other = jobs.hub.commit("org/model", files(2), ref="refs/pr/1")
    assert jobs.pull(revision="refs/pr/1")["revision"] == other
    assert jobs.hub.asked(r"/revision/refs%2Fpr%2F1$")
    assert os.path.exists(os.path.join(jobs.folder(), "refs", "refs", "pr", "1"))
    assert jobs.pull(revision=main)["revision"] == main
    assert jobs.listed()["org/model"]["revision"] == main


def test_a_renamed_repository_is_followed(jobs):
    jobs.hub.commit("old/name", files(), renamed_to="org/model")
    revision = jobs.hub.commit("org/model", files())
    assert jobs.pull("old/name")["local_path"].endswith(f"models--old--name/snapshots/{revision}")


# what is sent where

def test_the_token_goes_to_the_hub_alone(jobs):
    jobs.hub.commit("org/model", files(), is_gated=True)
    jobs.hub.readers["hf_secret"] = {"org/model"}
    jobs.env["HF_TOKEN"] = "hf_secret"
    jobs.pull()
    assert all(r.headers.get("authorization") == "Bearer hf_secret" for r in jobs.hub.requests if r.host == "hub")
    cdn = [r for r in jobs.hub.requests if r.host == "cdn"]
    assert cdn and not any("authorization" in r.headers or "hf_secret" in str(r.headers) for r in cdn)


def test_a_redirect_that_comes_back_does_not_bring_the_token_back(jobs):
    content = files()
    jobs.hub.commit("org/model", content)
    jobs.hub.readers["hf_secret"] = set()
    jobs.env["HF_TOKEN"] = "hf_secret"
    jobs.env["SIDECAR_PRELOAD_RETRIES"] = "0"
    jobs.hub.fault(etag(content[WEIGHTS]), host="cdn", status=302, headers={"Location": f"{jobs.hub.url}/stolen"})
    jobs.refused(code="network")
    assert [r.headers.get("authorization") for r in jobs.hub.asked("/stolen")] == [None]


@pytest.mark.parametrize("where", ["file", "path", "home"])
def test_the_token_may_stand_in_a_file(jobs, where):
    jobs.hub.commit("org/model", files(), is_private=True)
    jobs.hub.readers["hf_file"] = {"org/model"}
    os.makedirs(jobs.home)
    path = os.path.join(jobs.home if where == "home" else jobs.directory, "token")
    with open(path, "w", encoding="utf-8") as file:
        file.write("hf_file\n")
    jobs.env.update({"file": {"HF_TOKEN_FILE": path}, "path": {"HF_TOKEN_PATH": path}, "home": {}}[where])
    jobs.pull()


@pytest.mark.parametrize("token", ["two words", "ü", "a\nX-Evil: 1", "x" * 600])
def test_a_token_that_is_none_is_never_sent_nor_told(jobs, token):
    jobs.hub.commit("org/model", files())
    jobs.env["HF_TOKEN"] = token
    assert token not in jobs.refused(code="unauthorized")["error"]
    assert not jobs.hub.requests


@pytest.mark.parametrize("location, words", [
    ("/org/model/resolve/again", "without end"), ("file:///etc/passwd", "could not be had"), ("http://[bad", "could not be had"),
    ("ftp://127.0.0.1/x", "could not be had")])
def test_redirects_that_lead_nowhere(jobs, location, words):
    jobs.hub.commit("org/model", files())
    jobs.env["SIDECAR_PRELOAD_RETRIES"] = "0"
    jobs.hub.fault("/resolve/", status=302, headers={"Location": location}, times=None)
    assert words in jobs.refused(code="network")["error"]
    assert len(jobs.hub.asked("/resolve/again")) <= 4 * 9


# refusals

def test_what_is_not_there_what_is_gated_and_whose_token_is_wrong(jobs):
    jobs.hub.commit("org/model", files())
    jobs.hub.commit("org/gated", files(), is_gated=True)
    jobs.hub.commit("org/private", files(), is_private=True)
    jobs.hub.readers["hf_other"] = set()
    for name, code, status, words in (("org/none", "not_found", 404, "HF_TOKEN"), ("org/private", "not_found", 404, "private"),
                                      ("org/gated", "gated", 403, "ask for access"), ("org/model", None, None, None)):
        if code:
            last = jobs.refused(name, code)
            assert last["status"] == status and words in last["error"] and name in last["error"], last
    assert jobs.refused(code="not_found", revision="v9")["error"].count("revision")
    jobs.env["HF_TOKEN"] = "hf_other"
    assert "no right" in jobs.refused("org/gated", "gated")["error"]
    assert "no right" in jobs.refused("org/private", "not_found")["error"]
    jobs.env["HF_TOKEN"] = "hf_wrong"
    last = jobs.refused("org/model", "unauthorized")
    assert last["status"] == 401 and "HF_TOKEN" in last["error"] and "hf_wrong" not in last["error"]
    assert jobs.listed() == {}


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"sha":"main"}', b'{"sha":"../../../../../../../../../../../../etc"}', b"\xff\xfe"])
def test_an_endpoint_that_is_no_hub(jobs, body):
    jobs.hub.commit("org/model", files())
    jobs.hub.fault("/revision/", status=200, body=body)
    assert "HF_ENDPOINT" in jobs.refused(code="network")["error"]


def test_a_hub_that_is_not_there(jobs):
    jobs.env.update(HF_ENDPOINT="http://127.0.0.1:9", SIDECAR_PRELOAD_RETRIES="0")
    last = jobs.refused(code="network")
    assert last["status"] == 502 and "127.0.0.1:9" in last["error"]


ROW = {"type": "file", "oid": "a" * 40, "size": 3}


@pytest.mark.parametrize("rows", [
    [{**ROW, "path": "../evil.json"}], [{**ROW, "path": "/etc/evil.json"}], [{**ROW, "path": "a/../../evil.json"}], [{**ROW, "path": "a//b.json"}],
    [{**ROW, "path": "./a.json"}], [{**ROW, "path": "a.json\u0000"}, {**ROW, "path": "b\u0000/../c.json"}], [{**ROW, "path": "a\u001b[2J.json"}],
    [{**ROW, "path": "a\\b.json"}], [{**ROW, "path": "a.json"}, {**ROW, "path": "a.json"}], [{**ROW, "path": "a.json"}, {**ROW, "path": "a.json/b.json"}],
    [{**ROW, "path": "x" * 300 + ".json"}], [{**ROW, "path": "d/" * 300 + "a.json"}], [{**ROW, "path": ""}], [{**ROW, "path": 3}], [{**ROW, "path": "a.json", "oid": "../../x"}],
    [{**ROW, "path": "a.json", "size": -1}], [{**ROW, "path": "a.json", "size": 1e30}], [{**ROW, "path": "a.json", "lfs": {"oid": "b" * 40, "size": 3}}],
    [{**ROW, "path": "a.json", "type": "symlink"}], [7]])
def test_names_of_a_hub_are_not_trusted(jobs, rows):
    jobs.hub.commit("org/model", files(), rows=[{**ROW, "path": WEIGHTS}] + rows)
    jobs.refused(code="bad_file")
    assert not jobs.hub.asked("/resolve/")
    assert not any(name.endswith(("evil.json", "passwd")) for _, _, names in os.walk(jobs.directory) for name in names)


@pytest.mark.parametrize("request_line, words", [
    (b"\n", "one JSON object"), (b"x\n", "one JSON object"), (b'{"do":"steal"}\n', "list, pull"), (b'{"do":"pull"}\n', "model"), (b'{"do":"pull","model":3}\n', "model"),
    (b'{"do":"pull","model":"../x"}\n', "model"), (b'{"do":"pull","model":"--org/x"}\n', "model"), (b'{"do":"pull","model":"a/b/c"}\n', "model"),
    (b'{"do":"pull","model":"a/b","revision":"../x"}\n', "revision"), (b'{"do":"pull","model":"a/b","revision":"-x"}\n', "revision"),
    (b'{"do":"pull","model":"a/b","quantize":"q2"}\n', "quantize"), (b'{"do":"note","model":"a/b","backend":3}\n', "note"), (b"", "one JSON object"),
    (b'{"do":"' + b"x" * 70_000 + b'"}\n', "longer")])
def test_requests_that_are_none(jobs, request_line, words):
    from hub_jobs import Job
    job = Job(jobs.env, request_line)
    jobs.jobs.append(job)
    last = job.wait()
    assert last["code"] == "bad_name" and last["status"] == 400 and words in last["error"], last


def test_what_does_not_fit_is_not_begun(jobs):
    jobs.hub.commit("org/model", files(), rows=[{**ROW, "path": "config.json"},
                                                {**ROW, "path": WEIGHTS, "lfs": {"oid": "b" * 64, "size": 1 << 52, "pointerSize": 130}}])
    last = jobs.refused(code="no_space")
    assert last["status"] == 507 and "HF_HUB_CACHE" in last["error"] and not jobs.hub.asked("/resolve/")


def test_a_cache_that_cant_be_written(jobs):
    jobs.hub.commit("org/model", files())
    jobs.env["HF_HUB_CACHE"] = "/sys/hub"
    assert "/sys/hub" in jobs.refused(code="read_only")["error"]
    jobs.env["HF_HUB_CACHE"] = os.path.join(jobs.directory, "file", "hub")
    with open(os.path.join(jobs.directory, "file"), "w", encoding="utf-8"):
        pass
    assert "file" in jobs.refused(code="system")["error"]


# tried again, and gone on with

def test_what_may_go_by_is_tried_again(jobs):
    content = files()
    revision = jobs.hub.commit("org/model", content)
    jobs.hub.fault("/revision/", status=503)
    jobs.hub.fault("/tree/", status=429, headers={"Retry-After": "1"})
    jobs.hub.fault(r"config\.json$", status=500)
    job = jobs.start("pull", "org/model")
    assert job.wait()["status"] == "success"
    assert jobs.snapshot(revision) == wanted(content)
    assert len([line for line in job.lines if line.get("status", "").startswith("trying again in ")]) == 3


def test_a_hub_that_wants_to_be_left_alone_is(jobs):
    jobs.hub.commit("org/model", files())
    jobs.hub.fault("/tree/", status=429, headers={"Retry-After": "1800"}, times=None)
    last = jobs.refused(code="rate_limited")
    assert (last["status"], last["retry_after_s"]) == (429, 1800) and len(jobs.hub.asked("/tree/")) == 1


def test_it_gives_up_in_the_end(jobs):
    jobs.hub.commit("org/model", files())
    jobs.env["SIDECAR_PRELOAD_RETRIES"] = "1"
    jobs.hub.fault(WEIGHTS, status=502, times=None)
    assert "502" in jobs.refused(code="network")["error"] and len(jobs.hub.asked(WEIGHTS)) == 2


def test_a_broken_connection_is_gone_on_with(jobs):
    content = files(weights_n=200_000)
    revision = jobs.hub.commit("org/model", content)
    jobs.hub.fault(etag(content[WEIGHTS]), cut_after=70_000)
    jobs.hub.fault(etag(content[WEIGHTS]), cut_after=1)
    jobs.pull()
    assert [r.range for r in jobs.hub.asked("/", host="cdn")] == [None, "bytes=70000-", "bytes=70001-"]
    assert jobs.snapshot(revision) == wanted(content)


@pytest.mark.parametrize("fault", [{"ignores_range": True}, {"status": 416}, {"status": 206, "headers": {"Content-Range": "bytes 5-9/10"}, "body": b"wrong"},
                                   {"status": 206, "body": b"no range"}, {"status": 200, "headers": {"Content-Encoding": "gzip"}, "body": b"packed"}])
def test_an_answer_of_another_range_begins_the_file_anew(jobs, fault):
    content = files(weights_n=200_000)
    revision = jobs.hub.commit("org/model", content)
    jobs.hub.fault(etag(content[WEIGHTS]), cut_after=70_000)
    jobs.hub.fault(etag(content[WEIGHTS]), **fault)
    jobs.pull()
    assert jobs.snapshot(revision) == wanted(content)


def test_bytes_of_another_file_are_no_model(jobs):
    content = files()
    jobs.hub.commit("org/model", content)
    jobs.hub.fault(etag(content[WEIGHTS]), is_corrupt=True)
    last = jobs.refused(code="mismatch")
    assert last["status"] == 502 and WEIGHTS in last["error"] and etag(content[WEIGHTS]) in last["error"]
    assert etag(content[WEIGHTS]) not in jobs.blobs() and jobs.listed() == {}
    shutil.rmtree(jobs.folder())  # where config.json may be: files come side by side
    jobs.hub.fault(r"config\.json$", is_corrupt=True)
    assert "config.json" in jobs.refused(code="mismatch")["error"]
    jobs.pull()


def test_a_file_that_is_longer_than_the_hub_said(jobs):
    content = files()
    jobs.hub.commit("org/model", content)
    jobs.env["SIDECAR_PRELOAD_RETRIES"] = "1"
    longer = jobs.hub.fault(etag(content[WEIGHTS]), length=60_000, times=None, is_chunked=True)
    assert "longer" in jobs.refused(code="mismatch")["error"]
    longer.is_chunked = False
    assert "another length" in jobs.refused(code="mismatch")["error"]
    assert not jobs.listed()


def test_a_beginning_that_is_wrong_is_found_out(jobs):
    content = files()
    revision = jobs.hub.commit("org/model", content)
    os.makedirs(os.path.join(jobs.folder(), "blobs"))
    for name, left in ((etag(content[WEIGHTS]), b"not its beginning"), (git_oid(content["config.json"]), b"x" * 5000)):
        with open(os.path.join(jobs.folder(), "blobs", name + ".incomplete"), "wb") as file:
            file.write(left)
    jobs.pull()
    assert jobs.snapshot(revision) == wanted(content)
    assert [r.range for r in jobs.hub.asked("/", host="cdn")] == ["bytes=17-", None]


def test_an_entry_that_has_changed_meanwhile(jobs):
    jobs.hub.commit("org/model", files())
    jobs.env["SIDECAR_PRELOAD_RETRIES"] = "0"
    jobs.hub.fault(WEIGHTS, status=302, headers={"Location": f"{jobs.hub.cdn_url}/{etag(files()[WEIGHTS])}", "X-Linked-Etag": '"' + "c" * 64 + '"'})
    assert "another hash" in jobs.refused(code="mismatch")["error"]


# who shares it, who leaves, who stops it

def test_two_pulls_share_one_download(jobs):
    content = files()
    revision = jobs.hub.commit("org/model", content)
    jobs.hub.fault(etag(content[WEIGHTS]), hold_after=10_000)
    first = jobs.start("pull", "org/model", channel="socket")
    until(jobs.hub.reached.is_set, 10, "the download to stand")
    second = jobs.start("pull", "org/model", channel="socket")
    second.wait_said(status="waiting for another pull of the same model")
    assert jobs.refused(code="busy", do="remove")["status"] == 409
    jobs.hub.release()
    assert first.wait() == second.wait() and first.lines[-1]["status"] == "success"
    assert jobs.snapshot(revision) == wanted(content) and len(jobs.hub.asked("/", host="cdn")) == 1


def test_it_goes_on_when_its_reader_leaves(jobs):
    content = files()
    revision = jobs.hub.commit("org/model", content)
    jobs.hub.fault(etag(content[WEIGHTS]), hold_after=10_000)
    job = jobs.start("pull", "org/model", channel="socket")
    until(jobs.hub.reached.is_set, 10, "the download to stand")
    job.leave()
    jobs.hub.release()
    assert job.popen.wait(20) == 0
    assert jobs.snapshot(revision) == wanted(content) and "org/model" in jobs.listed()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_r1_7_a_signal_ends_it_and_the_next_goes_on(jobs, number):
    content = files()
    revision = jobs.hub.commit("org/model", content)
    fault = jobs.hub.fault(etag(content[WEIGHTS]), hold_after=16_384)
    job = jobs.start("pull", "org/model")
    until(jobs.hub.reached.is_set, 10, "the download to stand")
    until(lambda: len(jobs.blobs().get(etag(content[WEIGHTS]) + ".incomplete", b"")) == 16_384, 10, "the first bytes to be there")
    job.popen.send_signal(number)
    last = job.wait()
    assert (last["code"], last["status"]) == ("cancelled", 503) and fault.taken_n == 1
    assert jobs.listed() == {}
    jobs.pull()
    assert jobs.snapshot(revision) == wanted(content)
    assert jobs.hub.asked("/", host="cdn")[-1].range == "bytes=16384-"


def test_nothing_comes_and_it_is_begun_anew(jobs):
    content = files()
    revision = jobs.hub.commit("org/model", content)
    ini = os.path.join(jobs.directory, "supervisor.ini")
    with open(ini, "w", encoding="utf-8") as file:
        file.write("[program:preload]\nstall_timeout = 2s\n")
    jobs.hub.fault(etag(content[WEIGHTS]), hold_after=16_384)
    job = jobs.start("pull", "org/model", arguments=["-c", ini])
    assert job.wait(timeout=40)["status"] == "success" and jobs.snapshot(revision) == wanted(content)
    assert jobs.hub.asked("/", host="cdn")[-1].range == "bytes=16384-"


# without a hub

def test_offline_takes_what_is_whole_and_nothing_else(jobs):
    jobs.hub.commit("org/model", files())
    jobs.env["HF_HUB_OFFLINE"] = "1"
    assert "HF_HUB_OFFLINE" in jobs.refused(code="network")["error"] and not jobs.hub.requests
    del jobs.env["HF_HUB_OFFLINE"]
    jobs.pull()
    jobs.env["HF_HUB_OFFLINE"] = "1"
    n = len(jobs.hub.requests)
    jobs.pull()
    assert len(jobs.hub.requests) == n
    jobs.refused(code="network", revision="v2")


def test_a_hub_that_is_gone_is_no_loss_to_who_has_it(jobs):
    jobs.hub.commit("org/model", files())
    jobs.pull()
    jobs.env.update(SIDECAR_PRELOAD_RETRIES="0")
    jobs.hub.fault("/revision/", status=503, times=None)
    job = jobs.start("pull", "org/model")
    assert job.wait()["status"] == "success" and any("503" in line["status"] for line in job.lines)
