"""The rule of scenarios, for tests/lint/run: which tests there are for the scenarios of the two lists."""
import re

# The lists of scenarios: file, how many, what a test calls them, what the file may call open for a while.
SCENARIOS = (
    ("tests/scenarios.md", 64, r"(?<!proxy[_ ])[Ss]cenarios?", ()),
    ("tests/proxy-scenarios.md", 40, r"proxy[_ ]scenarios?", ("balancing",)),
)
SCENARIO_ROW = re.compile(r"^\| *(\d+) *\|([^|]*)\|([^|]*)\|$", re.M)
TEST_START = re.compile(r'^(?:(?:static void|def) (test_\w+)\(| +\{\.name = "(\w+)",)', re.M)  # the latter: of tests/torture
TEST_END = (("static", re.compile(r"^}", re.M)), ("def", re.compile(r"^(?=\S)", re.M)), ("", re.compile(r"\},?$|^\};", re.M)))
NUMBERS = r"[ _](\d+(?:(?:, | and |-|_)\d+)*)"


def tests_of(text):
    """{name of a test: its source}: from the end of the one before (its comment, its marks) to its own last line."""
    starts = list(TEST_START.finditer(text))
    sources, before = {}, 0
    for m in starts:
        ending = next(ending for begins, ending in TEST_END if m.group(0).startswith(begins))
        end = ending.search(text, m.end() if m.group(2) else text.index("\n", m.end()))
        after = end.end() if end else len(text)
        sources[m.group(1) or m.group(2)] = text[before:after]
        before = after
    return sources


def numbers_in(source, called):
    found = set()
    for m in re.finditer(called + NUMBERS, source):
        last, word = 0, ""
        for word, number in re.findall(r"(-|, | and |_|^)(\d+)", m.group(1)):
            found.update(range(last, int(number) + 1) if word == "-" else [int(number)])
            last = int(number)
    return found


def check_scenarios(tree):
    """Each scenario has a row; each test that a row names is there, and names the scenario itself."""
    for scenarios in SCENARIOS:
        check_scenario_list(tree, *scenarios)


def check_scenario_list(tree, file, count, called, open_parts):
    table = tree.texts.get(file)
    if table is None:
        tree.found("scenarios", file, 1, "is not there")
        return
    sources, seen = {}, set()
    for m in SCENARIO_ROW.finditer(table):
        number, where, line = int(m.group(1)), m.group(3).strip(), table.count("\n", 0, m.start()) + 1
        tests = re.findall(r"`([^`]+)::(\w+)`", where)
        marks = re.findall(r"\bopen: ([\w ]+)", where)
        if number in seen or not 1 <= number <= count:
            tree.found("scenarios", file, line, f"{number} is there twice, or is none")
        seen.add(number)
        for mark in marks:
            if mark.strip() not in open_parts:
                tree.found("scenarios", file, line, f"{number} is open: {mark}; nothing of that may be open any more")
        if not tests and not marks and not re.search(r"\bleft out: \S", where):
            tree.found("scenarios", file, line, f"{number} names no test, and no reason for that")
        for path, test in tests:
            name = "tests/" + path
            sources.setdefault(name, tests_of(tree.texts.get(name, "")))
            if test not in sources[name]:
                tree.found("scenarios", file, line, f"{number}: there is no {test} in {name}")
            elif number not in numbers_in(sources[name][test], called):
                tree.found("scenarios", file, line, f"{number}: {path}::{test} does not say that it is scenario {number}")
    for number in sorted(set(range(1, count + 1)) - seen):
        tree.found("scenarios", file, 1, f"{number} has no row")
