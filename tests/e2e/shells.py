"""What a shell offers where a line is to be completed, by the shell itself with the files of deploy/completion."""
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time

from sidecar import BUILD, ROOT
from waiting import SLACK

FILES = os.path.join(ROOT, "deploy/completion")
BASH_COMPLETION = "/usr/share/bash-completion/bash_completion"


def has(shell: str) -> bool:
    return os.path.exists(BASH_COMPLETION) if shell == "bash-completion" else shutil.which(shell) is not None


def _environment(folder: str) -> dict:
    return {"PATH": f"{BUILD}:{os.environ['PATH']}", "HOME": folder, "LC_ALL": "C.UTF-8", "TERM": "dumb",
            "TEST_SIDECAR_ID": os.environ.get("TEST_SIDECAR_ID", "")}


def _run(argv: list, folder: str) -> set:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20 * SLACK, check=False, cwd=folder, env=_environment(folder),
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return set(done.stdout.splitlines()) - {""}


BASH = r"""
%s
line=$1; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE=$line; COMP_POINT=${#line}; COMP_TYPE=9; COMP_KEY=9
is=$(complete -p "$1"); is=${is#*-F }
${is%%%% *} "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%%s\n' "${COMPREPLY[@]}"
"""


def _bash(line: str, folder: str, loading: str) -> set:
    """readline takes a colon for a word of its own, and puts what is offered behind it."""
    words = [part for word in re.split(r" +", line) for part in re.split("(:)", word) if part or not word]
    kept = re.search(r"[^ ]*:|$", line.split(" ")[-1])[0]
    return {kept + word for word in _run(["bash", "--norc", "-c", BASH % loading, "bash", line, *words], folder)}


def bash(line: str, folder: str) -> set:
    """bash without bash-completion: the file is sourced, as an owner would do in his .bashrc."""
    return _bash(line, folder, f". {FILES}/{line.split(' ')[0]}.bash")


def bash_completion(line: str, folder: str) -> set:
    """With it: the file is found by its name, when its command is completed for the first time."""
    os.makedirs(os.path.join(folder, "bash-completion"), exist_ok=True)
    place = os.path.join(folder, "bash-completion/completions")
    if not os.path.islink(place):
        os.symlink(FILES, place)
    loading = (f"export BASH_COMPLETION_USER_DIR={folder}/bash-completion; . {BASH_COMPLETION}; "
               "_completion_loader \"$2\" || [ $? = 124 ]")
    return _bash(line, folder, loading)


def fish(line: str, folder: str) -> set:
    told = _run(["fish", "--no-config", "-c", f"set -p fish_complete_path {FILES}; complete -C $argv[1]", line], folder)
    return {row.split("\t")[0] for row in told}


ZSH = """PROMPT='<ready>' RPROMPT= COLUMNS=240 LINES=200 LISTMAX=0
unsetopt zle_bracketed_paste auto_list auto_menu list_types prompt_sp prompt_cr
fpath=(%s $fpath); autoload -U compinit; compinit -u -D
zstyle ':completion:*' verbose no; zstyle ':completion:*' list-prompt ''
bindkey -e; bindkey '^D' list-choices
"""


def _read_until(terminal: int, mark: str) -> str:
    """What the shell writes until the mark, which is cut off."""
    text, deadline = "", time.monotonic() + 20 * SLACK
    while mark not in text:
        left = deadline - time.monotonic()
        assert left > 0 and select.select([terminal], [], [], left)[0], f"no {mark!r} in {text!r}"
        text += os.read(terminal, 65536).decode("utf-8", "replace")
    return text.split(mark)[0]


def zsh(line: str, folder: str) -> set:
    """zsh on a terminal, as its completion works nowhere else; ^D lists what may follow."""
    with open(os.path.join(folder, ".zshrc"), "w", encoding="utf-8") as file:
        file.write(ZSH % FILES)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execvpe("zsh", ["zsh", "-d", "-i"], _environment(folder))
    try:
        _read_until(terminal, "<ready>")
        os.write(terminal, line.encode() + b"\x04\x15print -r '<listed'\\>\r")
        told = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|.\x08", "", _read_until(terminal, "<listed>\r"))
        listed = re.search(r"\n(.*?)<ready>", told, re.DOTALL)  # below the line, which is written once more behind it
        return set(listed[1].split()) if listed else set()
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


SHELLS = {"bash": bash, "bash-completion": bash_completion, "fish": fish, "zsh": zsh}
