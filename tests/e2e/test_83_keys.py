"""Keys: who comes with one may do what it says, from anywhere; who comes with a wrong one may do nothing; and no secret is shown."""
import hashlib
import json
import os
import re
import subprocess

import pytest

from client import Background, ask
from sidecar import BUILD
from waiting import until

CHAT = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": False}
GENERATE = {"model": "m", "prompt": "x", "stream": False}
STRANGER = ("X-Forwarded-For", "8.8.8.8")
SECRETS = {"team": "sesame-team-0123456789", "ci": "sesame-ci%20-0123456789", "watch": "sesame-watch-0123456789",
           "owner": "sesame-owner-0123456789"}
INFERENCE = [("POST", "/api/generate", GENERATE), ("POST", "/api/chat", CHAT), ("POST", "/v1/chat/completions", CHAT),
             ("POST", "/api/embed", {"model": "m", "input": "x"})]
OBSERVE = [("GET", "/api/tags", None), ("GET", "/v1/models", None), ("POST", "/api/show", {"model": "m"}), ("GET", "/", None)]
MANAGE = [("DELETE", "/api/delete", {"model": "none"})]


def bearer(name):
    return ("Authorization", f"Bearer {SECRETS.get(name, name)}")


def configure(sidecar, **team):
    """A key of each kind, each way to give one, and a proxy on this machine that brings strangers."""
    sidecar.configure("proxy", trusted_proxies="127.0.0.1")
    sidecar.configure("key:team", secret=SECRETS["team"], **team)
    sidecar.write("ci.key", SECRETS["ci"] + "\n")
    sidecar.configure("key:ci", secret_file="ci.key")
    sidecar.configure("key:watch", secret_hash="sha256:" + hashlib.sha256(SECRETS["watch"].encode()).hexdigest(), rights="observe")
    sidecar.env["OWNERS_KEY"] = SECRETS["owner"]
    sidecar.configure("key:owner", secret="%(ENV_OWNERS_KEY)s", rights="inference, observe, manage")


def status(sidecar, request, *headers):
    return sidecar.ask(*request, headers=headers).status


def told(answer):
    """The error's text, in whatever dialect."""
    error = answer.json["error"]
    return error if isinstance(error, str) else error["message"]


def wants_key(answer, *words):
    """A 401 that says how to come in, and shows nothing of what came."""
    assert answer.status == 401, (answer.status, answer.body)
    assert answer.header("WWW-Authenticate").startswith('Bearer realm="ollama-sidecar"')
    assert all(word in told(answer) for word in words), told(answer)
    assert b"sesame" not in answer.body
    return answer


def test_each_right_from_anywhere_and_under_any_name_R4_9(sidecar):
    configure(sidecar)
    sidecar.boot(tokens=1)
    far = (STRANGER, ("Host", "rebound.example"))
    for name, groups in [("team", [INFERENCE]), ("ci", [INFERENCE]), ("watch", [OBSERVE]), ("owner", [INFERENCE, OBSERVE, MANAGE])]:
        for group in (INFERENCE, OBSERVE, MANAGE):
            for request in group:
                answer = sidecar.ask(*request, headers=(*far, bearer(name)))
                if group in groups:
                    assert answer.status == (404 if group is MANAGE else 200), (name, request, answer.body)  # 404: Ollama's own
                else:
                    assert answer.status == 403 and f"[key:{name}] rights" in told(answer), (name, request, answer.body)
    for request in (*INFERENCE, *OBSERVE, *MANAGE):
        wants_key(sidecar.ask(*request, headers=far), "8.8.8.8" if "manage" in request else "", "Authorization: Bearer")


def test_a_wrong_key_is_never_none(sidecar):
    configure(sidecar)
    sidecar.boot(tokens=1)
    request = ("POST", "/v1/chat/completions", CHAT)
    assert status(sidecar, request) == 200  # this machine, without a key
    for value in ("Bearer sesame", "Bearer sesame-team-012345678", "Bearer SESAME-TEAM-0123456789", "Bearer " + "sesame" * 1300, "Bearer",
                  "Bearer ", "", "Basic c2VzYW1l", "sesame-team-0123456789", "Token sesame-team-0123456789",
                  "Bearer sesame-team-0123456789 sesame", 'Bearer "sesame-team-0123456789"', "Bearer sesame-team-0123456789,"):
        answer = wants_key(sidecar.ask(*request, headers=[("Authorization", value)]), "key")
        assert answer.json["error"]["code"] == "invalid_api_key" and answer.json["error"]["type"] == "authentication_error"
    for value in ("sesame", "", "Bearer sesame-team-0123456789"):
        wants_key(sidecar.ask(*request, headers=[("X-Api-Key", value)]))
    for value in ("Bearer sesame-team-0123456789", "bearer  \tsesame-team-0123456789 ", "BEARER sesame-team-0123456789"):
        assert status(sidecar, request, ("Authorization", value)) == 200, value
    assert status(sidecar, request, ("x-api-key", SECRETS["team"])) == 200
    assert status(sidecar, request, ("x-api-key", SECRETS["team"]), bearer("team")) == 200
    for headers in ([bearer("team"), bearer("team")], [bearer("team"), ("x-api-key", SECRETS["ci"])],
                    [("x-api-key", SECRETS["ci"]), ("x-api-key", SECRETS["ci"])]):
        answer = sidecar.ask(*request, headers=headers)
        assert answer.status == 400 and answer.json["error"]["code"] == "several_keys" and "send one" in told(answer)
    wants_key(sidecar.ask("POST", f"/v1/chat/completions?api_key={SECRETS['team']}", CHAT, [STRANGER]), "a key in the query is not read")


def test_each_dialect_has_its_own_words(sidecar):
    configure(sidecar)
    sidecar.boot(tokens=1)
    wrong = [("x-api-key", "sesame")]
    assert isinstance(wants_key(sidecar.ask("POST", "/api/chat", CHAT, wrong)).json["error"], str)
    answer = wants_key(sidecar.ask("POST", "/v1/messages", {"model": "m", "max_tokens": 5, "messages": CHAT["messages"]}, wrong))
    assert answer.json["type"] == "error" and answer.json["error"]["type"] == "authentication_error"
    answer = wants_key(sidecar.ask("GET", "/v1/models", headers=wrong))
    assert answer.json["error"]["type"] == "authentication_error" and answer.json["error"]["code"] == "invalid_api_key"
    answer = sidecar.ask("GET", "/v1/models", headers=[bearer("team")])
    assert answer.status == 403 and answer.json["error"]["type"] == "permission_error"


def test_what_needs_no_key(sidecar):
    configure(sidecar)
    sidecar.boot(tokens=1)
    for path in ("/health", "/live", "/ready"):
        assert status(sidecar, ("GET", path), STRANGER) == 200
        assert status(sidecar, ("GET", path), STRANGER, bearer("wrong")) == 200
    assert sidecar.ctl("health").returncode == 0 and sidecar.ctl("status").returncode == 0
    page = ("Origin", "http://localhost:3000")
    asks = [page, ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "authorization"), STRANGER]
    answer = sidecar.ask("OPTIONS", "/v1/chat/completions", headers=asks)
    assert answer.status == 204 and answer.header("Access-Control-Allow-Headers") == "authorization"
    answer = wants_key(sidecar.ask("POST", "/v1/chat/completions", CHAT, [page, STRANGER, bearer("wrong")]))
    assert answer.header("Access-Control-Allow-Origin") == page[1]  # so that the page can read it
    answer = sidecar.ask("POST", "/v1/chat/completions", CHAT, [("Origin", "https://evil.example"), bearer("team")])
    assert answer.status == 403 and answer.json["error"]["code"] == "foreign_origin"
    assert status(sidecar, ("OPTIONS", "/api/chat"), ("Origin", "https://evil.example"), bearer("team")) == 403
    assert status(sidecar, ("GET", "/nowhere"), bearer("wrong")) == 404


@pytest.mark.parametrize("open_to, far, near", [("no", 401, 200), ("private", 401, 200), ("yes", 200, 200)])
def test_who_comes_without_a_key_is_judged_as_ever(sidecar, open_to, far, near):
    configure(sidecar)
    sidecar.configure("proxy", open=open_to)
    sidecar.boot(tokens=1)
    for request in INFERENCE + OBSERVE:
        assert status(sidecar, request, STRANGER) == far, request
        assert status(sidecar, request) == near, request
        assert status(sidecar, request, STRANGER, bearer("wrong")) == 401, request
    assert status(sidecar, MANAGE[0], STRANGER) == 401 and status(sidecar, MANAGE[0]) == 404


def test_without_keys_what_clients_send_as_one_is_nobody_s_business(sidecar):
    sidecar.boot(tokens=1)
    for header in [("Authorization", "Bearer sk-none"), ("Authorization", "Basic x"), ("x-api-key", "ollama")]:
        assert status(sidecar, ("POST", "/v1/chat/completions", CHAT), header) == 200
    answer = sidecar.ask("DELETE", "/api/delete", {"model": "m"}, [("X-Real-IP", "8.8.8.8"), ("Authorization", "Bearer x")])
    assert answer.status == 403 and answer.header("WWW-Authenticate") is None


def test_no_backend_is_told_a_key(sidecar):
    configure(sidecar)
    sidecar.boot(tokens=1)
    for path in ("/api/generate", "/v1/chat/completions", "/api/show"):
        for header in [bearer("owner"), ("x-api-key", SECRETS["owner"])]:
            assert status(sidecar, ("POST", path, {**CHAT, **GENERATE}), header, ("api-key", SECRETS["owner"]), ("X-Mine", "1")) == 200
    requests = sidecar.backend.journal("request")
    assert any(name == "X-Mine" for request in requests for name, _ in request["headers"])
    assert "sesame" not in json.dumps(requests)


# models

def names(answer):
    assert answer.status == 200, answer.body
    found = answer.json
    return [entry.get("name") or entry["id"] for entry in found.get("models", found.get("data"))]


def test_a_key_of_some_models_has_no_others(sidecar):
    configure(sidecar, models="m, small*", rights="inference, observe, manage")
    sidecar.boot("m,small:1b,other", tokens=1)
    key = (STRANGER, bearer("team"))
    for model, expected in [("m", 200), ("M:latest", 200), ("small:1b", 200), ("other", 404), ("other:latest", 404), ("none", 404)]:
        for method, path, body in [*INFERENCE, ("POST", "/api/show", {})]:
            answer = sidecar.ask(method, path, {**body, "model": model}, key)
            assert answer.status == expected, (path, model, answer.body)
            if expected == 404:
                assert "[key:team] models" in told(answer)
                assert path[:4] != "/v1/" or answer.json["error"]["code"] == "model_not_found"
    for method, path, body in [("POST", "/api/pull", {"model": "other"}), ("DELETE", "/api/delete", {"name": "other"}),
                               ("POST", "/api/copy", {"source": "other", "destination": "m"}), ("POST", "/api/push", {"model": "other"}),
                               ("POST", "/api/copy", {"source": "m", "destination": "other"}), ("GET", "/v1/models/other", None),
                               ("POST", "/api/create", {"model": "m", "from": "other"}),
                               ("POST", "/api/show", {"model": "other", "name": "m"}), ("POST", "/v1/chat/completions", {**CHAT, "model": "x"})]:
        answer = sidecar.ask(method, path, body, key)
        assert answer.status == 404 and "[key:team] models" in told(answer), (path, body, answer.body)
    asked = json.dumps([request.get("body") for request in sidecar.backend.journal("request")])
    assert "other" not in asked, asked
    for body in (b"", b"{}", b"model=m", {"model": ""}):
        answer = sidecar.ask("POST", "/api/generate", body, key)
        assert answer.status == 403 and '"model"' in told(answer), (body, answer.body)
    assert sidecar.ask("GET", "/v1/models/m", headers=key).status == 200


def test_lists_show_a_key_its_models_also_asleep(sidecar):
    configure(sidecar, models="m, small*", rights="observe, inference")
    sidecar.configure("supervisor", idle_action="stop", idle_timeout="300ms")
    sidecar.boot("m,small:1b,other", tokens=1)
    key, lists = (STRANGER, bearer("team")), ("/api/tags", "/v1/models")

    def look():
        for path in lists:
            everything, own = sidecar.ask("GET", path), sidecar.ask("GET", path, headers=key)
            assert {name.split(":latest")[0] for name in names(everything)} == {"m", "small:1b", "other"}
            assert {name.split(":latest")[0] for name in names(own)} == {"m", "small:1b"}
            member = "models" if path == "/api/tags" else "data"
            assert [entry for entry in everything.json[member] if entry in own.json[member]] == own.json[member]
        return own.header("X-Sidecar-State")

    assert look() is None
    assert sidecar.generate("other").status == 200 and sidecar.generate("m").status == 200
    assert {name.split(":")[0] for name in names(sidecar.ask("GET", "/api/ps", headers=key))} == {"m"}
    sidecar.wait_health(lambda health: health["state"] == "asleep")
    assert look() == "asleep"
    assert sidecar.ask("GET", "/v1/models/other", headers=key).status == 404
    assert sidecar.ask("POST", "/api/show", {"model": "other"}, key).status == 404
    assert sidecar.health()["state"] == "asleep"


def test_models_of_other_backends_are_a_key_s_or_not(sidecar, openai_backend):
    configure(sidecar, models="m, far*", rights="observe, inference")
    other = openai_backend(models=("far-1", "other-1"))
    sidecar.boot("m,other", tokens=1)
    key = (STRANGER, bearer("team"))
    for model, expected in (("far-1", 200), ("other-1", 404)):
        assert sidecar.ask("POST", "/v1/chat/completions", {**CHAT, "model": model}, key).status == expected
    for more in ({"models": ["far-1", "other-1"]}, {"fallbacks": [{"model": "other-1"}]}):  # as some hosted APIs have them
        assert sidecar.ask("POST", "/v1/chat/completions", {**CHAT, "model": "far-1", **more}, key).status == 404
    assert sidecar.ask("POST", "/v1/chat/completions", {**CHAT, "model": "far-1", "models": ["far-1"]}, key).status == 200
    sent = str([(request.path, request.headers, request.body) for request in other.journal])
    shown = {path: {name.split(":")[0] for name in names(sidecar.ask("GET", path, headers=key))} for path in ("/api/tags", "/v1/models")}
    assert shown["/v1/models"] == {"m", "far-1"} and {"m"} <= shown["/api/tags"] <= {"m", "far-1"}
    assert "far-1" in sent and "other-1" not in sent and "sesame" not in sent


def test_a_preset_of_other_models_is_none_for_a_key(sidecar):
    configure(sidecar, models="m")
    sidecar.write("models.json", json.dumps({"mine": {"model": "m"}, "theirs": {"model": ["m", "other"]}}))
    sidecar.configure("proxy", presets="models.json")
    sidecar.write_ini()
    checked = sidecar.run("ollama-supervisor", "-c", sidecar.ini, "--check")
    assert checked.returncode == 0, checked.stderr
    sidecar.boot("m,other", tokens=1)
    for preset, expected in (("mine", 200), ("theirs", 404)):
        answer = sidecar.ask("POST", "/generate", {"preset": preset, "prompt": "x", "stream": False}, [bearer("team")])
        assert answer.status == expected, (preset, answer.body)


# what is told of keys

def test_heartbeats_of_a_key(sidecar):
    configure(sidecar, heartbeat="off")
    sidecar.configure("proxy", heartbeat_after="100ms", heartbeat_interval="100ms")
    sidecar.configure("key:ci", heartbeat="chunk")
    sidecar.boot(tokens=2, first_token_delay_ms=1000)
    body = {**CHAT, "stream": True}
    bodies = {name: sidecar.ask("POST", "/api/chat", body, headers).body for name, headers in
              (("none", []), ("off", [bearer("team")]), ("chunk", [bearer("ci")]))}
    assert bodies["none"].startswith(b" ") and bodies["off"].startswith(b"{")
    assert json.loads(bodies["chunk"].splitlines()[0])["message"]["content"] == "" and not bodies["chunk"].startswith(b" ")


def test_the_access_log_names_the_key(sidecar):
    configure(sidecar)
    sidecar.configure("proxy", access_log="json")
    sidecar.boot(tokens=1)
    for headers in ([bearer("owner")], [bearer("team")], [bearer("wrong")], []):
        sidecar.ask("GET", "/api/tags", headers=headers)

    def look():
        found = [json.loads(text) for text in sidecar.process.log if '"event":"access"' in text and "/api/tags" in text]
        found = [entry for entry in found if entry["agent"] is None]
        return found if len(found) >= 4 else None

    found = until(look, 5, "access lines", sidecar.process.tail)
    assert [(entry["key"], entry["status"], entry["code"]) for entry in found[-4:]] == [
        ("owner", 200, None), ("team", 403, "not_permitted"), (None, 401, "invalid_api_key"), (None, 200, None)]


def test_no_secret_is_shown_anywhere(sidecar):
    configure(sidecar, models="m")
    sidecar.configure("supervisor", log_level="debug")
    sidecar.configure("proxy", fallback_answer=None, access_log="text")
    sidecar.configure("environment", MINE=f"x {SECRETS['team']} y")
    sidecar.boot(tokens=1)
    shown = []
    for name in (*SECRETS, "sesame-wrong"):
        for headers in ([bearer(name)], [("x-api-key", SECRETS.get(name, name))], [bearer(name), bearer(name)], [STRANGER, bearer(name)],
                        [("Authorization", f"Basic {SECRETS.get(name, name)}")], [("Origin", "https://evil.example"), bearer(name)]):
            for request in (*INFERENCE, *OBSERVE, *MANAGE, ("GET", "/health"), ("GET", "/nowhere")):
                answer = sidecar.ask(*request, headers=headers)
                shown += [answer.body, repr(answer.headers)]
    for args in (("dump",), ("status",), ("--json", "status"), ("health",), ("tail", "-n", "1000")):
        run = sidecar.ctl(*args)
        shown += [run.stdout, run.stderr]
    for args in (("--dump",), ("--check",)):
        run = sidecar.run("ollama-supervisor", "-c", sidecar.ini, *args)
        assert run.returncode == 0
        shown += [run.stdout, run.stderr]
    sidecar.configure("key:team", secret=SECRETS["ci"].replace("%", "%%"), rights="everything")  # refused: the mistakes show none, either
    sidecar.write_ini()
    run = sidecar.ctl("reload")
    assert run.returncode == 1 and "[key:ci] has the secret of [key:team]" in run.stdout + run.stderr
    shown += [run.stdout, run.stderr]
    for pid in sidecar.programs():
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            shown.append(file.read())
        with open(f"/proc/{pid}/environ", "rb") as file:
            shown += [pair for pair in file.read().split(b"\0") if not pair.startswith((b"OWNERS_KEY=", b"MINE="))]  # the test's own
    folder = os.path.join(sidecar.directory, "state")
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        with open(os.path.join(folder, name), "rb") as file:
            shown.append(file.read())
    sidecar.stop()
    shown += sidecar.process.log
    assert "; secret = ***" in "".join(text for text in shown if isinstance(text, str))
    for text in shown:
        text = text if isinstance(text, str) else text.decode(errors="replace")
        assert "sesame" not in text, text[max(0, text.index("sesame") - 300):][:600]


def test_a_reload_changes_keys_and_loses_nobody(sidecar):
    configure(sidecar)
    sidecar.boot(tokens=6, token_delay_ms=150)
    with sidecar.connect() as kept:
        assert kept.request("POST", "/api/show", {"model": "m"}, [bearer("owner")]).json
        running = Background(ask, sidecar.port, "POST", "/api/generate", GENERATE, [STRANGER, bearer("team")])
        until(lambda: sidecar.health()["requests"]["in_flight"] or None, 5, "a request under way", sidecar.process.tail)
        before = sidecar.pid_of("ollama")
        sidecar.write("ci.key", "another-0123456789abcdef")
        sidecar.settings.pop("key:team")
        sidecar.write_ini()
        run = sidecar.ctl("reload")
        assert run.returncode == 0, run.stdout + run.stderr
        request = ("POST", "/api/show", {"model": "m"})
        until(lambda: status(sidecar, request, bearer("another-0123456789abcdef")) == 403, 10, "the new key", sidecar.process.tail)
        assert status(sidecar, request, bearer("team")) == 401 and status(sidecar, request, bearer("ci")) == 401
        assert running.result(20).status == 200  # by the right that it came with
        assert kept.request("POST", "/api/show", {"model": "m"}, [bearer("owner")]).status == 200
    assert sidecar.pid_of("ollama") == before


def test_mistakes_are_told_all_at_once(sidecar):
    sidecar.configure("key:a", rights="all")
    sidecar.configure("key:b", secret_file="nowhere", secret_hash="sesame")
    sidecar.configure("backend:c", url="https://u:sesame@h")
    sidecar.write_ini()
    checked = sidecar.run("ollama-supervisor", "-c", sidecar.ini, "--check")
    lines = [line for line in checked.stderr.splitlines() if re.match(rf"{sidecar.ini}:\d+: error: \[(key|backend):", line)]
    assert checked.returncode == 100 and len(lines) == 6 and "sesame" not in checked.stderr, checked.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root, to change users")
def test_a_proxy_of_another_user_has_keys_of_files_that_it_may_not_read(sidecar):
    configure(sidecar)
    os.chmod(os.path.join(sidecar.directory, "ci.key"), 0o600)
    sidecar.configure("program:proxy", user="65534:65534")
    sidecar.configure("supervisor", state_dir="none")
    sidecar.settings["supervisor"].pop("state_dir")
    sidecar.boot(tokens=1)
    assert status(sidecar, INFERENCE[0], STRANGER, bearer("ci")) == 200
    sidecar.ctl("restart", "proxy")
    sidecar.process.wait_log(r" drained ")
    assert status(sidecar, INFERENCE[0], STRANGER, bearer("ci")) == 200


# sidecarctl new-key

def test_new_key_makes_a_secret_and_its_hash(sidecar):
    made = [sidecar.run("sidecarctl", "new-key").stdout for _ in range(2)]
    secrets = []
    for text in made:
        match = re.fullmatch(r"key: (sk-[0-9a-f]{64})\n\n\[key:NAME\]\nsecret_hash = sha256:([0-9a-f]{64})\n", text)
        assert match, text
        assert hashlib.sha256(match[1].encode()).hexdigest() == match[2]
        secrets.append(match[1])
    assert secrets[0] != secrets[1]
    assert subprocess.run([os.path.join(BUILD, "sidecarctl"), "new-key", "x"], capture_output=True, check=False).returncode == 100
    sidecar.configure("key:team", secret_hash=re.search(r"sha256:\w+", made[0])[0])
    sidecar.configure("proxy", trusted_proxies="127.0.0.1")
    sidecar.boot(tokens=1)
    assert status(sidecar, INFERENCE[0], STRANGER, ("Authorization", f"Bearer {secrets[0]}")) == 200
    assert status(sidecar, INFERENCE[0], STRANGER, ("Authorization", f"Bearer {secrets[1]}")) == 401
