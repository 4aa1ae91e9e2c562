"""A board whose log was lost: what was said of it is folded as it was said, and nothing that was decided is decided again.

Whatever code, model or setting holds now, an event of which something was said establishes exactly that. An event of which nothing was
said, and which lies before the last one of which something was, established nothing then and must not begin now.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np

from services.common import ids
from services.common.clock import Micros
from services.common.events import BoardEvent, Decision
from services.dedup.domain.board import Board
from services.dedup.domain.calibration import Census
from services.dedup.domain.decide import Vector, VectorOf, decide
from services.dedup.domain.entry import Entry, Seen
from services.dedup.domain.erasing import erased_by
from services.dedup.domain.index import SCALE, Units, in_units
from services.dedup.domain.methods import UNDO, VOTE
from services.dedup.domain.sample import take_census
from services.dedup.domain.states import changed_ideas
from services.dedup.domain.texts import text_key
from services.dedup.domain.undoing import undone_by
from services.dedup.domain.votes import Vote, feedback_of, vote_of


def was_passed(origin: str, last: Decision) -> bool:
    """Tell whether the record at *origin* (``topic/partition/offset``) lies before the event of *last*, in the same partition."""
    partition, _, offset = origin.rpartition("/")
    of_last, _, end = (last.origin or "").rpartition("/")
    return partition == of_last and int(offset) < int(end)


class Backlog:
    """What was said of one board and its log does not hold yet: as much of it as a batch needs."""

    def __init__(self, decisions: Sequence[Decision], last: Decision) -> None:
        """*decisions* ascend from the board's next one and end with all of an event's; *last* is the last one ever said."""
        self._groups = [tuple(group) for _, group in groupby(decisions, key=lambda decision: decision.event_id)]
        self._waiting = {group[0].event_id for group in self._groups}
        self._last = last
        self.missing = 0
        """Decisions of the board's sequence that were not there to be folded, so far."""

    def take_in(self, board: Board, event: BoardEvent, origin: str, vector_of: VectorOf) -> list[Entry]:
        """Return the entries, *event*'s own last, that the board needs for what it establishes; *board* has taken them in by then.

        What was said of earlier decisions than the event's comes first: compaction may have left only a later copy of their events,
        or none.
        """
        entries: list[Entry] = []
        if event.event_id not in self._waiting and board.sequence < self._last.sequence and was_passed(origin, self._last):
            return [_pass_over(board, event, origin)]
        while self._groups and (event.event_id in self._waiting or board.sequence < self._last.sequence):
            group = self._groups.pop(0)
            self._waiting.remove(group[0].event_id)
            self.missing += group[0].sequence - board.sequence - 1
            if group[0].event_id == event.event_id:
                if group[-1].sequence == self._last.sequence:
                    return [*entries, _fold_last(board, group, event, origin, vector_of)]
                return [*entries, _fold(board, group, origin, vector_of, event)]
            entries.append(_fold(board, group, group[0].origin or "", vector_of))
        return [*entries, decide(board, event, origin, vector_of)]


def establish(board: Board, event: BoardEvent, origin: str, vector_of: VectorOf, backlog: Backlog | None) -> list[Entry]:
    """Return the entries that *board*'s log needs for what *event*, new to it, establishes, the event's own last; all are taken in."""
    if backlog is None:
        return [decide(board, event, origin, vector_of)]
    return backlog.take_in(board, event, origin, vector_of)


def _fold(board: Board, said: Sequence[Decision], origin: str, vector_of: VectorOf, event: BoardEvent | None = None) -> Entry:
    """Take in what was said of one event, its text's vector computed again; return the log's next entry. *event* may be gone."""
    folded, vector = _apply(board, said, vector_of)
    heard = next((decision for decision in said if decision.type in ("linked", "unlinked")), None)
    seen, erased = _seen(heard, event), None if event is None else erased_by(event)
    if seen is not None:
        board.see(*seen)
    if erased is not None:
        board.erase(erased)
    undone = said[0].reason if said[0].method == UNDO else None
    if undone is not None:
        board.undo(undone, said[0].event_id)
    has_text = any(decision.type == "linked" for decision in said)
    census = _census(board) if has_text else None
    of = (said[0].event_id, said[0].ingested_at, origin)
    return _close(board, *of, decisions=tuple(folded), seen=seen, census=census, erased=erased, undone=undone, vector=vector)


def _seen(heard: Decision | None, event: BoardEvent | None) -> Seen | None:
    """Return which revision was known from then on, by *event* or else by *heard*, the first of its decisions about feedback."""
    if heard is None:
        return None
    vote = Vote.of(heard) if event is None else vote_of(event)
    return Seen(heard.feedback_id or "", heard.revision, vote)


def _close(board: Board, event_id: str, at: Micros, origin: str, **established: Any) -> Entry:
    entry = Entry(
        board=board.key, position=board.position + 1, event_id=event_id, origin=origin, ideas=changed_ideas(board, at), **established
    )
    board.close(entry)
    return entry


def _apply(board: Board, said: Sequence[Decision], vector_of: VectorOf) -> tuple[list[Decision], bytes | None]:
    """Make what was said so; return it, and the vector that the log has to hold.

    A decision that rests on one that is gone keeps its place in the sequence only, as ``unknown``.
    """
    folded: list[Decision] = []
    vector: bytes | None = None
    former: tuple[bytes, Units] | None = None
    for decision in said:
        if not _applies(board, decision):
            hollow = replace(decision, type="unknown")
            board.apply(hollow)
            folded.append(hollow)
            continue
        units = None
        if decision.type == "unlinked":
            row = board.links[decision.feedback_id or ""].row
            former = None if row < 0 else (board.wordings.key(row), board.index.vector(row))
        elif decision.type == "linked":
            needed, units = _vector(board, decision, former, vector_of)
            vector = vector or needed  # votes that follow need none
        board.apply(decision, units)
        folded.append(decision)
    return folded, vector


def _vector(board: Board, linked: Decision, former: tuple[bytes, Units] | None, vector_of: VectorOf) -> tuple[bytes | None, Units | None]:
    """Return the vector of a linked text for the log and for the board: that of the same text before, or a new one; none if held."""
    if not linked.text or linked.method == VOTE:
        return None, None
    key = text_key(linked.text or "")
    if former is not None and former[0] == key:
        return np.ascontiguousarray(former[1] / np.float32(SCALE), "<f4").tobytes(), former[1]
    slot = board.ideas[linked.idea_id or ""].slot
    if any(board.index.slot_of(row) == slot for row in board.wordings.rows(key)):
        return None, None
    vector = np.ascontiguousarray(vector_of(linked.text or ""), "<f4")
    return vector.tobytes(), in_units(vector)


def _census(board: Board) -> Census | None:
    """Count the board where that is due: not what is decided rests on it here, but the thresholds of what follows."""
    if len(board.index) < board.calibration.next_at:
        return None
    census = take_census(board.index)
    board.calibration.take(census)
    return census


def _pass_over(board: Board, event: BoardEvent, origin: str) -> Entry:
    """Return the entry of an event that established no decision: what it told of revisions and persons holds all the same."""
    if event.type in ("persons_joined", "persons_separated"):
        return decide(board, event, origin, _no_vector)
    erased, undone = erased_by(event), undone_by(board, event)
    if erased is not None:
        board.erase(erased)
    feedback, census, seen = event.feedback_id or "", None, None
    known = board.links.revision_of(feedback)
    if event.type in ("submitted", "revised"):
        seen = Seen(feedback, event.revision, vote_of(event)) if event.revision > known else None
        census = _census(board)
    elif event.type == "retracted" and event.revision >= known:
        seen = Seen(feedback, event.revision)
    if seen is not None:
        board.see(*seen)
    if undone is not None:
        board.undo(undone, event.event_id)
    return _close(board, event.event_id, event.ingested_at, origin, seen=seen, census=census, erased=erased, undone=undone)


def _fold_last(board: Board, said: Sequence[Decision], event: BoardEvent, origin: str, vector_of: VectorOf) -> Entry:
    """Take in what was said last on the board. A crash may have cut it off before its end; the rest is decided now.

    Deciding the whole event on a copy tells how it would have gone on, if it begins as it was said to.
    """
    anew = decide(copy.deepcopy(board), event, said[0].origin or origin, vector_of).decisions
    if anew[: len(said)] == tuple(said):
        return _fold(board, anew, origin, vector_of, event)
    opened = said[-1] if said[-1].type == "opened" else None
    if opened is not None:
        return _fold(board, [*said, _linked(opened, event)], origin, vector_of, event)
    if said[-1].type == "accepted":
        return _fold(board, [*said, *_merged(board, said[-1])], origin, vector_of, event)
    if said[-1].type == "unlinked" and event.type == "revised":
        folded, _ = _apply(board, said, vector_of)
        rest = decide(board, event, origin, vector_of)
        return replace(rest, decisions=(*folded, *rest.decisions))
    return _fold(board, said, origin, vector_of, event)


def _linked(opened: Decision, event: BoardEvent) -> Decision:
    """Return the link of the text that *opened* an idea to it."""
    return replace(_next(opened), type="linked", title=None, **feedback_of(event))


def _merged(board: Board, accepted: Decision) -> list[Decision]:
    """Return the merge that follows from an accepted suggestion, unless it holds already."""
    child, parent = board.root_of(accepted.idea_id or ""), board.root_of(accepted.other_idea_id or "")
    if child == parent:
        return []
    return [replace(_next(accepted), type="merged", idea_id=child, other_idea_id=parent, root_id=parent)]


def _next(decision: Decision) -> Decision:
    sequence = decision.sequence + 1
    return replace(decision, sequence=sequence, decision_id=ids.decision_id(decision.workspace, decision.board, sequence))


def _applies(board: Board, decision: Decision) -> bool:
    """Tell whether all that *decision* speaks of is there: it is not where an earlier one was erased."""
    idea, other = decision.idea_id or "", decision.other_idea_id or ""
    if decision.other_idea_id is None and decision.type in ("suggested", "dismissed"):  # a split
        return idea in board.ideas
    is_known, is_linked = idea in board.ideas, decision.feedback_id in board.links
    are_known = is_known and other in board.ideas
    holds = {
        "opened": not is_known,
        "linked": is_known and not is_linked and decision.text is not None,
        "unlinked": is_linked,
        "moved": is_known and is_linked,
        "split": is_known and is_linked,
        "merged": are_known and board.root_of(idea) == idea != board.root_of(other),
        "unmerged": board.merges.parent(idea) == other,
        "renamed": is_known,
        "status_changed": is_known,
        "suggested": are_known,
        "accepted": are_known,
        "dismissed": are_known,
    }
    return holds.get(decision.type, True)


def _no_vector(_text: str) -> Vector:
    raise ValueError("what joins or parts persons has no text")
