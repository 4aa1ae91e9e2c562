"""A moderator's commands on a running stack, through ``groundswell ideas``, and the undoing of them in another order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.console.ideas import read_board
from tests.e2e.harness import StackProcess, groundswell, quiet

pytestmark = [pytest.mark.stack, pytest.mark.model, pytest.mark.timeout(900)]

_BOARD = ("moderated", "b")
_PLACE = ("--workspace", _BOARD[0], "--board", _BOARD[1], "--json")
_TEXTS = {
    "dark": "A dark theme for the editor would be easier on the eyes",
    "again": "Please add a dark theme to the editor, easier on the eyes",
    "export": "Export a whole board to a PDF file",
    "login": "Single sign-on with our identity provider",
}
_STATE = ("root_id", "title", "quote", "keywords", "status", "people", "mentions", "merged_ideas")


async def _ideas(stack: StackProcess) -> dict[str, dict[str, Any]]:
    """Return what readers see of each idea that counts, its version and demand apart, and which feedback it holds."""
    async with stack.opened() as (cluster, tail):
        await quiet(cluster, tail)
        view = await read_board(cluster, *_BOARD)
    found = {}
    for idea in view.ranked():
        summary = view.summary(idea)
        held = {link.external_id or "": link.feedback_id for link in view.links_of(idea)}
        found[idea] = {name: summary[name] for name in _STATE} | {"feedback": held}
    return found


def _holding(ideas: dict[str, dict[str, Any]], external_id: str) -> str:
    return next(idea for idea, entry in ideas.items() if external_id in entry["feedback"])


def _command(stack: StackProcess, *arguments: object) -> str:
    """Give a command; return its event."""
    said = json.loads(groundswell(stack, "ideas", *arguments, "--wait", 120, *_PLACE))["decisions"]
    assert said, f"no answer to {arguments}"
    return str(said[0]["event_id"])


async def test_commands_are_undone_in_any_order_and_leave_nothing(stack: StackProcess, tmp_path: Path) -> None:
    file = tmp_path / "wishes.jsonl"
    file.write_text("".join(json.dumps({"id": name, "text": text}) + "\n" for name, text in _TEXTS.items()))
    groundswell(stack, "publish", file, *_PLACE)
    before = await _ideas(stack)
    dark, export, login = (_holding(before, name) for name in ("dark", "export", "login"))

    merged = _command(stack, "merge", export, dark)
    joined = _command(stack, "merge", login, dark)
    split = _command(stack, "split", dark, "--feedback", before[export]["feedback"]["export"])
    during = await _ideas(stack)
    assert dark != _holding(during, "export")
    assert dark == _holding(during, "login")

    taken_back, *_ = [_command(stack, "undo", command) for command in (merged, joined, split)]
    assert before == await _ideas(stack)

    again = _command(stack, "undo", taken_back)
    assert dark == _holding(await _ideas(stack), "export")
    _command(stack, "undo", again)
    assert before == await _ideas(stack)
