"""Completion in bash (with bash-completion and without), zsh and fish, which are really run; a shell that is not there is skipped."""
import json
import os
import re
import socket
import subprocess
import threading
import time

import pytest

import shells
from sidecar import program
from waiting import SLACK, until

VERBS = {"status", "start", "stop", "restart", "reload", "tail", "health", "dump", "new-key", "backends", "drain", "undrain", "help",
         "top", "why", "requests", "cancel", "models", "load", "unload", "pull", "bench"}
PROGRAMS = {"ollama", "proxy", "preload"}


@pytest.fixture(params=list(shells.SHELLS))
def offered(request, folder):
    """offered(line): the words that this shell offers in the place of the line's last one."""
    if not shells.has(request.param):
        pytest.skip(f"{request.param} is not installed (make check-deps)")
    return lambda line: shells.SHELLS[request.param](line, folder)


def options_of(name):
    """The options in --help's first lines and its list of them, without what its verbs take."""
    text = subprocess.run([program(name), "--help"], capture_output=True, text=True, check=True).stdout.split("supervisor.ini, with")[0]
    return set(re.findall(r"^  (-c|-s|--[a-z][a-z-]*)\b", text, re.MULTILINE)) | {"-h"}


def test_verbs(offered):
    assert offered("sidecarctl ") == VERBS
    assert offered("sidecarctl st") == {"status", "start", "stop"}
    assert offered("sidecarctl --json re") == {"restart", "reload", "requests"}


@pytest.mark.parametrize("name", ["sidecarctl", "ollama-supervisor", "ollama-proxy", "ollama-preload"])
def test_options_are_those_of_help(offered, name):
    told = options_of(name)
    assert {"-c", "--help", "--version"} <= told
    assert offered(f"{name} -") - {"--"} == told
    assert offered(f"{name} --vers") == {"--version"}


def test_options_of_verbs(offered):
    assert offered("sidecarctl health --r") == {"--ready"}
    assert {"-n", "--cold"} <= offered("sidecarctl bench -") and "-n" in offered("sidecarctl top -")
    assert {"-f", "-n"} <= offered("sidecarctl tail -")
    assert not {"-f", "-n", "--ready"} & offered("sidecarctl status -")


def test_files_where_files_are_meant(offered, folder):
    for name in ("mine.ini", "mine.sock"):
        with open(os.path.join(folder, name), "w", encoding="utf-8"):
            pass
    for line in ("sidecarctl -c mi", "sidecarctl status -s mi", "ollama-supervisor -c mi", "ollama-proxy --check -c mi"):
        assert offered(line) == {"mine.ini", "mine.sock"}, line
    assert offered("sidecarctl st") == {"status", "start", "stop"}


def test_a_command_behind_two_dashes(offered):
    assert "truncate" in offered("ollama-supervisor -- trunc")
    assert not offered("ollama-proxy -- trunc") & {"truncate"}


def test_commands_of_ollama(offered):
    assert offered("ollama-supervisor ") - {"--"} == {"serve", "run", "pull", "list", "ps", "show", "stop", "rm", "cp", "create", "push"}
    assert offered("ollama-supervisor pu") == {"pull", "push"}
    assert not offered("ollama-supervisor pull se") & {"serve"}
    assert not offered("ollama-proxy se")


def test_nothing_is_said_where_no_supervisor_answers(offered, folder):
    assert not offered(f"sidecarctl -s {folder}/nowhere start ")


def seconds_of(offered, line):
    began = time.monotonic()
    assert not offered(line)
    return time.monotonic() - began


def test_a_supervisor_that_hangs_is_waited_for_no_longer_than_a_second(offered, folder):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.join(folder, "s"))
        listener.listen(8)
        more = seconds_of(offered, f"sidecarctl -s {folder}/s start ") - seconds_of(offered, f"sidecarctl -s {folder}/nowhere start ")
        assert more < 3.5 * SLACK  # zsh tries twice; sidecarctl itself would wait for 5 s each time


def answer_for_ever(listener, reply):
    """Whoever comes is told the same, until the listener is closed."""
    while True:
        try:
            with listener.accept()[0] as client:
                client.recv(65536)
                client.sendall(reply)
        except OSError:
            return


def test_nothing_that_a_socket_answers_is_run(offered, folder):
    """A supervisor.ini in the current folder may name a stranger's socket."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.join(folder, "s"))
        listener.listen(8)
        names = [f"$(touch {folder}/ran)x", f"`touch {folder}/ran`", "proxy"]
        reply = json.dumps({"programs": [{"name": name} for name in names]}, separators=(",", ":")).encode()
        threading.Thread(target=answer_for_ever, args=(listener, reply), daemon=True).start()
        with open(os.path.join(folder, "supervisor.ini"), "w", encoding="utf-8") as file:
            file.write(f"[supervisor]\ncontrol_socket = {folder}/s\n")
        until(lambda: "proxy" in offered("sidecarctl stop "), 10, "an answer that is taken")
        offered(f"sidecarctl -s {folder}/s tail -f ")
        listener.shutdown(socket.SHUT_RDWR)
    assert not os.path.exists(os.path.join(folder, "ran"))


@pytest.mark.limit(60)
def test_names_of_programs_that_run(sidecar, offered):
    sidecar.boot(tokens=1)
    asked = f"sidecarctl -s {sidecar.socket}"
    # a machine that is busy may take longer than the second that sidecarctl is given
    for line, names in (("restart ", PROGRAMS), ("stop p", {"proxy", "preload"}), ("tail -n 5 -f ol", {"ollama"}), ("tail ollama pro", {"proxy"})):
        until(lambda line=line, names=names: offered(f"{asked} {line}") == names, 10, f"{line}: {names}")
    assert not offered(f"{asked} restart proxy ") & PROGRAMS  # one is all it takes
    assert not offered(f"{asked} status ") & PROGRAMS


@pytest.mark.limit(60)
def test_names_of_models_have_colons(sidecar, offered):
    sidecar.boot("m:1b, m:3b, other:1b", tokens=1)
    asked = f"sidecarctl -c {sidecar.ini} "
    for line, names in (("load m", {"m:1b", "m:3b"}), ("unload m:", {"m:1b", "m:3b"}), ("pull m:3", {"m:3b"}), ("bench other:1b", {"other:1b"})):
        until(lambda line=line, names=names: offered(asked + line) == names, 10, f"{line}: {names}")
    assert not offered(f"{asked} load m:1b m:")  # one is all it takes
