"""CORS: what a page may ask is preflighted here, whatever Ollama does; each of its answers, errors too, can be read by it, and by no
page of another origin."""
import pytest

APP = "https://app.example.com"
ORIGINS = "https://app.example.com, https://*.example.org, http://localhost:*"
ALLOWED = [APP, "https://a.example.org", "https://a.b.example.org", "http://localhost:5173", "http://127.0.0.1", "HTTPS://APP.example.com"]
FOREIGN = ["https://evil.example", "http://app.example.com", "https://app.example.com:8443", "https://example.org", "https://aexample.org",
           "https://app.example.com.evil.example", "https://localhost.evil.example", "null", "file://", "http://0.0.0.0:3000"]
# path: what it takes, and so what a preflight permits
PATHS = {"/": "GET, HEAD, OPTIONS", "/api/tags": "GET, HEAD, OPTIONS", "/api/generate": "POST, OPTIONS", "/api/chat": "POST, OPTIONS", "/generate": "POST, OPTIONS",
         "/api/pull": "POST, OPTIONS", "/api/delete": "DELETE, OPTIONS", "/api/copy": "POST, OPTIONS",
         "/v1/chat/completions": "POST, OPTIONS", "/v1/models": "GET, OPTIONS", "/v1/models/a/b": "GET, OPTIONS",
         "/v1/audio/transcriptions": "POST, OPTIONS"}
CHAT = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
GENERATE = {"model": "m", "prompt": "x", "stream": False}
EXPOSED = {"X-Request-Id", "Retry-After", "X-Sidecar-Wait-Ms", "X-Sidecar-Load-Ms", "X-Sidecar-Queue-Ms"}


def preflight(sidecar, origin, path="/api/generate", method="POST", headers="content-type, x-mine", more=()):
    """What a browser asks before it asks."""
    return sidecar.ask("OPTIONS", path, headers=[("Origin", origin), ("Access-Control-Request-Method", method),
                                                 ("Access-Control-Request-Headers", headers), *more])


def words(answer, name):
    """The members of a header that must be there once."""
    (value,) = [value for key, value in answer.headers if key.lower() == name.lower()]
    return {word.strip() for word in value.split(",")}


def readable(answer, origin):
    """A page of this origin can read it, and no cache gives it to another one."""
    assert words(answer, "Access-Control-Allow-Origin") == {origin}, answer.headers
    assert "Origin" in words(answer, "Vary")
    assert words(answer, "Access-Control-Expose-Headers") == EXPOSED
    assert answer.header("Access-Control-Allow-Credentials") is None
    return answer


@pytest.fixture
def open_sidecar(sidecar):
    """Anybody may infer, pages of ORIGINS and of this machine too."""
    sidecar.configure("proxy", open="yes", cors_origins=ORIGINS, cors_builtin="no")
    return sidecar


def test_a_preflight_is_answered_here_on_every_path(open_sidecar):
    open_sidecar.boot(tokens=1)
    before = len(open_sidecar.backend.journal("request"))
    for origin in ALLOWED:
        for path, allowed in PATHS.items():
            answer = readable(preflight(open_sidecar, origin, path), origin)
            assert answer.status == 204 and not answer.body, (origin, path, answer.status)
            assert answer.header("Access-Control-Allow-Methods") == answer.header("Allow") == allowed, path
            assert answer.header("Access-Control-Allow-Headers") == "content-type, x-mine"
            assert answer.header("Access-Control-Max-Age") == "600"
            assert words(answer, "Vary") == {"Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers",
                                             "Access-Control-Request-Private-Network"}
            assert answer.header("Access-Control-Allow-Private-Network") is None
    assert len(open_sidecar.backend.journal("request")) == before


def test_a_preflight_into_a_private_network_is_granted_to_whom_may_ask(open_sidecar):
    open_sidecar.boot(tokens=1)
    near = [("Access-Control-Request-Private-Network", "true")]
    assert preflight(open_sidecar, APP, more=near).header("Access-Control-Allow-Private-Network") == "true"
    assert preflight(open_sidecar, APP, more=[(near[0][0], "maybe")]).header("Access-Control-Allow-Private-Network") is None
    refused = preflight(open_sidecar, "https://evil.example", more=near)
    assert refused.status == 403 and refused.header("Access-Control-Allow-Private-Network") is None


def test_r0_10_pages_of_other_origins_are_refused_whatever_they_ask(open_sidecar):
    open_sidecar.boot(tokens=1)
    before = len(open_sidecar.backend.journal("request"))
    for origin in FOREIGN:
        for path in (*PATHS, "/health", "/nowhere"):
            answer = preflight(open_sidecar, origin, path)
            told = answer.json["error"]
            assert answer.status == 403 and "cors_origins" in (told if isinstance(told, str) else told["message"]), (origin, path)
            assert not [key for key, _ in answer.headers if key.lower().startswith("access-control-")], (origin, path)
            assert "Origin" in words(answer, "Vary")
        assert open_sidecar.ask("POST", "/api/generate", GENERATE, [("Origin", origin)]).status == 403, origin
    assert len(open_sidecar.backend.journal("request")) == before


def test_a_preflight_waits_for_nobody_and_wakes_nobody(open_sidecar):
    open_sidecar.configure("supervisor", idle_action="stop", idle_timeout="300ms")
    open_sidecar.backend.script(start_delay_s=30)
    open_sidecar.start()
    open_sidecar.process.wait_log(r" listening ")
    assert readable(preflight(open_sidecar, APP), APP).status == 204  # Ollama starts
    open_sidecar.stop()
    open_sidecar.backend.script(tokens=1)
    open_sidecar.start()
    open_sidecar.wait_health(lambda health: health.get("state") == "asleep")
    started = len(open_sidecar.backend.journal("listening"))
    assert readable(preflight(open_sidecar, APP), APP).status == 204
    assert open_sidecar.health()["state"] == "asleep" and len(open_sidecar.backend.journal("listening")) == started


def test_options_without_an_origin_says_what_a_path_takes(open_sidecar):
    open_sidecar.boot(tokens=1)
    before = len(open_sidecar.backend.journal("request"))
    for path, allowed in PATHS.items():
        answer = open_sidecar.ask("OPTIONS", path)
        assert answer.status == 204 and answer.header("Allow") == allowed
        assert not [key for key, _ in answer.headers if key.lower().startswith("access-control-")]
    assert open_sidecar.ask("OPTIONS", "/nowhere").status == 404
    assert len(open_sidecar.backend.journal("request")) == before


@pytest.mark.parametrize("origin", [APP, "http://localhost:5173"])
def test_every_answer_can_be_read_and_ollama_never_sees_the_origin(open_sidecar, origin):
    open_sidecar.installed = "m"
    open_sidecar.boot(tokens=1)
    page = [("Origin", origin)]
    asks = [("GET", "/", None), ("GET", "/api/tags", None), ("GET", "/api/version", None), ("POST", "/api/show", {"model": "m"}),
            ("POST", "/api/generate", GENERATE), ("POST", "/api/generate", {**GENERATE, "stream": True}), ("POST", "/api/chat", CHAT),
            ("POST", "/v1/chat/completions", CHAT), ("POST", "/v1/chat/completions", {**CHAT, "stream": True}), ("GET", "/v1/models", None),
            ("POST", "/api/copy", {"source": "m", "destination": "n"}), ("GET", "/health", None), ("GET", "/live", None)]
    for method, path, body in asks:
        answer = readable(open_sidecar.ask(method, path, body, page), origin)
        assert answer.status == 200, (path, answer.status, answer.body)
    for entry in open_sidecar.backend.journal("request"):
        assert not [name for name, _ in entry["headers"] if name.lower() in ("origin", "access-control-request-method")], entry


def test_every_error_can_be_read(open_sidecar):
    open_sidecar.configure("proxy", max_body="4K", max_queue="1", slots="1")
    open_sidecar.installed = "m,broken,html"
    open_sidecar.backend.script(tokens=1, models={"broken": {"load_fails": "no room"}, "html": {"garbage_answer": "html"},
                                                  "m": {"first_token_delay_ms": 60000}})
    open_sidecar.start()
    open_sidecar.wait_ready()
    page = [("Origin", APP)]
    for path, model, status in [("/api/generate", "absent", 404), ("/v1/chat/completions", "absent", 404), ("/api/generate", "broken", 500),
                                ("/v1/chat/completions", "broken", 500), ("/api/chat", "html", 502), ("/v1/chat/completions", "html", 502)]:
        answer = open_sidecar.ask("POST", path, {**CHAT, "prompt": "x", "model": model}, page)
        assert readable(answer, APP).status == status and answer.json["error"], (path, model, answer.status)
    with open_sidecar.connect() as connection:  # refused from the head alone
        connection.send("POST", "/api/generate", b"", [*page, ("Content-Length", "5000"), ("Expect", "100-continue")])
        assert readable(connection.receive(), APP).status == 413
    waiting = [open_sidecar.connect() for _ in range(2)]  # one is served, one stands in line
    for number, connection in enumerate(waiting):
        connection.send("POST", "/api/generate", GENERATE)
        open_sidecar.wait_health(lambda health, n=number: health["requests"]["in_flight"] == n + 1, what="one more in flight")
    answer = readable(open_sidecar.ask("POST", "/v1/chat/completions", CHAT, page), APP)
    assert answer.status == 503 and int(answer.header("Retry-After")) > 0 and answer.json["error"]["message"]
    for connection in waiting:
        connection.close()
