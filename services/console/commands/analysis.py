"""``groundswell segments analyse``."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from services.common.clock import SystemClock
from services.console.context import AsJson, Bootstrap, Workspace
from services.console.failures import CommandFailed, ExitCode, reported
from services.console.segments.asking import DATES, asked, micros, needing_extra, opened
from services.console.show import print_json
from services.segmenter.domain.definition import Definition
from services.segmenter.domain.recency import DAY

_PARTS = "services.console.segments.analysis"
_Outcomes = Annotated[list[str] | None, typer.Option(metavar="NAME=SCHEME:SEGMENT,…", help="What counts; else what segments' names say.")]


def analyse(  # noqa: PLR0917 - a command's options
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="The definition in force; else as for `check`.")] = None,
    scheme: Annotated[list[str] | None, typer.Option("--scheme", help="By this scheme (repeatable); else the primary one.")] = None,
    since: Annotated[datetime | None, typer.Option(formats=DATES, help="Where people were then; else 30 days before the end.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=DATES, help="What became of them by then; else by now.")] = None,
    win: _Outcomes = None,
    loss: _Outcomes = None,
    now: Annotated[bool, typer.Option("--now", help="Count feedback in its author's present segments, not in those of then.")] = False,
    by_events: Annotated[
        bool, typer.Option("--by-events", help="The past as it happened, not as it was known: for imported histories.")
    ] = False,
    most: Annotated[int, typer.Option("--top", min=1, help="At most so many rows a table.")] = 10,
    workspace: Workspace = "lumora",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Say what each segment asks for more than others, how it feels, what it is worth and what became of it; who the best customers are."""
    definition, _ = opened(file)
    with reported():
        whole, outcomes = needing_extra(f"{_PARTS}.whole"), needing_extra(f"{_PARTS}.outcomes")
        printing = needing_extra(f"{_PARTS}.printing")
        end = SystemClock().now() if until is None else micros(until)
        start = end - 30 * DAY if since is None else micros(since)
        told = [outcomes.read_outcome(text, definition, is_loss=False) for text in win or []]
        told += [outcomes.read_outcome(text, definition, is_loss=True) for text in loss or []]
        schemes = _schemes(scheme, definition)
    question = whole.Question(schemes, start, end, told or outcomes.usual_outcomes(definition), not now, by_events)
    found = whole.analysed(asked(bootstrap, workspace), definition, question)
    if as_json:
        print_json(printing.analysis_json(found))
    else:
        printing.print_analysis(found, most)


def _schemes(wanted: list[str] | None, definition: Definition) -> list[str]:
    known = [scheme.name for scheme in definition.schemes]
    if strangers := sorted(set(wanted or ()) - set(known)):
        raise CommandFailed(f"no scheme {', '.join(strangers)}; there are {', '.join(known)}", ExitCode.USAGE)
    return wanted or [definition.primary]
