"""One event of a board → what it establishes. The service and the offline console both decide here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import orjson
from numpy.typing import NDArray

from services.common.events import BoardEvent
from services.dedup.domain.board import Board
from services.dedup.domain.commands import change_status, obey
from services.dedup.domain.draft import Draft
from services.dedup.domain.entry import Entry, PersonPointer
from services.dedup.domain.erasing import erase, erased_by
from services.dedup.domain.following import follow, place_vote, unlink
from services.dedup.domain.ideas import IdeaState
from services.dedup.domain.index import SCALE, Match
from services.dedup.domain.proposals import written
from services.dedup.domain.questions import worth
from services.dedup.domain.repair import Pair, repair_of
from services.dedup.domain.sample import take_census
from services.dedup.domain.split import splits_to_propose
from services.dedup.domain.texts import text_key, title_of

Vector: TypeAlias = NDArray[np.float32]
"""L2-normalised."""
VectorOf: TypeAlias = Callable[[str], Vector]
"""Gives a text's vector, a function of the text alone."""

_QUESTIONS = 10
"""Suggestions of one pass over the board."""
_SPLITS = 2
"""Proposed splits of one pass."""
_CANDIDATES = 5
"""How many ideas a decision names: the right one is among the first five for .87 of repeats."""
_SAME = '[{"idea":"%s","score":1.0,"member":1.0,"nearest":"%s"}]'
"""The candidate of an exact repeat, whose idea need not be looked for."""

_NEEDED: dict[str, tuple[str, ...]] = {
    "submitted": ("feedback_id", "person_id", "text"),
    "revised": ("feedback_id", "person_id", "text"),
    "retracted": ("feedback_id",),
    "commanded": ("command",),
    "status_changed": ("idea_id", "status"),
    "persons_joined": ("person_id", "other_person_id"),
    "persons_separated": ("person_id", "other_person_id"),
}


def missing_fields(event: BoardEvent) -> list[str]:
    """Return the fields that *event* would need to be decided; ``type`` where its type is not known."""
    needed = _NEEDED.get(event.type, ("type",))
    return [name for name in needed if name == "type" or getattr(event, name) is None]


def decide(board: Board, event: BoardEvent, origin: str, vector_of: VectorOf) -> Entry:
    """Return what *event*, new to *board* and read at *origin*, establishes; *board* has taken it in by then.

    A function of the board's log, *event* and *origin*: the same ones give the same entry byte for byte.
    """
    return drafted(board, event, origin, vector_of).finish()


def drafted(board: Board, event: BoardEvent, origin: str, vector_of: VectorOf) -> Draft:
    """Return what *event* establishes as far as *board*'s working state goes: what readers are told is drawn up by ``finish``."""
    draft = Draft(board, event, origin)
    match event.type:
        case "submitted" | "revised" if event.is_vote:
            place_vote(draft)
        case "submitted" | "revised":
            _place(draft, vector_of)
            if len(board.index) >= board.calibration.next_at:
                _look_over(draft)
        case "retracted":
            _retract(draft)
        case "commanded" if erased_by(event) is not None:
            erase(draft)
        case "commanded":
            obey(draft)
        case "status_changed":
            change_status(draft)
        case "persons_joined" | "persons_separated":
            _point_person(draft)
    return draft


def _place(draft: Draft, vector_of: VectorOf) -> None:
    board, event = draft.board, draft.event
    feedback, text = event.feedback_id or "", event.text or ""
    if event.revision <= board.links.revision_of(feedback):
        return
    draft.see(feedback, event.revision)
    link = board.links.get(feedback)
    if link is None:
        _assign(draft, vector_of, None)
        if board.votes.has(feedback):
            follow(draft, feedback, None)
        return
    former = board.ideas[link.idea_id]
    was_alone = len(former.links) == 1
    is_same = link.row >= 0 and board.wordings.key(link.row) == text_key(text)
    vector = board.index.vector(link.row) if is_same else None
    unlink(draft, feedback, event.revision, "revision", "revised")
    if vector is None:
        _assign(draft, vector_of, former if was_alone else None)
    else:
        draft.keep(vector / np.float32(SCALE))
        draft.link(former.idea_id, "revision", None, None, _unasked_for, vector=vector)
    follow(draft, feedback, former.idea_id)


def _assign(draft: Draft, vector_of: VectorOf, stay: IdeaState | None) -> None:
    """Link the event's text to the idea that it fits; else to *stay*, its own so far, or to a new one."""
    board, event = draft.board, draft.event
    bands = board.bands
    join = bands.join
    same = board.wordings.rows(text_key(event.text or ""))
    repeated = _repeated(board, same, event.person_id or "", bands.merge) if same else None
    if repeated is not None:
        first = board.links[board.wordings.first_feedback(repeated)]
        draft.link(first.idea_id, "exact", 1.0, join, partial(_SAME.__mod__, (first.idea_id, first.event_id)), row=repeated)
        return
    vector = vector_of(event.text or "")
    draft.keep(vector)
    units = board.index.units_of(vector)
    matches = board.index.query(units, _CANDIDATES)
    best = matches[0] if matches else None
    score = None if best is None else best.score
    if best is not None and best.score >= join:
        idea_id, method = board.slots[best.slot].idea_id, "semantic"
    elif stay is not None:
        idea_id, method = stay.idea_id, "revision"
    else:
        idea_id, method = board.idea_id(event.event_id), "semantic"
        draft.open(idea_id, title_of(event.text or ""), method, score, join)
    draft.link(idea_id, method, score, join, _candidates(board, matches), vector=units)
    if best is not None and bands.suggest <= best.score < join:
        _suggest(draft, idea_id, board.slots[best.slot].idea_id, {"score": score, "threshold": join})


def _repeated(board: Board, rows: Sequence[int], person_id: str, threshold: float) -> int | None:
    """Return which of *rows*, which say the text that has come, it repeats on a board whose *threshold* is this.

    On a board of tickets equal titles are as often as not different ones, so that nothing scores enough there; but what a person says
    twice is a repeat.
    """
    if not board.policy.auto_merge:
        return None
    if threshold <= 1.0:
        return rows[-1]
    root_of, links = board.persons.root, board.links
    person = root_of(person_id)
    for row in reversed(rows):
        for feedback in board.wordings.feedback(row):
            if root_of(links[feedback].person_id) == person:
                return row
    return None


def _suggest(draft: Draft, idea_id: str, other_id: str, why: dict[str, Any]) -> None:
    board = draft.board
    asked = (idea_id, other_id) in board.suggestions or (other_id, idea_id) in board.suggestions
    if not asked and board.root_of(idea_id) != board.root_of(other_id):
        draft.decide("suggested", idea_id=idea_id, other_idea_id=other_id, method="semantic", **why)


def _look_over(draft: Draft) -> None:
    """A census is due: calibrate the board, merge ideas that turned out to be one, suggest the next best pairs, and splits."""
    board = draft.board
    draft.calibrate(take_census(board.index))
    bands = board.bands
    repair = repair_of(board, bands.merge, bands.suggest)
    for pair in repair.cuts:
        draft.decide("unmerged", root_id=pair.child, **_repaired(pair, bands.merge))
    for pair in repair.merges:
        draft.decide("merged", root_id=pair.parent, **_repaired(pair, bands.merge))
    for pair in _to_ask(board, repair.left):
        draft.decide("suggested", **_repaired(pair, bands.merge))
    for split in splits_to_propose(board, bands.suggest, _SPLITS):
        parts = written(split.leaving, split.staying, split.centroid, split.member)
        why: dict[str, Any] = {"score": split.score, "threshold": bands.suggest, "candidates_json": parts}
        draft.decide("suggested", idea_id=split.root, feedback_id=split.leaving[0], method="split", **why)


def _to_ask(board: Board, left: Sequence[Pair]) -> list[Pair]:
    """Return the pairs of *left* most worth asking about; where one is asked about already, as it was asked, with its new score."""
    crowded, threshold = board.calibration.pull > 0, board.bands.merge
    best = sorted(left, key=lambda pair: -worth(pair.score - threshold, *pair.texts, crowded=crowded))
    asked = {frozenset(map(board.root_of, pair)): pair for pair, state in board.suggestions.items() if state == "open"}
    again = ((pair, asked.get(frozenset((pair.child, pair.parent)), (pair.child, pair.parent))) for pair in best[:_QUESTIONS])
    return [replace(pair, child=child, parent=parent) for pair, (child, parent) in again]


def _repaired(pair: Pair, threshold: float) -> dict[str, Any]:
    parts = {"idea": pair.parent, "score": pair.score, "centroid": pair.centroid, "member": pair.member, "penalty": pair.penalty}
    shown = orjson.dumps([parts]).decode()
    why = {"method": "repair", "score": pair.score, "threshold": threshold, "candidates_json": shown}
    return {"idea_id": pair.child, "other_idea_id": pair.parent, **why}


def _unasked_for() -> None:
    """Name no candidates."""


def _candidates(board: Board, matches: Sequence[Match]) -> Callable[[], str]:
    """Return what writes *matches* down, with the texts that were nearest at this moment."""
    slots, links, first = board.slots, board.links, board.wordings.first_feedback
    shown = [
        {"idea": slots[slot].idea_id, "score": score, "centroid": centroid, "member": member, "nearest": links[first(row)].event_id}
        for slot, score, centroid, member, row in matches
    ]
    return lambda: orjson.dumps(shown).decode()


def _retract(draft: Draft) -> None:
    board, feedback = draft.board, draft.event.feedback_id or ""
    if draft.event.revision < board.links.revision_of(feedback):
        return
    draft.see(feedback, draft.event.revision)
    if feedback in board.links:
        before = board.links[feedback].idea_id
        unlink(draft, feedback, draft.event.revision, "retraction", "retracted")
        follow(draft, feedback, before)


def _point_person(draft: Draft) -> None:
    """Point one root person at another, or remove the pointer that joined their sides; where that is so already, do nothing."""
    persons, event = draft.board.persons, draft.event
    person, other = event.person_id or "", event.other_person_id or ""
    if event.type == "persons_joined":
        child, parent = persons.root(person), persons.root(other)
        if child != parent:
            draft.point_person(PersonPointer(child, parent, joined=True))
        return
    edge = persons.edge_between(person, other)
    if edge is not None:
        draft.point_person(PersonPointer(edge, persons.parent(edge) or "", joined=False))
