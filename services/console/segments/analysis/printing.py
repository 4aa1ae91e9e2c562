"""The analysis as tables for people, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from services.console.segments.analysis.chance import Interval
from services.console.segments.analysis.customers import KINDS, MEANING, Customer, Kind, best
from services.console.segments.analysis.personas import Portrait
from services.console.segments.analysis.whole import Analysis, SchemeAnalysis
from services.console.segments.analysis.wishes import SURE, Wish, over_represented
from services.console.segments.analysis.worth import FEW_PEOPLE, Worth, low_evidence
from services.console.segments.printing import day
from services.console.show import Columns, clipped, console, fields, short, table

NOTE = (
    "None of this says that being in a segment causes anything. Over-represented: Fisher's exact test against all others who asked for "
    "anything, q by Benjamini and Hochberg over the scheme. Intervals are 95 %."
)


def print_analysis(found: Analysis, most: int = 10) -> None:
    """Print the answer: each scheme, then ideas, then customers."""
    out = console()
    moment = "of when it was said" if found.question.then else "of now"
    out.print(f"{found.mentions:,} mentions of {found.people:,} people, in the segments {moment}.", markup=False)
    for scheme in found.schemes:
        for one in _scheme_tables(scheme, found, most):
            out.print(_shown(one))
        if found.question.outcomes and not scheme.rates:
            began = day(found.question.since)
            out.print(f"{scheme.scheme}: no membership of {began} was published; --since a later moment, or --by-events", markup=False)
    out.print(_shown(_worth_table("Ideas by what stands behind them", found.worths[:most], found.titles)))
    title = f"To be asked about: {FEW_PEOPLE} people or fewer, of the top quarter by value"
    out.print(_shown(_worth_table(title, low_evidence(found.worths)[:most], found.titles)))
    for kind in KINDS:
        out.print(_shown(_customer_table(kind, best(found.customers, kind, most))))
    out.print("Three scores, never one: a customer may be first in one and last in another.", markup=False)
    out.print(NOTE, markup=False)


def _shown(one: Table) -> Table | Text:
    """Return a table, or in a line that there is nothing in it."""
    return one if one.row_count else Text(f"{one.title}: none")


def _scheme_tables(scheme: SchemeAnalysis, found: Analysis, most: int) -> Iterator[Table]:
    yield _wish_table(f"{scheme.scheme}: what each segment asks for most", list(_top(scheme.wishes, 3)), found.titles)
    special = over_represented(scheme.wishes)[:most]
    yield _wish_table(f"{scheme.scheme}: over-represented against the rest (q ≤ {SURE})", special, found.titles)
    yield _mood_table(scheme)
    question = found.question
    yield _rate_table(scheme, f"{scheme.scheme}: in these segments on {day(question.since)}, what became of them by {day(question.until)}")
    yield _fit_table(scheme)
    for portrait in scheme.portraits:
        yield _portrait_table(portrait)


def _top(found: Sequence[Wish], most: int) -> Iterator[Wish]:
    for segment in dict.fromkeys(wish.segment for wish in found):
        yield from [wish for wish in found if wish.segment == segment][:most]


def _wish_table(title: str, found: Sequence[Wish], titles: Mapping[str, str]) -> Table:
    names = ("people", "of", "index", "accounts", "MRR", "q")
    columns: Columns = ["segment", "idea", *((name, "right") for name in names)]
    rows = [
        (
            w.segment,
            _title(titles, w.root_id),
            w.people,
            w.of,
            _index(w),
            w.accounts,
            w.mrr_cents // 100,
            _q(w.q),
        )
        for w in found
    ]
    return table(title, columns, rows)


def _index(wish: Wish) -> str:
    return "nobody else" if wish.index is None else f"{wish.index:.1f} x"


def _mood_table(scheme: SchemeAnalysis) -> Table:
    names = ("mentions", "told", "negative", "neutral", "positive", "mean by person")
    rows = [
        (m.segment, m.mentions, m.told, *(_part(n, m.told) for n in (m.negative, m.neutral, m.positive)), _signed(m.mean))
        for m in scheme.moods
    ]
    return table(f"{scheme.scheme}: sentiment", ["segment", *((name, "right") for name in names)], rows)


def _rate_table(scheme: SchemeAnalysis, title: str) -> Table:
    names = ("people", "reached", "share", "of the rest", "q")
    rows = [(r.outcome, r.segment, r.people, r.reached, _shares(r.share), _shares(r.rest), _q(r.q)) for r in scheme.rates]
    return table(title, ["outcome", "segment", *((name, "right") for name in names)], rows)


def _fit_table(scheme: SchemeAnalysis) -> Table:
    rows: list[tuple[object, ...]] = []
    for fit in scheme.fits:
        rows += [(fit.segment, s.criterion, s.of, f"{s.inside:,.2f}", f"{s.rest:,.2f}", _points(s.fit)) for s in fit.scores]
        if fit.overall is not None:
            rows.append((fit.segment, "overall", None, None, None, _points(fit.overall)))
    names = ("of", "mean", "the rest", "fit, 50 is no difference")
    return table(f"{scheme.scheme}: fit", ["segment", "by", *((name, "right") for name in names)], rows)


def _portrait_table(portrait: Portrait) -> Table:
    told = {
        "unlike others": "\n".join(portrait.traits) or None,
        "jobs": "\n".join(portrait.jobs) or None,
        "pains": "\n".join(portrait.pains) or None,
        "gains": "\n".join(portrait.gains) or None,
        "says": "\n".join(portrait.quotes) or None,
    }
    return fields(f"{portrait.name}: {portrait.people:,} people ({portrait.share:.0%})", told)


def _worth_table(title: str, found: Sequence[Worth], titles: Mapping[str, str]) -> Table:
    names = ("people", "accounts", "mentions", "MRR", "CLV")
    rows = [
        (_title(titles, w.root_id), w.people, w.accounts, w.mentions, w.mrr_cents // 100, None if w.clv is None else round(w.clv))
        for w in found
    ]
    return table(title, ["idea", *((name, "right") for name in names)], rows)


def _customer_table(kind: Kind, found: Sequence[Customer]) -> Table:
    rows = [(c.name or short(c.customer_id), c.people, f"{c.volume:,.0f}", f"{c.performance:,.1f}", _shares(c.win)) for c in found]
    names = ("people", "volume", "performance", "win")
    return table(f"Best customers by {kind}: {MEANING[kind]}", ["customer", *((name, "right") for name in names)], rows)


def _title(titles: Mapping[str, str], root: str) -> str:
    return clipped(titles.get(root, short(root)), 56)


def _part(count: int, of: int) -> str:
    return f"{count / of:.0%}" if of else ""


def _q(value: float | None) -> str:
    return "" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def _shares(found: Interval | None) -> str:
    return "" if found is None else f"{found.value:.0%} ({found.low:.0%}-{found.high:.0%})"


def _signed(found: Interval | None) -> str:
    return "" if found is None else f"{found.value:+.2f} ({found.low:+.2f} to {found.high:+.2f})"


def _points(found: Interval) -> str:
    return f"{found.value:.0f} ({found.low:.0f}-{found.high:.0f})"


def analysis_json(found: Analysis) -> dict[str, Any]:
    """Return the answer for programs: every number, nothing left out."""
    titles = found.titles
    return {
        "since": found.question.since,
        "until": found.question.until,
        "people": found.people,
        "mentions": found.mentions,
        "schemes": [_scheme_json(scheme, titles) for scheme in found.schemes],
        "ideas": [asdict(worth) | {"title": titles.get(worth.root_id)} for worth in found.worths],
        "low_evidence_high_value": [worth.root_id for worth in low_evidence(found.worths)],
        "best_customers": {kind: [asdict(customer) for customer in best(found.customers, kind)] for kind in KINDS},
        "note": NOTE,
    }


def _scheme_json(scheme: SchemeAnalysis, titles: Mapping[str, str]) -> dict[str, Any]:
    told = asdict(scheme)
    for wish, row in zip(scheme.wishes, told["wishes"], strict=True):
        row.update(title=titles.get(wish.root_id), index=wish.index, over_represented=wish.is_over_represented)
    return told
