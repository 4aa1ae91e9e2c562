"""The quality report as one HTML file that loads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from services.console.segments.printing import day, sides
from services.console.segments.quality import Quality, SchemeQuality
from services.console.segments.sankey import sankey

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--bar:#4e79a7}
body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}
td,th{padding:.25rem .6rem;border-bottom:1px solid var(--line);text-align:left;font-variant-numeric:tabular-nums}
td.n,th.n{text-align:right}
.bar{display:inline-block;height:.7rem;background:var(--bar);vertical-align:baseline}
.wide{overflow-x:auto}
.matrix td,.matrix th{font-size:12px;padding:.15rem .35rem}
h2{margin-top:2.5rem;border-bottom:2px solid var(--line)}
.muted{opacity:.7}
"""
_MEANING = (
    "Unknown: too little is known, which is not the same as no. Covered: neither unknown nor in the default segment. Stayed: in the same "
    "segment as at the beginning, of those who were there. Flaps: returns within 7 days to a segment that was left, not counting new "
    "definitions. Effects: wishes is Cramér's V, corrected for bias, of segment and idea; the others are η² of ranks (Kruskal-Wallis): the "
    "share of the variance that lies between the segments. Negligible is below 0.1 for V and 0.01 for η² (Cohen). None of this says that "
    "being in a segment causes anything."
)


def html_report(found: Quality) -> str:
    """Return the whole page."""
    title = f"Segments, version {found.version}"
    head = f"<p>{found.people:,} people, {day(found.since)} to {day(found.at)} (UTC).</p>"
    warnings = "".join(f"<li>{escape(text)}</li>" for text in found.warnings)
    body = [
        f"<h1>{escape(title)}</h1>{head}",
        f"<h2>To look at</h2><ul>{warnings}</ul>" if warnings else "<h2>To look at</h2><p>Nothing.</p>",
        _overview(found.schemes),
        *(_scheme(scheme, found) for scheme in found.schemes),
        _overlap(found),
        _meaning(),
    ]
    page = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{page}</head><body>{"".join(body)}</body></html>'


def _overview(schemes: Sequence[SchemeQuality]) -> str:
    head = ["scheme", "segments", "unknown", "covered", "stayed", "flaps / 100", *(schemes[0].effects if schemes else ()), "differs"]
    rows = [
        [
            s.scheme,
            len(s.sizes),
            _share(s.unknown),
            _share(s.covered),
            _share(s.stayed),
            f"{s.flaps:.1f}",
            *map(_effect, s.effects.values()),
            _yes(s),
        ]
        for s in schemes
    ]
    return "<h2>Schemes</h2>" + _table(head, rows)


def _scheme(scheme: SchemeQuality, found: Quality) -> str:
    widest = max((size.share for size in scheme.sizes), default=0) or 1
    rows = [
        f"<tr><td>{escape(size.segment)}</td><td class=n>{size.people:,}</td>"
        f'<td><span class="bar" style="width:{160 * size.share / widest:.0f}px"></span> {size.share:.0%}</td>'
        f"<td class=n>{size.accounts:,}</td><td class=n>{size.mrr_cents // 100:,}</td><td class=n>{_share(size.reachable)}</td></tr>"
        for size in scheme.sizes
    ]
    columns = ("segment", "people", "share", "accounts", "MRR", "reachable")
    head = "".join(f"<th{' class=n' if name in ('people', 'accounts', 'MRR', 'reachable') else ''}>{name}</th>" for name in columns)
    missing = "".join(f"<li>{escape(path)}: {share:.0%} lack it</li>" for path, share in scheme.missing.items())
    trend = " → ".join(f"{share:.0%}" for _, share in scheme.trend)
    causes = ", ".join(f"{count:,} by {escape(cause)}" for cause, count in sorted(scheme.migration.causes.items())) or "none"
    return (
        f"<h2>{escape(scheme.scheme)}</h2><table><tr>{head}</tr>{''.join(rows)}</table>"
        + (f"<p>Fields that its rules look at:</p><ul>{missing}</ul>" if missing else "")
        + f"<p>Unknown, from then to now: {trend}. Changes: {causes}.</p>"
        + f"<h3>{day(found.since)} → {day(found.at)}</h3>{sankey(scheme.migration.counts)}{_moves(scheme)}"
    )


def _moves(scheme: SchemeQuality) -> str:
    rows, columns = sides(scheme.migration.counts)
    cells = [[row, *(scheme.migration.counts.get((row, column), "") for column in columns)] for row in rows]
    return f'<div class="wide">{_table(["from, to", *columns], cells)}</div>' if rows else ""


def _overlap(found: Quality) -> str:
    head = "".join(f"<th>{number}</th>" for number in range(1, len(found.labels) + 1))
    rows = []
    for number, one in enumerate(found.labels, start=1):
        size = found.overlap[one, one]
        shares = [found.overlap.get((one, other), 0) / size for other in found.labels]
        cells = "".join(f'<td class=n style="background:rgba(78,121,167,{share * 0.7:.2f})">{share:.0%}</td>' for share in shares)
        rows.append(f"<tr><th>{number}. {escape(one)}</th>{cells}</tr>")
    text = "<p>Of those in the row's segment, the share that is also in the column's.</p>"
    return f'<h2>Overlap</h2>{text}<div class="wide"><table class="matrix"><tr><th></th>{head}</tr>{"".join(rows)}</table></div>'


def _meaning() -> str:
    return f'<h2>How to read this</h2><p class="muted">{escape(_MEANING)}</p>'


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _effect(value: float | None) -> str:
    return "too little data" if value is None else f"{value:.2f}"


def _yes(scheme: SchemeQuality) -> str:
    return {True: "yes", False: "no", None: "too little data"}[scheme.differs()]
