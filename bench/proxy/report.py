"""What was measured, as a table and as a plot. Every ratio is the median of the rounds' ratios: both of a round ran side by side."""
import json
import os
import platform
import re
import statistics
import subprocess

import peers

RESULTS = os.path.join(peers.TOP, "bench", "results")
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


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = re.search(r"^model name\s*:\s*(.*)$", f.read(), re.M)
    with open("/proc/meminfo", encoding="utf-8") as f:
        memory_kb = int(re.search(r"^MemTotal:\s+(\d+)", f.read(), re.M).group(1))
    kind = model.group(1) if model else platform.machine()
    return f"{os.cpu_count()} x {kind}, {memory_kb / 1048576:.0f} GB, Linux {platform.release()}"


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


def judge(f):
    """The aims, and whether this run reaches them."""
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
    return ["## The aims", ""] + rows(["", "measured", "in single rounds", "aim, or others", "reached"], found) + [""]


def table(results, calls, facts):
    f = Figures(results)
    versions = ", ".join(f"{n} {v}" for n, v in facts["versions"].items())
    out = ["# The proxy's scorecard", "",
           f"{facts['machine']}; {versions}; load average {facts['load'][0]:.1f} before, {facts['load'][1]:.1f} after. "
           f"{facts['rounds']} rounds, {facts['window_s']:g} s each, {facts['rate']:,} tokens a second in all at every number of streams. "
           "Medians of the rounds; ratios are medians of each round's ratio. How: ../README.md.", ""]
    out += judge(f) if "ollama-proxy" in f.names else []
    for scenario in STREAMS:
        if scenario in f.scenarios:
            out += stream_table(f, scenario)
    if "requests" in f.scenarios:
        out += request_table(f)
    out += memory_table(f)
    if calls:
        out += call_table(calls)
    return "\n".join(out)


# ---- the plot ----

COLOURS = {"direct": "#999999", "relay": "#555555", "nginx": "#2a9d4e", "haproxy": "#2f6fb7", "ollama-proxy": "#d1491b"}
WIDTH, HEIGHT, LEFT, TOP = 240, 170, 52, 40


def bars(x, title, groups, names, value, unit):
    """One panel: for each group a bar for each name."""
    values = {(g, n): value(g, n) for g, _ in groups for n in names}
    top = max([v for v in values.values() if v is not None] or [1]) * 1.1
    out = [f'<text x="{x + LEFT}" y="22" font-weight="bold">{title}</text>']
    for i in range(5):
        y = TOP + HEIGHT - HEIGHT * i / 4
        out.append(f'<line x1="{x + LEFT}" x2="{x + LEFT + WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{x + LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{top * i / 4:.3g}</text>')
    step = WIDTH / len(groups)
    width = step * 0.8 / len(names)
    for g, (group, label) in enumerate(groups):
        for n, name in enumerate(names):
            v = values[group, name]
            if v is None:
                continue
            h = HEIGHT * v / top
            out.append(f'<rect x="{x + LEFT + g * step + step * 0.1 + n * width:.1f}" y="{TOP + HEIGHT - h:.1f}" width="{width * 0.9:.1f}" '
                       f'height="{h:.1f}" fill="{COLOURS.get(name, "#b08ad0")}"><title>{name}, {label}: {v:.3g} {unit}</title></rect>')
        out.append(f'<text x="{x + LEFT + (g + 0.5) * step:.1f}" y="{TOP + HEIGHT + 16}" text-anchor="middle">{label}</text>')
    return out


def plot(f):
    groups = [(s, f"{int(s[1:]):,}") for s in STREAMS if s in f.scenarios]
    sizes = [(s, f"{int(s[1:]):,}") for s in ("s1", "s500", "s4000") if s in f.scenarios]
    with_cpu = [n for n in f.names if n != "direct"]
    panel = WIDTH + LEFT + 24
    out = []
    if groups:
        out += bars(0, "CPU, us a token, by streams", groups, with_cpu, lambda s, n: f.median(n, s, "cpu_us"), "us")
        out += bars(panel, "delay p99, us, by streams", groups, f.names, lambda s, n: f.median(n, s, "delay_p99_us"), "us")
    if sizes:
        out += bars(2 * panel, "PSS, MB, by streams", sizes, with_cpu, lambda s, n: (f.median(n, s, "pss_kb") or 0) / 1024, "MB")
    for i, name in enumerate(f.names):
        out.append(f'<rect x="{LEFT + i * 130}" y="{TOP + HEIGHT + 34}" width="12" height="12" fill="{COLOURS.get(name, "#b08ad0")}"/>')
        out.append(f'<text x="{LEFT + i * 130 + 18}" y="{TOP + HEIGHT + 44}">{name}</text>')
    size = f'width="{3 * panel}" height="{TOP + HEIGHT + 60}"'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
                      '<rect width="100%" height="100%" fill="white"/>', *out, "</svg>", ""])


def save(text, results, calls, facts):
    os.makedirs(RESULTS, exist_ok=True)
    kept = {"facts": facts, "calls": calls, "results": results}
    for name, content in (("proxy.md", text.replace("\n\n", "\n\n![](proxy.svg)\n\n", 1)), ("proxy.svg", plot(Figures(results))),
                          ("proxy.json", json.dumps(kept, indent=1) + "\n")):
        with open(os.path.join(RESULTS, name), "w", encoding="utf-8") as f:
            f.write(content)
