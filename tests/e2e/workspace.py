"""A Replit workspace: a copy of the checkout in which start.sh is run, as Replit does; the stand-in is its `ollama`."""
import os
import shutil
import subprocess

from process import MARK
from sidecar import PASSED_ON, ROOT, Sidecar, program
from standin import PATH
from waiting import SLACK

LEFT_OUT = shutil.ignore_patterns(".git", "build", "data", "node_modules", "__pycache__", ".pytest_cache", "tests", "docs", "bench")
PROGRAMS = ("ollama-supervisor", "ollama-proxy", "ollama-preload", "sidecarctl")


def link_or_copy(source: str, target: str) -> None:
    """Sources are the same files where that can be, and are not to be changed; what an owner edits is his own."""
    if not source.endswith((".c", ".h", ".def")):
        shutil.copy2(source, target)
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


class Workspace(Sidecar):
    """Its ini is deploy/profiles/replit.ini, unedited; ports that others may have are free ones, by variables, unless fixed_ports()."""

    def __init__(self, directory: str):
        super().__init__(directory)
        self.folder = os.path.join(directory, "workspace")
        shutil.copytree(ROOT, self.folder, symlinks=True, ignore=LEFT_OUT, copy_function=link_or_copy)
        self.ini = os.path.join(self.folder, "deploy", "profiles", "replit.ini")
        self.env = {
            "PATH": PATH, "HOME": directory, MARK: self.mark, "REPL_ID": "1-2-3",
            "SIDECAR_SUPERVISOR_CONTROL_SOCKET": self.socket,
            "OLLAMA_HOST": f"0.0.0.0:{self.backend.port}", "SIDECAR_PROXY_LISTEN": f"0.0.0.0:{self.port}",
            **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
        }
        self.backend.models = os.path.join(self.folder, "data", "models")

    def fixed_ports(self) -> None:
        """3000 and 8000, as there; for a network of its own."""
        del self.env["OLLAMA_HOST"], self.env["SIDECAR_PROXY_LISTEN"]
        self.port, self.backend.port = 3000, 8000

    def environment(self) -> dict:
        """Where models are is start.sh's own business."""
        made = self.backend.environment(self.installed)
        del made["OLLAMA_MODELS"]
        return {**made, **self.env}

    def path(self, *names) -> str:
        """A place in the workspace."""
        return os.path.join(self.folder, *names)

    def write_to(self, name: str, text: str, mode: int = 0o644) -> str:
        """A file of the workspace; its path."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def tool(self, name: str, script: str) -> None:
        """A command that is found before any other of this name."""
        self.write_to(f"data/bin/{name}", "#!/bin/sh\n" + script + "\n", 0o755)
        folder = self.path("data", "bin")
        if not self.env["PATH"].startswith(folder):
            self.env["PATH"] = folder + ":" + self.env["PATH"]

    def is_built(self) -> "Workspace":
        """As after an earlier start: the programs are those that are tested."""
        os.makedirs(self.path("build"), exist_ok=True)
        for name in PROGRAMS:
            os.symlink(program(name), self.path("build", name))
        words = [shutil.which("cc", path=self.env["PATH"]), self.env.get("REPLIT_CPPFLAGS", ""), self.env.get("REPLIT_LDFLAGS", ""), self.env.get("BALANCER", "no"),
                 self.env.get("MODELS", "no")]
        self.write_to("build/start.built", " ".join(words) + "\n")
        return self

    def start(self, name: str = "start.sh", *args, ini: bool = True):
        """Its run command."""
        self.process = self.launch(["bash", name, *args])
        self.processes.append(self.process)
        return self.process

    def launch(self, argv: list):
        """In the workspace."""
        directory, self.directory = self.directory, self.folder
        try:
            return super().launch(argv)
        finally:
            self.directory = directory

    def run_start(self, *args, timeout: float = 20) -> subprocess.CompletedProcess:
        """start.sh to its end."""
        return subprocess.run([*self.before, "bash", self.path("start.sh"), *args], env=self.environment(), cwd=self.folder, text=True,
                              capture_output=True, timeout=timeout * SLACK, check=False)
