"""What was measured, as a table and as a plot. Every ratio is the median of the rounds' ratios: both of a round ran side by side."""
import os
import re
import statistics
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kept as keeping  # noqa: E402
import peers  # noqa: E402
import plot as plots  # noqa: E402

STREAMS = ("s100", "s1000", "s4000")


def line(r):
    """One measurement, while it runs."""
    parts = [f"{r['scenario']:>8} {r['peer']:<16} {r['per_second']:8.0f}/s"]
    if "cpu_us" in r:
        parts.append(f"cpu {r['cpu_us']:5.1f} us  pss {r['pss_kb'] / 1024:5.1f} MB")
    parts.append(f"p50 {r['delay_p50_us']:.0f} p99 {r['delay_p99_us']:.0f} us")
    if r["errors"]:
        parts.append(f"ERRORS {r['errors']}")
    return "  ".join(parts)


def version(peer):
    done = subprocess.run(peer.version, capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+\.\d+", done.stdout + done.stderr)
    return found.group(0) if found else "?"


class Figures:
    def __init__(self, results):
        self.by = {(r["peer"], r["scenario"], r["round"]): r for r in results}
        self.rounds = sorted({r["round"] for r in results})
        self.names = list(dict.fromkeys(p.name for p in peers.ALL if any(r["peer"] == p.name for r in results)))
        self.scenarios = list(dict.fromkeys(r["scenario"] for r in results))

    def values(self, peer, scenario, key):
        found = (self.by.get((peer, scenario, n), {}).get(key) for n in self.rounds)
        return [v for v in found if v is not None]

    def median(self, peer, scenario, key):
        values = self.values(peer, scenario, key)
        return statistics.median(values) if values else None

    def pairs(self, peer, other, scenario, key, how):
        """how(peer's, other's) of each round."""
        pairs = []
        for n in self.rounds:
            a = self.by.get((peer, scenario, n), {}).get(key)
            b = self.by.get((other, scenario, n), {}).get(key)
            if a is not None and b:
                pairs.append(how(a, b))
        return pairs

    def paired(self, peer, other, scenario, key, how):
        pairs = self.pairs(peer, other, scenario, key, how)
        return statistics.median(pairs) if pairs else None

    def ratio(self, peer, other, scenario, key):
        return self.paired(peer, other, scenario, key, lambda a, b: a / b)

    def spread(self, peer, other, scenario, key):
        """The least and the greatest ratio of a round: what a difference must exceed to mean anything."""
        pairs = self.pairs(peer, other, scenario, key, lambda a, b: a / b)
        return f"{min(pairs):.2f} to {max(pairs):.2f}" if pairs else ""

    def added(self, peer, scenario, key):
        return self.paired(peer, "direct", scenario, key, lambda a, b: a - b)


def show(value, form="{:.0f}"):
    return "–" if value is None else form.format(value)


def rows(head, lines):
    out = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return out + ["| " + " | ".join(cells) + " |" for cells in lines]


def stream_table(f, scenario):
    head = ["", "CPU us a token", "of nginx's", "of the relay's", "delay p50 us", "p99", "p99.9", "added p99", "first byte p50 us", "p99", "PSS MB"]
    lines = []
    for name in f.names:
        pss = f.median(name, scenario, "pss_kb")
        lines.append([name, show(f.median(name, scenario, "cpu_us"), "{:.1f}"), show(f.ratio(name, "nginx", scenario, "cpu_us"), "{:.2f}"),
                      show(f.ratio(name, "relay", scenario, "cpu_us"), "{:.2f}"), show(f.median(name, scenario, "delay_p50_us")),
                      show(f.median(name, scenario, "delay_p99_us")), show(f.median(name, scenario, "delay_p999_us")),
                      show(f.added(name, scenario, "delay_p99_us")), show(f.median(name, scenario, "first_byte_p50_us")),
                      show(f.median(name, scenario, "first_byte_p99_us")), show(pss and pss / 1024, "{:.1f}")])
    n = int(scenario[1:])
    return [f"## {n:,} stream{'s' if n > 1 else ''}", ""] + rows(head, lines) + [""]


def request_table(f):
    head = ["", "requests/s", "CPU us a request", "of nginx's", "of the relay's", "p50 us", "p99"]
    lines = [[name, show(f.median(name, "requests", "per_second"), "{:,.0f}"), show(f.median(name, "requests", "cpu_us"), "{:.1f}"),
              show(f.ratio(name, "nginx", "requests", "cpu_us"), "{:.2f}"), show(f.ratio(name, "relay", "requests", "cpu_us"), "{:.2f}"),
              show(f.median(name, "requests", "delay_p50_us")), show(f.median(name, "requests", "delay_p99_us"))] for name in f.names]
    return ["## Small requests over 16 kept connections", ""] + rows(head, lines) + [""]


def memory_table(f):
    head = ["PSS, MB", "1 stream", "500", "4,000", "after the 4,000 have left"]
    columns = [("s1", "pss_kb"), ("s500", "pss_kb"), ("s4000", "pss_kb"), ("s4000", "pss_after_kb")]
    lines = []
    for name in f.names:
        cells = [f.median(name, s, k) for s, k in columns]
        if any(cells):
            lines.append([name] + [show(c and c / 1024, "{:.1f}") for c in cells])
    return ["## Memory", ""] + rows(head, lines) + [""]


def call_table(calls):
    lines = [[name, f"{sum(c.values()):.2f}", ", ".join(f"{k} {v:.2f}" for k, v in sorted(c.items(), key=lambda kv: -kv[1]))]
             for name, c in calls.items() if c]
    return ["## System calls a token, at 100 streams and 1,000 tokens a second", ""] + rows(["", "in all", "which"], lines) + [""]


def aims(f):
    """The rows of the table of aims: what, the figure, its spread, the aim, whether this run reaches it."""
    us, found = "ollama-proxy", []

    def aim(text, value, bound, spread="", form="{:.2f}"):
        if value is not None and bound is not None:
            found.append([text, form.format(value), spread, "at most " + form.format(bound), "yes" if value <= bound else "NO"])

    def aim_ratio(text, other, scenario, key, bound):
        aim(f"{text}, of {other}'s", f.ratio(us, other, scenario, key), bound, f.spread(us, other, scenario, key))
    for scenario in f.scenarios:
        if scenario in STREAMS + ("requests",):
            what = "CPU a request" if scenario == "requests" else f"CPU a token, {int(scenario[1:]):,} streams"
            aim_ratio(what, "nginx", scenario, "cpu_us", 0.9)
            aim_ratio(what, "relay", scenario, "cpu_us", 1.15)
        if scenario in STREAMS:
            better = [m for m in (f.median(p, scenario, "delay_p99_us") for p in ("nginx", "haproxy")) if m is not None]
            if better:
                bound = max(min(better) * 1.1, min(better) + 50)
                aim(f"delay p99 us, {int(scenario[1:]):,} streams", f.median(us, scenario, "delay_p99_us"), bound,
                    " to ".join(f"{edge(f.values(us, scenario, 'delay_p99_us')):.0f}" for edge in (min, max)), "{:.0f}")
    aim_ratio("PSS at 500 streams", "nginx", "s500", "pss_kb", 0.5)
    flat = [b / a for a, b in zip(f.values(us, "s100", "cpu_us"), f.values(us, "s4000", "cpu_us"))]
    nginx_flat = [b / a for a, b in zip(f.values("nginx", "s100", "cpu_us"), f.values("nginx", "s4000", "cpu_us"))]
    if flat:
        relay_flat = [b / a for a, b in zip(f.values("relay", "s100", "cpu_us"), f.values("relay", "s4000", "cpu_us"))]
        compare = [f"{n} {statistics.median(v):.2f}" for n, v in (("nginx", nginx_flat), ("the relay", relay_flat)) if v]
        found.append(["CPU a token at 4,000 streams, of that at 100", f"{statistics.median(flat):.2f}", f"{min(flat):.2f} to {max(flat):.2f}",
                      "; ".join(compare), ""])
    errors = sum(r["errors"] for (p, _, _), r in f.by.items() if p == us)
    found.append(["errors", str(errors), "", "0", "yes" if not errors else "NO"])
    return found


def judge(f):
    return ["## The aims", ""] + rows(["", "measured", "in single rounds", "aim, or others", "reached"], aims(f)) + [""]


def missed(kept):
    """The aims that were not reached: what, and how much."""
    return [f"{row[0]}: {row[1]}, {row[3]}" for row in aims(Figures(kept["results"])) if row[4] == "NO"]


def lines(kept):
    """The scorecard below its title, as Markdown."""
    f, facts = Figures(kept["results"]), kept["facts"]
    out = [keeping.said(kept), "",
           f"{facts['rounds']} rounds, {facts['window_s']:g} s each, {facts['rate']:,} tokens a second in all at every number of streams. "
           "Medians of the rounds; ratios are medians of each round's ratio. How: ../README.md.", ""]
    if facts.get("missing"):
        out += [f"Left out, as they are not on PATH: {', '.join(facts['missing'])}.", ""]
    out += judge(f) if "ollama-proxy" in f.names else []
    for scenario in STREAMS:
        if scenario in f.scenarios:
            out += stream_table(f, scenario)
    if "requests" in f.scenarios:
        out += request_table(f)
    out += memory_table(f)
    if kept["calls"]:
        out += call_table(kept["calls"])
    for section in kept.get("sections", {}).values():
        out += section
    return out


def plot(kept):
    f = Figures(kept["results"])
    groups = [(s, f"{int(s[1:]):,}") for s in STREAMS if s in f.scenarios]
    sizes = [(s, f"{int(s[1:]):,}") for s in ("s1", "s500", "s4000") if s in f.scenarios]
    with_cpu = [n for n in f.names if n != "direct"]
    panels = []
    if groups:
        panels += [plots.bars(0, "CPU, us a token, by streams", groups, with_cpu, lambda n, s: f.median(n, s, "cpu_us"), "us"),
                   plots.bars(plots.PANEL, "delay p99, us, by streams", groups, f.names, lambda n, s: f.median(n, s, "delay_p99_us"), "us")]
    if sizes:
        panels.append(plots.bars(len(panels) * plots.PANEL, "PSS, MB, by streams", sizes, with_cpu,
                                 lambda n, s: (f.median(n, s, "pss_kb") or 0) / 1024, "MB"))
    return plots.document(panels, f.names)


def save(kept):
    text = "# The proxy's scorecard\n\n![](proxy.svg)\n\n" + "\n".join(lines(kept)).rstrip("\n") + "\n"
    keeping.save("proxy", kept, text, plot(kept))
