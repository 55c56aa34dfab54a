"""R1.2: which models of a cache count as pulled, whoever has put them there; which files are chosen; notes; removal."""
import hashlib
import json
import os
import struct

import pytest

from hub_jobs import files, jobs, wanted  # noqa: F401

REVISION = "1" * 40
WEIGHTS = "model.safetensors"
SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]


def lay(jobs, content, name="org/model", revision=REVISION, ref="main"):
    """A snapshot as the hub's own clients make one; {path: its blob's path}."""
    made, folder = {}, jobs.folder(name)
    for path, text in content.items():
        blob = os.path.join(folder, "blobs", hashlib.sha256(text).hexdigest())
        link = os.path.join(folder, "snapshots", revision, path)
        for at in (blob, link, os.path.join(folder, "refs", "x")):
            os.makedirs(os.path.dirname(at), exist_ok=True)
        with open(blob, "wb") as file:
            file.write(text)
        if not os.path.lexists(link):
            os.symlink(os.path.relpath(blob, os.path.dirname(link)), link)
        made[path] = blob
    if ref:
        with open(os.path.join(folder, "refs", ref), "w", encoding="utf-8") as file:
            file.write(revision)
    return made


def gguf(context=4096, template=True, words=1000, architecture="llama"):
    """The head of a GGUF file."""
    def text(value):
        return struct.pack("<Q", len(value)) + value.encode()
    pairs = [text("general.architecture") + struct.pack("<I", 8) + text(architecture), text("general.name") + struct.pack("<I", 8) + text("Tiny Random"),
             text(f"{architecture}.context_length") + struct.pack("<II", 4, context), text("general.flags") + struct.pack("<IB", 7, 1),
             text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, words) + b"".join(text(f"w{n}") for n in range(words)),
             text("tokenizer.ggml.scores") + struct.pack("<IIQ", 9, 6, words) + b"\0\0\0\0" * words]
    if template:
        pairs.append(text("tokenizer.chat_template") + struct.pack("<I", 8) + text("{{ messages }}"))
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)) + b"".join(pairs)


def index(*names):
    return json.dumps({"metadata": {}, "weight_map": {f"layer.{n}": name for n, name in enumerate(names)}}).encode()


# what counts

def test_an_empty_cache_and_one_that_is_not_there(jobs):
    assert jobs.listed() == {}
    os.makedirs(jobs.cache)
    job = jobs.start("list")
    last = job.wait()
    assert last["cache"] == jobs.cache and last["free_bytes"] > 0


def test_what_others_have_pulled_counts(jobs):
    lay(jobs, files())
    lay(jobs, files(), name="gpt2")
    lay(jobs, {"config.json": b"{}", **dict.fromkeys(SHARDS, b"x"), "model.safetensors.index.json": index(*SHARDS)}, name="org/sharded")
    lay(jobs, {"config.json": b"{}", "pytorch_model.bin": b"x"}, name="org/torch")
    lay(jobs, {"model-Q4_K_M.gguf": gguf()}, name="org/gguf")
    listed = jobs.listed()
    assert sorted(listed) == ["gpt2", "org/gguf", "org/model", "org/sharded", "org/torch"]
    model = listed["org/model"]
    assert model["revision"] == REVISION and model["size_bytes"] == sum(map(len, files().values()))
    assert (model["format"], model["preferred_quantized"], model["backend"], model["load_duration_ns"]) == ("safetensors", False, None, None)
    assert listed["org/torch"]["format"] == "safetensors"
    tiny = listed["org/gguf"]
    assert (tiny["format"], tiny["file"], tiny["files"]) == ("gguf", "model-Q4_K_M.gguf", ["model-Q4_K_M.gguf"])
    assert (tiny["context_length"], tiny["has_chat_template"], tiny["architecture"], tiny["description"]) == (4096, True, "llama", "Tiny Random")


@pytest.mark.parametrize("content, gone", [
    (files(), WEIGHTS), (files(), "config.json"), ({"config.json": b"{}"}, None), ({"tokenizer.json": b"{}", "config.json": b"{}"}, None), ({WEIGHTS: b"x"}, None),
    ({"config.json": b"{}", SHARDS[0]: b"x"}, None), ({"config.json": b"{}", WEIGHTS: b"x", "model.safetensors.index.json": index(*SHARDS)}, None),
    ({"config.json": b"{}", WEIGHTS: b"x", "model.safetensors.index.json": b"cut"}, None), ({"m-Q4_0-00001-of-00003.gguf": b"x", "m-Q4_0-00003-of-00003.gguf": b"y"}, None)])
def test_r1_7_what_is_not_whole_is_no_model(jobs, content, gone):
    blobs = lay(jobs, content)
    if gone:
        os.unlink(blobs[gone])
    assert jobs.listed() == {}


@pytest.mark.parametrize("ending", [".incomplete", ".1a2b3c4d.incomplete"])
def test_a_download_of_others_that_broke_off(jobs, ending):
    blobs = lay(jobs, files())
    for name, counts in (("f" * 64, False), (os.path.basename(blobs[WEIGHTS]), True)):
        left = os.path.join(jobs.folder(), "blobs", name + ending)
        with open(left, "wb"):
            pass
        assert bool(jobs.listed()) == counts
        os.unlink(left)


def test_an_update_that_broke_off_hides_not_what_was_pulled(jobs):
    jobs.hub.commit("org/model", files(1))
    jobs.pull()
    with open(os.path.join(jobs.folder(), "blobs", "e" * 64 + ".incomplete"), "wb"):
        pass
    assert "org/model" in jobs.listed()


def test_the_newest_whole_one_stands_where_main_is_not_whole(jobs):
    old, new = "2" * 40, "3" * 40
    lay(jobs, files(1), revision=old, ref=None)
    os.utime(os.path.join(jobs.folder(), "snapshots", old), (1, 1))
    lay(jobs, {"config.json": b"{}"}, revision=new)
    assert jobs.listed()["org/model"]["revision"] == old
    lay(jobs, files(2), revision="4" * 40, ref=None)
    assert jobs.listed()["org/model"]["revision"] == "4" * 40


def test_what_is_no_model_of_ours_is_passed_by(jobs):
    lay(jobs, files())
    for name in ("datasets--org--data", "models--", "models--..--x", "models--a--b--c", "blobs", ".locks", "version.txt", "models--org--\x1b[2J"):
        os.makedirs(os.path.join(jobs.cache, name, "snapshots", REVISION))
    os.makedirs(os.path.join(jobs.cache, "models--org--empty", "snapshots", "not-a-revision"))
    with open(os.path.join(jobs.cache, "models--org--file"), "w", encoding="utf-8"):
        pass
    assert list(jobs.listed()) == ["org/model"]


@pytest.mark.parametrize("text", [b"", b"cut {", b"[1]", b'{"revision":7,"load_duration_ns":"x","preferred_quantized":3}', b"\x00" * 100, b"x" * 100_000])
def test_a_broken_note_is_none(jobs, text):
    lay(jobs, files())
    with open(os.path.join(jobs.folder(), ".ollama-sidecar.json"), "wb") as file:
        file.write(text)
    assert jobs.listed()["org/model"]["load_duration_ns"] is None


@pytest.mark.parametrize("head", [b"", b"GGUF", gguf()[:100], b"GGUF" + b"\xff" * 100, gguf()[:40] + b"\xff" * 200])
def test_a_gguf_file_whose_head_is_broken_is_not_known(jobs, head):
    lay(jobs, {"model.gguf": head})
    line = jobs.listed()["org/model"]
    assert line["file"] == "model.gguf" and line["context_length"] in (None, 4096)


@pytest.mark.parametrize("config, length", [
    ({"max_position_embeddings": 4096}, 4096), ({"n_positions": 1024}, 1024), ({"text_config": {"max_position_embeddings": 8192}}, 8192),
    ({"max_position_embeddings": -1}, None), ({"max_position_embeddings": "many"}, None), ({"max_position_embeddings": 1e300}, None), ([], None), ({}, None)])
def test_how_long_a_context_it_takes(jobs, config, length):
    lay(jobs, {**files(), "config.json": json.dumps(config).encode()})
    assert jobs.listed()["org/model"]["context_length"] == length


@pytest.mark.parametrize("more, has", [
    ({"tokenizer_config.json": b"{}"}, False), ({"tokenizer_config.json": b'{"chat_template":""}'}, False), ({"tokenizer_config.json": b'{"chat_template":[]}'}, False),
    ({"tokenizer_config.json": b'{"chat_template":[{"name":"default","template":"x"}]}'}, True), ({"tokenizer_config.json": b"{}", "chat_template.jinja": b"x"}, True),
    ({"tokenizer_config.json": b"broken"}, False)])
def test_whether_it_has_a_chat_template(jobs, more, has):
    lay(jobs, {**files(), **more})
    assert jobs.listed()["org/model"]["has_chat_template"] is has


# which files are chosen

def chosen(jobs, content, settings="", **members):
    """The paths of the snapshot that a pull has made of this repository, and its last line."""
    ini = os.path.join(jobs.directory, "supervisor.ini")
    with open(ini, "w", encoding="utf-8") as file:
        file.write("[models]\nserve = yes\n" + settings)
    revision = jobs.hub.commit("org/model", content)
    last = jobs.start("pull", "org/model", arguments=["-c", ini], **members).wait()
    assert last.get("status") == "success", last
    return set(jobs.snapshot(revision)), last


def of(*names):
    return {name: name.encode() for name in names}


SMALL = ("config.json", "tokenizer.json", "generation_config.json", "vocab.txt", "tokenizer.model", "chat_template.jinja", "qwen.tiktoken", "1_Pooling/config.json")


def test_for_transformers_weights_and_what_stands_beside_them(jobs):
    others = ("README.md", ".gitattributes", "model.onnx", "onnx/model.onnx", "tf_model.h5", "flax_model.msgpack", "pytorch_model.bin", "rust_model.ot", "modeling.py",
              "original/consolidated.00.pth", "original/params.json", "consolidated.safetensors", "model.fp16.safetensors", "unet/diffusion.safetensors",
              "training_args.bin", "trainer_state.json", "checkpoint-5/config.json", "model-Q4_K_M.gguf", "figure.png")
    paths, _ = chosen(jobs, of(*SMALL, *others, WEIGHTS))
    assert paths == {*SMALL, WEIGHTS}


def test_pytorchs_weights_where_there_are_no_others(jobs):
    paths, last = chosen(jobs, of("config.json", "pytorch_model.bin", "optimizer.bin", "training_args.bin", "tf_model.h5"))
    assert paths == {"config.json", "pytorch_model.bin"} and last["format"] == "safetensors"


def test_code_of_a_model_only_where_it_may_run(jobs):
    content = of("config.json", WEIGHTS, "modeling_x.py")
    assert chosen(jobs, content)[0] == {"config.json", WEIGHTS}
    assert chosen(jobs, content, "remote_code = yes\n")[0] == {"config.json", WEIGHTS, "modeling_x.py"}


def test_patterns_of_the_owner(jobs):
    content = of(*SMALL, WEIGHTS, "README.md", "extra/notes.md")
    assert chosen(jobs, content, "allow = *.safetensors, config.json, *.md\nignore = extra/*\n")[0] == {WEIGHTS, "config.json", "README.md"}
    assert chosen(jobs, content, "ignore = *.txt, *.tiktoken\n")[0] == {*SMALL, WEIGHTS} - {"vocab.txt", "qwen.tiktoken"}


QUANTS = ("m-Q2_K.gguf", "m-Q4_0.gguf", "m-Q4_K_M.gguf", "m-Q4_K_S.gguf", "m-Q8_0.gguf", "m-f16.gguf", "m-F32.gguf", "mmproj-m-f16.gguf", "m.imatrix.gguf")


@pytest.mark.parametrize("quantize, content, file, is_quantized", [
    ("auto", QUANTS, "m-Q4_K_M.gguf", True), ("q4", QUANTS, "m-Q4_K_M.gguf", True), ("no", QUANTS, "m-f16.gguf", False), ("fp16", QUANTS, "m-f16.gguf", False),
    ("fp32", QUANTS, "m-F32.gguf", False), ("auto", ("m-Q8_0.gguf", "m-f16.gguf"), "m-Q8_0.gguf", False), ("q4", ("m-Q8_0.gguf",), "m-Q8_0.gguf", True),
    ("no", ("m.IQ4_XS.gguf", "m.q8_0.gguf"), "m.q8_0.gguf", False), ("auto", ("model.gguf",), "model.gguf", False), ("auto", ("m-Q4_K_XL.gguf", "m-Q5_K_M.gguf"), "m-Q4_K_XL.gguf", True)])
def test_one_gguf_file_by_its_quantisation(jobs, quantize, content, file, is_quantized):
    paths, last = chosen(jobs, of(*content, "config.json", "README.md"), quantize=quantize)
    assert paths == {file} and last["file"] == file and last["preferred_quantized"] is is_quantized


def test_a_gguf_file_in_parts(jobs):
    parts = [f"Q4_K_M/m-Q4_K_M-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    paths, last = chosen(jobs, of(*parts, "Q8_0/m-Q8_0-00001-of-00001.gguf", "BF16/m-BF16-00001-of-00002.gguf", "BF16/m-BF16-00002-of-00002.gguf"))
    assert paths == set(parts) and last["file"] == parts[0] and last["files"] == [parts[0]]


@pytest.mark.parametrize("engines, picked", [("vllm, llama", WEIGHTS), ("llama, vllm", "m-Q4_K_M.gguf"), ("llama", "m-Q4_K_M.gguf")])
def test_what_the_first_engine_reads(jobs, engines, picked):
    paths, _ = chosen(jobs, of("config.json", WEIGHTS, "m-Q4_K_M.gguf"), f"engines = {engines}\n")
    assert picked in paths and len(paths & {WEIGHTS, "m-Q4_K_M.gguf"}) == 1


@pytest.mark.parametrize("content", [of("README.md", "config.json"), of("model.onnx", "config.json"), of("tf_model.h5"), {}])
def test_a_repository_without_weights_is_told(jobs, content):
    jobs.hub.commit("org/model", content)
    last = jobs.refused(code="bad_file")
    assert last["status"] == 422 and "no weights" in last["error"] and not jobs.hub.asked("/resolve/")


def test_a_repository_that_is_not_whole_itself(jobs):
    jobs.hub.commit("org/model", {"config.json": b"{}", SHARDS[0]: b"x", "model.safetensors.index.json": index(*SHARDS)})
    assert SHARDS[0] in jobs.refused(code="bad_file")["error"] or SHARDS[1] in jobs.refused(code="bad_file")["error"]
    assert jobs.listed() == {}


@pytest.mark.parametrize("quantize, threshold, expected", [("auto", 30_000, True), ("auto", 50_000, False), ("q4", 50_000, True), ("fp16", 30_000, False),
                                                           ("fp32", 30_000, False), ("no", 30_000, False), (None, 30_000, True)])
def test_r1_6_q4_is_preferred_above_a_size(jobs, quantize, threshold, expected):
    members = {"quantize": quantize} if quantize else {}
    _, last = chosen(jobs, files(), f"q4_threshold_bytes = {threshold}\n", **members)
    assert last["preferred_quantized"] is expected
    assert jobs.listed()["org/model"]["preferred_quantized"] is expected


# notes, removal

def test_a_note_is_kept_over_pulls(jobs):
    jobs.hub.commit("org/model", files(1))
    jobs.pull()
    assert jobs.run("note", "org/model", load_duration_ns=123456789012, backend="vllm", quantized=True) == {"status": "success"}
    jobs.hub.commit("org/model", files(2))
    last = jobs.pull()
    assert (last["load_duration_ns"], last["backend"]) == (123456789012, "vllm")
    with open(os.path.join(jobs.folder(), ".ollama-sidecar.json"), encoding="utf-8") as file:
        note = json.load(file)
    assert note["local_path"] == last["local_path"] and note["size_bytes"] == last["size_bytes"] and note["quantized"] is True
    assert jobs.refused("org/none", "not_found", do="note", backend="x")["status"] == 404


def test_a_model_is_removed_whoever_put_it_there(jobs):
    lay(jobs, files(), name="org/other")
    content = files()
    jobs.hub.commit("org/model", content)
    jobs.pull()
    last = jobs.run("remove", "org/model")
    assert last["status"] == "success" and last["freed_bytes"] >= sum(map(len, wanted(content).values()))
    assert not os.path.exists(jobs.folder()) and list(jobs.listed()) == ["org/other"]
    assert jobs.run("remove", "org/other")["freed_bytes"] > 0
    assert jobs.refused("org/other", "not_found", do="remove")["status"] == 404
    jobs.pull()


def test_what_a_removal_finds_by_a_link_stays(jobs):
    lay(jobs, files())
    outside = os.path.join(jobs.directory, "outside")
    os.mkdir(outside)
    with open(os.path.join(outside, "kept"), "w", encoding="utf-8"):
        pass
    os.symlink(outside, os.path.join(jobs.folder(), "blobs", "link"))
    jobs.run("remove", "org/model")
    assert os.path.exists(os.path.join(outside, "kept")) and not os.path.exists(jobs.folder())
