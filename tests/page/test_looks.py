"""What the page shows, of each state, on each screen; its pictures are in build/page."""
import os

import pytest

import states

VIEWS = ("overview", "requests", "models", "playground", "logs", "settings")
SCREENS = [(320, 640), (768, 1024), (1440, 900)]

# Text that does not stand out from what is behind it by 4.5 to 1. https://www.w3.org/TR/WCAG22/#contrast-minimum
FAINT = """(() => {
    const context = Object.assign(document.createElement("canvas"), {width: 1, height: 1}).getContext("2d", {willReadFrequently: true});
    const over = (colours) => { context.clearRect(0, 0, 1, 1); for (const c of colours) { context.fillStyle = c; context.fillRect(0, 0, 1, 1); } return context.getImageData(0, 0, 1, 1).data; };
    const part = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    const faint = [];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let text; (text = walk.nextNode());) {
        const node = text.parentElement;
        if (!text.data.trim() || !node.checkVisibility() || node.closest("button:disabled, .skip, noscript, svg, option")) continue;
        const backs = [];
        for (let n = node; n; n = n.parentElement) backs.unshift(getComputedStyle(n).backgroundColor);
        const a = light(over(backs)), b = light(over([...backs, getComputedStyle(node).color]));
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) faint.push(`${ratio.toFixed(2)}: ${text.data.trim().slice(0, 40)}`);
    }
    return [...new Set(faint)];
})()"""


def test_the_first_picture_needs_one_plain_fetch(page, front):
    front.answers["GET", "/sidecar/events"] = lambda handler: front.journal.append(("listens", "", None, {})) or handler.lines([])
    page.goto(front.url)
    page.wait_text("Ready.", "#overview")
    asked = [path for method, path, *_ in front.journal if path.startswith(("/sidecar", "/api", "/health"))]
    assert asked[:2] == ["/sidecar/status", "/sidecar/events"]
    assert all(url.startswith((front.url, "data:")) or "/sidecar/" in url for _, url in page.asked), page.asked


@pytest.mark.parametrize("name, told, texts", [
    ("asleep", {"health": states.health("asleep")}, ["Asleep, as nobody needed it. The next request wakes it."]),
    ("waking", {"health": states.health("waking", "starting", error="ollama is being woken", waiting_for=["ollama: GET /api/tags"])},
     ["Waking: requests are held until it is there. Ollama is being woken.", "Waits for ollama: GET /api/tags."]),
    ("pulling", {"health": states.health("pulling", "starting", models={"ready": [], "loading": [], "failed": [], "pulling": [
        {"name": "llama3.2:1b", "completed": 400_000_000, "total": 1_300_000_000}]})}, ["Pulling models.", "30 %, 400 MB of 1.3 GB"]),
    ("failed", {"health": states.health("failed", "failed", error="ollama has failed: exec: no such file")}, ["Failed. Ollama has failed: exec: no such file."]),
    ("alone", {"supervisor": None, "series": None}, ["The proxy runs alone"]),
])
def test_states_in_words(page, front, name, told, texts):
    front.status.update(told)
    page.goto(front.url)
    for text in texts:
        page.wait_text(text, "#overview")
    page.wait_text(front.status["health"]["state"], "#state")
    assert page.js("document.title") == f"{front.status['health']['state']} · ollama-sidecar", name


def test_what_changes_is_told_at_once(page, front):
    page.goto(front.url + "#overview")
    front.wait_listeners()
    front.change(health=states.health("asleep"))
    page.wait_text("The next request wakes it", "#overview")
    front.change(health=states.health("ready"), errors=[states.error()])
    page.wait_text("killed for want of memory", "#overview")
    page.wait_text("set OLLAMA_CONTEXT_LENGTH lower", "#overview")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width, height", SCREENS)
def test_each_view_fits_each_screen(page, front, pictures, width, height, theme):
    front.status = states.full()
    front.log = [{"name": "ollama", "level": "debug" if i % 7 else "warning", "at": f"2025-06-01T10:11:{i % 60:02}.123Z", "line": f"[GIN] {i} | 200 | POST \"/api/chat\" " + "long " * (i % 40)}
                 for i in range(60)]
    front.answers["GET", "/sidecar/settings"] = {"settings": [
        {"section": "proxy", "key": "hold_timeout", "value": "30s", "source": "file", "where": "supervisor.ini:12", "default": "0"},
        {"section": "proxy", "key": "listen", "value": "127.0.0.1:11434", "source": "default", "where": None, "default": "127.0.0.1:11434"}]}
    page.size(width, height, width < 500)
    page.media(prefers_color_scheme=theme, prefers_reduced_motion="reduce")
    for view in VIEWS:
        page.goto(front.url + "#" + view)
        page.wait_text("ready", "#state")
        page.wait_text({"overview": "Cold starts", "requests": "client gone", "models": "gpt-4o-mini", "playground": "Send", "logs": "59 | 200", "settings": "supervisor.ini:12"}[view])
        page.screenshot(os.path.join(pictures, f"{view}-{width}-{theme}.png"))
        wide = page.js("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, (view, wide)
        assert page.js(FAINT) == [], view


def test_colours_are_as_the_system_has_them_unless_they_are_chosen(page, front):
    colour = "getComputedStyle(document.body).backgroundColor"
    page.media(prefers_color_scheme="light")
    page.goto(front.url)
    light = page.js(colour)
    page.media(prefers_color_scheme="dark")
    dark = page.js(colour)
    assert dark != light
    page.choose("#theme", "light")
    assert page.js(colour) == light
    page.reload()
    page.wait_text("ready", "#state")
    assert page.js(colour) == light and page.js("document.getElementById('theme').value") == "light"
    page.choose("#theme", "")
    assert page.js(colour) == dark


def test_what_a_screen_reader_is_told(page, front):
    front.status = states.full()
    page.goto(front.url)
    page.wait_text("Cold starts", "#overview")
    tree = page.tree()
    for wanted in [("banner", ""), ("navigation", "Views"), ("main", ""), ("heading", "Overview"), ("button", "drain one"), ("table", "Programs that the supervisor runs")]:
        assert wanted in tree, (wanted, tree)
    charts = [name for role, name in tree if role in ("image", "img") and name.startswith("Tokens per second")]
    assert charts and "last 10 minutes: now 19.0/s, at most 19.0/s" in charts[0], charts
    for view in VIEWS:
        page.goto(front.url + "#" + view)
        page.wait(f"document.querySelector('nav a[aria-current]')?.hash === '#{view}'")
        nameless = [role for role, name in page.tree() if role in ("button", "link", "textbox", "combobox", "checkbox", "searchbox", "progressbar", "meter", "image") and not name]
        assert not nameless, (view, nameless)
    page.goto(front.url)
    page.wait_text("Cold starts", "#overview")
    page.size(360, 740, True)  # cards are a table all the same
    assert ("table", "Programs that the supervisor runs") in page.tree() and ("cell", "ollama") in page.tree()


def test_focus_stays_where_it_is_while_things_change(page, front):
    front.status = states.status(requests=states.requests([states.live(1), states.live(2)]))
    page.goto(front.url + "#requests")
    front.wait_listeners()
    page.js("document.querySelector('[data-do=cancel][data-about=r2]').focus()")
    front.change(requests=states.requests([states.live(2, tokens=99), states.live(3)]))
    page.wait_text("99", "#requests")
    assert page.js("document.activeElement.dataset.about") == "r2"
    front.change(requests=states.requests([states.live(3)]))
    page.wait("!document.querySelector('[data-about=r2]')")
    assert page.focused() == "requests-title"


@pytest.mark.parametrize("view", ["overview", "requests", "models"])
def test_hostile_texts_stay_texts(page, front, view):
    front.status = states.hostile()
    page.goto(front.url + "#" + view)
    page.wait_text("<script>window.hacked=1</script>", "#" + view)
    assert page.js("window.hacked") is None
    assert page.js("document.querySelectorAll('body script, body img, body iframe, [onerror]').length") == 0
