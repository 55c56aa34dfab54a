"""What fly.toml says, done by podman: its environment, its files, its volume, its memory, how it is stopped and started again."""
import os
import tomllib

from podman import ROOT
from shipped import mounted

MACHINE = {"FLY_APP_NAME": "my-ollama", "FLY_MACHINE_ID": "148ed123456789", "FLY_REGION": "ams"}  # and more of no use here
UNITS = {"mb": "m", "gb": "g"}


class FlyApp:
    """The app of fly.toml on the image as it is shipped. Each start is a new container on the same volume, as a machine's root file
    system is made anew."""

    def __init__(self, shipped, volume: str, folder: str = ROOT):
        with open(os.path.join(folder, "fly.toml"), "rb") as file:
            self.toml = tomllib.load(file)
        self.shipped = shipped
        self.folder = folder
        self.volume = volume
        self.files = {file["guest_path"]: os.path.join(folder, file["local_path"]) for file in self.toml["files"]}
        self.env = {**self.toml["env"], "PRIMARY_REGION": self.toml["primary_region"], **MACHINE}
        self.kill_timeout_s = int(self.toml["kill_timeout"])

    def change(self, guest_path: str, old: str, new: str, directory: str) -> None:
        """A file as its owner would edit it."""
        with open(self.files[guest_path], encoding="utf-8") as file:
            text = file.read()
        assert old in text
        self.files[guest_path] = os.path.join(directory, os.path.basename(guest_path))
        with open(self.files[guest_path], "w", encoding="utf-8") as file:
            file.write(text.replace(old, new))

    def options(self) -> list:
        """The words for podman run."""
        memory = self.toml["vm"][0]["memory"]
        memory = memory[:-2] + UNITS[memory[-2:]]
        words = ["--memory", memory, "--memory-swap", memory, "--stop-signal", self.toml["kill_signal"],
                 "--stop-timeout", str(self.kill_timeout_s), *mounted(self.volume, self.toml["mounts"]["destination"], "rw")]
        for guest_path, path in self.files.items():
            words += mounted(path, guest_path)
        return words

    def start(self, *options, **more):
        """A machine; env as further keys of [env]. Its Box."""
        env = {**self.env, **more.pop("env", {})}
        return self.shipped.run(*self.options(), *options, env=env, **more)

    def stop(self, box) -> int:
        """As Fly.io does: kill_signal, and what still runs kill_timeout later is killed. The exit code."""
        return box.stop(self.kill_timeout_s)

    @property
    def port(self) -> int:
        """Where the service is."""
        return self.toml["services"][0]["internal_port"]
