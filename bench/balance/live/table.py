"""What was measured, as tables and as a plot."""
import math
import os
import statistics
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import kept as keeping  # noqa: E402
import plot as plots  # noqa: E402

MIXES = {"equal speeds, 1:1:1": ((1, 1, 1), 0.9), "mixed speeds, 1:1:5": ((1, 1, 5), 0.7)}  # what p95 is to be at most, of the best of others
OTHERS = ("nginx least_conn", "HAProxy leastconn")
OURS = ("ollama-proxy", "2 x ollama-proxy")
HEAD = "| | wait p50 | wait p95 | of the best | answer p50 | answer p95 | shares, % | late, % | failed |"


def percentile(values, part):
    """The least that so many are not above."""
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)] if values else math.nan


def middle(rounds, key, part):
    return statistics.median(percentile(one[key], part) for one in rounds)


def line(name, rounds, best):
    """A row of the table: medians of the rounds."""
    shares = " ".join(f"{100 * statistics.mean(one['shares'][i] for one in rounds):.0f}" for i in range(len(rounds[0]["shares"])))
    ratio = f"{middle(rounds, 'wait', .95) / best:.2f}" if best else ""
    return (f"| {name} | {middle(rounds, 'wait', .5):.2f} | {middle(rounds, 'wait', .95):.2f} | {ratio} | {middle(rounds, 'answer', .5):.2f} | "
            f"{middle(rounds, 'answer', .95):.2f} | {shares} | {100 * max(one['late'] for one in rounds):.0f} | {sum(one['failed'] for one in rounds)} |")


def aims(kept):
    """(mix, who, ratio, aim) of each of ours."""
    found = []
    for mix, rows in kept["results"].items():
        best = min((middle(rows[name], "wait", .95) for name in OTHERS if name in rows), default=0)
        found += [(mix, name, middle(rows[name], "wait", .95) / best, MIXES[mix][1]) for name in OURS if best and name in rows]
    return found


def missed(kept):
    return [f"{mix}, {name}: {ratio:.2f} of the best of others, at most {aim}" for mix, name, ratio, aim in aims(kept) if ratio > aim]


def lines(kept):
    """All of it below the title, as Markdown; and whether each aim was reached."""
    facts = kept["facts"]
    said = [keeping.said(kept), "",
            f"{facts['rounds']} round(s) of {facts['window_s']:g} s at a load of {facts['load_asked']:g}, the first {facts['warm_s']:g} s left out. "
            "Seconds, medians of the rounds. `of the best` is the wait's p95, of that of nginx' or HAProxy's least connections, whichever was "
            "better. How: bench/README.md.", ""]
    if facts["missing"]:
        said += [f"Left out, as what they need is not on PATH: {', '.join(facts['missing'])}.", ""]
    judged = aims(kept)
    for mix, rows in kept["results"].items():
        best = min((middle(rows[name], "wait", .95) for name in OTHERS if name in rows), default=0)
        said += [f"## {mix}", "", HEAD, "|---|---|---|---|---|---|---|---|---|"]
        said += [line(name, rounds, best) for name, rounds in rows.items()] + [""]
        for of, name, ratio, aim in judged:
            if of == mix:
                said += [f"{name}: {ratio:.2f}, at most {aim} is wanted: {'reached' if ratio <= aim else 'NOT REACHED'}", ""]
    return said


def plot(kept):
    names = list(dict.fromkeys(name for rows in kept["results"].values() for name in rows))
    groups = [(mix, mix.split(", ")[-1]) for mix in kept["results"]]
    panels = [plots.bars(i * plots.PANEL, f"wait {label}, s", groups, names,
                         lambda name, mix, part=part: middle(kept["results"][mix][name], "wait", part) if name in kept["results"][mix] else None, "s")
              for i, (label, part) in enumerate((("p50", .5), ("p95", .95)))]
    return plots.document(panels, names)
