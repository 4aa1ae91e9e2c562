"""Decisions and ideas as a terminal, or a program, reads them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import typer

from services.common.events import Decision
from services.console.board import candidates_of
from services.console.commanding import Commanded
from services.console.show import console, print_json, short


def answer(commanded: Commanded, as_json: bool) -> None:
    """Print what a board decided on a command; exit with 1 where it refused."""
    if as_json:
        print_json({"command_id": commanded.command_id, "decisions": [decision_as_json(decision) for decision in commanded.decisions]})
    elif not commanded.decisions:
        console().print(f"sent as {commanded.command_id}; no answer yet")
    else:
        for decision in commanded.decisions:
            console().print(f"{decision.type}: {short(decision.idea_id)} {short(decision.other_idea_id)} {decision.reason or ''}".rstrip())
    if any(decision.type == "refused" for decision in commanded.decisions):
        raise typer.Exit(1)


def trend_line(entry: dict[str, Any]) -> str | None:
    """Return the trend of an idea's summary in words."""
    numbers = f"{entry['recent_people']} people in four weeks, {entry['earlier_people']} in the four before"
    return f"{entry['trend']}: {numbers}" if entry["trend"] else None


def part(value: float | None) -> str:
    """Return a part of a score; nothing where it was not needed."""
    return "" if value is None else f"{value:.3f}"


def score_line(decision: Decision) -> str:
    """Return a decision's score and the threshold of its moment."""
    if decision.score is None:
        return ""
    against = "" if decision.threshold is None else f" / {decision.threshold:.2f}"
    return f"{decision.score:.3f}{against}"


def decision_as_json(decision: Decision) -> dict[str, Any]:
    """Return a decision as plain values, its candidates unpacked."""
    entry = {name: value for name, value in asdict(decision).items() if value is not None and name != "candidates_json"}
    entry["occurred_at"] = datetime.fromtimestamp(decision.occurred_at / 1e6, UTC).isoformat()
    entry["candidates"] = candidates_of(decision)
    return entry
