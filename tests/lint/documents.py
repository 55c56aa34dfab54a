"""Documents: every link leads somewhere, every place that is named is there, and every message that is quoted is one that the programs print.

A quotation is a block ```says, or the first column of a table, in docs/troubleshooting.md; … stands for what differs, and
```other is what other programs say. README.md's table of symptoms quotes nothing that is not there.
"""
import os
import re

TROUBLE = "docs/troubleshooting.md"
# The kernel's words, and Ollama's (0.9.5).
OF_OTHERS = ("Permission denied", "permission denied", "Connection refused", "No such file or directory", "address already in use",
             "server busy, please try again.  maximum pending requests exceeded", "requires more system memory")
# Ollama's own documents, as comments name them.
DOCUMENTS_OF_OTHERS = ("docs/api.md",)
LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"')


# ---- links ----

def slug(heading):
    """The anchor that the hub gives a heading."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")


def prose(text):
    """The text without blocks of code, whose lines stay."""
    return re.sub(r"^```.*?^```$", lambda m: "\n" * m.group(0).count("\n"), text, flags=re.S | re.M)


def anchors(text):
    found, seen = set(), {}
    for m in re.finditer(r"^#+ (.*)$", prose(text), re.M):
        base = slug(m.group(1))
        found.add(f"{base}-{seen[base]}" if base in seen else base)
        seen[base] = seen.get(base, 0) + 1
    return found


def check_links(tree):
    folders = {os.path.dirname(name) for name in tree.names}
    for name, text in tree.texts.items():
        if name.endswith(".md"):
            for m in re.finditer(r"\]\(([^)\s]+)\)", prose(text)):
                problem = link_problem(tree, folders, name, m.group(1))
                if problem:
                    tree.found("links", name, text_line(prose(text), m.start()), problem)
        if not name.startswith("tests/lint/"):
            for m in re.finditer(r"(?<![\w/.-])docs/[\w/-]+\.md\b", text):
                if m.group(0) not in tree.names and m.group(0) not in DOCUMENTS_OF_OTHERS:
                    tree.found("links", name, text_line(text, m.start()), f"there is no {m.group(0)}")


def link_problem(tree, folders, name, target):
    """What is wrong with a link, or None; addresses of the network are not asked."""
    if re.match(r"[a-z]+:", target):
        return None
    path, _, anchor = target.partition("#")
    place = os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name
    if place not in tree.names and place not in folders:
        return f"the link to {target} leads nowhere"
    if anchor and place in tree.names and anchor not in anchors(tree.texts.get(place, "")):
        return f"{place} has no heading #{anchor}"
    return None


def text_line(text, at):
    return text.count("\n", 0, at) + 1


# ---- places ----

def check_places(tree):
    """`common/loop.c:loop_turn`: the file is there, and has the name."""
    for name in (n for n in tree.texts if n.startswith("docs/") and n.endswith(".md")):
        for m in re.finditer(r"`([\w.-]+/[\w./-]+\.\w+):([A-Za-z_]\w*)`", tree.texts[name]):
            path, word = m.groups()
            if not re.search(rf"\b{word}\b", tree.texts.get(path, "")):
                what = f"{path} has no {word}" if path in tree.texts else f"there is no {path}"
                tree.found("places", name, text_line(tree.texts[name], m.start()), what)


# ---- quotations ----

def literals(tree):
    """Every text of the sources as the compiler has it, conversions as they are, each behind a NUL."""
    found = []
    for name in tree.sources:
        without = re.sub(r"/\*.*?\*/|^#include[^\n]*$", " ", tree.texts[name], flags=re.S | re.M)
        for m in re.finditer(rf"{LITERAL.pattern}(?:\s*{LITERAL.pattern})*", without):
            whole = "".join(re.findall(LITERAL, m.group(0)))
            found.append(whole.replace('\\"', '"').replace("\\n", "\n"))
    return "\0".join(found)


def pieces(line):
    """What of a quoted line must stand in the sources: runs of two words or more between what may differ."""
    for piece in re.split(r'[…"={}]|[;:] |\[\w+\]|\S*\d\S*', line):
        if re.search(r"[A-Za-z]{2,}\W* \W*[A-Za-z]{2,}", piece) and not any(other in piece for other in OF_OTHERS):
            yield piece.strip(" '();:,.?")


def is_said(piece, told):
    """True where a source has the piece whole, or its two parts, which the program puts together."""
    cuts = [m.start() for m in re.finditer(" ", piece)]
    return piece in told or any(min(at, len(piece) - at) > 5 and piece[:at].rstrip(",") in told and piece[at + 1:] in told for at in cuts)


def line_problem(line, told, logged):
    """What is wrong with a quoted line, or None. told: the sources' texts; logged: docs/log-events.md."""
    head = re.match(r"… (debug|info|warning|error) (\w+) (\w+) ?(.*)$", line)
    if head:
        _, _, event, line = head.groups()
        if f"| `{event}` |" not in logged:
            return f"{event} is not in docs/log-events.md"
        row = re.search(rf"^\| `{event}` \|.*$", logged, re.M).group(0)
        for key in re.findall(r"(?:^| )([a-z_]+)=", re.sub(r'"[^"]*"', "", line)):
            if f"{key}=" not in told and not re.search(rf"\b{key}\b", row) and f"| `{key}` |" not in logged:
                return f"no line has {key}="
        line = "…".join(re.findall(r'"([^"]*)"', line))  # what is behind the keys
    for piece in pieces(line):
        if not is_said(piece, told):
            return f"nobody says {piece!r}"
    return None


def quotations(text):
    """(line number, quoted line) of the blocks ```says, and of the first column of tables."""
    for m in re.finditer(r"^```says\n(.*?)^```$", text, re.S | re.M):
        first = text_line(text, m.start(1))
        for number, line in enumerate(m.group(1).splitlines()):
            yield first + number, line
    for m in re.finditer(r"^\| `([^`]+)`[^|]*\|", text, re.M):
        yield text_line(text, m.start()), m.group(1)


def check_quotations(tree):
    text = tree.texts.get(TROUBLE)
    if text is None:
        return
    told, logged = literals(tree), tree.texts.get("docs/log-events.md", "") + tree.texts.get("docs/access-log.md", "")
    for number, line in quotations(text):
        problem = line_problem(line, told, logged)
        if problem:
            tree.found("quotations", TROUBLE, number, problem)
    for name in ("README.md", "README.pt.md"):
        readme = tree.texts.get(name, "")
        for m in re.finditer(r"^\|([^|]*)\|([^|]*)\| \[.*\]\(docs/troubleshooting\.md#", readme, re.M):
            for quoted in re.findall(r"`([^`]+)`", m.group(2)):
                if quoted not in text:
                    tree.found("quotations", name, text_line(readme, m.start()), f"{quoted!r} is not in {TROUBLE}")
