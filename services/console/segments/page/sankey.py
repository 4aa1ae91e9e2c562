"""A migration as an inline-SVG Sankey diagram: nothing to load when it is viewed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from services.console.segments.page.style import COLOURS

_WIDTH, _BAR, _GAP, _LEAST_HEIGHT, _TEXT = 860, 14, 12, 220, 210

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Place:
    top: float
    height: float
    people: int


def sankey(counts: Mapping[Pair, int], why: Mapping[Pair, Mapping[str, int]], order: Sequence[str] = ()) -> str:
    """Return the SVG of where people were (left) and are (right), as thick as they are many; empty where there is nobody.

    Args:
        counts: People by segment then and segment later.
        why: The causes of each flow, told when one points at it.
        order: The segments from top to bottom; those that are not in it come last.
    """
    everybody = sum(counts.values())
    if not everybody:
        return ""
    lefts, rights = (_ordered({pair[side] for pair in counts}, order) for side in (0, 1))
    most = max(len(lefts), len(rights))
    inner = max(_LEAST_HEIGHT, 26 * most)
    left = _places({name: sum(n for pair, n in counts.items() if pair[0] == name) for name in lefts}, inner / everybody)
    right = _places({name: sum(n for pair, n in counts.items() if pair[1] == name) for name in rights}, inner / everybody)
    colours = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(_ordered({*lefts, *rights}, order))}
    parts = [
        *_flows(counts, why, (left, right), inner / everybody, colours),
        *_bars(left, colours, _TEXT, "end", -8),
        *_bars(right, colours, _WIDTH - _TEXT - _BAR, "start", _BAR + 8),
    ]
    height = inner + _GAP * (most - 1) + 12
    label = 'role="img" aria-label="Who moved where"'
    return f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" style="max-width:{_WIDTH}px" {label}>{"".join(parts)}</svg>'


def _ordered(names: set[str], order: Sequence[str]) -> list[str]:
    places = {name: number for number, name in enumerate(order)}
    return sorted(names, key=lambda name: (places.get(name, len(places)), name))


def _places(sizes: Mapping[str, int], scale: float) -> dict[str, _Place]:
    found: dict[str, _Place] = {}
    top = 6.0
    for name, people in sizes.items():
        found[name] = _Place(top, people * scale, people)
        top += people * scale + _GAP
    return found


def _flows(
    counts: Mapping[Pair, int],
    why: Mapping[Pair, Mapping[str, int]],
    places: tuple[Mapping[str, _Place], Mapping[str, _Place]],
    scale: float,
    colours: Mapping[str, str],
) -> Iterator[str]:
    used = (dict.fromkeys(places[0], 0.0), dict.fromkeys(places[1], 0.0))
    start, end = _TEXT + _BAR, _WIDTH - _TEXT - _BAR
    tops = {name: number for number, name in enumerate(places[1])}, {name: number for number, name in enumerate(places[0])}
    for pair in sorted(counts, key=lambda pair: (tops[1][pair[0]], tops[0][pair[1]])):
        before, after, width = *pair, counts[pair] * scale
        ends = [side[name].top + taken[name] + width / 2 for side, taken, name in zip(places, used, pair, strict=True)]
        used[0][before] += width
        used[1][after] += width
        middle = (start + end) / 2
        path = f"M{start},{ends[0]:.1f} C{middle},{ends[0]:.1f} {middle},{ends[1]:.1f} {end},{ends[1]:.1f}"
        causes = ", ".join(f"{count:,} by {cause}" for cause, count in sorted(why.get(pair, {}).items()))
        title = f"<title>{escape(before)} → {escape(after)}: {counts[pair]:,}{escape(f' ({causes})' if causes else '')}</title>"
        opacity = 0.28 if before == after else 0.6
        line = f'stroke="{colours[before]}" stroke-opacity="{opacity}" stroke-width="{max(1.0, width):.1f}"'
        yield f'<path d="{path}" fill="none" {line}>{title}</path>'


def _bars(places: Mapping[str, _Place], colours: Mapping[str, str], x: float, anchor: str, shift: float) -> Iterator[str]:
    for name, place in places.items():
        height = max(1.0, place.height)
        yield f'<rect x="{x}" y="{place.top:.1f}" width="{_BAR}" height="{height:.1f}" rx="2" fill="{colours[name]}"/>'
        where = f'x="{x + shift}" y="{place.top + place.height / 2 + 4:.1f}" text-anchor="{anchor}"'
        yield f"<text {where}>{escape(name)} {place.people:,}</text>"
