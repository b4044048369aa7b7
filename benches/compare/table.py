"""What was measured, as a table in Markdown and as a chart in SVG."""

import html
import statistics

MISSED = "**missed**"


class Row:
    """Figures of one kind: one a round, told as median, least and most. `more` is better than less where it says so."""

    def __init__(self, name, figures, unit, gate=None, aim=None, command="", more=False):
        self.name, self.figures, self.unit, self.gate, self.aim = name, figures, unit, gate, aim
        self.command, self.more = command, more

    def of(self, part):
        """This, with the command that plays it."""
        self.command = f"run --only {part}` (blaster `{self.command}"
        return self

    def verdict(self):
        if self.gate is None:
            return ""
        median = statistics.median(self.figures)
        keeps = lambda limit: limit is not None and (median >= limit if self.more else median <= limit)
        return "aim" if keeps(self.aim) else "gate" if keeps(self.gate) else MISSED

    def cells(self):
        told = [self.unit.format(figure) for figure in (statistics.median(self.figures), min(self.figures), max(self.figures))]
        bare = [number.split()[0] for number in told[1:]]
        limits = ["" if limit is None else f"{limit:g}" for limit in (self.gate, self.aim)]
        return [self.name, *limits, told[0], f"{bare[0]} to {bare[1]}", self.verdict(), f"`{self.command}`)"]


def markdown(rows, machine):
    head = ["", "gate", "aim", "median", "least to most", "holds", "played by"]
    lines = [head, ["---"] * len(head), *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + f"\n\n{machine}\n"


def chart(panels, machine):
    """Bars, a panel of them for each thing measured; readable on a white page and on a black one."""
    width, left, bar, top = 760, 190, 22, 34
    parts, y = [], 10
    for title, figures in panels.items():
        y += top
        parts.append(f'<text class="title" x="10" y="{y - 12}">{html.escape(title)}</text>')
        most = max(figures.values())
        for name, figure in figures.items():
            kind = "ours" if name.startswith("tickerd") else "floor" if name == "floor" else "other"
            length = max(2.0, (width - left - 110) * figure / most)
            text = f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"
            parts.append(f'<text class="name" x="{left - 8}" y="{y + 14}">{html.escape(name)}</text>')
            parts.append(f'<rect class="{kind}" x="{left}" y="{y + 2}" width="{length:.1f}" height="{bar - 6}" rx="2"/>')
            parts.append(f'<text x="{left + length + 6:.1f}" y="{y + 14}">{text}</text>')
            y += bar
    lines = wrapped(machine, 120)
    for number, line in enumerate(lines):
        parts.append(f'<text class="foot" x="10" y="{y + 26 + 14 * number}">{html.escape(line)}</text>')
    height = y + 34 + 14 * len(lines)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">\n'
        "<style>\n"
        "text { font: 12px system-ui, sans-serif; fill: #24292f }\n"
        ".title { font-weight: 600; font-size: 14px } .name { text-anchor: end } .foot { font-size: 10px; fill: #6e7781 }\n"
        ".ours { fill: #0969da } .floor { fill: #8c959f } .other { fill: #bf8700 }\n"
        "@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .foot { fill: #8d96a0 }\n"
        "  .ours { fill: #4493f8 } .floor { fill: #6e7681 } .other { fill: #d29922 } }\n"
        "</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def wrapped(text, most):
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= most:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return lines
