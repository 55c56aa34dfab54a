"""Completion offers the verbs and options that the programs take, and no others; the manuals tell of them."""
import re

SHELLS = {
    "bash": ("deploy/completion/sidecarctl.bash", "deploy/completion/ollama-supervisor.bash"),
    "zsh": ("deploy/completion/_ollama-sidecar", "deploy/completion/_ollama-sidecar"),
    "fish": ("deploy/completion/sidecarctl.fish", "deploy/completion/ollama-supervisor.fish"),
}
OTHERS = ("ollama-proxy", "ollama-preload")
# Options of the tools that completion itself calls.
FOREIGN = {"--fcs-skip"}


def compared(tree, source, word):
    """The options and verbs that a program's source compares its words with, which `word` names there."""
    text = tree.texts[source]
    verbs = re.search(r"static const struct verb \{.*?\n\};", text, re.S)
    found = set(re.findall(rf'strn?cmp\({word}, "(--?[a-z][a-z-]*)"', text))
    return found | set(re.findall(r'\{"([a-z-]+)", ', verbs.group(0)) if verbs else ())


def taken(tree):
    """What sidecarctl takes, what the three others take, and what ollama-preload alone does."""
    ctl = compared(tree, "ctl/main.c", "word") | compared(tree, "ctl/main.c", r"argv\[i\]") | {"help"}
    return ctl, compared(tree, "common/conf_main.c", "a"), compared(tree, "preload/main.c", r"argv\[i\]")


def offers(text, word, shell):
    """True where a file offers the word; fish writes options as `-s h` and `-l help`."""
    if shell == "fish" and word.startswith("-"):
        return re.search(rf"-{'l' if word.startswith('--') else 's'} {word.lstrip('-')}\b", text) is not None
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None


def check_completions(tree):
    for shell, files in SHELLS.items():
        ctl, others, preload = taken(tree)
        for name, words in zip(files, (ctl, others | preload)):
            text = tree.texts.get(name)
            if text is None:
                tree.found("completions", name, 1, "is not there")
                continue
            for word in sorted(words):
                if not offers(text, word, shell):
                    tree.found("completions", name, 1, f"does not offer {word}")
            offered = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", text)) - FOREIGN if shell != "fish" else \
                {f"--{word}" for word in re.findall(r"^complete .*-l ([a-z-]+)", text, re.M)}
            known = set.union(*taken(tree)) if shell == "zsh" else words
            for word in sorted(offered - known):
                tree.found("completions", name, 1, f"offers {word}, which is not taken")
    for name in [f"deploy/completion/{n}.bash" for n in OTHERS] + [f"deploy/completion/{n}.fish" for n in OTHERS]:
        if name not in tree.names:
            tree.found("completions", name, 1, "is not there: shells look for a file by the command's name")


def check_manual_words(tree):
    """Each option and verb is in the manual of its program; that -h is --help needs no second word."""
    ctl, others, preload = taken(tree)
    pages = {"sidecarctl.1": ctl, "ollama-supervisor.8": others, "ollama-proxy.8": others, "ollama-preload.8": others | preload}
    for page, words in pages.items():
        text = tree.texts.get(f"docs/man/{page}", "")
        for word in sorted(words - {"-h"}):
            told = rf"(\bFl|,) {word[1:]}\b" if word.startswith("-") else rf"\.It Cm {word}\b"
            if not re.search(told, text):
                tree.found("manual-words", f"docs/man/{page}", 1, f"does not tell of {word}")
