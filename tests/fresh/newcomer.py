"""A newcomer's machine: a container of a minimal Debian, with a clone of what is committed here, and what this machine needs to reach
the packages of others (certificates, proxies)."""
import os
import pty
import subprocess
import tempfile
import uuid

import ports
from podman import ROOT, Podman, Unavailable
from process import Process
from waiting import SLACK, until

HOME = "/root/ollama-sidecar"
OUTSIDE = "/outside"
# Of this machine's environment: how pip, curl and git get out of it.
PASSED = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL",
          "PIP_FIND_LINKS", "PIP_CERT", "PIP_DEFAULT_TIMEOUT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")
# PID 1 of the container: it reaps what others leave behind, as an init does.
INIT = "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done"


def passed_on() -> list:
    """Options of podman for these variables; what is a path here is mounted below OUTSIDE, where nothing that is installed writes."""
    options = []
    for name in PASSED:
        value = os.environ.get(name)
        if value and os.path.exists(value):
            options += ["--volume", f"{os.path.realpath(value)}:{OUTSIDE}{value}:ro"]
            value = OUTSIDE + value
        if value:
            options += ["--env", f"{name}={value}"]
    unique = dict.fromkeys(zip(options[::2], options[1::2]))
    return [word for pair in unique for word in pair]


class Newcomer:
    """One such machine, running until it is closed."""

    def __init__(self, suite: str):
        self.suite = suite
        self.podman = Podman()
        self.folder = tempfile.mkdtemp(prefix="sc-fresh-")
        self.name = f"fresh-{suite}-{uuid.uuid4().hex[:8]}"

    def open(self) -> "Newcomer":
        """The machine is there, with the clone in it; podman.Unavailable where it can't be."""
        self.podman.need_tools()
        made = subprocess.run([os.path.join(ROOT, "tests", "fresh", "root"), self.suite], text=True, capture_output=True, check=False)
        if made.returncode:
            raise Unavailable(made.stderr[-2000:])
        self.podman.choose(self.import_root)
        clone = os.path.join(self.folder, "clone")
        subprocess.run(["git", "clone", "--quiet", "--no-local", ROOT, clone], check=True)
        done = self.podman.run("run", "--detach", "--name", self.name, "--network", "host", "--tmpfs", "/tmp:exec", *passed_on(),
                               "--volume", f"{ports.folder()}:{ports.folder()}", "--volume", f"{clone}:{HOME}", "--workdir", HOME,
                               self.image(), "bash", "-c", INIT)
        assert done.returncode == 0, done.stderr
        return self

    def image(self) -> str:
        """Its name in the storage."""
        return f"localhost/fresh-{self.suite}"

    def import_root(self) -> str:
        """The root file system becomes the image."""
        done = self.podman.run("import", os.path.join(ROOT, "build", "fresh", self.suite + ".tar"), self.image(), timeout=120)
        if done.returncode:
            raise Unavailable(done.stderr.strip()[-100:])
        return self.image()

    def close(self) -> None:
        """Nothing of it is left."""
        self.podman.close()
        subprocess.run(["rm", "-rf", self.folder], check=False)

    def words(self, options: tuple, *argv) -> list:
        """podman exec OPTIONS … ARGV."""
        return self.podman.command("exec", *options, self.name, *argv)

    def run(self, *argv) -> Process:
        """A command, started; its output is its log."""
        return Process(self.words((), *argv), self.podman.env, self.folder)

    def terminal(self, *argv, env=()) -> "Terminal":
        """A command on a terminal, started."""
        variables = [word for pair in env for word in ("--env", "=".join(pair))]
        return Terminal(self.words(("--interactive", "--tty", *variables), *argv), self.podman.env)


class Terminal:
    """A command on a terminal: what it shows, and its keys."""

    def __init__(self, argv: list, env: dict):
        self.shown = ""
        self.ours, theirs = pty.openpty()
        os.set_blocking(self.ours, False)
        self.popen = subprocess.Popen(argv, env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)

    def read(self) -> str:
        """All that has been shown so far."""
        try:
            while data := os.read(self.ours, 65536):
                self.shown += data.decode("utf-8", "replace")
        except OSError:  # nothing more for now, or it has ended
            pass
        return self.shown

    def wait(self, text: str, timeout: float) -> None:
        """Until it shows that; an error where it ends before."""
        def look():
            ended = self.popen.poll() is not None
            if text in self.read():
                return True
            assert not ended, f"ended with {self.popen.returncode} before {text!r}\n{self.shown}"
            return False

        until(look, timeout, f"{text!r} on the terminal", lambda: self.shown[-8000:])

    def press(self, key: bytes) -> None:
        """A key."""
        os.write(self.ours, key)

    def end(self, timeout: float) -> int:
        """Its exit code."""
        until(lambda: self.read() is not None and self.popen.poll() is not None, timeout, "its end", lambda: self.shown[-8000:])
        self.read()
        return self.popen.returncode

    def close(self) -> None:
        """Ends it, where it has not ended."""
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(10 * SLACK)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        os.close(self.ours)
