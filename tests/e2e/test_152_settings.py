"""GET /sidecar/settings: what is in force, who has said so, and to whom that is told. (R5.3)"""
import pytest

STRANGER = ("X-Forwarded-For", "8.8.8.8")
OBSERVER, OWNER = "sesame-observe-0123456789", "sesame-owner-0123456789"


def row(answer, section, key):
    """The one row of this setting."""
    (found,) = [r for r in answer.json["settings"] if (r["section"], r["key"]) == (section, key)]
    return found


def test_each_setting_says_who_has_said_so(sidecar):
    sidecar.configure("proxy", max_queue="77")
    sidecar.env["SIDECAR_PROXY_MAX_BODY"] = "1M"
    sidecar.boot()
    answer = sidecar.ask("GET", "/sidecar/settings")
    assert answer.status == 200 and answer.header("Content-Type") == "application/json"
    assert answer.header("Cache-Control") == "no-store" and answer.header("X-Content-Type-Options") == "nosniff"
    queue = row(answer, "proxy", "max_queue")
    assert (queue["value"], queue["source"], queue["default"]) == ("77", "file", "256")
    path, line = queue["where"].rsplit(":", 1)
    with open(path, encoding="utf-8") as file:
        assert file.read().splitlines()[int(line) - 1] == "max_queue = 77"
    body = row(answer, "proxy", "max_body")
    assert (body["value"], body["source"], body["where"]) == ("1M", "environment", "SIDECAR_PROXY_MAX_BODY")
    assert row(answer, "supervisor", "idle_action")["source"] == "default"
    assert row(answer, "program:ollama", "command")["source"] == "built in"
    assert row(answer, "environment", "OLLAMA_NUM_PARALLEL")["value"] == "64"


def test_it_takes_the_right_to_manage_and_shows_no_secret(sidecar):
    sidecar.configure("proxy", trusted_proxies="127.0.0.1")
    sidecar.configure("key:watch", secret=OBSERVER, rights="observe")
    sidecar.configure("key:owner", secret=OWNER, rights="observe, manage")
    sidecar.env["HF_TOKEN"] = "sesame-of-the-hub"
    sidecar.configure("environment", NOTE="the hub has sesame-of-the-hub")
    sidecar.boot()

    def ask(*headers):
        return sidecar.ask("GET", "/sidecar/settings", headers=headers)
    assert ask(STRANGER).status == 401
    refused = ask(("Authorization", f"Bearer {OBSERVER}"))
    assert refused.status == 403 and "manage" in refused.json["error"]
    assert ask(("Origin", "https://evil.example")).status == 403
    answer = ask(STRANGER, ("Authorization", f"Bearer {OWNER}"))
    assert row(answer, "key:owner", "secret")["value"] == "***" and b"sesame" not in answer.body
    assert row(answer, "environment", "NOTE")["value"] == "the hub has ***"


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
def test_it_is_only_read(sidecar, method):
    sidecar.boot()
    assert sidecar.ask(method, "/sidecar/settings").status == 405
