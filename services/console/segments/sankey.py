"""A migration as an inline-SVG Sankey diagram: nothing to load when it is viewed."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from services.console.segments.printing import sides

_WIDTH, _BAR, _GAP, _HEIGHT, _TEXT = 760, 14, 10, 320, 190
_COLOURS = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#76b7b2", "#edc948", "#9c755f", "#ff9da7", "#8c8c8c")


def sankey(counts: Mapping[tuple[str, str], int]) -> str:
    """Return the SVG of where people were (left) and are (right), as thick as they are many; empty where there is nobody."""
    everybody = sum(counts.values())
    if not everybody:
        return ""
    lefts, rights = sides(counts)
    scale = (_HEIGHT - _GAP * (max(len(lefts), len(rights)) - 1)) / everybody
    left = _places({name: sum(n for pair, n in counts.items() if pair[0] == name) for name in lefts}, scale)
    right = _places({name: sum(n for pair, n in counts.items() if pair[1] == name) for name in rights}, scale)
    colours = {name: _COLOURS[place % len(_COLOURS)] for place, name in enumerate(dict.fromkeys([*lefts, *rights]))}
    parts = [
        *_flows(counts, left, right, scale, colours),
        *_bars(left, colours, _TEXT, "end", -6),
        *_bars(right, colours, _WIDTH - _TEXT - _BAR, "start", _BAR + 6),
    ]
    body = "".join(parts)
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + 10}" role="img" width="100%" style="max-width:{_WIDTH}px" font-size="12">{body}</svg>'


_Places = Mapping[str, tuple[float, float, int]]
"""By name: top, height, people."""


def _places(sizes: Mapping[str, int], scale: float) -> dict[str, tuple[float, float, int]]:
    found: dict[str, tuple[float, float, int]] = {}
    top = 5.0
    for name, people in sizes.items():
        found[name] = (top, people * scale, people)
        top += people * scale + _GAP
    return found


def _flows(counts: Mapping[tuple[str, str], int], left: _Places, right: _Places, scale: float, colours: Mapping[str, str]) -> list[str]:
    used_left, used_right = dict.fromkeys(left, 0.0), dict.fromkeys(right, 0.0)
    start, end, found = _TEXT + _BAR, _WIDTH - _TEXT - _BAR, []
    for (before, after), people in sorted(counts.items()):
        width = people * scale
        y1 = left[before][0] + used_left[before] + width / 2
        y2 = right[after][0] + used_right[after] + width / 2
        used_left[before] += width
        used_right[after] += width
        middle = (start + end) / 2
        path = f"M{start},{y1:.1f} C{middle},{y1:.1f} {middle},{y2:.1f} {end},{y2:.1f}"
        title = f"<title>{escape(before)} → {escape(after)}: {people}</title>"
        line = f'stroke="{colours[before]}" stroke-opacity="0.45" stroke-width="{max(1.0, width):.1f}"'
        found.append(f'<path d="{path}" fill="none" {line}>{title}</path>')
    return found


def _bars(places: _Places, colours: Mapping[str, str], x: float, anchor: str, shift: float) -> list[str]:
    found = []
    for name, (top, height, people) in places.items():
        found.append(f'<rect x="{x}" y="{top:.1f}" width="{_BAR}" height="{max(1.0, height):.1f}" fill="{colours[name]}"/>')
        label = f"{escape(name)} {people:,}"
        found.append(f'<text x="{x + shift}" y="{top + height / 2 + 4:.1f}" text-anchor="{anchor}" fill="currentColor">{label}</text>')
    return found
