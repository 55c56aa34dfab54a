"""Plots as SVG, written by ourselves: bars in groups, and lines on linear or logarithmic axes; panels side by side over one legend."""
import math
from html import escape

COLOURS = {"direct": "#999999", "none": "#999999", "relay": "#555555", "nginx": "#2a9d4e", "haproxy": "#2f6fb7", "ollama-proxy": "#d1491b",
           "ollama-supervisor": "#d1491b", "ours": "#d1491b"}
OTHERS = ("#2a9d4e", "#2f6fb7", "#b08ad0", "#c9a227", "#17877f", "#7a4b2a", "#d36ba6", "#555555", "#94b83d", "#6b78c4", "#c77d55", "#444488")
WIDTH, HEIGHT, LEFT, TOP = 240, 170, 52, 40
PANEL = WIDTH + LEFT + 24
BOTTOM = TOP + HEIGHT


def colour(name, names):
    if name in COLOURS:
        return COLOURS[name]
    return OTHERS[[n for n in names if n not in COLOURS].index(name) % len(OTHERS)]


def short(value):
    """A number on an axis: 4.2, 170, 10k, 2.5M."""
    for limit, unit in ((1e6, "M"), (1e4, "k")):
        if value >= limit:
            return f"{value / (1e3 if unit == 'k' else limit):.3g}{unit}"
    return f"{value:.3g}"


def bars(x, title, groups, names, value, unit):
    """One panel: for each of groups, (key, label), a bar for each name; value(name, key) may be None."""
    values = {(g, n): value(n, g) for g, _ in groups for n in names}
    top = max([v for v in values.values() if v is not None] or [1]) * 1.1 or 1
    out = [f'<text x="{x + LEFT}" y="22" font-weight="bold">{escape(title)}</text>']
    for i in range(5):
        y = BOTTOM - HEIGHT * i / 4
        out.append(f'<line x1="{x + LEFT}" x2="{x + LEFT + WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{x + LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{short(top * i / 4)}</text>')
    step = WIDTH / len(groups)
    width = step * 0.8 / len(names)
    for g, (group, label) in enumerate(groups):
        for n, name in enumerate(names):
            v = values[group, name]
            if v is None:
                continue
            h = HEIGHT * max(v, 0) / top
            out.append(f'<rect x="{x + LEFT + g * step + step * 0.1 + n * width:.1f}" y="{BOTTOM - h:.1f}" width="{width * 0.9:.1f}" '
                       f'height="{h:.1f}" fill="{colour(name, names)}"><title>{escape(f"{name}, {label}: {v:.3g} {unit}")}</title></rect>')
        out.append(f'<text x="{x + LEFT + (g + 0.5) * step:.1f}" y="{BOTTOM + 16}" text-anchor="middle">{escape(label)}</text>')
    return out


class Axis:
    """From values to places between two ends; logarithmic: with a mark for each power of ten."""

    def __init__(self, values, is_log, start, end):
        self.is_log = is_log
        low, high = min(values), max(values)
        if is_log:
            self.low, self.high = math.floor(math.log10(low) + 1e-9), max(math.ceil(math.log10(high) - 1e-9), math.floor(math.log10(low)) + 1)
            step = max(1, math.ceil((self.high - self.low) / 5))
            self.marks = [10.0 ** i for i in range(self.low, self.high + 1, step)]
        else:
            self.low, self.high = min(0, low), high * 1.1 or 1
            self.marks = [self.low + (self.high - self.low) * i / 4 for i in range(5)]
        self.start, self.end = start, end

    def place(self, value):
        part = ((math.log10(value) if self.is_log else value) - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)


def lines(x, title, series, is_log=True, label=""):
    """One panel: series is {name: [(x, y), …]}; what is not above 0 is left out where axes are logarithmic."""
    points = {name: [(a, b) for a, b in values if not is_log or (a > 0 and b > 0)] for name, values in series.items()}
    every = [point for values in points.values() for point in values]
    out = [f'<text x="{x + LEFT}" y="22" font-weight="bold">{escape(title)}</text>']
    if not every:
        return out
    across = Axis([a for a, _ in every], is_log, x + LEFT, x + LEFT + WIDTH)
    up = Axis([b for _, b in every], is_log, BOTTOM, TOP)
    for mark in up.marks:
        y = up.place(mark)
        out.append(f'<line x1="{x + LEFT}" x2="{x + LEFT + WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{x + LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{short(mark)}</text>')
    for mark in across.marks:
        out.append(f'<text x="{across.place(mark):.1f}" y="{BOTTOM + 16}" text-anchor="middle">{short(mark)}</text>')
    if label:
        out.append(f'<text x="{x + LEFT + WIDTH}" y="{TOP - 6}" text-anchor="end" fill="#777">{escape(label)}</text>')
    for name, values in points.items():
        shade = colour(name, list(series))
        places = [(across.place(a), up.place(b)) for a, b in values]
        out.append(f'<polyline points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in places)}" fill="none" stroke="{shade}" stroke-width="1.5"/>')
        if len(places) <= 20:
            out += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{shade}"><title>{escape(f"{name}: {p:.4g}: {q:.4g}")}</title></circle>'
                    for (a, b), (p, q) in zip(places, values)]
    return out


def document(panels, names):
    """The whole picture: the panels, each made for its place PANEL * number, over a legend of the names."""
    a_row = max(1, len(panels) * PANEL // 190)
    out = [one for panel in panels for one in panel]
    for i, name in enumerate(names):
        x, y = LEFT + i % a_row * 190, BOTTOM + 34 + i // a_row * 20
        out.append(f'<rect x="{x}" y="{y}" width="12" height="12" fill="{colour(name, names)}"/>')
        out.append(f'<text x="{x + 18}" y="{y + 10}">{escape(name)}</text>')
    size = f'width="{max(1, len(panels)) * PANEL}" height="{BOTTOM + 40 + (len(names) + a_row - 1) // a_row * 20}"'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
                      '<rect width="100%" height="100%" fill="white"/>', *out, "</svg>", ""])
