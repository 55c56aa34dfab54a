"""Whom we measure: how each is set up to run N times the same program, and started."""
import os
import shutil
import signal
import socket
import subprocess


class Peer:
    """One supervisor. command() prepares a folder and says what to execute there."""
    programs_max = 3
    ends_with_child = False  # it is an init for one program and ends with it: nothing is restarted
    stop_signal = signal.SIGTERM

    def __init__(self, name, path, stamp):
        self.name = name
        self.path = path
        self.stamp = stamp
        self.version = self.ask_version()

    def ask_version(self):
        """What it says of itself in one line, or ""."""
        try:
            done = subprocess.run([self.path, "--version"], capture_output=True, text=True, timeout=10, check=False)
        except (OSError, subprocess.SubprocessError):
            return ""
        lines = (done.stdout + done.stderr).strip().splitlines()
        return f"{self.name}: {lines[0]}" if done.returncode == 0 and lines else ""

    def command(self, folder, fifo, programs_n):
        raise NotImplementedError


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


class Bare(Peer):
    """Nobody: what the machine itself takes."""
    programs_max = 1
    ends_with_child = True

    def ask_version(self):
        return ""

    def command(self, folder, fifo, programs_n):
        return [self.stamp, fifo]


class Tini(Peer):
    programs_max = 1
    ends_with_child = True

    def command(self, folder, fifo, programs_n):
        return [self.path, "--", self.stamp, fifo]


class DumbInit(Tini):
    def command(self, folder, fifo, programs_n):
        return [self.path, self.stamp, fifo]


def service_folders(folder, stamp, fifo, programs_n):
    """A folder of services, as s6 and runit have them."""
    scan = os.path.join(folder, "scan")
    for number in range(programs_n):
        service = os.path.join(scan, f"p{number}")
        os.makedirs(service)
        os.symlink(stamp, os.path.join(service, "run"))  # no shell in between
        os.symlink(fifo, os.path.join(service, "out"))
    return scan


class S6(Peer):
    """s6-svscan over a folder of services, an s6-supervise for each."""

    def ask_version(self):
        return ""

    def command(self, folder, fifo, programs_n):
        return [self.path, service_folders(folder, self.stamp, fifo, programs_n)]


class Runit(Peer):
    """runsvdir over a folder of services, a runsv for each. By SIGTERM it ends and leaves them; by SIGHUP it stops them, and ends before they do."""
    stop_signal = signal.SIGHUP

    def ask_version(self):
        return ""

    def command(self, folder, fifo, programs_n):
        return [self.path, service_folders(folder, self.stamp, fifo, programs_n)]


class Supervisord(Peer):
    def command(self, folder, fifo, programs_n):
        lines = ["[supervisord]", "nodaemon = true", "logfile = /dev/null", "logfile_maxbytes = 0", f"directory = {folder}",
                 f"pidfile = {folder}/pid", f"childlogdir = {folder}"]
        for number in range(programs_n):
            lines += [f"[program:p{number}]", f"command = {self.stamp} {fifo}", "autorestart = true",
                      "stdout_logfile = NONE", "stderr_logfile = NONE"]
        return [self.path, "-c", write(folder, "supervisord.conf", "\n".join(lines) + "\n")]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Ours(Peer):
    """ollama-supervisor with its built-in programs left out: the same work as the others'."""

    def command(self, folder, fifo, programs_n):
        lines = ["[supervisor]", f"control_socket = {folder}/control.sock", f"state_dir = {folder}/state",
                 "[preload]", "models = none", "[proxy]", f"listen = 127.0.0.1:{free_port()}"]
        for name in ("ollama", "proxy", "preload"):
            lines += [f"[program:{name}]", "autostart = no", "required = no"]
        for number in range(programs_n):
            lines += [f"[program:p{number}]", f"command = {self.stamp} {fifo}"]
        return [self.path, "-c", write(folder, "supervisor.ini", "\n".join(lines) + "\n")]


ON_PATH = (("tini", Tini), ("dumb-init", DumbInit), ("s6-svscan", S6), ("runsvdir", Runit), ("supervisord", Supervisord))


def find(ours, stamp):
    """(peers that are there, names of those that are not)."""
    found, missing = [Bare("none", stamp, stamp)], []
    for label, path in ours:
        found.append(Ours(label, path, stamp))
    for name, kind in ON_PATH:
        path = shutil.which(name)
        if path:
            found.append(kind(name, path, stamp))
        else:
            missing.append(name)
    return found, missing
