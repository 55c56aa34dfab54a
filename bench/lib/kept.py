"""What a measurement keeps: its raw data with the command, the date, the machine and the versions, as JSON; and what is made of it, beside it."""
import datetime
import json
import os
import platform
import re
import resource
import shlex
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


BUILD = os.path.join(TOP, os.environ.get("BUILD_DIR") or "build")


def folder():
    """Where results are: bench/results, or BENCH_RESULTS, for who only tries."""
    return os.environ.get("BENCH_RESULTS") or os.path.join(TOP, "bench", "results")


def found(pattern, path):
    try:
        with open(path, encoding="utf-8") as file:
            match = re.search(pattern, file.read(), re.M)
    except OSError:
        return None
    return match.group(1) if match else None


def machine():
    """The processor, its memory and its kernel, in one line."""
    model = found(r"^model name\s*:\s*(.*)$", "/proc/cpuinfo") or platform.machine()
    memory_kb = int(found(r"^MemTotal:\s+(\d+)", "/proc/meminfo") or 0)
    virtual = ", virtual" if found(r"^flags\s*:.*\b(hypervisor)\b", "/proc/cpuinfo") else ""
    return f"{os.cpu_count()} x {model}{virtual}, {memory_kb / 1048576:.0f} GB, Linux {platform.release()}"


def version(*command):
    """The first number with two points that it says of itself; "" where it says none."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    match = re.search(r"\d+\.\d+(\.\d+)?[\w.+-]*", done.stdout + done.stderr)
    return match.group(0) if match else ""


def command():
    """This program's, as somebody in the checkout calls it."""
    program = os.path.relpath(os.path.abspath(sys.argv[0]), TOP)
    return shlex.join([program, *(word for word in sys.argv[1:] if word != "--save")])


def facts(versions=None, **more):
    """What holds for all of a measurement's figures, as it begins. Its load is a list: at the end, ended() adds that."""
    versions = {"ollama-sidecar": version(os.path.join(BUILD, "ollama-proxy"), "--version"), **(versions or {})}
    now = datetime.datetime.now(datetime.timezone.utc)
    return {"command": command(), "date": now.strftime("%Y-%m-%d %H:%M UTC"), "machine": machine(), "libc": " ".join(platform.libc_ver()),
            "python": platform.python_version(), "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE)[1], "load": [os.getloadavg()[0]],
            "versions": versions, **more}


def ended(of):
    of["load"].append(os.getloadavg()[0])


def said(kept):
    """How, where and when: the paragraph below a title. Of what an older version has kept some is not known."""
    of = kept["facts"]
    load = ", ".join(f"{one:.1f}" for one in of.get("load", ()))
    versions = "; ".join(f"{name} {number}" for name, number in of.get("versions", {}).items() if number)
    parts = [f"By `{of['command']}`" if "command" in of else "", of.get("date", ""), of["machine"], versions, f"load average {load}" if load else ""]
    return "; ".join(part for part in parts if part) + "."


def write(name, text):
    os.makedirs(folder(), exist_ok=True)
    with open(os.path.join(folder(), name), "w", encoding="utf-8") as file:
        file.write(text)


def save(name, kept, markdown, picture=None):
    """NAME.json, NAME.md and NAME.svg."""
    write(f"{name}.json", json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    write(f"{name}.md", markdown)
    if picture:
        write(f"{name}.svg", picture)


def load(name):
    """What was kept under this name; None: nothing."""
    try:
        with open(os.path.join(folder(), f"{name}.json"), encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None
