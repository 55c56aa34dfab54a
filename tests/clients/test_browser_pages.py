"""An app in a browser, in the origin that its developer has it in, and a page of a stranger's: what each may ask and read."""
import base64
import json
import shutil
import tempfile

import pytest
from browser import FOREIGN, BrowserAsker, find_browser
from sidecar import Sidecar

MESSAGES = [{"role": "user", "content": "x"}]
JSON = {"Content-Type": "application/json"}
TOKENS = 5
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")


@pytest.fixture(scope="module")
def browsers():
    """A page of http://localhost, and one of another site's."""
    if not find_browser():
        pytest.skip("no browser is installed")
    folders = [tempfile.mkdtemp(prefix="sc-") for _ in range(2)]
    made = [BrowserAsker(find_browser(), folder, "ask_page.mjs", host) for folder, host in zip(folders, ("localhost", FOREIGN))]
    yield made
    for asker, folder in zip(made, folders):
        asker.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def served(folder):
    """A sidecar as the Replit profile has it, ready."""
    made = Sidecar(folder)
    made.configure("proxy", open="yes", cors_builtin="no", max_body="20K")
    made.configure("supervisor", log_level="debug")
    made.boot("m", tokens=TOKENS, token_delay_ms=100)
    yield made
    complaints = made.clean_up()
    assert not complaints, "\n".join(complaints + [made.process.tail()])


def fetch(asker, sidecar, path, **ask):
    """What the page saw of it."""
    return asker.saw(asker.ask(url=f"http://127.0.0.1:{sidecar.port}{path}", **ask), 20)


def came_as_a_stream(saw):
    """In parts, some tokens' time apart."""
    return len(saw["parts"]) >= 3 and saw["times"][-1] - saw["times"][0] >= 200


@pytest.mark.parametrize("path", ["/generate", "/api/generate"])
def test_a_page_of_localhost_reads_lines_as_they_come(served, browsers, path):
    saw = fetch(browsers[0], served, path, headers={**JSON, "X-Request-Id": "mine"}, body={"model": "m", "prompt": "x"})
    assert saw["error"] is None and saw["status"] == 200 and came_as_a_stream(saw)
    lines = "".join(saw["parts"]).strip().split("\n")
    assert len(lines) == TOKENS + 1 and '"done":true' in lines[-1]
    assert saw["headers"]["x-request-id"] == "mine"
    assert not served.backend.journal("request", method="OPTIONS")


@pytest.mark.parametrize("path, headers, body", [
    ("/generate", {"Accept": "text/event-stream"}, {"prompt": "x"}),
    ("/v1/chat/completions", {"Authorization": "Bearer none"}, {"messages": MESSAGES, "stream": True})])
def test_a_page_of_localhost_reads_events_as_they_come(served, browsers, path, headers, body):
    saw = fetch(browsers[0], served, path, headers={**JSON, **headers}, body={"model": "m", **body})
    assert saw["error"] is None and saw["status"] == 200 and came_as_a_stream(saw)
    assert saw["headers"]["content-type"] == "text/event-stream"
    *events, last, end = "".join(saw["parts"]).split("\n\n")
    assert last == "data: [DONE]" and end == "" and all(json.loads(event.removeprefix("data: ")) for event in events)


def file_of(content: bytes, kind="image/png") -> dict:
    """A file that a page has, as of an input element."""
    return {"base64": base64.b64encode(content).decode(), "type": kind, "name": "exemplo.png"}


def test_a_page_of_localhost_sends_a_form_with_an_image(served, browsers):
    saw = fetch(browsers[0], served, "/generate", form={"model": "m", "image": file_of(PNG), "prompt": "O que há nesta imagem?"})
    assert saw["error"] is None and saw["status"] == 200 and came_as_a_stream(saw)
    (asked,) = [json.loads(entry["body"]) for entry in served.backend.requests("/api/generate") if '"prompt"' in entry["body"]]
    assert asked["prompt"] == "O que há nesta imagem?" and [base64.b64decode(image) for image in asked["images"]] == [PNG]


@pytest.mark.parametrize("content, status, words", [(b"<svg/>", 415, "image"), (PNG + bytes(3 << 20), 413, "max_body")])
def test_a_page_of_localhost_reads_what_is_wrong_with_its_form(served, browsers, content, status, words):
    saw = fetch(browsers[0], served, "/generate", form={"model": "m", "prompt": "x", "image": file_of(content)})
    assert saw["error"] is None and saw["status"] == status and words in "".join(saw["parts"]), saw
    assert not served.backend.requests("/api/generate")


@pytest.mark.parametrize("path, body, status, words", [
    ("/api/generate", {"model": "absent", "prompt": "x"}, 404, "absent"), ("/v1/chat/completions", {"model": "absent", "messages": MESSAGES}, 404, "absent"),
    ("/generate", {"model": "m", "prompt": "x", "stream": "false", "images": ["%%%"]}, 400, "images[0]"),
    ("/api/chat", {"model": "m", "messages": [{"role": "user", "content": "x" * 30000}]}, 413, "max_body"), ("/nowhere", {}, 404, "/nowhere")])
def test_a_page_of_localhost_reads_errors(served, browsers, path, body, status, words):
    saw = fetch(browsers[0], served, path, headers=JSON, body=body)
    if path == "/nowhere":  # a preflight for what is not there fails, as the browser has it
        assert saw["error"]
        saw = fetch(browsers[0], served, path, method="GET")
    assert saw["error"] is None and saw["status"] == status and words in "".join(saw["parts"])
    assert saw["headers"]["x-request-id"]


@pytest.mark.parametrize("ask", [{"method": "GET", "path": "/api/tags"}, {"method": "GET", "path": "/health"},
                                 {"path": "/api/generate", "headers": {"Content-Type": "text/plain"}, "body": {"model": "m", "prompt": "x"}},
                                 {"path": "/api/generate", "headers": JSON, "body": {"model": "m", "prompt": "x"}},
                                 {"path": "/api/generate", "form": {"prompt": "x"}}, {"method": "DELETE", "path": "/api/delete", "body": {"model": "m"}}])
def test_a_page_of_another_site_gets_nothing(served, browsers, ask):
    before = len(served.backend.journal("request"))
    saw = fetch(browsers[1], served, **ask)
    assert saw["error"] and saw["error"].startswith("TypeError")
    served.process.wait_log(rf" refused .*status=403 reason=.*{browsers[1].origin}")  # the browser has asked, and was told no
    assert len(served.backend.journal("request")) == before
