"""As a user goes through it: a chat with an image, cancel, pull, unload, delete, errors, a reload, keys, by the keyboard alone."""
import base64
import json
import threading

import pytest

import states
from waiting import until

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
MANAGER = {**states.RIGHTS, "key": "boss"}


def open_view(page, front, view):
    """Where it is looked at, and told of changes."""
    page.goto(f"{front.url}#{view}")
    front.wait_listeners()


def test_a_chat_with_an_image(page, whole):
    picture = whole.sidecar.write("holiday.png", PNG)
    open_view(page, whole, "playground")
    page.wait("document.getElementById('model').value === 'tiny'")
    page.upload("#image", picture)
    page.wait("document.querySelector('#images img')?.naturalWidth === 1", "the picture to be shown")
    page.fill("#prompt", "What is in it?")
    page.click("#send")
    page.wait_text("The answer is complete.", "#said")
    (asked,) = [json.loads(entry["body"]) for entry in whole.sidecar.backend.requests("/api/chat") if "What is in it?" in entry["body"]]
    assert asked["model"] == "tiny" and base64.b64decode(asked["messages"][0]["images"][0]) == PNG
    answer = page.text(".message.assistant .text")
    assert answer and "8 tokens" in page.text(".times") and "first token after" in page.text(".times"), page.text("#talk")
    assert page.js("document.querySelectorAll('#images li').length") == 0
    page.fill("#prompt", "And now?")
    page.press("Enter")
    page.wait("document.querySelectorAll('.message.assistant .times').length === 2")
    later = [json.loads(entry["body"]) for entry in whole.sidecar.backend.requests("/api/chat") if "And now?" in entry["body"]][0]
    assert [m["role"] for m in later["messages"]] == ["user", "assistant", "user"] and later["messages"][1]["content"] == answer
    page.click("[data-do=forget]")
    page.wait("document.querySelectorAll('.message').length === 0")


@pytest.fixture
def sleepy(sidecar):
    """It sleeps soon; to be named before `whole`."""
    sidecar.configure("supervisor", idle_action="stop", idle_timeout="1s")


def test_a_chat_wakes(page, sleepy, whole):  # pylint: disable=unused-argument
    whole.sidecar.process.wait_log(r" asleep action=stop", timeout=20)
    whole.status["health"] = states.health("asleep")
    open_view(page, whole, "overview")
    page.click("a[href='#playground']:not(nav a)")
    page.fill("#prompt", "Are you there?")
    page.click("#send")
    page.wait_text("The answer is complete.", "#said", 30)
    page.wait_text("8 tokens", ".times")


def test_the_phase_of_a_chat_is_that_which_the_sidecar_tells(page, front):
    go_on = threading.Event()

    def chat(handler):
        go_on.wait(60)
        handler.lines([{"message": {"content": "Hello"}, "done": False}, {"done": True, "eval_count": 1, "eval_duration": 1000000}])

    front.answers["POST", "/api/chat"] = chat
    open_view(page, front, "playground")
    page.fill("#prompt", "x")
    page.click("#send")
    front.wait_asked("POST", "/api/chat")
    made = next(headers["X-Request-Id"] for method, path, _, headers in front.journal if path == "/api/chat")
    for phase, words in [("held", "held"), ("loading", "loads its model"), ("queued", "in line, place 3")]:
        front.change(requests=states.requests([states.live(1, phase, id=made, place=3)]))
        page.wait_text(words, "#progress")
    go_on.set()
    page.wait_text("The answer is complete.", "#said")
    front.change(requests=states.requests([], [states.ended(1, id=made, wait_ms=61000, total_ms=75000)]))
    page.wait_text("held 61.0 s", ".times")
    page.wait_text("all of it 75.0 s", ".times")


def test_an_answer_is_stopped(page, whole):
    whole.sidecar.backend.script(tokens=2000, token_delay_ms=30)
    open_view(page, whole, "playground")
    page.fill("#prompt", "Go on for long")
    page.click("#send")
    page.wait("document.querySelector('.message.assistant .text')?.textContent.length > 5", "tokens")
    page.click("#stop")
    page.wait_text("Stopped.", "#talk")
    page.wait("document.getElementById('send').disabled === false")
    until(lambda: whole.sidecar.health()["requests"]["in_flight"] == 0, 15, "the request to have ended")


@pytest.mark.parametrize("answer, words", [
    ((404, {"error": "model 'tiny' not found"}), "model 'tiny' not found"),
    (lambda handler: handler.lines([{"message": {"content": "half"}, "done": False}, {"error": "an error was encountered while running the model"}]), "an error was encountered"),
    (lambda handler: handler.lines([{"message": {"content": "half"}, "done": False}]), "the answer ended in the middle"),
    (lambda handler: handler.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n{\"message\":{\"content\":\"h"), "the answer ended in the middle"),
    ((503, {"error": {"message": "the server is shutting down"}}), "the server is shutting down"),
    (lambda handler: handler.connection.close(), "the connection to the sidecar was lost"),
])
def test_an_error_is_told_in_its_own_words(page, front, answer, words):
    front.answers["POST", "/api/chat"] = answer
    open_view(page, front, "playground")
    page.fill("#prompt", "x")
    page.click("#send")
    page.wait_text(words, "#failed")
    page.wait_text(words, ".message.assistant")
    page.wait("document.getElementById('send').disabled === false")


def test_what_was_not_answered_is_not_asked_again(page, front):
    def chat(handler):
        question = front.asked("POST", "/api/chat")[-1]["messages"][-1]["content"]
        if question == "half":
            handler.lines([{"message": {"content": "so far"}, "done": False}, {"error": "its runner has ended"}])
        else:
            handler.lines([{"error": "it takes no images"}] if question == "bad" else [{"message": {"content": "well"}, "done": True}])

    front.answers["POST", "/api/chat"] = chat
    open_view(page, front, "playground")
    for question, words, where in [("bad", "it takes no images", "#failed"), ("half", "its runner has ended", "#failed"), ("good", "complete", "#said")]:
        page.fill("#prompt", question)
        page.click("#send")
        page.wait_text(words, where)
        page.wait("document.getElementById('send').disabled === false")
    assert [message["content"] for message in front.asked("POST", "/api/chat")[-1]["messages"]] == ["half", "so far", "good"]


def test_hostile_output_stays_text(page, front):
    front.answers["POST", "/api/chat"] = lambda handler: handler.lines(
        [{"message": {"content": states.HOSTILE, "thinking": states.HOSTILE}, "done": False}, {"error": states.HOSTILE}])
    front.log = [{"name": states.HOSTILE, "level": "\" onclick=\"x", "at": states.HOSTILE, "line": states.HOSTILE + "\x1b[31m"}, {"dropped": states.HOSTILE}]
    open_view(page, front, "playground")
    page.fill("#prompt", states.HOSTILE)
    page.click("#send")
    page.wait_text("<script>", ".message.assistant")
    page.goto(front.url + "#logs")
    page.wait_text("<script>window.hacked=1</script>", "#log")
    assert page.js("window.hacked") is None
    assert page.js("document.querySelectorAll('body script, body img, body iframe, [onerror], [onclick]').length") == 0


def test_a_request_is_cancelled(page, front):
    front.status["requests"] = states.requests([states.live(1), states.live(2, id="a/b c")])
    front.answers["DELETE", "/sidecar/requests/a/b c"] = {"status": "success"}
    front.answers["DELETE", "/sidecar/requests/r1"] = (404, {"error": "there is no such request"})
    open_view(page, front, "requests")
    page.click("[data-do=cancel][data-about='a/b c']")
    page.wait_text("The request a/b c is cancelled.", "#said")
    assert [path for method, path, *_ in front.journal if method == "DELETE"] == ["/sidecar/requests/a%2Fb%20c"]
    page.click("[data-do=cancel][data-about=r1]")
    page.wait_text("there is no such request", "#failed")


def test_requests_of_one_id_are_all_seen(page, front):
    front.status["requests"] = states.requests([states.live(1, id="same"), states.live(2, id="same"), states.live(3, id="other")])
    open_view(page, front, "requests")
    page.wait("document.querySelectorAll('[data-do=cancel]').length === 3", "three requests")
    front.change(requests=states.requests([states.live(1, id="same", tokens=71), states.live(2, id="same", tokens=72), states.live(3, id="other")]))
    page.wait_text("72", "#requests-body")
    assert "71" in page.text("#requests-body") and page.js("document.querySelectorAll('[data-do=cancel]').length") == 3


def test_a_model_is_loaded_and_unloaded(page, front):
    loaded = threading.Event()
    front.answers["POST", "/sidecar/models/load"] = lambda handler: loaded.wait(60) and handler.answer(200, {"status": "success", "load_ms": 3210})
    front.answers["POST", "/sidecar/models/unload"] = {"status": "success"}
    open_view(page, front, "models")
    page.click("[data-do=load][data-about=tiny]")
    page.wait_text("loading…", "#models")
    assert front.wait_asked("POST", "/sidecar/models/load") == [{"model": "tiny"}]
    loaded.set()
    page.wait_text("tiny is loaded, in 3.2 s.", "#said")
    front.change(models=[states.model("tiny", "loaded", memory_bytes=1_400_000_000)])
    page.click("[data-do=unload][data-about=tiny]")
    page.wait_text("tiny is unloaded.", "#said")
    assert front.asked("POST", "/sidecar/models/unload") == [{"model": "tiny"}]


def test_a_model_is_pulled_and_deleted(page, whole):
    open_view(page, whole, "models")
    page.fill("#pull-model", "other")
    page.press("Enter")
    page.wait_text("other is there.", "#said")
    assert "other:latest" in [row["name"] for row in whole.sidecar.ask("GET", "/api/tags").json["models"]]
    whole.change(models=[states.model("other"), states.model("tiny")])
    page.click("[data-do=delete][data-about=other]")
    page.wait_text("Delete other from the disk?", "#confirm")
    page.click("#confirm button[value='']")
    page.wait("!document.getElementById('confirm').open")
    assert not whole.asked("DELETE", "/api/delete")
    page.click("[data-do=delete][data-about=other]")
    page.click("#confirm-yes")
    page.wait_text("other is deleted.", "#said")
    assert len(whole.asked("DELETE", "/api/delete")) == 1
    assert "other:latest" not in [row["name"] for row in whole.sidecar.ask("GET", "/api/tags").json["models"]]


def test_a_pull_shows_its_progress_and_its_error_and_can_be_left(page, front):
    go_on = threading.Event()

    def pull(handler):
        handler.lines([{"status": "pulling manifest"}, {"status": "pulling 74701a8c35f6", "total": 1000000, "completed": 250000}])
        go_on.wait(60)

    front.answers["POST", "/api/pull"] = pull
    open_view(page, front, "models")
    page.fill("#pull-model", "big")
    page.click("#pull-send")
    page.wait_text("25 %, 250 kB of 1.0 MB", "#models")
    page.click("[data-do=stop-pull]")
    page.wait_text("big is pulled no more from here.", "#said")
    go_on.set()
    front.answers["POST", "/api/pull"] = lambda handler: handler.lines([{"status": "pulling manifest"}, {"error": "pull model manifest: file does not exist"}])
    page.fill("#pull-model", "absent")
    page.click("#pull-send")
    page.wait_text("absent could not be pulled: pull model manifest: file does not exist", "#failed")


def test_a_hubs_model_is_pulled_from_there_and_deleted_there(page, front):
    front.status.update(health=states.health(instances=[]), models=[states.model("org/name", where="hub")])
    front.answers["POST", "/pull"] = lambda handler: handler.lines([{"status": "success"}])
    front.answers["DELETE", "/models/org/name"] = {"status": "success"}
    open_view(page, front, "models")
    page.choose("#pull-from", "hub")
    page.fill("#pull-model", "org/name")
    page.click("#pull-send")
    page.wait_text("org/name is there.", "#said")
    assert front.asked("POST", "/pull") == [{"model": "org/name", "stream": True}]
    page.click("[data-do=delete]")
    page.click("#confirm-yes")
    page.wait_text("org/name is deleted.", "#said")


def test_who_may_only_look_is_told_why(page, front):
    front.status.update(rights=states.LOOK_ONLY, requests=states.requests([states.live(1)]))
    open_view(page, front, "requests")
    page.wait_text("You may look, and change nothing: [proxy] manage_from = loopback", "#rights")
    assert page.js("document.querySelector('[data-do=cancel]').disabled") and page.js("document.getElementById('pull-send').disabled")


def test_a_key_is_asked_for_and_kept_in_the_tab_alone(page, front):
    front.keys = {"sesame-0123456789": MANAGER}
    page.goto(front.url + "#models")
    page.wait_text("the key is none of those that are known here", "#key")
    page.type("wrong")
    page.press("Enter")
    page.wait("document.getElementById('key').open && document.getElementById('key-input').value === ''", "to be asked again")
    page.type("sesame-0123456789")
    page.press("Enter")
    page.wait_text("ready", "#state")
    page.reload()
    page.wait_text("tiny", "#models-body")
    assert not [url for _, url in page.asked if "sesame" in url] and "sesame" not in page.text()
    assert page.js("Object.values(localStorage).join() + document.cookie") == ""
    page.click("[data-do=key]")
    page.click("#key-forget")
    page.wait_text("the key is none of those that are known here", "#key")
    assert page.js("sessionStorage.length") == 0
    page.press("Escape")
    page.wait("!document.getElementById('key').open")
    page.wait_text("the key is none of those", "#lost")


def test_a_sidecar_that_goes_and_comes(page, front):
    open_view(page, front, "overview")
    front.answers["GET", "/sidecar/status"] = lambda handler: handler.connection.close()
    front.drop()
    page.wait_text("The sidecar does not answer", "#lost")
    del front.answers["GET", "/sidecar/status"]
    front.status["health"] = states.health("asleep")
    page.wait_text("The next request wakes it", "#overview", 40)
    assert page.text("#lost") == ""


def test_where_too_many_listen_it_asks_now_and_then(page, front):
    front.is_full = True
    page.goto(front.url)
    page.wait_text("Ready.", "#overview")
    front.status["health"] = states.health("asleep")
    page.wait_text("The next request wakes it", "#overview", 20)


def test_whose_key_may_see_some_models_only_asks_now_and_then(page, front):
    front.answers["GET", "/sidecar/events"] = (403, {"error": "[key:some] models = tiny: what is told to all is not for this key"})
    page.goto(front.url)
    page.wait_text("Ready.", "#overview")
    front.status["health"] = states.health("asleep")
    page.wait_text("The next request wakes it", "#overview", 20)
    assert not page.js("document.getElementById('key').open") and page.text("#lost") == ""


def test_log_lines_are_filtered(page, front):
    front.log = [{"name": name, "level": level, "at": "2025-06-01T10:11:12.123Z", "line": f"{name} says {level}"}
                 for name, level in [("ollama", "debug"), ("ollama", "error"), ("helper", "debug")]] + [{"dropped": 7}]
    open_view(page, front, "logs")
    page.wait_text("helper says debug", "#log")
    page.wait_text("7 lines were lost", "#log")
    page.fill("#log-filter", "ERROR")
    page.wait("document.getElementById('log').innerText.includes('ollama says error') && !document.getElementById('log').innerText.includes('helper')")
    page.fill("#log-filter", " ")
    page.choose("#log-program", "helper")
    page.wait("document.querySelectorAll('#log li:not([hidden])').length === 1")


def test_without_a_supervisor_there_is_no_log(page, front):
    front.answers["GET", "/sidecar/logs"] = (501, {"error": "the proxy runs alone: what programs write is a supervisor's to tell"})
    open_view(page, front, "logs")
    page.wait_text("the proxy runs alone", "#log-state")


def test_settings_are_filtered(page, front):
    front.answers["GET", "/sidecar/settings"] = {"settings": [
        {"section": "proxy", "key": "hold_timeout", "value": "30s", "source": "file", "where": "supervisor.ini:12", "default": "0"},
        {"section": "proxy", "key": "listen", "value": "127.0.0.1:1", "source": "environment", "where": "PORT", "default": "127.0.0.1:11434"},
        {"section": "supervisor", "key": "idle_timeout", "value": "0", "source": "default", "where": None, "default": "0"}]}
    open_view(page, front, "settings")
    page.wait_text("3 of 3 settings", "#settings")
    page.wait_text("file: supervisor.ini:12", "#settings")
    page.click("#settings-changed")
    page.wait_text("2 of 3 settings", "#settings")
    page.fill("#settings-filter", "LISTEN")
    page.wait_text("1 of 3 settings", "#settings")
    page.wait_text("environment: PORT", "#settings")


def test_by_the_keyboard_alone(page, whole):
    whole.status["requests"] = states.requests([states.live(1)])
    whole.answers["DELETE", "/sidecar/requests/r1"] = {"status": "success"}
    page.goto(whole.url)  # with a fragment, Tab would begin there
    whole.wait_listeners()
    page.press("Tab")
    assert page.text(":focus") == "To the content"
    page.press("Enter")
    assert page.focused() == "overview-title"
    page.reload()
    page.wait_text("ready", "#state")
    page.tab_to("#requests")
    page.press("Enter")
    page.wait("document.activeElement.id === 'requests-title'")
    page.tab_to("cancel")
    page.press("Enter")
    page.wait_text("The request r1 is cancelled.", "#said")
    page.tab_to("quiet")
    page.press("Enter")
    page.wait("document.getElementById('messages').classList.contains('away')")
    page.reload()
    page.wait_text("ready", "#state")
    page.tab_to("#playground")
    page.press("Enter")
    page.wait("document.activeElement.id === 'playground-title'")
    page.tab_to("prompt")
    page.type("Hello")
    page.tab_to("send")
    page.press("Enter")
    page.wait_text("The answer is complete.", "#said")
