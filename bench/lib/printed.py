"""Figures that a program prints itself as tables in Markdown: read, kept, and shown again."""
import re

import kept as keeping
import plot as plots


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def tables(text):
    """[{"head": […], "rows": [[…], …]}] of all tables of the text."""
    found, is_table = [], False
    for line in text.splitlines():
        if not line.startswith("|"):
            is_table = False
        elif re.fullmatch(r"[|\-: ]+", line):
            continue
        elif is_table:
            found[-1]["rows"].append(cells(line))
        else:
            found.append({"head": cells(line), "rows": []})
            is_table = True
    return found


def number(text):
    """The first number of a cell."""
    match = re.search(r"-?\d+(\.\d+)?", text.replace(",", ""))
    return float(match.group(0)) if match else None


def columns(table, *names):
    """{(cell of each name): …}: each row as a dictionary by the head, beside the cells of these columns."""
    rows = [dict(zip(table["head"], row)) for row in table["rows"]]
    return {tuple(row[name] for name in names): row for row in rows}


def lines(kept):
    """What it printed, below its title."""
    return [keeping.said(kept), "", *kept["text"].rstrip("\n").split("\n"), ""]


def missed(kept):
    """Rows of the tables that say NO where others say yes."""
    return [" ".join(row[:3]) + f": {row[3]}, at most {row[4]}" for table in kept["tables"] if "reached" in table["head"]
            for row in table["rows"] if row[table["head"].index("reached")] == "NO"]


def balance_plot(kept):
    """p95 of waits, of least connections', by fleets and loads."""
    rows = columns(kept["tables"][0], "machines", "arrivals", "load")
    loads = list(dict.fromkeys(load for _, _, load in rows))
    machines = list(dict.fromkeys(machine for machine, _, _ in rows))
    panels = [plots.bars(i * plots.PANEL, f"p95 of waits, of least-conn's: {arrivals}", [(load, f"load {load}") for load in loads], machines,
                         lambda machine, load, kind=arrivals: number(rows[machine, kind, load]["p95 of least-conn's"]), "")
              for i, arrivals in enumerate(dict.fromkeys(arrivals for _, arrivals, _ in rows))]
    return plots.document(panels, machines)


def optimizer_plot(kept):
    """ns a byte by length, for each text."""
    table = kept["tables"][0]
    sizes = [(i, number(head) * 1000) for i, head in enumerate(table["head"]) if head.endswith(" KB") and not head.startswith("the last")]
    works = list(dict.fromkeys(row[1] for row in table["rows"]))
    names = list(dict.fromkeys(row[0] for row in table["rows"]))
    panels = [plots.lines(i * plots.PANEL, f"ns a byte: {work}", {row[0]: [(size, number(row[at])) for at, size in sizes]
                                                                for row in table["rows"] if row[1] == work}, label="bytes")
              for i, work in enumerate(works)]
    return plots.document(panels, names)
