"""The figures as one SVG: a bar for each series, grouped with what it is compared with."""

from xml.sax.saxutils import escape

from harness.farm.bench.figures import Figures, Series

WIDTH, BAR, GAP, LEFT, RIGHT = 860, 20, 8, 230, 110
OURS, OTHERS, INK = "#2563ab", "#9aa5b1", "#1c2733"


def svg(figures: Figures, title: str) -> str:
    """Draw them."""
    lines: list[str] = []
    y = 64
    for group in dict.fromkeys(series.group for series in figures.series):
        members = [series for series in figures.series if series.group == group]
        if len(members) < 2:
            continue
        lines.append(_text(20, y, group, size=14, weight="bold"))
        y += 14
        most = max(series.median for series in members)
        for series in members:
            lines += _bar(series, y, most)
            y += BAR + GAP
        y += 26
    facts = ", ".join(f"{name} {value}" for name, value in figures.facts.items())
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 10}" font-family="sans-serif" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{y + 10}" fill="#ffffff"/>',
        _text(20, 30, title, size=18, weight="bold"),
        _text(20, y - 6, facts, size=11),
    ]
    return "\n".join([*head, *lines, "</svg>"]) + "\n"


def _bar(series: Series, y: int, most: float) -> list[str]:
    length = max(2.0, (WIDTH - LEFT - RIGHT) * series.median / most if most else 0)
    ours = "fltlab" in series.name or "fork" in series.name
    return [
        _text(LEFT - 10, y + 15, series.name, anchor="end"),
        f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="3" fill="{OURS if ours else OTHERS}"/>',
        _text(int(LEFT + length) + 8, y + 15, series.text),
    ]


def _text(x: int, y: int, text: str, *, size: int = 13, weight: str = "normal", anchor: str = "start") -> str:
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="{INK}">'
        f"{escape(text)}</text>"
    )
