"""Previews and migrations as tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from services.common.clock import Micros
from services.console.segments.cautions import QUALITIES
from services.console.segments.effects import Effect
from services.console.segments.history import Migration
from services.console.segments.preview import Preview, SchemePreview
from services.console.segments.quality import Quality, SchemeQuality
from services.console.show import Columns, clipped, console, fields, short, table
from services.segmenter.domain.tally import Cell

if TYPE_CHECKING:
    from services.console.segments.discovery import Discovery


def print_differences(path: Path, version: str, told: Sequence[str], in_force: Mapping[str, int]) -> None:
    """Print what a new definition says otherwise than the one in *path*, and whether that one is in force at all."""
    out = console()
    out.print(f"Against {path}, version {version}:" if told else f"It says what {path} says.", markup=False)
    for sentence in told:
        out.print(f"- {sentence}", markup=False)
    if in_force and version not in in_force:
        held = ", ".join(sorted(in_force))
        out.print(f"look at {path}: in force is version {held}, so that file is not what was rolled out (--old names it)", markup=False)


def print_preview(found: Preview, titles: Mapping[str, str]) -> None:
    """Print sizes, demand and the migration matrix of each scheme."""
    out = console()
    versions = ", ".join(f"{version} ({count:,} people)" for version, count in sorted(found.versions.items())) or "nothing yet"
    out.print(f"Version {found.version}, in place of {versions}: {found.moved:,} of {found.people:,} people would move.", markup=False)
    for scheme in found.schemes:
        if scheme.is_gone:
            out.print(f"{scheme.scheme}: goes away", markup=False)
            continue
        out.print(_sizes(scheme))
        if scheme.moved() and not scheme.is_new:
            out.print(matrix(f"{scheme.scheme}: from (rows) to (columns)", scheme.moves))
    shifts = [
        (clipped(titles.get(i.idea_id, short(i.idea_id)), 60), i.scheme, i.segment, *i.people, *(cents // 100 for cents in i.mrr_cents))
        for i in found.ideas
    ]
    columns: Columns = ["idea", "scheme", "segment", *((name, "right") for name in ("people", "then", "MRR", "then"))]
    out.print(table("Ideas whose demand changes most", columns, shifts))
    for sentence in found.strangers:
        out.print(f"look at {sentence}", markup=False)
    out.print("Nothing was changed.")


def _sizes(scheme: SchemePreview) -> Table:
    names = ("people", "then", "asking", "then", "accounts", "then", "mentions", "then", "MRR", "then")
    columns: Columns = ["segment", *((name, "right") for name in names)]
    rows = [
        (
            row.segment,
            *row.people,
            *(cell.people for cell in row.demand),
            *(len(cell.accounts) for cell in row.demand),
            *(cell.mentions for cell in row.demand),
            *(cell.mrr_cents // 100 for cell in row.demand),
        )
        for row in scheme.rows
    ]
    return table(f"{scheme.scheme}: " + ("a new scheme" if scheme.is_new else f"{scheme.moved():,} would move"), columns, rows)


def print_quality(found: Quality, pairs: int = 10) -> None:
    """Print the report: schemes, segments, the *pairs* that overlap most, and what to look at."""
    out = console()
    columns: Columns = ["scheme", *((n, "right") for n in ("unknown", "covered", "stayed", "flaps/100", *_EFFECTS)), "differs"]
    rows = [
        (s.scheme, _share(s.unknown), _share(s.covered), _share(s.stayed), f"{s.flaps:.1f}", *map(_effect, s.effects.values()), _differs(s))
        for s in found.schemes
    ]
    out.print(table(f"{found.people:,} people, {day(found.since)} to {day(found.at)}, version {found.version}", columns, rows))
    sizes = [
        (s.scheme, z.segment, z.people, _share(z.share), z.accounts, z.mrr_cents // 100, _share(z.reachable))
        for s in found.schemes
        for z in s.sizes
    ]
    names = ("people", "share", "accounts", "MRR", "reachable")
    out.print(table("Segments", ["scheme", "segment", *((name, "right") for name in names)], sizes))
    shared = sorted(((n, a, b) for (a, b), n in found.overlap.items() if a < b and _scheme_of(a) != _scheme_of(b)), reverse=True)[:pairs]
    overlaps = [(a, b, n, _share(n / found.overlap[a, a]), _share(n / found.overlap[b, b])) for n, a, b in shared]
    out.print(table("Overlap, largest first", ["one", "other", ("people", "right"), ("of one", "right"), ("of other", "right")], overlaps))
    for scheme in found.schemes:
        if scheme.migration.counts:
            out.print(matrix(f"{scheme.scheme}: {day(found.since)} (rows), {day(found.at)} (columns)", scheme.migration.counts))
    out.print(_verdicts(found))
    for warning in found.warnings:
        out.print(f"look at {warning.text} ({warning.quality})", markup=False)


def print_discovery(found: Discovery, note: str) -> None:
    """Print which numbers of clusters were tried, and what the best ones are like."""
    out = console()
    rows = [
        (
            c.clusters,
            f"{c.silhouette:.2f}",
            f"{c.chance:.2f}",
            f"{c.stability:.2f}",
            f"best: {c.structure}" if c == found.best else "holds" if c.holds else "",
        )
        for c in found.candidates
    ]
    names = ("clusters", "silhouette", "of chance", "stability")
    columns: Columns = [*((name, "right") for name in names), ""]
    out.print(table(f"{found.people:,} people, {len(found.columns)} columns; judged on a third of them", columns, rows))
    if found.best is None:
        out.print("No natural clusters: none that come again in another sample and are more than chance; or too few people to tell.")
        return
    for persona in found.personas:
        out.print(
            fields(
                f"{persona.name}: {persona.people:,} people ({persona.share:.0%})",
                {
                    "when": persona.when,
                    "the draft": f"{persona.precision:.0%} of whom it takes belong to it; it finds {persona.recall:.0%} (holdout)",
                    "unlike others": "\n".join(persona.traits),
                    "asks for": "\n".join(persona.ideas) or None,
                    "says": "\n".join(persona.quotes) or None,
                },
            )
        )
    out.print(note, markup=False)


_VERDICT = {True: "yes", False: "NO", None: "?"}
_EFFECTS = ("wishes", "revenue", "activity", "rating")


def _scheme_of(label: str) -> str:
    return label.partition(":")[0]


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _effect(value: Effect | None) -> str:
    return "" if value is None else f"{value.size:.2f}"


def _verdicts(found: Quality) -> Table:
    rows = [(s.scheme, *(_VERDICT[v.is_good] for v in s.verdicts)) for s in found.schemes]
    return table("Seven qualities", ["scheme", *QUALITIES], rows)


def _differs(scheme: SchemeQuality) -> str:
    return {True: "yes", False: "no", None: "too little data"}[scheme.differs()]


def matrix(title: str, counts: Mapping[tuple[str, str], int]) -> Table:
    """Return a table of where people were (rows) and are (columns)."""
    rows, columns = sides(counts)
    cells = [(row, *(counts.get((row, column)) for column in columns), sum(counts.get((row, c), 0) for c in columns)) for row in rows]
    return table(title, ["", *((column, "right") for column in columns), ("all", "right")], cells)


def sides(counts: Mapping[tuple[str, str], int]) -> tuple[list[str], list[str]]:
    """Return the names before and those after, each sorted."""
    return sorted({pair[0] for pair in counts}), sorted({pair[1] for pair in counts})


def print_migration(found: Migration, since: Micros, until: Micros) -> None:
    """Print where the people of a scheme went between two moments."""
    out = console()
    out.print(matrix(f"{found.scheme}: on {day(since)} (rows) and on {day(until)} (columns)", found.counts))
    stayed = found.stayed()
    causes = ", ".join(f"{count:,} by {cause}" for cause, count in sorted(found.causes.items())) or "none"
    out.print(f"changes between: {causes}; in the same segment: {'nobody to tell' if stayed is None else f'{stayed:.0%}'}", markup=False)


def print_memberships(at: Micros, memberships: Mapping[str, Mapping[str, str]], sizes: Sequence[tuple[str, str, int]]) -> None:
    """Print how many people were in each segment at a moment."""
    rows = [(scheme, segment, count) for scheme, segment, count in sizes]
    console().print(table(f"{len(memberships):,} people on {day(at)}", ["scheme", "segment", ("people", "right")], rows))


def matrix_json(
    counts: Mapping[tuple[str, str], int], why: Mapping[tuple[str, str], Mapping[str, int]] | None = None
) -> list[dict[str, Any]]:
    """Return a matrix for programs, each move with its causes where *why* knows them."""
    told = {} if why is None else why
    known = why is not None
    return [
        {"from": pair[0], "to": pair[1], "people": count} | ({"causes": told.get(pair, {})} if known else {})
        for pair, count in sorted(counts.items())
    ]


def day(moment: Micros) -> str:
    """Return a moment as people write it, in UTC."""
    return datetime.fromtimestamp(moment / 1e6, UTC).isoformat(sep=" ", timespec="minutes").removesuffix("+00:00")


def preview_json(found: Preview) -> dict[str, Any]:
    """Return a preview for programs; pairs are before and after."""
    schemes = [
        {
            "scheme": scheme.scheme,
            "is_new": scheme.is_new,
            "is_gone": scheme.is_gone,
            "moved": scheme.moved(),
            "segments": [{"segment": row.segment, "people": row.people, **_cells_json(row.demand)} for row in scheme.rows],
            "moves": matrix_json(scheme.moves),
        }
        for scheme in found.schemes
    ]
    head = {"version": found.version, "people": found.people, "moved": found.moved}
    return {**head, "schemes": schemes, "ideas": [asdict(shift) for shift in found.ideas], "look_at": found.strangers}


def _cells_json(demand: tuple[Cell, Cell]) -> dict[str, list[int]]:
    return {
        "asking": [cell.people for cell in demand],
        "accounts": [len(cell.accounts) for cell in demand],
        "mentions": [cell.mentions for cell in demand],
        "mrr_cents": [cell.mrr_cents for cell in demand],
    }
