"""The tables of measurements, as Markdown that reads well on a terminal too."""
import statistics
import types

import kept as keeping
import plot as plots

COLUMNS = ("supervisor", "memory", "anon", "processes", "threads", "start", "all begun", "crash to exec", "stop", "idle")
BAR = "s6-svscan"


def spread(values, unit):
    """Median, and the tenth and ninetieth percentile."""
    if not values:
        return "–"
    ordered = sorted(values)
    low, high = ordered[len(ordered) // 10], ordered[-1 - len(ordered) // 10]
    return f"{unit(statistics.median(ordered))} ({unit(low)}–{unit(high)})"


def milliseconds(microseconds):
    return f"{microseconds / 1000:.2f}" if microseconds < 100_000 else f"{microseconds / 1000:.0f}"


def whole(value):
    return f"{value:.0f}"


def row(result):
    return (result.name, spread(result.pss, whole), whole(statistics.median(result.anon)) if any(result.anon) else "–",
            str(result.processes or "–"), str(result.threads or "–"), spread(result.start, milliseconds),
            spread(result.all, milliseconds), spread(result.crash, milliseconds), spread(result.stop, milliseconds),
            result.idle or "–")


def aligned(rows):
    widths = [max(len(line[i]) for line in rows) for i in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return lines


def ratios(results, programs_n):
    """Each ollama-supervisor's medians over those of the s6 tree."""
    bar = results.get((BAR, programs_n))
    lines = []
    for (name, n), result in results.items():
        if n != programs_n or not bar or not name.startswith("ollama-supervisor"):
            continue
        parts = [f"{what} {statistics.median(ours) / statistics.median(theirs):.2f}" for what, ours, theirs in (
            ("memory", result.pss, bar.pss), ("start", result.start, bar.start), ("all begun", result.all, bar.all),
            ("crash to exec", result.crash, bar.crash), ("stop", result.stop, bar.stop)) if ours and theirs]
        lines.append(f"{name} to s6's tree (1.00: the same; less is better): {', '.join(parts)}.")
    return lines


def supervisor_kept(results, facts):
    """Raw data of bench/supervisor: {(name, programs): Result} as JSON has it."""
    return {"facts": facts, "results": [{"programs": n, **vars(result)} for (_, n), result in results.items()]}


def supervisor_results(kept):
    return {(one["name"], one["programs"]): types.SimpleNamespace(**one) for one in kept["results"]}


def supervisor_lines(kept):
    """What bench/supervisor has found, below its title."""
    results, facts = supervisor_results(kept), kept["facts"]
    lines = [keeping.said(kept), "", "What each column means: [README](../README.md).", ""]
    lines += [f"Left out, as they are not on PATH: {', '.join(facts['missing'])}.", ""] if facts["missing"] else []
    for programs_n in sorted({n for _, n in results}):
        lines += [f"## {programs_n} program{'s' if programs_n > 1 else ''}", "",
                  "Memory (PSS) and anon in kB, times in ms: median (10th to 90th percentile); idle: system calls in "
                  f"{facts['idle_s']:g} s.", ""]
        lines += aligned([COLUMNS] + [row(result) for (_, n), result in results.items() if n == programs_n])
        lines += ["", *ratios(results, programs_n), ""]
    return lines


def supervisor_plot(kept):
    results = supervisor_results(kept)
    names = list(dict.fromkeys(name for name, _ in results))
    groups = [(n, f"{n} program{'s' if n > 1 else ''}") for n in sorted({n for _, n in results})]

    def middle(key, divisor):
        def value(name, n):
            values = getattr(results.get((name, n)), key, None)
            return statistics.median(values) / divisor if values else None
        return value
    panels = [plots.bars(i * plots.PANEL, title, groups, [name for name in names if name not in left_out], middle(key, divisor), unit)
              for i, (title, key, divisor, unit, left_out) in enumerate((
                  ("memory, kB (no supervisord)", "pss", 1, "kB", ("none", "supervisord")),
                  ("start, ms (no supervisord)", "start", 1000, "ms", ("supervisord",)),
                  ("crash to exec, ms", "crash", 1000, "ms", ("none",))))]
    return plots.document(panels, names)


def coldstart_lines(kept):
    """What bench/coldstart has found, below its title."""
    lines = [keeping.said(kept), "", "What is measured: [README](../README.md). Milliseconds: median (10th to 90th percentile)."]
    for one in kept["results"]:
        lines += ["", f"## With {one['ollama']}", "", *coldstart_rows(one["starts"])]
    return lines


def coldstart_rows(starts):
    """A line for each peer; the first is by hand. What another takes more is that of the same round."""
    by_hand, hand = next(iter(starts.items()))
    table = [("who", "first token", "more than by hand", "API")]
    for name, each in starts.items():
        more = [start["first_token_ms"] - other["first_token_ms"] for start, other in zip(each, hand)] if name != by_hand else []
        api = [start["phases"]["api_ms"] for start in each if "api_ms" in start["phases"]]
        table.append((name, spread([start["first_token_ms"] for start in each], whole), spread(more, whole), spread(api, whole)))
    return aligned(table)


def coldstart_plot(kept):
    names = list(dict.fromkeys(name for one in kept["results"] for name in one["starts"]))
    found = {one["ollama"]: one["starts"] for one in kept["results"]}
    groups = [(ollama, ollama.split(",")[0].split(" (")[0]) for ollama in found]

    def middle(name, ollama):
        each = found[ollama].get(name)
        return statistics.median(start["first_token_ms"] for start in each) if each else None
    return plots.document([plots.bars(0, "first token, ms", groups, names, middle, "ms")], names)
