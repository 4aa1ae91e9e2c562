"""The page: what is amiss first, then one card a scheme, then overlap, then what the words mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from services.console.segments.cautions import ASKS, QUALITIES, Caution
from services.console.segments.history import NOBODY
from services.console.segments.page.charts import causes, lines, lollipops
from services.console.segments.page.sankey import sankey
from services.console.segments.page.style import STYLE
from services.console.segments.printing import day, sides
from services.console.segments.quality import Quality, SchemeQuality, SegmentSize
from services.segmenter.domain.definition import UNKNOWN
from services.segmenter.domain.recency import DAY

_TERMS: Mapping[str, str] = {
    "Unknown": "Too little is known of the person; that is not the same as no.",
    "Covered": "Neither unknown nor in the default segment.",
    "Reached": "Has an address and has not opted out of everything.",
    "Stayed": "In the same segment as at the beginning, of those who were there at both moments.",
    "Flaps": "Returns within 7 days to a segment that was left, not counting new definitions, per 100 people.",
    "Effects": "Wishes: Cramér's V of segment and idea, corrected for bias. The others: η² of ranks (Kruskal-Wallis), the share of the "
    "variance that lies between the segments; ratings are compared within their channel. Shaded is negligible (0.1 for V, 0.01 for η²; "
    "Cohen). A hollow point may be chance at 5 %, four looks counted. People of whom too little is known are left out.",
    "Causes": "What the last change of a person followed from. None of this says that being in a segment causes anything.",
}
_WORDS = {True: ("yes", "✓"), False: ("no", "!"), None: ("open", "?")}


def html_report(found: Quality) -> str:
    """Return the whole page."""
    title = f"Segments, version {found.version}"
    body = [
        f'<h1>{escape(title)}</h1><p class="soft">{day(found.since)} to {day(found.at)} (UTC), from what was published.</p>',
        _tiles(found),
        _qualities(found),
        _amiss(found.warnings),
        *(_card(scheme, found) for scheme in found.schemes),
        _overlap(found),
        _meaning(),
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body><main>{"".join(body)}</main></body></html>'


def _tiles(found: Quality) -> str:
    verdicts = [verdict for scheme in found.schemes for verdict in scheme.verdicts if verdict.is_good is not None]
    good = sum(bool(verdict.is_good) for verdict in verdicts)
    tiles = [
        (f"{found.people:,}", "people"),
        (f"{len(found.schemes)}", "schemes, a tag being one"),
        (f"{sum(len(scheme.sizes) for scheme in found.schemes):,}", "segments"),
        (f"{good} of {len(verdicts)}", "verdicts are good"),
        (f"{len(found.warnings)}", "things to look at"),
    ]
    return (
        f'<div class="tiles">{"".join(f"<div class=tile><b>{value}</b><span>{escape(what)}</span></div>" for value, what in tiles)}</div>'
    )


def _qualities(found: Quality) -> str:
    head = "".join(f'<th title="{escape(ASKS[name])}">{name}</th>' for name in QUALITIES)
    rows = []
    for scheme in found.schemes:
        cells = []
        for verdict in scheme.verdicts:
            kind, sign = _WORDS[verdict.is_good]
            cells.append(f'<td class="{kind}" title="{escape(ASKS[verdict.quality])}">{sign} {escape(verdict.figure)}</td>')
        rows.append(f"<tr><th>{escape(scheme.scheme)}</th>{''.join(cells)}</tr>")
    table = f'<table class="grid"><thead><tr><th></th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    key = '<p class="soft">✓ nothing amiss · ! something to look at, listed below · ? too little to tell</p>'
    return f'<section><h2>Seven qualities</h2><div class="wide">{table}</div>{key}</section>'


def _amiss(warnings: Sequence[Caution]) -> str:
    if not warnings:
        return "<section><h2>To look at</h2><p>Nothing.</p></section>"
    parts = []
    for quality in QUALITIES:
        told = [warning for warning in warnings if warning.quality == quality]
        if told:
            items = "".join(f"<li>{escape(warning.text)}</li>" for warning in told)
            summary = f"<summary><b>{quality}</b>: {escape(ASKS[quality])} {len(told)} say no</summary>"
            parts.append(f"<details{' open' if len(told) <= 8 else ''}>{summary}<ul>{items}</ul></details>")
    return f"<section><h2>To look at</h2>{''.join(parts)}</section>"


def _card(scheme: SchemeQuality, found: Quality) -> str:
    chips = "".join(f'<span class="{_WORDS[v.is_good][0]}">{v.quality}</span>' for v in scheme.verdicts)
    order = [size.segment for size in scheme.sizes]
    moved = sankey(scheme.migration.counts, scheme.migration.why, [*order, NOBODY])
    parts = [
        f'<h2 id="{escape(scheme.scheme)}">{escape(scheme.scheme)}</h2><div class="chips">{chips}</div>',
        f'<div class="wide">{_sizes(scheme.sizes)}</div>',
        f'<div class="pair"><div><h3>How much its segments differ</h3>{lollipops(scheme.effects)}</div>',
        f"<div><h3>Coverage and unknown, over time</h3>{_trend(scheme)}</div></div>",
        f"<h3>From {day(found.since)} to {day(found.at)}</h3>{moved or '<p class=soft>Nobody was there.</p>'}",
        f'<div class="pair"><div><h3>Changes by cause</h3>{causes(scheme.migration.causes) or "<p class=soft>None.</p>"}</div>',
        f"<div><h3>Stability</h3><p>{_stability(scheme)}</p>{_missing(scheme)}</div></div>",
        _moves(scheme, order),
    ]
    return f"<section>{''.join(parts)}</section>"


def _sizes(sizes: Sequence[SegmentSize]) -> str:
    names = [("segment", ""), ("", ""), *((name, "n") for name in ("people", "share", "accounts", "MRR", "active days", "reached"))]
    head = "".join(f'<th class="{kind}">{name}</th>' for name, kind in names)
    widest = max((size.share for size in sizes), default=0) or 1
    rows = []
    for size in sizes:
        kind = "void" if size.segment == UNKNOWN else ""
        bar = f'<span class="track"><i class="{kind}" style="width:{100 * size.share / widest:.0f}%"></i></span>'
        active = "" if size.active_days is None else f"{size.active_days:.1f}"
        numbers = (
            f"{size.people:,}",
            f"{size.share:.0%}",
            f"{size.accounts:,}",
            f"{size.mrr_cents // 100:,}",
            active,
            _share(size.reachable),
        )
        rows.append(f"<tr><th>{escape(size.segment)}</th><td>{bar}</td>{''.join(f'<td class=n>{n}</td>' for n in numbers)}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _trend(scheme: SchemeQuality) -> str:
    if len(scheme.trend) < 2:
        return '<p class="soft">No history that far back.</p>'
    series = {"covered": [moment.covered for moment in scheme.trend], "unknown": [moment.unknown for moment in scheme.trend]}
    is_short = scheme.trend[-1].at - scheme.trend[0].at < 3 * DAY
    return lines([day(moment.at)[11:16] if is_short else day(moment.at)[:10] for moment in scheme.trend], series)


def _stability(scheme: SchemeQuality) -> str:
    stayed = "nobody was there at both moments" if scheme.stayed is None else f"{scheme.stayed:.0%} are in the segment in which they were"
    return f"{stayed}; {scheme.flaps:.1f} flaps per 100 people."


def _missing(scheme: SchemeQuality) -> str:
    items = "".join(f"<li>{escape(path)}: {share:.0%} lack it</li>" for path, share in scheme.missing.items())
    return f"<h3>Fields that its rules look at</h3><ul>{items}</ul>" if items else ""


def _moves(scheme: SchemeQuality, order: Sequence[str]) -> str:
    rows, columns = sides(scheme.migration.counts)
    if not rows:
        return ""
    places = {name: number for number, name in enumerate(order)}
    rows, columns = (sorted(names, key=lambda name: (places.get(name, len(places)), name)) for names in (rows, columns))
    cells = [[row, *(scheme.migration.counts.get((row, column), "") for column in columns)] for row in rows]
    return f'<details><summary>The same as a table</summary><div class="wide">{_table(["from, to", *columns], cells)}</div></details>'


def _overlap(found: Quality) -> str:
    head = "".join(f'<th title="{escape(label)}">{number}</th>' for number, (label, _) in enumerate(found.labels, start=1))
    rows = []
    for number, (one, _) in enumerate(found.labels, start=1):
        size, cells = found.overlap[one, one], []
        for other, _ in found.labels:
            both = found.overlap.get((one, other), 0)
            title = f'title="{escape(one)} and {escape(other)}: {both:,} people"'
            shade = f"background:rgba(76,120,168,{both / size * 0.75:.2f})" if one != other else "background:var(--none)"
            cells.append(f'<td {title} style="{shade}">{both / size:.0%}</td>')
        rows.append(f"<tr><th>{number}. {escape(one)}</th>{''.join(cells)}</tr>")
    text = "<p class=\"soft\">Of those in the row's segment, the share that is also in the column's. Segments of nobody are left out.</p>"
    table = f'<table class="matrix"><thead><tr><th></th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    return f'<section><h2>Overlap</h2>{text}<div class="wide">{table}</div></section>'


def _meaning() -> str:
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in _TERMS.items())
    asks = "".join(f"<dt>{name.capitalize()}</dt><dd>{escape(ASKS[name])}</dd>" for name in QUALITIES)
    return f'<section><h2>How to read this</h2><div class="pair"><dl>{asks}</dl><dl>{items}</dl></div></section>'


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"
