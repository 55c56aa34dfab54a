"""A browser without a screen, that is moved as a user would: by a mouse, keys and files. https://chromedevtools.github.io/devtools-protocol/

It is spoken to over a pair of pipes (--remote-debugging-pipe): messages are JSON with a NUL behind each.
"""
import base64
import json
import os
import signal
import subprocess
import threading

from waiting import SLACK, until

ANSWER_S = 60
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--metrics-recording-only", "--hide-scrollbars", "--force-color-profile=srgb",
         "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost", "--remote-debugging-pipe")
KEYS = {"Enter": (13, "\r"), "Tab": (9, ""), "Escape": (27, ""), " ": (32, " "), "ArrowDown": (40, "")}


class Browser:
    """One process; each page has a context of its own: no storage, no cache of another's."""

    def __init__(self, program: str, folder: str):
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()

        def pipes():  # it reads from 3, and writes to 4
            high_in, high_out = os.dup(theirs_in), os.dup(theirs_out)
            os.dup2(high_in, 3)
            os.dup2(high_out, 4)

        with open(os.path.join(folder, "browser.log"), "wb") as log:
            self._popen = subprocess.Popen([program, *FLAGS, f"--user-data-dir={folder}", "about:blank"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           env={**os.environ, "HOME": folder}, start_new_session=True, preexec_fn=pipes, close_fds=False)
        os.close(theirs_in)
        os.close(theirs_out)
        self._out, self._in = ours_out, ours_in
        self._n, self._answers, self._lock = 0, {}, threading.Condition()
        self._listeners = {}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        rest = b""
        while data := os.read(self._in, 1 << 20):
            *messages, rest = (rest + data).split(b"\0")
            for message in map(json.loads, messages):
                with self._lock:
                    if "id" in message:
                        self._answers[message["id"]] = message
                        self._lock.notify_all()
                    elif listener := self._listeners.get(message.get("sessionId")):
                        listener(message["method"], message["params"])

    def call(self, method: str, session: str = "", **params) -> dict:
        """The result of one command."""
        with self._lock:
            self._n += 1
            number = self._n
        command = {"id": number, "method": method, "params": params, **({"sessionId": session} if session else {})}
        data = json.dumps(command).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data):]
        with self._lock:
            assert self._lock.wait_for(lambda: number in self._answers, ANSWER_S * SLACK), f"no answer to {method}"
            answer = self._answers.pop(number)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def page(self) -> "Page":
        """A page of its own."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, context)
        with self._lock:
            self._listeners[session] = page.hear
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(domain + ".enable")
        page.call("Emulation.setFocusEmulationEnabled", enabled=True)  # whichever tab is in front
        return page

    def close(self):
        """Its end."""
        os.killpg(self._popen.pid, signal.SIGTERM)
        self._popen.wait(20 * SLACK)
        os.close(self._out)
        os.close(self._in)


class Page:
    """One tab."""

    def __init__(self, browser: Browser, session: str, context: str):
        self._browser, self._session, self._context = browser, session, context
        self.complaints: list = []  # of the page itself: exceptions, what its policy forbade; not answers that are errors
        self.asked: list = []       # [(method, url)] of what it has asked for
        self.failed: list = []      # why something that it asked for has not come, for the eye

    def hear(self, method, params):
        """What happens in it."""
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error" and params["entry"]["source"] != "network":
            self.complaints.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.asked.append((params["request"]["method"], params["request"]["url"]))
        elif method == "Network.loadingFailed":
            self.failed.append(params["errorText"])

    def call(self, method: str, **params) -> dict:
        """The result of one command to it."""
        return self._browser.call(method, self._session, **params)

    def close(self):
        """With all that it kept."""
        self._browser.call("Target.disposeBrowserContext", browserContextId=self._context)

    # looking

    def js(self, expression: str):
        """The value of an expression of JavaScript."""
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, (expression, result["exceptionDetails"])
        return result["result"].get("value")

    def text(self, selector: str = "body") -> str:
        """What can be read there."""
        return self.js(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    def wait(self, expression: str, what: str = "", timeout: float = 15):
        """The first true value of the expression."""
        return until(lambda: self.js(expression), timeout, what or expression, lambda: f"{self.text()[:3000]}\ncomplaints: {self.complaints}, failed: {self.failed}")

    def wait_text(self, text: str, selector: str = "body", timeout: float = 15):
        """Until it can be read there."""
        return self.wait(f"(document.querySelector({json.dumps(selector)})?.innerText ?? '').includes({json.dumps(text)})", f"the text {text!r} in {selector}", timeout)

    def screenshot(self, path: str):
        """A picture of the whole page."""
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]))

    # moving

    def goto(self, url: str):
        """Load it, and wait for its end."""
        self.call("Page.navigate", url=url)
        self.wait(f"location.href.startsWith({json.dumps(url.split('#')[0])}) && document.readyState === 'complete'", f"{url} to be loaded")

    def reload(self):
        """As with the button."""
        self.js("window.isOld = true")
        self.call("Page.reload")
        self.wait("!window.isOld && document.readyState === 'complete'", "the page to be loaded again")

    def size(self, width: int, height: int, is_phone: bool = False):
        """Its window."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=is_phone)

    def media(self, **features):
        """prefers_color_scheme="dark", …"""
        self.call("Emulation.setEmulatedMedia", features=[{"name": name.replace("_", "-"), "value": value} for name, value in features.items()])

    def click(self, selector: str):
        """With a mouse, in the middle of it: it has to be there, in view, and on top."""
        place = self.wait(f"""(() => {{
            const node = document.querySelector({json.dumps(selector)});
            if (!node || node.disabled) return null;
            node.scrollIntoView({{block: "center"}});
            const r = node.getBoundingClientRect(), x = r.x + r.width / 2, y = r.y + r.height / 2, top = document.elementFromPoint(x, y);
            return r.width && top && (node.contains(top) || top.contains(node)) ? {{x, y}} : null;
        }})()""", f"{selector} to be clicked")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def press(self, key: str, shift: bool = False):
        """A key, down and up."""
        code, text = KEYS[key]
        names = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown", **names, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **names)

    def type(self, text: str):
        """Where the focus is."""
        self.call("Input.insertText", text=text)

    def fill(self, selector: str, text: str):
        """A click, and then typed."""
        self.click(selector)
        self.js(f"document.querySelector({json.dumps(selector)}).select?.()")
        self.type(text)

    def choose(self, selector: str, value: str):
        """An option of a select, as its menu does it."""
        self.js(f"""(() => {{ const s = document.querySelector({json.dumps(selector)}); s.value = {json.dumps(value)};
            s.dispatchEvent(new Event("input", {{bubbles: true}})); s.dispatchEvent(new Event("change", {{bubbles: true}})); }})()""")

    def upload(self, selector: str, *paths: str):
        """Files, as its dialog gives them."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=list(paths))

    def focused(self) -> str:
        """What has the focus, in a word or two."""
        return self.js("(n => n.id || n.dataset.do || n.getAttribute('href') || n.getAttribute('aria-label') || n.nodeName)(document.activeElement)")

    def tab_to(self, wanted: str, most: int = 60):
        """By the keyboard alone, to what focused() calls this."""
        for _ in range(most):
            if self.focused() == wanted:
                return
            self.press("Tab")
        raise AssertionError(f"Tab does not lead to {wanted}, but to {self.focused()} in the end")

    def tree(self) -> list:
        """[(role, name)] of what a screen reader is told."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node.get("ignored") and "role" in node]
