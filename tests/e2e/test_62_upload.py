"""POST /generate with files: forms and base64, how large, what is refused, and what it costs."""
import base64
import json
import os
import shutil
import subprocess
import threading
import time

import pytest

from raw_client import all_of, drip, head, memory_kb, sock_to
from uploads import BOUNDARY, GIF, HEIC, PNG, form, form_headers, image, part, sum_of
from waiting import SLACK, until

MEGA = 1 << 20
IS_SANITIZED = "san" in os.environ.get("BUILD_DIR", "")
MEMORY = pytest.mark.skipif(IS_SANITIZED, reason="a sanitizer's own memory is in the way")
MODEL = part("model", "m")
QUIET = part("stream", "false")
REST = (MODEL, part("prompt", "a"), QUIET)


def needs(tool):
    return pytest.mark.skipif(not shutil.which(tool), reason=f"there is no {tool}")


def seen(sidecar, count=1):
    """The body that Ollama got last, as JSON, and its request."""
    sidecar.backend.wait("request", path="/api/generate", count=count)
    request = sidecar.backend.requests("/api/generate")[-1]
    return json.loads(request["body"]) if request["body_bytes"] <= 2048 else None, request


def upload(sidecar, *parts, timeout=20, **more):
    return sidecar.ask("POST", "/generate", form(*parts, **more), form_headers(), timeout=timeout)


def put_presets(sidecar, **more):
    """models.json beside the ini: `t` for texts, `v` for images."""
    sidecar.write("models.json", json.dumps({
        "cheap_text": {"for": "text", "model": "t", "options": {"num_ctx": 1024, "batch_size": 256}},
        "vision": {"for": "image", "model": "v", "options": {"num_ctx": 2048, "batch_size": 256}}, **more}))


# what arrives

@needs("curl")
def test_r0_12_the_owners_second_curl_r0_5(sidecar):
    put_presets(sidecar)
    sidecar.boot("t,v", tokens=5)
    jpeg = base64.b64decode("/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP" + "/" * 86 + "wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAA//EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AP//Z")
    sidecar.write("exemplo.jpg", jpeg)
    done = subprocess.run(["curl", "-sSN", f"http://localhost:{sidecar.port}/generate", "-F", "prompt=O que é isto?", "-F", "image=@exemplo.jpg"],
                          cwd=sidecar.directory, capture_output=True, timeout=20 * SLACK, check=True)
    answer = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert len(answer) == 6 and answer[-1]["done"] and not answer[0]["done"]
    body, request = seen(sidecar)
    assert body["model"] == "v" and body["prompt"] == "O que é isto?" and body["images"] == [base64.b64encode(jpeg).decode()]
    assert body["options"]["num_ctx"] == 2048 and body["options"]["num_batch"] == 256
    assert ["Content-Type", "application/json"] in request["headers"]
    assert not [value for name, value in request["headers"] if name.lower() == "content-type" and "form" in value]


@pytest.mark.parametrize("order", [1, -1])
def test_fields_in_any_order_become_what_json_would_have_said(sidecar, order):
    sidecar.boot(tokens=1)
    parts = [part("prompt", 'a "b"\r\nç'), part("image", GIF, "../../etc/passwd"), MODEL, part("stream", "False"), part("options", '{"seed": 12345678901234567890}'),
             part("system", "s"), part("format", "json"), part("keep_alive", "90s"), part("raw", "true"), part("template", "{{ .Prompt }}"), part("suffix", ""),
             part("context", "[1,2]"), part("think", "false")]
    answer = upload(sidecar, *parts[::order])
    assert answer.status == 200 and answer.json["done"]
    body, request = seen(sidecar)
    assert '"seed": 12345678901234567890' in request["body"]
    assert body.pop("options")["seed"] == 12345678901234567890
    assert body == {"prompt": 'a "b"\r\nç', "images": [base64.b64encode(GIF).decode()], "model": "m", "stream": False, "system": "s", "format": "json",
                    "keep_alive": "90s", "raw": True, "template": "{{ .Prompt }}", "suffix": "", "context": [1, 2], "think": False}


@pytest.mark.parametrize("way", ["form", "form in chunks", "form of base64", "json", "json, data uri"])
def test_ten_megabytes_arrive_byte_for_byte_proxy_scenario_39(sidecar, way):
    sidecar.boot(tokens=1)
    content = image(10 * MEGA)
    text = base64.b64encode(content).decode()
    headers = form_headers() if way.startswith("form") else [("Content-Type", "application/json")]
    if way.startswith("form"):
        body = form(part("prompt", "a"), part("image", *((text,) if way.endswith("64") else (content, "a.png"))), MODEL, QUIET)
    else:
        body = {"model": "m", "prompt": "a", "stream": False, "images": [("data:image/png;base64," if "uri" in way else "") + text]}
        body = json.dumps(body).encode()
    if way.endswith("chunks"):
        pieces = [body[at:at + 77_777] for at in range(0, len(body), 77_777)]
        body = b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces) + b"0\r\n\r\n"
        headers.append(("Transfer-Encoding", "chunked"))
    answer = sidecar.ask("POST", "/generate", body, headers, timeout=30)
    assert answer.status == 200 and answer.json["done"]
    assert seen(sidecar)[1]["images"] == [sum_of(content)]


def test_r0_10_one_byte_more_than_the_limit_is_413_however_it_is_sent(sidecar):
    sidecar.configure("proxy", upload_limit="100K")
    sidecar.boot(tokens=1)
    content = image(100 * 1024 + 1)
    for parts in ([part("image", content, "a.png")], [part("image", base64.b64encode(content))]):
        answer = upload(sidecar, part("prompt", "a"), *parts, MODEL)
        assert answer.status == 413 and answer.json["error"] == "image: has more than the 102400 bytes that [proxy] upload_limit takes of one image"
    answer = sidecar.ask("POST", "/generate", {"model": "m", "prompt": "a", "images": [base64.b64encode(content).decode()]})
    assert answer.status == 413 and "images[0]" in answer.json["error"] and "upload_limit" in answer.json["error"]
    assert upload(sidecar, part("image", content[:-1], "a.png"), *REST).status == 200
    assert len(sidecar.backend.requests("/api/generate")) == 1


# what is no upload

NO_FORMS = {
    "no boundary": ([("Content-Type", "multipart/form-data")], form(MODEL), 400, "without a boundary"),
    "boundary of 71": (form_headers("b" * 71), form(MODEL, boundary="b" * 71), 400, "1 to 70 characters"),
    "another boundary": (form_headers("other"), form(MODEL), 400, "no line of the body is the boundary"),
    "no last boundary": (form_headers(), form(MODEL, end="\r\n"), 400, "cut short"),
    "nothing": (form_headers(), b"", 400, "no line of the body is the boundary"),
    "3 MB of header": (form_headers(), form(part("prompt", "a", more="X-Long: " + "x" * 3 * MEGA + "\r\n")), 400, "more than 8192 bytes"),
    "lines end in LF": (form_headers("b"), b'--b\nContent-Disposition: form-data; name="prompt"\n\na\n--b--\n', 400, "CR LF"),
    "nested": (form_headers(), form(part("image", form(MODEL, boundary="c"), more="Content-Type: multipart/mixed; boundary=c\r\n")), 400, "multipart of its own"),
    "base64 in transit": (form_headers(), form(part("image", "R0lG", more="Content-Transfer-Encoding: base64\r\n")), 400, "Content-Transfer-Encoding"),
    "two images": (form_headers(), form(part("image", GIF, "a"), part("images", GIF, "b")), 400, "images: is there more than once"),
    "two prompts": (form_headers(), form(part("prompt", "a"), part("prompt", "b")), 400, "prompt: is there more than once"),
    "unknown field": (form_headers(), form(part("promt", "a")), 400, "did you mean prompt?"),
    "no UTF-8": (form_headers(), form(part("prompt", b"Ol\xe1")), 400, "prompt: must be UTF-8"),
    "stream": (form_headers(), form(part("stream", "maybe")), 400, "stream: must be true or false"),
    "options": (form_headers(), form(part("options", "[]")), 400, "options: must be a JSON object"),
    "HEIC": (form_headers(), form(part("image", HEIC, "IMG_0001.jpg")), 415, "image: is HEIC"),
    "SVG": (form_headers(), form(part("image", '<svg xmlns="http://www.w3.org/2000/svg"/>', "a.png")), 415, "image: is SVG"),
    "no image": (form_headers(), form(part("image", "hello", "a.png")), 415, "image: is text"),
    "empty image": (form_headers(), form(part("image", b"", "a.png")), 400, "image: is empty"),
    "60000 x 60000": (form_headers(), form(part("image", PNG[:16] + b"\0\0\xea\x60\0\0\xea\x60" + PNG[24:], "a.png")), 413, "60000 x 60000"),
    "gzip": ([*form_headers(), ("Content-Encoding", "gzip")], form(MODEL), 415, "Content-Encoding"),
    "gzip of JSON": ([("Content-Type", "application/json"), ("Content-Encoding", "gzip")], b"\x1f\x8b", 415, "Content-Encoding"),
    "text": ([("Content-Type", "text/plain;charset=UTF-8")], b'{"prompt":"a"}', 415, "multipart/form-data"),
    "mixed": ([("Content-Type", "multipart/mixed; boundary=b")], form(MODEL), 415, "multipart/form-data"),
    "URL-encoded": ([("Content-Type", "application/x-www-form-urlencoded")], b"prompt=a&model=m", 415, "URL-encoded"),
    "two types": ([*form_headers(), ("Content-Type", "application/json")], form(MODEL), 400, "Content-Type"),
}


@pytest.fixture(scope="module")
def booted(tmp_path_factory):
    """One sidecar for all that is refused."""
    from sidecar import Sidecar  # pylint: disable=import-outside-toplevel
    made = Sidecar(str(tmp_path_factory.mktemp("upload")))
    made.boot(tokens=1)
    yield made
    complaints = made.clean_up()
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("name", NO_FORMS)
def test_what_is_no_upload_is_refused_in_words_proxy_scenario_39(booted, name):
    headers, body, status, words = NO_FORMS[name]
    asked_n = len(booted.backend.requests("/api/generate"))
    answer = booted.ask("POST", "/generate", body, headers)
    assert answer.status == status, answer.body
    assert words in answer.json["error"] and answer.clean
    assert len(booted.backend.requests("/api/generate")) == asked_n


def test_all_mistakes_of_a_form_are_told_at_once(booted):
    answer = upload(booted, part("promt", "a"), part("stream", "x"), part("options", "1"), part("model", "a"), part("model", "b"))
    assert answer.status == 400
    assert answer.json["error"] == ('promt: there is no such field; did you mean prompt?; stream: must be true or false; '
                                    'options: must be a JSON object, such as {"num_ctx":1024}; model: is there more than once')


def test_a_boundary_may_be_quoted_and_stand_nearly_so_in_the_data(booted):
    before = len(booted.backend.requests("/api/generate"))
    content = GIF + b"\r\n--a b:c\r\n--a b:cX\r\n--a b"
    body = form(part("image", content, "a.gif"), *REST, boundary="a b:c").replace(content, content.replace(b"c\r\n", b"c \t.\r\n"))
    answer = booted.ask("POST", "/generate", body, [("Content-Type", 'multipart/form-data; boundary="a b:c"')])
    assert answer.status == 200, answer.body
    assert booted.backend.requests("/api/generate")[before]["images"] == [sum_of(content.replace(b"c\r\n", b"c \t.\r\n"))]


def test_curl_d_without_a_header_is_json(sidecar):
    sidecar.boot(tokens=1)
    body = b' \n{"model":"m","prompt":"a","stream":false}'
    for headers in ([("Content-Type", "application/x-www-form-urlencoded")], [], [("Content-Type", "application/json; charset=utf-8")]):
        assert sidecar.ask("POST", "/generate", body, headers).json["done"]
    assert len(sidecar.backend.requests("/api/generate")) == 3


@pytest.mark.parametrize("status,first", [(413, image(MEGA // 2)), (415, HEIC)])
def test_an_early_refusal_is_read_by_a_client_that_keeps_sending(sidecar, status, first):
    sidecar.configure("proxy", upload_limit="200K")
    sidecar.boot(tokens=1)
    body = form(part("image", first + bytes(20 * MEGA), "a.png"))
    with sock_to(sidecar) as sock:
        sock.sendall(head("/generate", len(body), more=f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"))
        sock.sendall(body)  # all of it, before anything is read
        answer = all_of(sock)
    assert answer.startswith(f"HTTP/1.1 {status}".encode()) and b"image: " in answer


@pytest.mark.limit(60)
def test_an_early_refusal_is_read_by_a_client_whose_line_is_slow(sidecar):
    """As a page, or Python's http.client, does: it reads nothing before it has sent all; that takes longer than 10 s."""
    sidecar.boot(tokens=1)
    body = form(part("image", HEIC + bytes(6 * MEGA), "a.heic"))
    pieces = [body[at:at + len(body) // 28] for at in range(0, len(body), len(body) // 28)]
    with sock_to(sidecar) as sock:
        sock.sendall(head("/generate", len(body), more=f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"))
        for piece in pieces:
            sock.sendall(piece)
            time.sleep(0.5)  # the test is about this pace
        answer = all_of(sock)
    assert answer.startswith(b"HTTP/1.1 415") and b"image: is HEIC" in answer


def test_a_refusal_that_the_head_shows_costs_no_body(sidecar):
    sidecar.configure("proxy", max_body="1M")
    sidecar.boot(tokens=1)
    for more, length, status in (("Content-Type: text/plain\r\n", 1000, b"415"), ("Content-Type: multipart/form-data\r\n", 1000, b"400"),
                                 ("Content-Type: multipart/form-data; boundary=b\r\n", 2 * MEGA, b"413")):
        with sock_to(sidecar) as sock:
            sock.sendall(head("/generate", length, more=more + "Expect: 100-continue\r\n"))
            assert all_of(sock).startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize("text", ["x" * 2 * MEGA, "\x01" * (MEGA // 2)])
def test_a_form_beyond_max_body_is_413_also_by_what_it_becomes(sidecar, text):
    sidecar.configure("proxy", max_body="1M")
    sidecar.boot(tokens=1)
    body = form(part("prompt", text), MODEL)
    with sock_to(sidecar) as sock:
        sock.sendall(head("/generate", more=f"Transfer-Encoding: chunked\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n"))
        sock.sendall(f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n")
        sock.shutdown(1)
        answer = all_of(sock)
    assert answer.startswith(b"HTTP/1.1 413") and (b"than twice [proxy] max_body" if len(text) < MEGA else b"than [proxy] max_body") in answer
    assert sidecar.ask("GET", "/live").status == 200


# how it comes

def test_a_slow_upload_arrives_and_one_that_is_too_slow_is_told(sidecar):
    sidecar.configure("proxy", header_timeout="1s", min_upload_rate="1K")
    sidecar.boot(tokens=1)
    body = form(part("image", GIF + bytes(3000), "a.gif"), *REST)
    with sock_to(sidecar) as sock:
        sock.sendall(head("/generate", len(body), more=f"Connection: close\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n"))
        for at in range(0, len(body), 100):
            sock.sendall(body[at:at + 100])
        assert b'"done":true' in all_of(sock)
    with sock_to(sidecar) as sock:
        sock.sendall(head("/generate", len(body), more=f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"))
        drip(sock, body, 0.05)
        assert all_of(sock).startswith(b"HTTP/1.1 408")
    assert len(sidecar.backend.requests("/api/generate")) == 1


@MEMORY
def test_a_client_that_leaves_in_the_middle_leaves_nothing(sidecar):
    sidecar.configure("proxy", max_body="16M", max_held_bodies="16M")
    sidecar.boot(tokens=1)
    pid, before_kb = sidecar.pid_of("proxy"), memory_kb(sidecar.pid_of("proxy"))
    body = form(part("image", image(10 * MEGA), "a.png"))
    for _ in range(3):  # were it counted for ever, the second would not find room
        sock = sock_to(sidecar)
        sock.sendall(head("/generate", len(body), more=f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n") + body[:9 * MEGA])
        until(lambda: memory_kb(pid) > before_kb + 8 * 1024, 5, "the proxy holds what came")
        sock.close()
        until(lambda: memory_kb(pid) < before_kb + 3000, 5, "it is given back")
    assert upload(sidecar, part("image", image(10 * MEGA), "a.png"), *REST).status == 200
    assert len(sidecar.backend.requests("/api/generate")) == 1


@MEMORY
def test_memory_for_uploads_is_that_of_their_base64(sidecar):
    sidecar.configure("proxy", min_upload_rate="0")
    sidecar.boot(tokens=1)
    pid, before_kb = sidecar.pid_of("proxy"), memory_kb(sidecar.pid_of("proxy"))
    body = form(part("image", image(10 * MEGA), "a.png"), MODEL)
    socks = [sock_to(sidecar) for _ in range(6)]
    for sock in socks:
        sock.sendall(head("/generate", len(body), more=f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n") + body[:-20])
    until(lambda: memory_kb(pid) > before_kb + 6 * 13 * 1024, 10, "all of them are held")
    assert memory_kb(pid) < before_kb + 6 * 14 * 1024 + 4096
    for sock in socks:
        sock.close()
    until(lambda: memory_kb(pid) < before_kb + 3000, 10, "all of it is given back")


def test_no_file_is_written_for_an_upload_proxy_scenario_39(sidecar):
    sidecar.boot(tokens=1)
    pid = sidecar.pid_of("proxy")
    body = form(part("image", image(5 * MEGA), "/tmp/written-by-an-upload.png"))
    with sock_to(sidecar) as sock:
        sock.sendall(head("/generate", len(body), more=f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n") + body[:4 * MEGA])
        until(lambda: IS_SANITIZED or memory_kb(pid) > 5 * 1024, 5, "the upload has come")
        files = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    assert not [file for file in files if file.startswith("/") and not file.startswith("/dev/") and "memfd" not in file and "log" not in file], files
    assert not os.path.exists("/tmp/written-by-an-upload.png")


@MEMORY
def test_uploads_of_all_clients_together_have_a_bound(sidecar):
    sidecar.configure("proxy", max_body="4M", max_held_bodies="8M")
    sidecar.boot(tokens=1)
    pid, before_kb = sidecar.pid_of("proxy"), memory_kb(sidecar.pid_of("proxy"))
    body = form(part("image", image(3 * MEGA), "a.png"), *REST)
    more = f"Connection: close\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
    socks = [sock_to(sidecar) for _ in range(3)]
    for sock in socks[:2]:
        sock.sendall(head("/generate", len(body), more=more) + body[:-20])
    until(lambda: memory_kb(pid) > before_kb + 2 * 4000, 5, "two are held")
    sender = threading.Thread(target=lambda: socks[2].sendall(head("/generate", len(body), more=more) + body))
    sender.start()
    assert all_of(socks[2]).startswith(b"HTTP/1.1 503")
    sender.join(10 * SLACK)
    for sock in socks[:2]:
        sock.sendall(body[-20:])
        assert b'"done":true' in all_of(sock)


@pytest.mark.parametrize("state", ["starts", "sleeps"])
def test_an_upload_waits_for_an_ollama_that(sidecar, state):
    if state == "sleeps":
        sidecar.configure("supervisor", idle_timeout="1s", idle_action="stop")
    sidecar.boot(tokens=1, start_delay_s=0 if state == "sleeps" else 1)
    if state == "sleeps":
        sidecar.wait_health(lambda health: health.get("state") == "asleep", 15)
    else:
        assert sidecar.ctl("restart", "ollama").returncode == 0
    content = image(2 * MEGA)
    answer = upload(sidecar, part("image", content, "a.png"), *REST)
    assert answer.status == 200 and answer.json["done"]
    assert seen(sidecar)[1]["images"] == [sum_of(content)]


# who sends

NODE = """
const form = new FormData();
form.append('prompt', 'Olá');
form.append('model', 'm');
form.append('stream', 'false');
form.append('image', new Blob([require('fs').readFileSync(process.argv[3])], {type: 'image/png'}), 'a "b".png');
fetch(process.argv[2], {method: 'POST', body: form}).then(async r => console.log(r.status, await r.text()));
"""


@needs("node")
def test_the_form_of_node(sidecar):
    sidecar.boot(tokens=1)
    content = image(MEGA)
    path, script = sidecar.write("a.png", content), sidecar.write("send.cjs", NODE)
    done = subprocess.run(["node", script, f"http://127.0.0.1:{sidecar.port}/generate", path], capture_output=True, text=True, timeout=20 * SLACK, check=True)
    assert done.stdout.startswith("200 ") and '"done":true' in done.stdout
    request = seen(sidecar)[1]
    assert request["images"] == [sum_of(content)] and "Olá" in request["body"]


@pytest.mark.parametrize("library", ["requests", "httpx"])
def test_the_forms_of_python(sidecar, library):
    module = pytest.importorskip(library)
    sidecar.boot(tokens=1)
    content = image(MEGA)
    for files in ({"image": ("a b.png", content, "image/png")}, {"images": content}):
        answer = module.post(f"http://127.0.0.1:{sidecar.port}/generate", data={"prompt": "Olá", "model": "m", "stream": False}, files=files, timeout=20)
        assert answer.status_code == 200 and answer.json()["done"], answer.text
        assert sidecar.backend.requests("/api/generate")[-1]["images"] == [sum_of(content)]


def test_a_browsers_form_with_nothing_chosen(sidecar):
    sidecar.boot(tokens=1)
    answer = upload(sidecar, part("prompt", "a\r\nb"), part("image", b"", ""), part("model", "m"), part("system", ""), part("options", ""), part("stream", "false"))
    assert answer.status == 200, answer.body
    assert seen(sidecar)[0] | {"options": None} == {"prompt": "a\r\nb", "model": "m", "system": "", "stream": False, "options": None}


def test_a_connection_is_kept_behind_an_upload(sidecar):
    sidecar.boot(tokens=1)
    with sidecar.connect() as connection:
        for _ in range(3):
            connection.send("POST", "/generate", form(part("image", GIF, "a.gif"), *REST) + b"epilogue", form_headers())
            assert connection.receive().json["done"]
        connection.send("POST", "/generate", form(part("image", HEIC, "a.gif")), form_headers())
        assert "HEIC" in connection.receive().json["error"]
        connection.send("GET", "/live")
        assert connection.receive().status == 200
