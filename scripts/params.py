"""common/conf_params.def as Python sees it: sections, their keys, and how each is shown in documents."""
import dataclasses
import pathlib
import re

TABLE = pathlib.Path(__file__).resolve().parent.parent / "common/conf_params.def"
DAY_MS = 24 * 3600 * 1000
CONSTANTS = {"CONF_DAY_MS": DAY_MS, "CONF_YEAR_MS": 366 * DAY_MS, "CONF_TERABYTE": 1 << 40, "INT32_MAX": (1 << 31) - 1,
             "CONF_CACHE_MODELS_MAX": 8}
KINDS = {"DURATION": "duration", "SIZE": "size", "BYTES": "size", "INTEGER": "number", "BOOL": "yes or no", "WORD": "word", "TEXT": "text",
         "LIST": "list", "COMMAND": "command", "SIGNAL": "signal"}
STRING = r'"((?:[^"\\]|\\.)*)"'


@dataclasses.dataclass
class Parameter:
    section: str
    kind: str
    key: str
    default: str
    words: list[str]
    least: int
    most: int
    is_planned: bool
    help: str

    def variable(self) -> str:
        """The environment's name for it, where its section has no name of its own."""
        return f"SIDECAR_{self.section}_{self.key}".upper()

    def bounds(self) -> str:
        """What a value may be, in the units in which it is written; empty where any text will do."""
        if self.words:
            return ", ".join(self.words)
        if self.least == self.most == 0:
            return ""
        write = {"DURATION": duration, "SIZE": size, "BYTES": size}.get(self.kind, str)
        return f"{write(self.least)} to {write(self.most)}"


@dataclasses.dataclass
class Section:
    name: str
    is_named: bool
    help: str
    parameters: list[Parameter]

    def header(self) -> str:
        return f"[{self.name}:NAME]" if self.is_named else f"[{self.name}]"


def duration(ms: int) -> str:
    for unit, length in (("h", 3600000), ("m", 60000), ("s", 1000)):
        if ms and ms % length == 0:
            return f"{ms // length}{unit}"
    return f"{ms}ms" if ms else "0"


def size(number: int) -> str:
    for unit, length in (("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if number and number % length == 0:
            return f"{number // length}{unit}"
    return str(number)


def number_of(text: str) -> int:
    return CONSTANTS[text] if text in CONSTANTS else int(text)


def sections() -> list[Section]:
    """Every row of the table, in its order; a line that is none ends the program."""
    found: list[Section] = []
    text = re.sub(r"/\*.*?\*/", "", TABLE.read_text(), flags=re.S)
    for line in filter(str.strip, text.splitlines()):
        begin = re.fullmatch(rf"SECTION\((\w+), ([01]), {STRING}\)", line)
        row = re.fullmatch(rf"PARAM\((\w+), (\w+), (\w+), {STRING}, (?:{STRING}|(-?\w+)), (-?\w+), (IN_FORCE|PLANNED), {STRING}\)", line)
        if begin:
            found.append(Section(begin[1], begin[2] == "1", begin[3], []))
        elif row and row[2] in KINDS:
            section, kind, key, default, words, least, most, state, told = row.groups()
            found[-1].parameters.append(Parameter(section, kind, key, default, words.split("|") if words else [],
                                                  0 if words else number_of(least), number_of(most), state == "PLANNED", told))
        elif line not in ("END_SECTION", "#ifdef WITH_MODELS", "#endif"):
            raise SystemExit(f"{TABLE.name}: scripts/params.py can't read {line!r}")
    return found
