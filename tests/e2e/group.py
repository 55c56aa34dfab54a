"""A control group of the test's own, with a limit on memory; v2 or v1, whichever has memory here."""
import os
import uuid


def _memory_folder():
    """(version, the folder of this process's own group), or None."""
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        lines = [line.rstrip("\n").split(":", 2) for line in file]
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mounts = [line.split(" - ") for line in file.read().splitlines()]
    for controllers, path in ((item[1], item[2]) for item in lines):
        version = 2 if controllers == "" else 1
        if version == 1 and "memory" not in controllers.split(","):
            continue
        for before, after in mounts:
            root, point = before.split()[3:5]
            kind, _, options = after.split(" ", 2)
            is_it = kind == "cgroup2" if version == 2 else kind == "cgroup" and "memory" in options.split(",")
            if is_it and (path + "/").startswith(root.rstrip("/") + "/"):
                folder = point + path[len(root.rstrip("/")):].rstrip("/")
                control = os.path.join(folder, "cgroup.controllers")
                if version == 1 or (os.path.exists(control) and "memory" in _read(control).split()):
                    return version, folder
    return None


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


class Group:
    """Made below our own group; processes enter it by writing themselves into `procs`, and nobody else is moved."""

    def __init__(self, version: int, folder: str, limit_bytes: int):
        self.version = version
        self.folder = os.path.join(folder, "sidecar-test-" + uuid.uuid4().hex[:12])
        os.mkdir(self.folder)
        self.procs = os.path.join(self.folder, "cgroup.procs")
        try:
            if version == 2:
                self.put("memory.max", limit_bytes)
                if os.path.exists(os.path.join(self.folder, "memory.swap.max")):
                    self.put("memory.swap.max", 0)
            else:
                self.put("memory.limit_in_bytes", limit_bytes)
                if os.path.exists(os.path.join(self.folder, "memory.memsw.limit_in_bytes")):
                    self.put("memory.memsw.limit_in_bytes", limit_bytes)
        except OSError:
            self.close()
            raise

    def put(self, name: str, value) -> None:
        """Write one of its files."""
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(str(value))

    def close(self) -> None:
        """Remove it; it must be empty."""
        os.rmdir(self.folder)


def make(limit_bytes: int):
    """A Group, or a text that says why there can be none."""
    try:
        found = _memory_folder()
        if not found:
            return "no control group with memory can be seen"
        return Group(*found, limit_bytes)
    except OSError as error:
        return f"a control group with a limit can't be made: {error}"
