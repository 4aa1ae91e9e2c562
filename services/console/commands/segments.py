"""``groundswell segments``."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from services.common.clock import SystemClock
from services.console.commands.analysis import analyse
from services.console.context import AsJson, Bootstrap, Workspace
from services.console.failures import reported
from services.console.segments.asking import DATES, asked, micros, needing_extra, opened, written
from services.console.segments.difference import differences, read_plain
from services.console.segments.evidence import Evidence
from services.console.segments.page.report import html_report
from services.console.segments.preview import preview
from services.console.segments.printing import (
    matrix_json,
    preview_json,
    print_differences,
    print_discovery,
    print_memberships,
    print_migration,
    print_preview,
    print_quality,
)
from services.console.segments.quality import quality
from services.console.show import console, print_json, table
from services.segmenter.domain.purpose import advice
from services.segmenter.domain.recency import DAY

app = typer.Typer(help="Segments: their definition, what it makes of people, how good it is.", no_args_is_help=True)

_File = Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A definition; else GROUNDSWELL_SEGMENTS_FILE, else the example.")]

_At = Annotated[datetime, typer.Argument(formats=DATES, help="A day or a moment, in UTC.")]
_Scheme = Annotated[str | None, typer.Option("--scheme", help="Only this one.")]


@app.callback()
def group() -> None:
    """Segments: their definition, what it makes of people, how good it is."""


@app.command("check")
def check(file: _File = None, as_json: AsJson = False) -> None:
    """Validate a definition: everything that is wrong, by file, line and field (exit code 78); then what it lacks to be of use."""
    definition, path = opened(file)
    found = advice(definition)
    if as_json:
        schemes = {scheme.name: list(scheme.texts()) for scheme in definition.schemes}
        print_json({"file": str(path), "version": definition.version, "schemes": schemes, "advice": found})
        return
    rows = [(s.name, s.scope, s.group or "", ", ".join(s.texts()), "yes" if s.has_memory else "") for s in definition.schemes]
    out = console()
    out.print(table(f"{path}, version {definition.version}: valid", ["scheme", "scope", "tags of", "segments", "remembers"], rows))
    for sentence in found:
        out.print(f"advice: {sentence}", markup=False)


@app.command("preview")
def preview_file(
    file: Annotated[Path, typer.Argument(metavar="NEW.yaml", help="The definition to come.")],
    old: Annotated[Path | None, typer.Option("--old", metavar="FILE", help="The one before; else as for `check`.")] = None,
    workspace: Workspace = "lumora",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Say what a new definition says otherwise, who would move where, and sizes and demand before and after; nothing is changed."""
    definition, _ = opened(file)
    before, path = opened(old)
    told = differences(read_plain(path), read_plain(file))
    evidence = asked(bootstrap, workspace)
    found = preview(evidence, definition, SystemClock().now())
    if as_json:
        print_json({"old": str(path), "differences": told, **preview_json(found)})
        return
    print_differences(path, before.version, told, found.versions)
    print_preview(found, evidence.titles)


@app.command("at")
def at(
    moment: _At,
    person: Annotated[str | None, typer.Option("--person", help="Only this person's id.")] = None,
    workspace: Workspace = "lumora",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Say in which segments people were at any moment, by what was known then."""
    when = micros(moment)
    memberships = asked(bootstrap, workspace).history.at(when)
    if person is not None:
        memberships = {person_id: segments for person_id, segments in memberships.items() if person_id == person}
    if as_json:
        print_json(memberships)
        return
    sizes = Counter((scheme, segment) for segments in memberships.values() for scheme, segment in segments.items())
    print_memberships(when, memberships, [(scheme, segment, count) for (scheme, segment), count in sorted(sizes.items())])


@app.command("migration")
def migration(  # noqa: PLR0917 - a command's options
    since: _At,
    until: Annotated[datetime | None, typer.Argument(formats=DATES, help="A later one; else now.")] = None,
    scheme: _Scheme = None,
    workspace: Workspace = "lumora",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Say how people moved between two moments, and why."""
    start, end = micros(since), SystemClock().now() if until is None else micros(until)
    evidence = asked(bootstrap, workspace)
    schemes = [scheme] if scheme is not None else _schemes(evidence)
    found = [evidence.history.migration(name, start, end) for name in schemes]
    if as_json:
        print_json([{"scheme": one.scheme, "moves": matrix_json(one.counts, one.why), "causes": one.causes} for one in found])
        return
    for one in found:
        print_migration(one, start, end)


@app.command("report")
def report(  # noqa: PLR0917 - a command's options
    file: _File = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write one self-contained page there as well.")] = None,
    days: Annotated[int, typer.Option(min=1, help="How far back stability and migration look.")] = 30,
    since: Annotated[datetime | None, typer.Option(formats=DATES, help="In place of --days: since then.")] = None,
    least: Annotated[int, typer.Option("--min-size", min=1, help="Segments of fewer people are too small.")] = 30,
    workspace: Workspace = "lumora",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Say how good the segments are: size, coverage, overlap, stability, reach, differences, purpose, migration."""
    definition, _ = opened(file)
    now = SystemClock().now()
    start = now - days * DAY if since is None else micros(since)
    found = quality(asked(bootstrap, workspace), definition, start, now, least)
    if html is not None:
        written(html, html_report(found))
    if not as_json:
        print_quality(found)
        return
    print_json(
        {
            "version": found.version,
            "people": found.people,
            "schemes": [
                asdict(s) | {"differs": s.differs(), "migration": matrix_json(s.migration.counts, s.migration.why)} for s in found.schemes
            ],
            "overlap": [{"one": a, "other": b, "people": n} for (a, b), n in found.overlap.items() if a < b],
            "warnings": [asdict(warning) for warning in found.warnings],
        }
    )


app.command("analyse")(analyse)


@app.command("discover")
def discover_clusters(
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the draft of a definition there.")] = None,
    most: Annotated[int, typer.Option("--max", min=2, max=20, help="At most so many clusters.")] = 8,
    workspace: Workspace = "lumora",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Look for natural clusters of people and describe them as a draft and personas; nothing is applied."""
    with reported():
        discovery = needing_extra("services.console.segments.discovery")
    found = discovery.discover(asked(bootstrap, workspace), SystemClock().now(), most)
    if out is not None and found.personas:
        written(out, found.draft())
    if as_json:
        print_json(asdict(found) | {"note": discovery.NOTE})
    else:
        print_discovery(found, discovery.NOTE)


def _schemes(evidence: Evidence) -> list[str]:
    return list(dict.fromkeys(change.scheme for change in evidence.history.changes))
