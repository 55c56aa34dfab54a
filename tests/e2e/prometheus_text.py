"""A strict reader of Prometheus' text format 0.0.4, for what is to be scraped."""
import importlib.util
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
HEADING = re.compile(rf"# (HELP|TYPE) ({NAME}) (.*)")
SAMPLE = re.compile(rf"({NAME})(?:\{{((?:[a-zA-Z_][a-zA-Z0-9_]*=\"(?:[^\"\\\n]|\\[\\n\"])*\",?)+)\}})? (\S+)")
LABEL = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*)=\"((?:[^\"\\\n]|\\[\\n\"])*)\"")
TYPES = ("counter", "gauge", "histogram", "summary", "untyped")


class Metrics(dict):
    """{(name, ((label, value), …)): number}; types: {name: type}."""

    def __init__(self):
        super().__init__()
        self.types = {}

    def of(self, name, **labels):
        """The one sample of this name with just these labels."""
        return self[name, tuple(sorted(labels.items()))]

    def labels(self, name, label):
        """The values that a label has."""
        return [dict(labels)[label] for found, labels in self if found == name]


def check_histograms(found):
    """Each has rising buckets, up to the one that has all."""
    for name in (name for name, kind in found.types.items() if kind == "histogram"):
        rows = {}
        for (sample, labels), number in found.items():
            if sample == name + "_bucket":
                rest = tuple(label for label in labels if label[0] != "le")
                rows.setdefault(rest, []).append((float(dict(labels)["le"]), number))
        assert rows, name
        for rest, buckets in rows.items():
            assert buckets == sorted(buckets) and [n for _, n in buckets] == sorted(n for _, n in buckets), (name, rest)
            assert buckets[-1] == (float("inf"), found[name + "_count", rest]) and found[name + "_sum", rest] >= 0, (name, rest)


def read(text: bytes) -> Metrics:
    """Whatever a scraper could stumble over is an AssertionError."""
    lines = text.decode().split("\n")
    assert lines.pop() == "", "no newline at the end"
    found, now, told, told_of = Metrics(), None, [], set()
    for line in lines:
        heading = HEADING.fullmatch(line)
        if heading:
            word, name, rest = heading.groups()
            assert (word == "HELP") == (name != now), f"HELP, then TYPE, once for each name: {line!r}"
            if word == "HELP":
                assert name not in told and rest, line
                now = name
                told.append(name)
            else:
                assert rest in TYPES and name not in found.types and name == now, line
                found.types[name] = rest
            continue
        sample = SAMPLE.fullmatch(line)
        assert sample, f"neither a heading nor a sample: {line!r}"
        name, labels, number = sample.groups()
        is_part = found.types.get(now) == "histogram" and name in (now + "_bucket", now + "_sum", now + "_count")
        assert is_part or (name == now and found.types.get(name) not in (None, "histogram")), f"not among the samples of its name: {line!r}"
        key = name, tuple(sorted((label, re.sub(r"\\(.)", lambda at: {"n": "\n"}.get(at[1], at[1]), value)) for label, value in LABEL.findall(labels or "")))
        assert key not in found, f"twice: {line!r}"
        found[key] = float(number)
        assert found.types[now] != "counter" or (name.endswith("_total") and found[key] >= 0), line
        told_of.add(now)
    assert set(found.types) == told_of, "a name without a sample"
    check_histograms(found)
    if importlib.util.find_spec("prometheus_client"):  # it finds the same
        parser = importlib.import_module("prometheus_client.parser")
        samples = [sample for family in parser.text_string_to_metric_families(text.decode()) for sample in family.samples]
        assert {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples} == dict(found)
    return found
