"""``groundswell try``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from services.console.context import AsJson, Board, Workspace
from services.console.failures import CommandFailed, ExitCode, reported
from services.console.show import clipped, console, print_json, short, table

if TYPE_CHECKING:
    from services.console.offline import Found


def try_file(
    file: Annotated[Path, typer.Argument(help="CSV with a header, or JSONL, with id and text.")],
    *,
    out: Annotated[Path | None, typer.Option("--out", help='Write one line {"id", "idea"} a text.')] = None,
    answers: Annotated[
        Path | None,
        typer.Option("--answers", help="A moderator's: id, other_id, same (yes or no); or id, label, to answer what the board asks."),
    ] = None,
    ask: Annotated[int, typer.Option("--ask", min=0, help="How many questions labels answer, evenly spread over the texts.")] = 20,
    limit: Annotated[int, typer.Option(min=1, help="How many ideas to print.")] = 20,
    workspace: Workspace = "lumora",
    board: Board = "product",
    as_json: AsJson = False,
) -> None:
    """Cluster a file of texts on this machine, without a broker, with the very decisions that the service would take."""
    from services.console.offline import cluster_file  # noqa: PLC0415 - brings the model's packages; the console's image has none

    with reported():
        with Console(stderr=True).status(f"clustering {file}"):
            found = cluster_file(file, workspace, board, answers, ask)
        if out is not None:
            lines = [json.dumps({"id": external_id, "idea": idea}, ensure_ascii=False) for external_id, idea in found.labels]
            try:
                out.write_text("".join(f"{line}\n" for line in lines))
            except OSError as error:
                raise CommandFailed(f"{out}: {error.strerror}", ExitCode.USAGE) from error
    for line in found.refused:
        Console(stderr=True, soft_wrap=True).print(f"left out: {line}", markup=False, highlight=False)
    _print(found, limit, as_json)


def _print(found: Found, limit: int, as_json: bool) -> None:
    ranked = found.ranked()
    if as_json:
        print_json([{"idea": idea.idea_id, "title": idea.title, "people": idea.people, "mentions": idea.mentions} for idea in ranked])
        return
    rows = [(short(idea.idea_id), clipped(idea.title, 100), idea.people, idea.mentions) for idea in ranked[:limit]]
    title = f"{len(found.labels):,} texts, {len(ranked):,} ideas"
    console().print(table(title, ["idea", "title", ("people", "right"), ("mentions", "right")], rows))
