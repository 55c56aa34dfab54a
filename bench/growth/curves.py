"""What was measured, as curves: the slope of each on two logarithmic axes; 1 is linear."""
import math
import os
import statistics
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kept as keeping  # noqa: E402
import plot as plots  # noqa: E402

LINEAR = 1.1
# name: (what is asked for, its unit, what one of it costs, what of); the values that are kept are of all of them together
CURVES = {
    "streams: CPU": ("streams", "CPU us a second", "CPU us a second and stream"),
    "streams: memory": ("streams", "PSS kB beyond nobody's", "kB a stream"),
    "body: passed": ("bytes of the body", "CPU us a request of /api/chat", "ns a byte"),
    "body: translated": ("bytes of the body", "CPU us a request of /v1/chat/completions", "ns a byte"),
    "backends: a request": ("backends", "CPU us a request", None),
    "queue: in": ("requests in line", "CPU us until all stand there", "us a request"),
    "queue: out": ("requests in line", "CPU us until all are answered", "us a request"),
    "queue: memory": ("requests in line", "PSS kB beyond nobody's", "kB a request"),
}
# name of a curve: why it is steeper than linear
WHY = {"body: passed": "what our code does is linear: 2,173,000 instructions of user space at 1 MB, 22,657,000 at 10 MB (callgrind); by perf the share of the "
                       "kernel's copies grows, probably as so much is no longer in the processor's cache (the figures are of one machine, and stand here as they were)"}


def points(kept, name):
    """[(x, median of the rounds)], by x."""
    by = {}
    for one in kept["results"]:
        if name in one["values"]:
            by.setdefault(one["x"], []).append(one["values"][name])
    return [(x, statistics.median(values)) for x, values in sorted(by.items())]


def slope(found):
    """Of the line through these points that errs the least, on logarithmic axes; None: there are not two."""
    logs = [(math.log(x), math.log(y)) for x, y in found if x > 0 and y > 0]
    if len(logs) < 2:
        return None
    mean_x, mean_y = (statistics.mean(values) for values in zip(*logs))
    return sum((x - mean_x) * (y - mean_y) for x, y in logs) / sum((x - mean_x) ** 2 for x, _ in logs)


def slopes(kept, name):
    """(of all points, of the last step alone): what is fixed hides the growth at the beginning, not at the end."""
    found = points(kept, name)
    return slope(found), slope(found[-2:])


def missed(kept):
    """Curves that are steeper than a straight line."""
    steep = []
    for name in CURVES:
        for what, value in zip(("slope", "slope of the last step"), slopes(kept, name)):
            if value is not None and value > LINEAR:
                steep.append(f"{name}: {what} {value:.2f}, at most {LINEAR}: {WHY.get(name, 'not explained yet')}")
    return steep


def show(value):
    return "–" if value is None else f"{value:.2f}"


def lines(kept):
    """Below the title, as Markdown."""
    facts = kept["facts"]
    rounds = f"{facts['rounds']} round{'s' if facts['rounds'] != 1 else ''}"
    out = [keeping.said(kept), "", f"{rounds}, medians. A slope is that of the line through all points on logarithmic axes, and that of the last step: 1 is linear, "
           f"0 costs the same however much it is; at most {LINEAR} is wanted of both. How: [README](../README.md).", "",
           "| curve | from, to | slope | of the last step | at most linear |", "|---|---|---|---|---|"]
    for name, (of, _, _) in CURVES.items():
        found = points(kept, name)
        if found:
            both = slopes(kept, name)
            reached = "–" if None in both else "yes" if max(both) <= LINEAR else "NO"
            out.append(f"| {name} | {found[0][0]:,} to {found[-1][0]:,} {of} | {show(both[0])} | {show(both[1])} | {reached} |")
    out.append("")
    for said in facts.get("left_out", ()):
        out += [said, ""]
    for name, (of, unit, each) in CURVES.items():
        found = points(kept, name)
        if not found:
            continue
        out += [f"## {name}", "", f"| {of} | {unit} |" + (f" {each} |" if each else ""), "|---|---|" + ("---|" if each else "")]
        for x, value in found:
            one = value / x * (1000 if each and each.startswith("ns") else 1)
            out.append(f"| {x:,} | {value:,.1f} |" + (f" {one:,.2f} |" if each else ""))
        out.append("")
    return out


def plot(kept):
    groups = {}
    for name, (of, _, _) in CURVES.items():
        found = points(kept, name)
        if found:
            groups.setdefault(of, {})[name] = found
    panels = [plots.lines(i * plots.PANEL, f"by {of}", series) for i, (of, series) in enumerate(groups.items())]
    return plots.document(panels, [name for series in groups.values() for name in series])
