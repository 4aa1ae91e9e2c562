"""What a human says about ideas. Each command is idempotent: where its wish holds already it establishes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from services.common import ids
from services.common.events import DecisionType
from services.dedup.domain.doubts import Pair
from services.dedup.domain.draft import Draft
from services.dedup.domain.following import votes_beside
from services.dedup.domain.methods import UNDO
from services.dedup.domain.split import part_around
from services.dedup.domain.texts import ERASED_TITLE, title_of
from services.dedup.domain.undoing import undo, undone_by

_OPEN = "open"


def obey(draft: Draft) -> None:
    """Establish what the event's command wishes, or ``refused`` with the reason why that cannot be."""
    if draft.event.command == UNDO:
        _undo(draft)
        return
    command = _COMMANDS.get(draft.event.command or "")
    if command is None:
        refuse(draft, f"unknown command; expected one of {', '.join(_COMMANDS)}, {UNDO}")
    else:
        command(draft)


def change_status(draft: Draft) -> None:
    """Set an idea's status and release, unless they are so already."""
    event = draft.event
    idea = draft.board.ideas.get(event.idea_id or "")
    if idea is None:
        refuse(draft, "idea_id: no such idea on this board")
        return
    release = (event.release_id, event.release_name, event.release_url)
    if (event.status, event.reason, *release) == idea.standing:
        return
    draft.decide(
        "status_changed",
        idea_id=idea.idea_id,
        status=event.status,
        reason=event.reason,
        release_id=event.release_id,
        release_name=event.release_name,
        release_url=event.release_url,
        actor=event.actor,
        source=event.source,
    )


def refuse(draft: Draft, reason: str) -> None:
    """Establish that the event's command cannot be obeyed; *reason* tells its sender what to change."""
    event = draft.event
    draft.decide(
        "refused",
        idea_id=event.idea_id,
        other_idea_id=event.other_idea_id,
        feedback_id=event.feedback_id,
        source=event.source,
        method="command",
        actor=event.actor,
        status=event.status,
        reason=reason,
    )


def _undo(draft: Draft) -> None:
    """Take a command back; one that is undone already stays so."""
    event, board = draft.event, draft.board
    if event.undone_event_id is None:
        refuse(draft, "undone_event_id: the command needs it")
    elif not board.acts.knows(event.undone_event_id):
        refuse(draft, "undone_event_id: no command of this board that did anything is called so")
    elif (target := undone_by(board, event)) is not None:
        undo(draft, target)


def _merge(draft: Draft) -> None:
    if _know_both(draft):
        _unite(draft, draft.event.idea_id or "", draft.event.other_idea_id or "")


def _unite(draft: Draft, idea: str, other: str, *, is_answer: bool = False) -> None:
    """Point the root of *idea* at the root of *other*; what passes have joined on the way is what a human says from now on."""
    board = draft.board
    if is_answer or any(joined in board.merged_by_repair for joined in board.merges.between(idea, other)):
        asked = _as_suggested(draft, idea, other) or (idea, other)
        _say(draft, "accepted", idea_id=asked[0], other_idea_id=asked[1])
    child, parent = board.root_of(idea), board.root_of(other)
    if child != parent:
        _say(draft, "merged", idea_id=child, other_idea_id=parent, root_id=parent)


def _unmerge(draft: Draft) -> None:
    """Remove the pointer of the idea, or, where another is named, the one that joined their sides."""
    event, merges = draft.event, draft.board.merges
    if event.other_idea_id is not None and not _know_both(draft):
        return
    if not _know(draft, event.idea_id, "idea_id"):
        return
    idea = event.idea_id or ""
    edge = idea if event.other_idea_id is None else merges.edge_between(idea, event.other_idea_id)
    parent = None if edge is None else merges.parent(edge)
    if edge is not None and parent is not None:
        _say(draft, "unmerged", idea_id=edge, other_idea_id=parent, root_id=edge)


def _move(draft: Draft) -> None:
    event, board = draft.event, draft.board
    if not _know(draft, event.idea_id, "idea_id"):
        return
    link = board.links.get(event.feedback_id or "")
    if link is None:
        refuse(draft, "feedback_id: no such feedback is linked on this board")
    elif link.idea_id != event.idea_id:
        for feedback in [link.feedback_id, *votes_beside(board, link.feedback_id)]:
            _bring(draft, "moved", feedback, event.idea_id or "")


def _split(draft: Draft) -> None:
    """Take the proposed part, or the part around a piece of feedback, out of an idea and what was merged into it."""
    event, board = draft.event, draft.board
    if not _know(draft, event.idea_id, "idea_id"):
        return
    root = board.root_of(event.idea_id or "")
    proposed = board.splits.get(root, ())
    seed = event.feedback_id
    if seed is None and not proposed:
        refuse(draft, "feedback_id: the command needs it, for no split of this idea is proposed")
    elif seed is not None and seed not in board.links:
        refuse(draft, "feedback_id: no such feedback is linked on this board")
    elif seed is None or board.root_of(board.links[seed].idea_id) == root:
        _take_out(draft, root, proposed if seed is None or seed in proposed else part_around(board, root, seed))


def _take_out(draft: Draft, root: str, part: Sequence[str]) -> None:
    board, event = draft.board, draft.event
    wanted = [feedback for feedback in part if feedback in board.links and board.root_of(board.links[feedback].idea_id) == root]
    inside = list(dict.fromkeys([*wanted, *(vote for feedback in wanted for vote in votes_beside(board, feedback))]))
    if len(inside) == board.family(root).mentions or not inside:
        refuse(draft, "nothing would stay, or nothing leave; move single pieces of feedback instead")
        return
    opened = ids.idea_id(event.workspace, event.board, event.event_id)
    row = board.links[inside[0]].row
    _say(draft, "opened", idea_id=opened, title=ERASED_TITLE if row < 0 else title_of(board.wordings.text(row)))
    for feedback in inside:
        _bring(draft, "split", feedback, opened)


def _bring(draft: Draft, kind: DecisionType, feedback: str, idea_id: str) -> None:
    link = draft.board.links[feedback]
    said = {"feedback_id": feedback, "revision": draft.board.links.revision_of(feedback), "person_id": link.person_id}
    _say(draft, kind, idea_id=idea_id, other_idea_id=link.idea_id, **said)


def _rename(draft: Draft) -> None:
    event = draft.event
    title = " ".join((event.title or "").split())
    if not _know(draft, event.idea_id, "idea_id"):
        return
    if not title:
        refuse(draft, "title: an idea needs one")
    elif title != draft.board.ideas[event.idea_id or ""].title:
        _say(draft, "renamed", idea_id=event.idea_id, title=title)


def _accept(draft: Draft) -> None:
    pair = _suggestion(draft)
    if pair is not None:
        _unite(draft, *pair, is_answer=draft.board.suggestions[pair] != "accepted")


def _dismiss(draft: Draft) -> None:
    if draft.event.other_idea_id is None:
        _keep_whole(draft)
        return
    pair = _suggestion(draft)
    if pair is None:
        return
    state = draft.board.suggestions[pair]
    if state == "accepted":
        refuse(draft, "the suggestion was accepted; unmerge the ideas instead")
    elif state == _OPEN:
        _say(draft, "dismissed", idea_id=pair[0], other_idea_id=pair[1])


def _keep_whole(draft: Draft) -> None:
    """Dismiss the proposed split of an idea, if there is one."""
    if _know(draft, draft.event.idea_id, "idea_id"):
        root = draft.board.root_of(draft.event.idea_id or "")
        if root in draft.board.splits:
            _say(draft, "dismissed", idea_id=root)


def _suggestion(draft: Draft) -> Pair | None:
    """Return the suggested pair that the command means, in the direction in which it was suggested; refuse where there is none."""
    if not _know_both(draft):
        return None
    pair = _as_suggested(draft, draft.event.idea_id or "", draft.event.other_idea_id or "")
    if pair is None:
        refuse(draft, "no suggestion joins these two ideas; merge them instead")
    return pair


def _as_suggested(draft: Draft, one: str, other: str) -> Pair | None:
    suggestions = draft.board.suggestions
    return next((pair for pair in ((one, other), (other, one)) if pair in suggestions), None)


def _know(draft: Draft, idea_id: str | None, field: str) -> bool:
    if idea_id is None:
        refuse(draft, f"{field}: the command needs it")
        return False
    if idea_id not in draft.board.ideas:
        refuse(draft, f"{field}: no such idea on this board")
        return False
    return True


def _know_both(draft: Draft) -> bool:
    event = draft.event
    if not _know(draft, event.idea_id, "idea_id") or not _know(draft, event.other_idea_id, "other_idea_id"):
        return False
    if event.idea_id == event.other_idea_id:
        refuse(draft, "idea_id and other_idea_id are the same idea")
        return False
    return True


def _say(draft: Draft, kind: DecisionType, **fields: Any) -> None:
    draft.decide(kind, method="command", actor=draft.event.actor, source=draft.event.source, **fields)


_COMMANDS: dict[str, Callable[[Draft], None]] = {
    "merge": _merge,
    "unmerge": _unmerge,
    "move": _move,
    "split": _split,
    "rename": _rename,
    "accept": _accept,
    "dismiss": _dismiss,
}
