"""GET /ui: the page's files, as they are packed, and what they may do in a browser."""
import gzip
import os
import re

import pytest

from sidecar import ROOT

HERE = os.path.join(ROOT, "proxy", "ui")
SOURCES = sorted(os.listdir(HERE))
FILES = ["index.html", "page.js", "style.css"]
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
POLICY = {"default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data: blob:", "connect-src 'self'", "base-uri 'none'", "form-action 'none'",
          "frame-ancestors 'none'"}
TEXTS = {name: open(os.path.join(HERE, name), encoding="utf-8").read() for name in SOURCES}  # pylint: disable=consider-using-with


def source(name):
    """A file as it was written; all scripts are one, the last of which begins, and each is named in its first line."""
    if name != "page.js":
        return TEXTS[name]
    scripts = sorted((each for each in SOURCES if each.endswith(".js")), key=lambda each: (each == "main.js", each))
    return "".join(re.sub(r"(?m)^import .*$|^export ", "", re.sub(r"\A.*", f"//proxy/ui/{each}", TEXTS[each])) for each in scripts)


def served(text):
    """As it is sent: without comments and indents, line for line."""
    return re.sub(r"(?m)^// .*$|^/\* .* \*/$", "", re.sub(r"(?m)^ *", "", text))


def test_scripts_that_become_one_have_no_name_twice():
    names = [name for text in TEXTS.values() for name in re.findall(r"(?m)^(?:export )?(?:const|let|class|(?:async )?function\*?) (\w+)", text)]
    assert sorted(names) == sorted(set(names))


def path_of(name):
    return "/ui" if name == "index.html" else "/ui/" + name


@pytest.fixture
def proxy(sidecar, before):
    """A proxy alone: the page needs neither an Ollama nor a supervisor."""
    before()
    return sidecar


def test_each_file_is_there_with_what_a_browser_needs(proxy):
    for name in FILES:
        answer = proxy.ask("GET", path_of(name), headers=[("Accept-Encoding", "gzip, deflate, br")])
        assert answer.status == 200 and gzip.decompress(answer.body).decode() == served(source(name)), name
        assert answer.header("Content-Encoding") == "gzip" and answer.header("Vary") == "Accept-Encoding"
        assert answer.header("Content-Type") == TYPES[os.path.splitext(name)[1]] + "; charset=utf-8"
        assert set(answer.header("Content-Security-Policy").split("; ")) == POLICY
        told = [answer.header(header) for header in ("X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Cross-Origin-Opener-Policy",
                                                     "Cross-Origin-Resource-Policy", "Cache-Control")]
        assert told == ["nosniff", "DENY", "no-referrer", "same-origin", "same-origin", "no-cache"]
        assert proxy.ask("HEAD", path_of(name)).header("Content-Length") == str(len(answer.body))


def test_who_has_it_already_is_sent_nothing(proxy):
    tags = set()
    for name in FILES:
        tag = proxy.ask("GET", path_of(name)).header("ETag")
        tags.add(tag)
        for known in (tag, f'"x", {tag}', f"W/{tag}", "*"):
            answer = proxy.ask("GET", path_of(name), headers=[("If-None-Match", known)])
            assert answer.status == 304 and answer.body == b"" and answer.header("ETag") == tag and answer.header("Content-Security-Policy")
        assert proxy.ask("GET", path_of(name), headers=[("If-None-Match", '"other"')]).status == 200
    assert len(tags) == len(FILES)


def test_who_takes_no_gzip_is_told_so(proxy):
    assert gzip.decompress(proxy.ask("GET", "/ui").body)  # no wish is no refusal
    for wish in ("identity", "br", "gzip;q=0, *", ""):
        answer = proxy.ask("GET", "/ui", headers=[("Accept-Encoding", wish)])
        assert answer.status == 406 and "curl --compressed" in answer.json["error"] and answer.header("Vary") == "Accept-Encoding"


def test_what_is_not_there(proxy):
    answer = proxy.ask("GET", "/ui/")
    assert answer.status == 308 and answer.header("Location") == "../ui" and answer.body == b""
    for path in ("/ui/index.html", "/ui/main.js", "/ui/none.js", "/ui/page.js/x"):
        answer = proxy.ask("GET", path)
        assert answer.status == 404 and answer.json == {"error": "the page has no such file; it is at /ui"}
    for path in ("/ui/../health", "/ui/%2e%2e/health", "/ui//page.js"):
        assert proxy.ask("GET", path).status == 400
    assert proxy.ask("POST", "/ui").status == 405


def test_another_site_gets_nothing_of_it(proxy):
    for headers in ([("Origin", "https://evil.example")], [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors")]):
        assert proxy.ask("GET", "/ui/page.js", headers=headers).status == 403
    followed = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")]
    assert proxy.ask("GET", "/ui", headers=followed).status == 200


def test_with_keys_the_page_itself_needs_none(proxy):
    proxy.stop()
    proxy.configure("key:team", secret="sesame-team-0123456789")
    proxy.configure("proxy", open="no")
    proxy.start("ollama-proxy")
    proxy.process.wait_log(r" listening ")
    assert proxy.ask("GET", "/ui").status == 200 and proxy.ask("GET", "/ui", headers=[("Authorization", "Bearer none")]).status == 200


def test_texts_become_nodes_of_text_alone():
    """Nothing that a model, a program or a client has written is ever read as markup, or as a script."""
    for name, text in TEXTS.items():
        found = re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|srcdoc|\beval\b|new Function|setHTML"
                           r"|javascript:|setAttribute\(\"on|\.on[a-z]+ = ", text)
        assert not found, (name, found)


def test_nothing_comes_from_elsewhere():
    for name, text in TEXTS.items():
        code = re.sub(r"(?m)(^|\s)//.*$", "", text)
        urls = set(re.findall(r"(?:https?:)?//[\w.-]+\.[a-z]{2,}[\w./-]*", code)) - {"http://www.w3.org/2000/svg"}
        assert not urls, (name, urls)


def test_it_stays_small(proxy):
    """What comes over the wire for the first look, all of it."""
    sizes = {name: len(proxy.ask("GET", path_of(name)).body) for name in FILES}
    assert sum(sizes.values()) < 20000, sizes
