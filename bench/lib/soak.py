"""What a soak has kept: samples in windows of the same length; whether memory, descriptors and latency were at the end what they were at the beginning."""
import statistics

import kept as keeping
import plot as plots

PROCESSES = ("proxy", "supervisor")
GROWTH_KB, GROWTH_PART = 1000, 0.05  # memory may grow by the more of both, from the first part to the last
DRIFT_PART = 0.05                    # of the p99 of first bytes


def ends(results, key):
    """Medians of a first and of a last quarter of the windows; the first windows, a tenth, are left out: whatever is made once is made then."""
    values = [one[key] for one in results if one.get(key) is not None]
    values = values[len(values) // 10:]
    n = max(1, len(values) // 4)
    return (statistics.median(values[:n]), statistics.median(values[-n:])) if values else (None, None)


def drift(results):
    """By which part the p99 of first bytes has grown, the machine's own drift taken out: that of the backend asked directly in the same windows."""
    first, last = ends([{"ratio": one["p99_ms"] / one["direct_p99_ms"]} for one in results if one.get("p99_ms") and one.get("direct_p99_ms")], "ratio")
    return last / first - 1 if first else None


def judged(kept):
    """[(what, first, last, aim, whether it is reached)]."""
    rows, results = [], kept["results"]
    for name in PROCESSES:
        first, last = ends(results, f"{name}_kb")
        if first is not None:
            most = first + max(GROWTH_KB, first * GROWTH_PART)
            rows.append((f"memory of the {name}, kB", f"{first:,.0f}", f"{last:,.0f}", f"at most {most:,.0f}", last <= most))
    for name, (first, last) in kept["descriptors"].items():
        rows.append((f"descriptors of the {name} at rest", str(first), str(last), f"at most {first}", last <= first))
    for key, name in (("p99_ms", "first byte through the proxy, p99 ms"), ("direct_p99_ms", "… of the backend alone, p99 ms")):
        first, last = ends(results, key)
        if first is not None:
            rows.append((name, f"{first:.2f}", f"{last:.2f}", "", None))
    part = drift(results)
    if part is not None:
        rows.append(("drift of that p99, the backend's own taken out", "", f"{part:+.1%}", f"below {DRIFT_PART:.0%}", part < DRIFT_PART))
    return rows


def missed(kept):
    return [f"{what}: {last}, {aim}" for what, _, last, aim, reached in judged(kept) if reached is False]


def lines(kept):
    """Below the title, as Markdown."""
    facts = kept["facts"]
    out = [keeping.said(kept), "", f"{facts['seconds']:,.0f} s in windows of {facts['window_s']:g} s; medians of a first and of a last quarter of them, the first tenth "
           "left out. What is done: [tests/soak/test_mixed.py](../../tests/soak/test_mixed.py).", "",
           "| | first | last | aim | reached |", "|---|---|---|---|---|"]
    out += [f"| {what} | {first} | {last} | {aim} | {'' if reached is None else 'yes' if reached else 'NO'} |"
            for what, first, last, aim, reached in judged(kept)]
    out += ["", "| what was done | times |", "|---|---|", *(f"| {what} | {n:,} |" for what, n in sorted(kept["counts"].items())), ""]
    return out


def plot(kept):
    def series(*keys):
        return {name: [(one["at_s"], one[key]) for one in kept["results"] if one.get(key) is not None] for key, name in keys}
    found = (("memory, kB", series(("proxy_kb", "memory of the proxy"), ("supervisor_kb", "memory of the supervisor"))),
             ("descriptors in use", series(("proxy_fds", "descriptors of the proxy"), ("supervisor_fds", "descriptors of the supervisor"))),
             ("first byte, p99 ms", series(("p99_ms", "through the proxy"), ("direct_p99_ms", "of the backend alone"))))
    panels = [plots.lines(i * plots.PANEL, title, values, is_log=False, label="s") for i, (title, values) in enumerate(found)]
    return plots.document(panels, [name for _, values in found for name in values])
