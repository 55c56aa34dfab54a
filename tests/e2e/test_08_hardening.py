"""What the compiler and the linker were asked for is in the programs. docs/security.md"""
import os
import re
import shutil
import subprocess

import pytest

from sidecar import BUILD, program

pytestmark = pytest.mark.skipif("san" in os.path.basename(BUILD) or not shutil.which("readelf"), reason="sanitized, or there is no readelf")


def told(words: str, path: str) -> str:
    """What readelf says."""
    return subprocess.run(["readelf", "-W", *words.split(), path], capture_output=True, text=True, check=True).stdout


def missing(path: str) -> list:
    """Of what is due; a program without any of it would miss all."""
    head, dynamic, parts, symbols = told("-h", path), told("-d", path), told("-l", path), told("--dyn-syms", path)
    due = {"position-independent": "Type:" in head and "DYN" in head and "PIE" in dynamic, "RELRO": "GNU_RELRO" in parts, "bound at the start": re.search(r"BIND_NOW|NOW", dynamic),
           "no executable stack": re.search(r"GNU_STACK\s+\S+ \S+ \S+ \S+ \S+ RW\s", parts), "no RPATH": not re.search(r"RPATH|RUNPATH", dynamic),
           "no text relocations": "TEXTREL" not in dynamic, "canaries": "__stack_chk_fail" in symbols, "fortified calls": re.search(r"__\w+_chk\b(?<!__stack_chk)", symbols.replace("__stack_chk_fail", ""))}
    return [name for name, is_there in due.items() if not is_there]


PROGRAMS = ["ollama-supervisor", "ollama-proxy", "sidecarctl"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_programs_are_hardened(name):
    assert missing(os.path.realpath(program(name))) == []


@pytest.mark.parametrize("name", PROGRAMS)
def test_so_are_those_of_the_image(name):
    """As the Dockerfile builds them: what is compiled as a whole takes its flags when it is linked."""
    path = os.path.join(BUILD, "image", name)
    if not os.path.exists(path):
        pytest.skip("the lane image-build has not been run")
    assert missing(path) == []


def test_a_program_without_any_of_it_would_be_noticed(folder):
    source = os.path.join(folder, "a.c")
    with open(source, "w", encoding="ascii") as file:
        file.write("int main(void) { return 0; }\n")
    compiler = shutil.which("cc") or pytest.skip("there is no compiler")
    subprocess.run([compiler, "-no-pie", "-fno-pie", "-fno-stack-protector", "-U_FORTIFY_SOURCE", "-Wl,-z,norelro,-z,lazy,-z,execstack", "-o", source[:-2], source], check=True, stderr=subprocess.DEVNULL)
    assert set(missing(source[:-2])) >= {"position-independent", "RELRO", "bound at the start", "no executable stack", "canaries", "fortified calls"}
