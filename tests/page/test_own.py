"""As a user goes through the page, where nothing of the sidecar is played: wake, chat, cancel, pull, load, unload, delete, drain, errors, logs, keys, reloads."""
import os
import signal

import pytest

import states
from fleet import Fleet
from waiting import until


def chat(page, text):
    """To its end, or to what is seen of it."""
    page.wait("document.getElementById('model').value === 'tiny:latest'", "the model to be there to choose")
    page.fill("#prompt", text)
    page.click("#send")


def give_key(page, key):
    """Into the field that has the focus already."""
    page.wait("document.getElementById('key').open", "to be asked for a key")
    page.type(key)
    page.press("Enter")


def test_a_chat_and_where_its_time_went(page, own):
    page.goto(own.url + "#playground")
    chat(page, "Hello")
    page.wait_text("The answer is complete.", "#said")
    page.wait_text("8 tokens", ".times")
    page.click("nav a[href='#requests']")
    page.wait_text("POST /api/chat", "#requests")
    page.wait("document.querySelector('#requests [data-label=end]')?.innerText.includes('done 200')", "its end")
    bar = page.js("document.querySelector('#requests .bar').getAttribute('aria-label')")
    assert "answer" in bar and "prompt" in bar, bar
    page.click("nav a[href='#overview']")
    page.wait("document.querySelector('figure [aria-label^=\"Tokens per second\"]')?.getAttribute('aria-label').match(/at most (?!0[.]0|–)/)", "its tokens on the chart")


def test_a_request_under_way_is_cancelled(page, own):
    own.backend.script(tokens=5000, token_delay_ms=30)
    page.goto(own.url + "#playground")
    chat(page, "Go on for long")
    page.wait("document.querySelector('.message.assistant .text')?.textContent.length > 5", "tokens")
    page.click("nav a[href='#requests']")
    page.wait_text("streaming for", "#requests")
    page.click("[data-do=cancel]")
    page.wait_text("cancelled", "#requests [data-label=end]")
    page.click("a[href='#playground']")
    page.wait_text("cancelled", ".message.assistant .bad")
    assert own.health()["requests"]["in_flight"] == 0


def test_asleep_woken_and_how_long_that_took(page, sleepy, own):  # pylint: disable=unused-argument
    own.process.wait_log(r" asleep action=stop", timeout=20)
    page.goto(own.url)
    page.wait_text("The next request wakes it", "#overview")
    page.wait_text("asleep", "[data-key=Sleep]")
    page.click("a[href='#playground']:not(nav a)")
    chat(page, "Are you there?")
    page.wait_text("The answer is complete.", "#said", 30)
    page.wait_text("held", ".times")
    page.click("nav a[href='#overview']")
    page.wait_text("wake", "[data-key='Cold starts']")
    page.wait("[...document.querySelectorAll('[data-key=\"Cold starts\"] tbody tr')].find(row => row.innerText.includes('wake'))?.querySelector('.bar[aria-label*=API]')?.checkVisibility()", "its phases")


def test_a_model_is_pulled_loaded_unloaded_and_deleted(page, own):
    page.goto(own.url + "#models")
    page.fill("#pull-model", "other")
    page.press("Enter")
    page.wait_text("other is there.", "#said")
    page.click("[data-do=load][data-about='other:latest']")
    page.wait_text("other:latest is loaded, in", "#said")
    page.wait_text("loaded", "[data-key='ollama other:latest'] [data-label=state]")
    page.click("[data-do=unload][data-about='other:latest']")
    page.wait_text("other:latest is unloaded.", "#said")
    page.wait_text("on disk", "[data-key='ollama other:latest'] [data-label=state]")
    page.click("[data-do=delete][data-about='other:latest']")
    page.click("#confirm-yes")
    page.wait_text("other:latest is deleted.", "#said")
    page.wait("!document.querySelector('[data-key=\"ollama other:latest\"]')", "it to be gone")


def test_a_model_by_the_keyboard_alone(page, own):
    page.goto(own.url)
    page.wait_text("Ready.", "#overview")
    page.tab_to("#models")
    page.press("Enter")
    page.tab_to("pull-model")
    page.type("other")
    page.press("Enter")
    page.wait_text("other is there.", "#said")
    page.wait_text("other:latest", "#models-body")
    page.tab_to("delete")
    about = page.js("document.activeElement.dataset.about")
    page.press("Enter")
    page.wait(f"document.getElementById('confirm').open && document.getElementById('confirm-text').innerText === 'Delete {about} from the disk?'")
    assert page.focused() == "confirm-yes"
    page.press("Escape")
    page.wait("!document.getElementById('confirm').open")
    assert page.focused() == "delete" and page.js("document.activeElement.dataset.about") == about
    page.press("Enter")
    page.wait("document.getElementById('confirm').open")
    page.press("Enter")
    page.wait_text(f"{about} is deleted.", "#said")
    page.wait(f"!document.querySelector('[data-do=delete][data-about=\"{about}\"]')", "it to be gone")
    assert page.focused() == "models-title"


def test_what_went_wrong_is_on_the_overview(page, own):
    assert own.generate(model="absent").status == 404
    page.goto(own.url)
    page.wait_text("absent", "[data-key=Errors]")
    page.click("nav a[href='#requests']")
    page.wait_text("404", "#requests [data-label=end]")


def test_log_lines_as_they_come(page, own):
    page.goto(own.url + "#logs")
    page.wait("document.querySelectorAll('#log li').length > 0", "what was written before")
    seen = page.js("document.querySelectorAll('#log li').length")
    own.generate(model="<script>window.hacked=1</script>")
    page.wait(f"document.querySelectorAll('#log li').length > {seen}", "what is written now")
    assert page.js("window.hacked") is None and page.js("document.querySelectorAll('body script').length") == 0


def test_a_key_is_asked_for(page, far):
    page.goto(far.url)
    give_key(page, "sesame-none-0123456789")
    page.wait("document.getElementById('key').open && document.getElementById('key-input').value === ''", "to be asked again")
    give_key(page, "sesame-boss-0123456789")
    page.wait_text("Ready.", "#overview")
    assert page.text("#rights") == ""
    page.click("nav a[href='#playground']")
    chat(page, "Hello")
    page.wait_text("The answer is complete.", "#said")


def test_a_key_without_the_right_to_manage(page, far):
    page.goto(far.url + "#models")
    give_key(page, "sesame-guest-0123456789")
    page.wait_text("tiny:latest", "#models-body")
    page.wait_text("rights", "#rights")
    assert page.js("[...document.querySelectorAll('#models button')].every((button) => button.disabled)")
    page.click("nav a[href='#settings']")
    page.wait_text("rights", "#settings-rows")
    page.click("nav a[href='#logs']")
    page.wait_text("rights", "#log-state")
    page.click("nav a[href='#playground']")
    chat(page, "Hello")
    page.wait_text("The answer is complete.", "#said")


def test_the_model_may_say_what_it_likes(page, own):
    """… and so may programs, in what they write."""
    own.backend.script(extracts="hacked", token_delay_ms=1)
    page.goto(own.url + "#playground")
    chat(page, states.HOSTILE)
    page.wait_text("The answer is complete.", "#said")
    assert states.HOSTILE in page.js("document.querySelector('.message.assistant > .text').textContent")
    own.backend.script(thinking=states.HOSTILE, token_delay_ms=1)
    chat(page, "And what do you think?")
    page.wait("document.querySelectorAll('.times').length === 2", "the second answer")
    assert page.js("document.querySelector('.message details .text').textContent").strip() == states.HOSTILE
    page.click("nav a[href='#logs']")
    own.script_program("loud", f"echo '{states.HOSTILE}'; exec sleep 600")
    own.write_ini()
    assert own.ctl("reload").returncode == 0
    page.wait_text("<script>window.hacked=1</script>", "#log")
    page.fill("#log-filter", "ONERROR")
    page.wait("[...document.querySelectorAll('#log li:not([hidden])')].every((row) => row.innerText.includes('onerror'))")
    assert page.js("window.hacked") is None
    assert page.js("document.querySelectorAll('body script, body img, body iframe, [onerror], [onclick]').length") == 0


def test_a_pull_that_fails(page, own):
    own.backend.script(pull_error="unknown_model")
    page.goto(own.url + "#models")
    page.fill("#pull-model", "absent")
    page.click("#pull-send")
    page.wait_text("absent could not be pulled: pull model manifest: file does not exist", "#failed")
    assert page.text("#pull-send") == "Pull" and not page.js("document.querySelector('#models .pull')")


def test_a_member_is_drained_and_taken_back(page, sidecar):
    fleet = Fleet(sidecar)
    fleet.add("one")
    fleet.add("two")
    fleet.open()
    page.goto(f"http://127.0.0.1:{sidecar.port}/ui")
    page.click("[data-do=drain][data-about=one]")
    page.wait_text("one: drained.", "#said")
    page.wait_text("drained", "[data-key=Backends] [data-key=one] [data-label=state]")
    for _ in range(2):
        assert sidecar.generate().status == 200
    assert not fleet.backends["one"].requests("/api/generate")
    page.click("[data-do=undrain][data-about=one]")
    page.wait_text("one: undrained.", "#said")
    page.wait_text("up", "[data-key=Backends] [data-key=one] [data-label=state]")


def test_the_configuration_is_read_anew(page, own):
    page.goto(own.url + "#settings")
    page.fill("#settings-filter", "hold_timeout")
    page.wait_text("[proxy] hold_timeout", "#settings-rows")
    own.configure("proxy", hold_timeout="77s")
    own.write_ini()
    lines = len(own.process.log)
    own.process.kill(signal.SIGHUP)
    own.process.wait_log(r" reload", since=lines)
    own.wait_ready()
    page.click("nav a[href='#overview']")
    page.wait_text("Ready.", "#overview")
    page.click("nav a[href='#settings']")
    page.wait_text("77s", "#settings-rows", 20)
    page.wait_text("supervisor.ini:", "#settings-rows")


def test_the_proxy_is_killed_and_comes_back(page, own):
    page.goto(own.url + "#requests")
    page.wait_text("Nobody asks for anything.", "#requests")
    until(lambda: ("GET", own.url.replace("/ui", "/sidecar/events")) in page.asked, 15, "it to listen")
    lines = len(own.process.log)
    os.kill(own.pid_of("proxy"), signal.SIGKILL)
    own.process.wait_log(r" exec program=proxy", since=lines, timeout=15)
    own.wait_ready()
    assert own.generate(model="tiny").status == 200
    page.wait_text("POST /api/generate", "#requests", 40)
    page.wait("document.getElementById('lost').innerText === ''", "it to be known that it is back")
    own.generate(model="absent")
    page.wait_text("absent", "#requests")


def test_the_page_is_loaded_again_in_the_middle_of_an_answer(page, own):
    own.backend.script(tokens=5000, token_delay_ms=30)
    page.goto(own.url + "#playground")
    chat(page, "Go on for long")
    page.wait("document.querySelector('.message.assistant .text')?.textContent.length > 5", "tokens")
    page.reload()
    page.wait("document.getElementById('model').value === 'tiny:latest' && !document.querySelector('.message')", "a new talk")
    until(lambda: own.health()["requests"]["in_flight"] == 0, 15, "the request to have ended")
    page.click("nav a[href='#requests']")
    page.wait_text("client gone", "#requests [data-label=end]")


def test_what_nothing_came_of_can_be_sent_again(page, own):
    own.backend.script(refuses="no such question, please")
    page.goto(own.url + "#playground")
    chat(page, "Hello")
    page.wait_text("no such question, please", ".message.assistant .bad")
    page.wait("document.getElementById('prompt').value === 'Hello' && !document.getElementById('send').disabled", "the words to be there again")
    own.backend.script(tokens=2)
    page.click("#send")
    page.wait_text("The answer is complete.", "#said")
    assert own.backend.requests("/api/chat")[-1]["body"].count("Hello") == 1


def test_the_talk_follows_its_answer(page, own):
    own.backend.script(tokens=400, token_delay_ms=2, token_bytes=12)
    page.size(360, 640, True)
    page.goto(own.url + "#playground")
    chat(page, "Go on for long")
    page.wait_text("The answer is complete.", "#said", 30)
    rest = "(t => t.scrollHeight - t.scrollTop - t.clientHeight)(document.getElementById('talk'))"
    assert page.js("document.getElementById('talk').scrollHeight > document.getElementById('talk').clientHeight") and page.js(rest) < 2


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1440])
def test_pictures(page, own, pictures, width, theme):
    own.generate(model="absent")
    own.generate(model="tiny")
    own.backend.script(tokens=5000, token_delay_ms=30)
    page.size(width, 900, width < 500)
    page.media(prefers_color_scheme=theme, prefers_reduced_motion="reduce")
    page.goto(own.url + "#playground")
    chat(page, "What is a sidecar, and who needs one?")
    page.wait_text("streaming", "#progress")
    page.screenshot(os.path.join(pictures, f"real-playground-{width}-{theme}.png"))
    for view, text in [("requests", "streaming for"), ("overview", "Cold starts")]:
        page.click(f"nav a[href='#{view}']")
        page.wait_text(text, f"#{view}")
        page.screenshot(os.path.join(pictures, f"real-{view}-{width}-{theme}.png"))
        assert page.js("document.documentElement.scrollWidth - innerWidth") <= 0
