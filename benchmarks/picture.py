"""Draws how long adds take at rising concurrency: one line a side, named at its end."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from benchmarks.figures import number

WIDTH, HEIGHT = 960, 420
LEFT, RIGHT, TOP, BOTTOM = 92, 812, 84, 352
LABELS = 'aria-labelledby="title story"'
COLOURS = ("a", "b", "c")
STYLE = """
    text { font-family: system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, "DejaVu Sans", sans-serif; }
    text { fill: #2b2a27; }
    .title { font-size: 17px; font-weight: 600; }
    .name { font-size: 15px; font-weight: 600; }
    .note { font-size: 12px; fill: #6b675f; }
    .x { text-anchor: middle; } .y { text-anchor: end; }
    .page { fill: #fbfaf7; stroke: #d8d3c8; }
    .grid { stroke: #e4dfd4; stroke-width: 1; }
    .line { fill: none; stroke-width: 2.6; stroke-linejoin: round; }
    .dot { stroke: #fbfaf7; stroke-width: 1.6; }
    .line.a { stroke: #3b6fb6; } .a { fill: #3b6fb6; } .line.b { stroke: #b4552d; } .b { fill: #b4552d; }
    .line.c { stroke: #a3863a; } .c { fill: #a3863a; } .line { fill: none; }
    @media (prefers-color-scheme: dark) {
      text { fill: #ebe7de; } .note { fill: #a9a395; }
      .page { fill: #1d1c1a; stroke: #3a3833; } .grid { stroke: #34322e; } .dot { stroke: #1d1c1a; }
      .line.a { stroke: #7ba6e0; } .a { fill: #7ba6e0; } .line.b { stroke: #e08a62; } .b { fill: #e08a62; }
      .line.c { stroke: #cdb26a; } .c { fill: #cdb26a; } .line { fill: none; }
    }
"""


class Curve(NamedTuple):
    """How many seconds it took, at each concurrency, until the last add was done."""

    who: str
    points: Sequence[tuple[int, float]]


def drawn(curves: Sequence[Curve], waits: str, measured_on: str) -> str:
    """Return the picture as SVG; `waits` says in a sentence what an add waits for, and `measured_on` what ran where."""
    longest = max(took for curve in curves for _, took in curve.points)
    most = max(adds for curve in curves for adds, _ in curve.points)
    top = step_for(longest) * -(-longest // step_for(longest))
    told = "; ".join(f"{curve.who} takes {number(curve.points[-1][1])} s for {curve.points[-1][0]}" for curve in curves)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" {LABELS}>',
        '  <title id="title">How long concurrent adds take</title>',
        f'  <desc id="story">{escape(told)}.</desc>',
        f"  <style>{STYLE}  </style>",
        f'  <rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="14"/>',
        '  <text class="title" x="36" y="40">Time until the last of so many concurrent adds is remembered</text>',
        f'  <text class="note" x="36" y="62">{escape(waits)}</text>',
        *axes(top, most, sorted({adds for curve in curves for adds, _ in curve.points})),
        *(
            line
            for curve, colour in reversed([*zip(curves, COLOURS, strict=False)])
            for line in path(curve, colour, top, most)
        ),
        f'  <text class="note y" x="{WIDTH - 36}" y="{HEIGHT - 20}">{escape(measured_on)}</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def axes(top: float, most: int, marks: Sequence[int]) -> list[str]:
    """Return lines at round seconds, and the numbers of adds below."""
    step, found = step_for(top), list[str]()
    for nth in range(round(top / step) + 1):
        y = height(nth * step, top)
        found += [
            f'  <line class="grid" x1="{LEFT}" y1="{y}" x2="{RIGHT}" y2="{y}"/>',
            f'  <text class="note y" x="{LEFT - 12}" y="{y + 4:g}">{number(nth * step)} s</text>',
        ]
    for adds in marks:
        found.append(f'  <text class="note x" x="{across(adds, most)}" y="{BOTTOM + 24}">{adds}</text>')
    found.append(f'  <text class="note x" x="{(LEFT + RIGHT) / 2:g}" y="{BOTTOM + 48}">concurrent adds</text>')
    return found


def path(curve: Curve, colour: str, top: float, most: int) -> list[str]:
    """Return a side's line, its points, and its name with what it came to."""
    spots = [(across(adds, most), height(took, top)) for adds, took in curve.points]
    x, y = spots[-1]
    corners = " ".join(f"{left},{down}" for left, down in spots)
    return [
        f'  <polyline class="line {colour}" points="{corners}"/>',
        *(f'  <circle class="dot {colour}" cx="{left}" cy="{down}" r="4.5"/>' for left, down in spots),
        f'  <text class="name" x="{x + 16:g}" y="{y - 3:g}">{escape(curve.who)}</text>',
        f'  <text class="note" x="{x + 16:g}" y="{y + 14:g}">{number(curve.points[-1][1])} s</text>',
    ]


def step_for(longest: float) -> float:
    """Return a round number of seconds of which two to five make the longest."""
    steps = [figure * 10.0**power for power in range(-3, 4) for figure in (1, 2, 5)]
    return next(step for step in steps if longest <= 5 * step)


def across(adds: int, most: int) -> float:
    """Return where a number of adds is."""
    return round(LEFT + (RIGHT - LEFT) * adds / most, 1)


def height(took: float, top: float) -> float:
    """Return where a number of seconds is."""
    return round(BOTTOM - (BOTTOM - TOP) * took / top, 1)
