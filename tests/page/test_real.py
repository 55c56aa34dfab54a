"""What a real sidecar tells the page, of what it is asked below /sidecar/."""
import pytest

import states
from waiting import until


@pytest.fixture
def real(whole):
    """With as much of it as there is."""
    whole.real |= {"/sidecar/settings", "/sidecar/models/load", "/sidecar/models/unload"}
    return whole


def loaded(real):
    """The names of the models in memory."""
    return [row["name"] for row in real.sidecar.ask("GET", "/api/ps").json["models"]]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_page_comes_from_the_sidecar_itself(page, real, host):
    page.goto(f"http://{host}:{real.sidecar.port}/ui#models")
    page.wait("document.querySelector('nav a[aria-current]')?.hash === '#models'", "the page's script to have been run")
    assert page.js("document.getElementById('models').checkVisibility()")


def test_behind_a_path(page, real):
    page.goto(real.url.replace("/ui", "/ai/ui"))
    page.wait_text("Ready.", "#overview")
    page.call("Page.navigate", url=real.url.replace("/ui", "/ai/ui/"))
    page.wait("location.pathname === '/ai/ui' && document.readyState === 'complete'")
    page.wait_text("Ready.", "#overview")


def test_settings_and_where_each_comes_from(page, real):
    page.goto(real.url + "#settings")
    page.wait_text("[proxy] listen", "#settings-rows")
    page.click("#settings-changed")
    page.fill("#settings-filter", "[preload] models")
    page.wait_text("supervisor.ini:", "#settings-rows")
    page.wait_text("file: ", "#settings-rows")
    page.fill("#settings-filter", "no such setting")
    page.wait_text("There is no such setting.", "#settings-rows")


def test_a_model_is_loaded_and_unloaded(page, real):
    page.goto(real.url + "#models")
    page.click("[data-do=load][data-about=tiny]")
    page.wait_text("tiny is loaded, in", "#said")
    assert loaded(real) == ["tiny:latest"]
    real.wait_listeners()
    real.change(models=[states.model("tiny", "loaded")])
    page.click("[data-do=unload][data-about=tiny]")
    page.wait_text("tiny is unloaded.", "#said")
    until(lambda: not loaded(real), 10, "nothing to be loaded")


def test_a_model_that_is_not_there(page, real):
    real.status["models"] = [states.model("absent")]
    page.goto(real.url + "#models")
    page.click("[data-do=load][data-about=absent]")
    page.wait_text("absent: ", "#failed")
    page.wait_text("not found", "#failed")
