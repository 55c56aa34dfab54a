"""Bodies that need no change arrive byte for byte; of those that do, no byte but the option's differs."""
import base64
import hashlib
import json
import os

import pytest

from waiting import until

INFERENCE = ["/api/generate", "/api/chat", "/api/embed", "/api/embeddings"]
# What a JSON library that keeps values would change: 20 digits, NUL, a lone surrogate, duplicates, bytes that are no UTF-8.
ODD = (b'\t"prompt" : "hi \\u0000 \\/ \xc3\xa9" ,\r\n "input":"x", "messages":[{"role":"user","content":"hi"}], '
       b'"stream":false,"seed":12345678901234567890,"z":"\\ud800\xff","a":1e999,"a":-0.0,\n"A":"{\\"options\\":{\\"num_ctx\\":1}}"')


def pinned(sidecar, model="m", **pins):
    sidecar.configure(f"pin:{model}", **pins)


def arrived(sidecar, path, body, headers=(), target=None):
    """The body as Ollama got it, behind the load of its model; what the journal keeps of it is checked against its length and hash."""
    before = len(sidecar.backend.requests(target or path))
    assert sidecar.ask("POST", path, body, headers, timeout=20).status == 200
    seen = sidecar.backend.requests(target or path)[before:][-1]
    assert [value for name, value in seen["headers"] if name.lower() == "content-length"] == [str(seen["body_bytes"])]
    return seen


def arrives_as(sidecar, path, body, wanted):
    seen = arrived(sidecar, path, body)
    assert seen["body_bytes"] == len(wanted), (seen["body"], wanted)
    assert seen["body_sha256"] == hashlib.sha256(wanted).hexdigest(), (seen["body"], wanted)


# bytes are kept

@pytest.mark.parametrize("path", INFERENCE)
def test_a_body_that_needs_no_change_arrives_byte_for_byte(sidecar, path):
    pinned(sidecar, num_ctx="2048", keep_alive="5m")
    sidecar.boot(tokens=1)
    body = b'{ "model":"m",' + ODD + b', "keep_alive":"5m","options":{"num_ctx" : 2048, "use_mmap":true}} \n'
    arrives_as(sidecar, path, body, body)


@pytest.mark.parametrize("path", INFERENCE)
def test_no_byte_but_the_options_changes(sidecar, path):
    pinned(sidecar, num_ctx="2048", keep_alive="5m")
    sidecar.boot(tokens=1)
    before = b'{ "model":"m", "keep_alive" :0,"options":{"num_ctx":4096 , "seed":98765432109876543210, "use_mmap":false },' + ODD + b' }\n'
    after = b'{ "model":"m", "keep_alive" :"5m","options":{"num_ctx":2048 , "seed":98765432109876543210, "use_mmap":true },' + ODD + b' }\n'
    arrives_as(sidecar, path, before, after)
    added = b'{ "model":"m",' + ODD + b',"keep_alive":"5m","options":{"num_ctx":2048,"use_mmap":true} }\n'
    arrives_as(sidecar, path, b'{ "model":"m",' + ODD + b' }\n', added)


def test_images_of_three_megabytes_arrive_byte_for_byte_proxy_scenario_30(sidecar):
    pinned(sidecar, num_ctx="2048")
    sidecar.boot(tokens=1)
    image = base64.b64encode(os.urandom(9 << 18))  # 3 MB of text
    head, tail = b'{"model":"m","stream":false,"prompt":"x","images":["' + image + b'"]', b'}'
    arrives_as(sidecar, "/api/generate", head + tail, head + b',"options":{"num_ctx":2048,"use_mmap":true}' + tail)
    whole = head + b',"options":{"num_ctx":2048,"use_mmap":true}' + tail
    arrives_as(sidecar, "/api/generate", whole, whole)
    first = b'{"options":{"num_ctx":%s},"model":"m","stream":false,"prompt":"x","images":["' + image + b'"]}'
    arrives_as(sidecar, "/api/generate", first.replace(b"%s", b"4", 1),
               first.replace(b"%s}", b"2048,\"use_mmap\":true}", 1))


def test_a_chunked_body_gets_the_length_of_what_is_sent(sidecar):
    sidecar.boot(tokens=1)
    body = b'{"model":"m","stream":false,"prompt":"x"}'
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    seen = arrived(sidecar, "/api/generate", chunks, [("Transfer-Encoding", "chunked")])
    assert seen["body"] == '{"model":"m","stream":false,"prompt":"x","options":{"use_mmap":true}}'


def test_a_body_as_large_as_it_may_be_is_still_pinned(sidecar):
    sidecar.configure("proxy", max_body="4096")
    sidecar.boot(tokens=1)
    body = json.dumps({"model": "m", "stream": False, "prompt": ""}).encode()
    body = body.replace(b'""', b'"' + b"x" * (4096 - len(body)) + b'"')
    assert len(body) == 4096
    arrives_as(sidecar, "/api/generate", body, body[:-1] + b',"options":{"use_mmap":true}}')


# a pin beats what the client says

@pytest.mark.parametrize("options", [
    b'"options":{"num_ctx":1,"num_ctx":2}', b'"OPTIONS":{"num_ctx":1}', b'"options":{"num_ctx":2048},"Options":{"num_ctx":1}',
    b'"option\\u017f":{"num_ctx":1}', b'"options":{"num\\u005fctx":1}', b'"options":null', b'"options":{"num_ctx":2048},"options":null',
    b'"options":{"num_ctx":null}', b'"options":{"num_ctx":"1"}', b'"options":{}', b'"a":1'])
def test_no_spelling_of_an_option_escapes_its_pin(sidecar, options):
    """Names of members do not differ by case for Go, of several the last wins, maps are merged, and null empties them."""
    pinned(sidecar, num_ctx="2048", use_mmap="client")
    sidecar.boot(tokens=1)
    seen = arrived(sidecar, "/api/generate", b'{"model":"m","stream":false,"prompt":"x",' + options + b'}')
    merged = {}
    for name, value in json.loads(seen["body"], object_pairs_hook=list):
        if name.lower().replace("\u017f", "s") == "options":
            merged = {**merged, **dict(value)} if value is not None else {}
    assert merged == {"num_ctx": 2048}


def test_a_name_again_and_again_is_refused_and_not_let_through(sidecar):
    sidecar.boot(tokens=1)
    body = b'{"model":"m","prompt":"x","options":{' + b",".join([b'"use_mmap":false'] * 100) + b'}}'
    answer = sidecar.ask("POST", "/api/generate", body)
    assert answer.status == 400 and "pinned" in answer.json["error"]
    assert sidecar.backend.requests("/api/generate") == []


def test_a_pin_is_its_models_and_others_have_the_star(sidecar):
    pinned(sidecar, "a", num_ctx="1111")
    pinned(sidecar, "hf.co/org/b:q4", num_ctx="2222", use_mmap="no")
    pinned(sidecar, "*", num_ctx="3333", use_mmap="client")
    pinned(sidecar, "free", use_mmap="client")
    sidecar.boot("a,hf.co/org/b:q4,c,free", tokens=1)
    for model, options in (("a", {"num_ctx": 1111, "use_mmap": True}), ("A:latest", {"num_ctx": 1111, "use_mmap": True}),
                           ("hf.co/org/b:q4", {"num_ctx": 2222, "use_mmap": False}), ("c", {"num_ctx": 3333}), ("free", None)):
        body = json.dumps({"model": model, "stream": False, "prompt": "x"}).encode()
        assert json.loads(arrived(sidecar, "/api/generate", body)["body"]).get("options") == options


@pytest.mark.parametrize("body", [
    b'{"model":"m","options":{"num_ctx":1}', b'{"model":"m","options":{"num_ctx":1},}', b'[{"model":"m"}]', b'null', b'{"model":"m","options":5}',
    b'\xef\xbb\xbf{"model":"m"}', b'{"model":"m","x":' + b"[" * 10001 + b"]" * 10001 + b'}'])
def test_a_broken_body_stays_broken_and_the_backend_says_so(sidecar, body):
    pinned(sidecar, num_ctx="2048")
    sidecar.boot(tokens=1)
    sidecar.ask("POST", "/api/generate", body)
    (seen,) = sidecar.backend.requests("/api/generate")
    assert seen["body_sha256"] == hashlib.sha256(body).hexdigest()


def test_other_paths_are_left_alone(sidecar):
    pinned(sidecar, num_ctx="2048")
    sidecar.boot(tokens=1)
    body = b'{"model":"m","messages":[{"role":"user","content":"x"}],"input":"x","options":{"num_ctx":1},"stream":false}'
    arrives_as(sidecar, "/api/show", body, body)


@pytest.mark.parametrize("path, body, target, wanted", [
    ("/v1/chat/completions", b'"messages":[{"role":"user","content":"\\u0000 \\ud800 \\/"}],"seed":12345678901234567890', "/api/chat",
     b'"stream":false,"options":{"temperature":1.0,"top_p":1.0,"seed":12345678901234567890%s},"messages":[{"role":"user","content":"\\u0000 \\ud800 \\/"}]'),
    ("/v1/completions", b'"prompt":["x"]', "/api/generate",
     b'"stream":false,"options":{"temperature":1.0,"top_p":1.0,"frequency_penalty":0.0,"presence_penalty":0.0%s},"prompt":"x"'),
    ("/v1/embeddings", b'"input":"x","options":{"num_ctx":1}', "/api/embed", b'"options":{%s},"input":"x"')],
    ids=["chat", "completions", "embeddings"])
def test_of_what_is_asked_by_v1_no_value_is_another_one(sidecar, path, body, target, wanted):
    """Translated, then pinned."""
    pinned(sidecar, num_ctx="2048")
    sidecar.boot(tokens=1)
    seen = arrived(sidecar, path, b'{"model":"m",' + body + b"}", target=target)
    pins = b'"num_ctx":2048,"use_mmap":true'
    wanted = b'{"model":"m",' + wanted % (pins if b"{%s" in wanted else b"," + pins) + b"}"
    assert seen["body_sha256"] == hashlib.sha256(wanted).hexdigest(), (seen["body"], wanted)


# where Ollama is not ours

def test_in_front_of_an_ollama_of_others_only_the_file_decides(sidecar, standin):
    body = b'{"model":"m","stream":false,"prompt":"x","options":{"num_ctx":1,"use_mmap":false}}'
    sidecar.backend, _ = standin("m", tokens=1)
    sidecar.configure("proxy", backend=f"http://127.0.0.1:{sidecar.backend.port}")
    sidecar.configure("program:ollama", autostart="no")
    pinned(sidecar, "pinned", num_ctx="2048")
    sidecar.start()
    sidecar.wait_ready()
    arrives_as(sidecar, "/api/generate", body, body)


def test_a_proxy_alone_pins_what_the_file_says(sidecar, standin):
    sidecar.backend, _ = standin("m", tokens=1)
    sidecar.env["OLLAMA_HOST"] = f"127.0.0.1:{sidecar.backend.port}"
    pinned(sidecar, num_ctx="2048")
    sidecar.start("ollama-proxy")
    sidecar.process.wait_log(r" listening ")
    arrives_as(sidecar, "/api/generate", b'{"model":"m","stream":false,"options":{"use_mmap":false}}',
               b'{"model":"m","stream":false,"options":{"use_mmap":false,"num_ctx":2048}}')


# the body is the same at each try

def test_a_retry_sends_the_same_body(sidecar):
    pinned(sidecar, num_ctx="2048")
    sidecar.boot(tokens=1)
    body = b'{"model":"m","stream":false,"prompt":"x"}'
    wanted = b'{"model":"m","stream":false,"prompt":"x","options":{"num_ctx":2048,"use_mmap":true}}'
    with sidecar.connect() as connection:
        assert b'"done":true' in connection.request("POST", "/api/generate", body).body
        os.kill(sidecar.pid_of("ollama"), 9)  # the kept connection is gone
        sidecar.backend.wait("listening", count=2)
        sidecar.wait_ready()
        assert b'"done":true' in connection.request("POST", "/api/generate", body).body
    seen = sidecar.backend.requests("/api/generate")
    assert len(seen) == 2 and all(entry["body"].encode() == wanted for entry in seen)


# the configuration

def test_a_reload_changes_the_pins(sidecar):
    pinned(sidecar, num_ctx="2048", use_mmap="client")
    sidecar.boot(tokens=1)
    arrives_as(sidecar, "/api/chat", b'{"model":"m"}', b'{"model":"m","options":{"num_ctx":2048}}')
    pinned(sidecar, num_ctx="4096")
    sidecar.write_ini()
    assert sidecar.ctl("reload").returncode == 0
    def is_new():
        sidecar.ask("POST", "/api/chat", b'{"model":"m"}')
        return sidecar.backend.requests("/api/chat")[-1]["body"] == '{"model":"m","options":{"num_ctx":4096}}'

    until(is_new, 10, "a request with the new pin")


def test_every_mistake_of_a_pin_is_told_at_once(sidecar):
    pinned(sidecar, num_ctx="8K", keep_alive="tomorrow")
    pinned(sidecar, "a b", num_ctx="1")
    sidecar.write_ini()
    said = sidecar.run("ollama-proxy", "-c", sidecar.ini, "--check")
    assert said.returncode == 100
    for text in ("[pin:m] num_ctx:", "[pin:m] keep_alive:", '"a b" is no model\'s name'):
        assert text in said.stderr
