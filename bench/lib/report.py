"""The table of a measurement, as Markdown that reads well on a terminal too."""
import os
import platform
import statistics

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


def machine():
    kernel = ".".join(platform.release().split(".")[:2])
    return f"{platform.machine()}, {os.cpu_count()} CPUs, {platform.system()} {kernel}, {' '.join(platform.libc_ver())}"


def text(results, programs, versions, missing, args):
    lines = ["# Supervisors, measured", "",
             f"By `bench/supervisor --rounds {args.rounds}`; what each column means: [README](../README.md).", "",
             f"Machine: {machine()}.", ""]
    lines += [f"Versions: {'; '.join(versions)}.", ""] if versions else []
    lines += [f"Left out, as they are not on PATH: {', '.join(missing)}.", ""] if missing else []
    for programs_n in programs:
        lines += [f"## {programs_n} program{'s' if programs_n > 1 else ''}", "",
                  "Memory (PSS) and anon in kB, times in ms: median (10th to 90th percentile); idle: system calls in "
                  f"{args.idle:g} s.", ""]
        lines += aligned([COLUMNS] + [row(result) for (_, n), result in results.items() if n == programs_n])
        lines += ["", *ratios(results, programs_n), ""]
    return "\n".join(lines).rstrip("\n") + "\n"
