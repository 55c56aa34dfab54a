"""What documents promise of the command line and of files to start from, tried."""
import os
import re
import subprocess

import pytest

from sidecar import ROOT, program

PROGRAMS = ("ollama-supervisor", "ollama-proxy", "ollama-preload", "sidecarctl")


def run(folder, name, *arguments):
    return subprocess.run([program(name), *arguments], capture_output=True, text=True, timeout=10, check=False, cwd=folder,
                          env={"PATH": os.environ["PATH"], "HOME": folder})


def values(dump):
    """{section.key: value} of --dump, without where each comes from."""
    found, section = {}, ""
    for line in dump.splitlines():
        section = line[1:-1] if line.startswith("[") else section
        told = re.match(r"(\w+) =\s*(.*?)\s*(?:; .*)?$", line)
        if told:
            found[f"{section}.{told[1]}"] = told[2]
    return found


def uncommented():
    """The example with every default of the sections without a name written out."""
    with open(os.path.join(ROOT, "docs/supervisor.ini.example"), encoding="utf-8") as file:
        text = file.read()
    plain = re.split(r"^;\[\w+:NAME\]$.*?(?=^\[|\Z)", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^;(\w+ = .+)$", r"\1", "".join(plain), flags=re.MULTILINE)


def test_the_example_is_a_configuration_and_changes_nothing(folder):
    example = os.path.join(ROOT, "docs/supervisor.ini.example")
    checked = run(folder, "ollama-supervisor", "-c", example, "--check")
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    nothing = values(run(folder, "ollama-supervisor", "--dump").stdout)
    assert len(nothing) > 60 and values(run(folder, "ollama-supervisor", "-c", example, "--dump").stdout).keys() == nothing.keys()


def test_the_example_s_values_are_the_defaults(folder):
    path = os.path.join(folder, "supervisor.ini")
    with open(path, "w", encoding="utf-8") as file:
        file.write(uncommented())
    with open(os.path.join(folder, "preload-models.txt"), "w", encoding="utf-8") as file:
        file.write("# a file that is named must be there\n")
    nothing = values(run("/", "ollama-supervisor", "--dump").stdout)
    all_set = values(run("/", "ollama-supervisor", "-c", path, "--dump").stdout)
    differing = {key for key in nothing if nothing[key] != all_set.get(key)}
    assert differing <= {"preload.file", "proxy.presets"}, differing  # these start at the file's folder


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("word", ["--help", "-h", "--version"])
def test_help_and_version_go_to_stdout_with_0(folder, name, word):
    done = run(folder, name, word)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.match(rf"{name} \d+\.\d+\.\d+" if word == "--version" else rf"usage: {name} ", done.stdout), done.stdout[:80]


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("words", [["--no-such-option"], ["-c"], ["-x"]])
def test_a_mistake_on_the_command_line_goes_to_stderr_with_100(folder, name, words):
    done = run(folder, name, *words)
    assert (done.returncode, done.stdout) == (100, "")
    assert done.stderr.startswith(f"{name}: ") and done.stderr.endswith(f"; see {name} --help\n"), done.stderr


@pytest.mark.parametrize("name", ["ollama-proxy", "ollama-preload"])
def test_words_behind_two_dashes_are_a_mistake_where_there_is_no_command(folder, name):
    done = run(folder, name, "--", "true")
    assert (done.returncode, done.stdout) == (100, "") and "--" in done.stderr, done.stderr
