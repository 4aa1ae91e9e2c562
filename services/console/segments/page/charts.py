"""Plots as inline SVG, each with its numbers in it or in a title that shows when one points at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from services.console.segments.effects import Effect
from services.console.segments.page.style import COLOURS

_WIDTH, _LEFT, _RIGHT = 420, 74, 92


def lines(days: Sequence[str], series: Mapping[str, Sequence[float]]) -> str:
    """Return shares over time, 0 to 100 %, a line for each of *series*; at least two *days*."""
    height, top, bottom = 170, 12, 26
    step = (_WIDTH - _LEFT - _RIGHT) / (len(days) - 1)

    def place(number: int, share: float) -> tuple[float, float]:
        return _LEFT + number * step, top + (1 - share) * (height - top - bottom)

    parts = [_rule(place(0, share)[1], f"{share:.0%}") for share in (0.0, 0.5, 1.0)]
    parts += [f'<text class="faint" x="{_LEFT}" y="{height - 8}">{days[0]}</text>']
    parts += [f'<text class="faint" x="{_WIDTH - _RIGHT}" y="{height - 8}" text-anchor="end">{days[-1]}</text>']
    ends = _apart([place(0, shares[-1])[1] for shares in series.values()])
    for number, (name, shares) in enumerate(series.items()):
        colour, points = COLOURS[number], [place(at, share) for at, share in enumerate(shares)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        for (x, y), share, day in zip(points, shares, days, strict=True):
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"><title>{day}: {share:.0%} {escape(name)}</title></circle>'
            )
        label = f'x="{_WIDTH - _RIGHT + 8}" y="{ends[number] + 4:.1f}" style="fill:{colour}"'
        parts.append(f"<text {label}>{escape(name)} {shares[-1]:.0%}</text>")
    return _svg(height, parts, "Shares over time")


def lollipops(effects: Mapping[str, Effect | None]) -> str:
    """Return effect sizes, the negligible ones inside the shaded part; hollow where chance explains them, a dash where nothing tells."""
    rows, height = list(effects.items()), 26 * len(effects) + 26
    parts = []
    for number, (name, effect) in enumerate(rows):
        y = 18 + 26 * number
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        if effect is None:
            parts.append(f'<text class="faint" x="{_LEFT + 6}" y="{y - 3}">too little to tell</text>')
            continue
        span, is_sure = _WIDTH - _LEFT - _RIGHT, effect.chance * len(rows) < 0.05
        x, small = _LEFT + span * effect.size, _LEFT + span * effect.small
        colour = COLOURS[0] if is_sure and effect.size >= effect.small else COLOURS[-1]
        parts.append(f'<rect x="{_LEFT}" y="{y - 7}" width="{small - _LEFT:.1f}" height="14" fill="{COLOURS[-1]}" fill-opacity=".25"/>')
        parts.append(f'<line x1="{_LEFT}" x2="{x:.1f}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2.5"/>')
        fill = colour if is_sure else "var(--card)"
        parts.append(f'<circle cx="{x:.1f}" cy="{y}" r="5.5" fill="{fill}" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{_WIDTH - _RIGHT + 8}" y="{y + 4}">{effect.size:.2f}{"" if is_sure else ", chance"}</text>')
    parts.append(f'<text class="faint" x="{_LEFT}" y="{height - 4}">0: alike</text>')
    parts.append(f'<text class="faint" x="{_WIDTH - _RIGHT}" y="{height - 4}" text-anchor="end">1: nothing in common</text>')
    return _svg(height, parts, "Effect sizes")


def causes(counts: Mapping[str, int]) -> str:
    """Return how often each cause changed a segment."""
    most, rows = max(counts.values(), default=1), sorted(counts.items(), key=lambda pair: -pair[1])
    parts = []
    for number, (name, count) in enumerate(rows):
        y, width = 6 + 24 * number, (_WIDTH - _LEFT - _RIGHT) * count / most
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<rect x="{_LEFT}" y="{y}" width="{max(1.0, width):.1f}" height="16" rx="3" fill="{COLOURS[0]}"/>')
        parts.append(f'<text x="{_LEFT + width + 8:.1f}" y="{y + 12}">{count:,}</text>')
    return _svg(24 * len(rows) + 8, parts, "Changes by cause") if rows else ""


def _apart(places: Sequence[float], least: float = 15) -> list[float]:
    """Return *places* moved down as far as it takes that labels there do not cover each other."""
    moved = dict[int, float]()
    below = float("-inf")
    for number in sorted(range(len(places)), key=lambda number: places[number]):
        below = moved[number] = max(places[number], below + least)
    return [moved[number] for number in range(len(places))]


def _rule(y: float, text: str) -> str:
    line = f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return f'{line}<text class="faint" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'


def _svg(height: float, parts: Sequence[str], title: str) -> str:
    label = f'role="img" aria-label="{escape(title)}"'
    return f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" style="max-width:{_WIDTH}px" {label}>{"".join(parts)}</svg>'
