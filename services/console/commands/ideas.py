"""``groundswell ideas``."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from operator import attrgetter
from typing import Annotated, Any

import typer

from services.console.board import find, segments_line
from services.console.cluster import Cluster
from services.console.commanding import Commanded, command, set_status
from services.console.context import AsJson, Board, Bootstrap, Workspace, on_cluster
from services.console.ideas import BoardView, Explanation, read_board
from services.console.show import Columns, clipped, console, fields, print_json, short, table
from services.console.telling import answer, decision_as_json, part, score_line, trend_line

app = typer.Typer(help="The ideas of a board.", no_args_is_help=True)

_Idea = Annotated[str, typer.Argument(help="An idea's id, or how its last part begins.")]
_PARTS = attrgetter("score", "centroid", "member", "penalty")
_Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for the board's answer; 0 does not wait.")]


@app.command("top")
def top(
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    workspace: Workspace = "lumora",
    board: Board = "product",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """List the ideas that most people ask for."""
    view = on_cluster(bootstrap, lambda cluster: read_board(cluster, workspace, board))
    ranked = view.ranked()[:limit]
    if as_json:
        print_json([view.summary(idea) for idea in ranked])
        return
    console().print(view.lacks(workspace, board) or ideas_table(view, f"Ideas of {workspace}/{board}", limit))


def ideas_table(view: BoardView, title: str, limit: int) -> Any:
    """Return a table of the *limit* ideas with most people behind them."""
    rows = []
    for idea in view.ranked()[:limit]:
        entry = view.summary(idea)
        rows.append(
            (
                short(idea),
                clipped(entry["title"], 60),
                entry["people"],
                entry["accounts"],
                entry["mentions"],
                entry["mrr"],
                entry["status"],
                segments_line(entry["segments"]),
            )
        )
    columns: Columns = [
        "idea",
        "title",
        ("people", "right"),
        ("accounts", "right"),
        ("mentions", "right"),
        ("MRR", "right"),
        "status",
        "segments (people)",
    ]
    return table(title, columns, rows)


@app.command("show")
def show(
    idea: _Idea, workspace: Workspace = "lumora", board: Board = "product", bootstrap: Bootstrap = None, as_json: AsJson = False
) -> None:
    """Show an idea: who stands behind it, what was merged into it, what was said and why it was put here."""

    async def work(cluster: Cluster) -> tuple[BoardView, str]:
        view = await read_board(cluster, workspace, board)
        return view, find(view.ideas, idea, "idea")

    view, found = on_cluster(bootstrap, work)
    links = view.links_of(found)
    if as_json:
        print_json({**view.summary(found), "merged": view.merged_into(found), "feedback": [decision_as_json(link) for link in links]})
        return
    entry = view.summary(found)
    segments = {f"by {scheme}": segments_line(entry["segments"], scheme) for scheme in entry["segments"]}
    merged = ", ".join(short(other) for other in view.merged_into(found)) or None
    shown = {name: entry[name] for name in ("idea_id", "status", "people", "accounts", "mentions", "mrr")}
    about = {"quote": entry["quote"], "keywords": ", ".join(entry["keywords"]) or None, "trend": trend_line(entry)}
    console().print(fields(entry["title"], {**shown, **about, **segments, "merged in": merged, "release": entry["release"]}))
    rows = [(link.source, link.external_id, clipped(link.text or "", 90), link.method, score_line(link)) for link in links]
    console().print(table("Feedback", ["channel", "id", "text", "method", ("score", "right")], rows))


@app.command("explain")
def explain(
    event: Annotated[str, typer.Argument(help="An event's or a feedback's id, how its last part begins, or its id in its channel.")],
    workspace: Workspace = "lumora",
    board: Board = "product",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Say why a piece of feedback is where it is: the threshold of that moment, the ideas it was compared with, and their nearest texts."""

    async def work(cluster: Cluster) -> list[Explanation]:
        return (await read_board(cluster, workspace, board)).explained(event)

    found = on_cluster(bootstrap, work)
    if as_json:
        print_json([{**decision_as_json(one.decision), "candidates": [asdict(weighed) for weighed in one.candidates]} for one in found])
        return
    for one in found:
        told = one.decision
        shown = {"event": told.event_id, "idea": told.idea_id, "other idea": told.other_idea_id, "method": told.method}
        console().print(
            fields(told.type, {**shown, "score / threshold": score_line(told) or None, "text": told.text, "reason": told.reason})
        )
        if one.candidates:
            rows = [
                (short(w.idea_id), clipped(w.title, 40), *map(part, _PARTS(w)), clipped(w.nearest_text or "", 60)) for w in one.candidates
            ]
            columns: Columns = ["idea", "title", *((part, "right") for part in ("score", "centroid", "member", "penalty")), "nearest text"]
            console().print(table("Compared with", columns, rows))


@app.command("merge")
def merge(
    idea: _Idea,
    into: Annotated[str, typer.Argument(help="The idea that it becomes part of.")],
    *,
    wait: _Wait = 30.0,
    workspace: Workspace = "lumora",
    board: Board = "product",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Merge an idea into another one; it stays, as a pointer, and can be taken out again."""

    async def work(cluster: Cluster) -> Commanded:
        view = await read_board(cluster, workspace, board)
        other = find(view.ideas, into, "idea")
        return await command(cluster, workspace, board, "merge", idea_id=find(view.ideas, idea, "idea"), other_idea_id=other, wait=wait)

    answer(on_cluster(bootstrap, work), as_json)


@app.command("unmerge")
def unmerge(
    idea: _Idea,
    *,
    wait: _Wait = 30.0,
    workspace: Workspace = "lumora",
    board: Board = "product",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Take an idea out of the one that it was merged into; both are as before."""

    async def work(cluster: Cluster) -> Commanded:
        view = await read_board(cluster, workspace, board)
        return await command(cluster, workspace, board, "unmerge", idea_id=find(view.ideas, idea, "idea"), wait=wait)

    answer(on_cluster(bootstrap, work), as_json)


@app.command("undo")
def undo(
    event: Annotated[str, typer.Argument(help="The event of the command, or how its last part begins.")],
    *,
    wait: _Wait = 30.0,
    workspace: Workspace = "lumora",
    board: Board = "product",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Take a command back, whatever was commanded since; undoing the undoing makes it hold again."""

    async def work(cluster: Cluster) -> Commanded:
        view = await read_board(cluster, workspace, board)
        made = view.commanded(event)
        return await command(cluster, workspace, board, "undo", idea_id=made.idea_id, undone_event_id=made.event_id, wait=wait)

    answer(on_cluster(bootstrap, work), as_json)


@app.command("split")
def split(
    idea: _Idea,
    feedback: Annotated[str | None, typer.Option(help="Feedback around which a part leaves; without it the proposed part does.")] = None,
    *,
    wait: _Wait = 30.0,
    workspace: Workspace = "lumora",
    board: Board = "product",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Take a part out of an idea, as an idea of its own; merging the two makes them one again."""

    async def work(cluster: Cluster) -> Commanded:
        view = await read_board(cluster, workspace, board)
        seed = None if feedback is None else find(view.links().idea_of, feedback, "feedback")
        return await command(cluster, workspace, board, "split", idea_id=find(view.ideas, idea, "idea"), feedback_id=seed, wait=wait)

    answer(on_cluster(bootstrap, work), as_json)


@app.command("accept")
def accept(
    idea: _Idea,
    other: Annotated[str, typer.Argument(help="The idea that it was suggested to be the same as.")],
    *,
    wait: _Wait = 30.0,
    workspace: Workspace = "lumora",
    board: Board = "product",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Accept a suggestion: the two ideas are merged, and the board learns from it."""
    answer(on_cluster(bootstrap, partial(_reply, "accept", (idea, other), (workspace, board), wait)), as_json)


@app.command("dismiss")
def dismiss(
    idea: _Idea,
    other: Annotated[
        str | None, typer.Argument(help="The idea that it is not the same as; without it, the proposed split of the idea.")
    ] = None,
    *,
    wait: _Wait = 30.0,
    workspace: Workspace = "lumora",
    board: Board = "product",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Dismiss a suggestion, or a proposed split: it is not made again, and the board learns from it."""
    answer(on_cluster(bootstrap, partial(_reply, "dismiss", (idea, other), (workspace, board), wait)), as_json)


async def _reply(verb: str, pair: tuple[str, str | None], place: tuple[str, str], wait: float, cluster: Cluster) -> Commanded:
    idea, other = pair
    view = await read_board(cluster, *place)
    second = None if other is None else find(view.ideas, other, "idea")
    return await command(cluster, *place, verb, idea_id=find(view.ideas, idea, "idea"), other_idea_id=second, wait=wait)


@app.command("suggestions")
def suggestions(workspace: Workspace = "lumora", board: Board = "product", bootstrap: Bootstrap = None, as_json: AsJson = False) -> None:
    """List what the board would like to know: pairs that may be one idea, those of its last pass first, and ideas that may be two."""
    view = on_cluster(bootstrap, lambda cluster: read_board(cluster, workspace, board))
    found = view.open_suggestions()
    if as_json:
        print_json([decision_as_json(decision) for decision in found])
        return
    if (lacking := view.lacks(workspace, board)) is not None:
        console().print(lacking)
        return
    rows = [
        (
            short(made.idea_id),
            clipped(view.title_of(made.idea_id), 50),
            "split" if made.other_idea_id is None else short(made.other_idea_id),
            clipped(view.title_of(made.other_idea_id), 50),
            score_line(made),
        )
        for made in found
    ]
    console().print(table("Suggestions", ["idea", "title", "other", "title", ("score", "right")], rows))


@app.command("status")
def status(
    idea: _Idea,
    status: Annotated[str, typer.Argument(help="open, planned, started, shipped, declined …, as notifications.yaml names them.")],
    *,
    reason: Annotated[str | None, typer.Option(help="For those who asked.")] = None,
    release: Annotated[str | None, typer.Option(help="The release's id; those who asked are told once a release.")] = None,
    release_name: Annotated[str | None, typer.Option(help="The release's name.")] = None,
    release_url: Annotated[str | None, typer.Option(help="Where to read about it.")] = None,
    wait: _Wait = 30.0,
    workspace: Workspace = "lumora",
    board: Board = "product",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Set an idea's status; one that notifications.yaml alerts about goes to everyone who asked."""

    async def work(cluster: Cluster) -> Commanded:
        view = await read_board(cluster, workspace, board)
        extra = {"reason": reason, "release_id": release, "release_name": release_name, "release_url": release_url}
        found = find(view.ideas, idea, "idea")
        return await set_status(cluster, workspace, board, idea_id=found, status=status, wait=wait, **extra)

    answer(on_cluster(bootstrap, work), as_json)
