"""What can happen to a person, and whether it still says anything new."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

from services.common.clock import Micros
from services.common.events import PersonEvent, SegmenterWork, TransitionCause
from services.segmenter.domain.cards import account_card
from services.segmenter.domain.facts import Facts
from services.segmenter.domain.mentions import asked
from services.segmenter.domain.person import PersonState, Sent

EVENTS = frozenset({"profile", "activity", "answer", "joined", "separated", "erased"})
"""The people's events that say anything about memberships."""


@dataclass(frozen=True, slots=True)
class DueMoment:
    """Somebody has to look again, because of the time or because of a new definition."""

    now: Micros


PersonInput: TypeAlias = PersonEvent | SegmenterWork | DueMoment


def state_of(work: SegmenterWork) -> Mapping[str, Any]:
    """Return what *work* carries."""
    return orjson.loads(work.state_json or "{}")  # type: ignore[no-any-return]


def happened_at(received: PersonInput) -> Micros:
    """Return the moment as of which an input is evaluated."""
    if isinstance(received, PersonEvent):
        return received.ingested_at
    return received.created_at if isinstance(received, SegmenterWork) else received.now


def cause_of(received: PersonInput) -> TransitionCause:
    """Return why memberships change by an input."""
    if isinstance(received, DueMoment):
        return "time"
    if isinstance(received, SegmenterWork):
        return "account" if received.type == "account_changed" else "joined"
    if received.type in ("joined", "separated"):
        return "joined"
    return "activity" if received.type == "activity" else "attribute"


def is_stale(state: PersonState, received: PersonInput) -> bool:
    """Tell whether *received* is older than what *state* holds, or repeats it."""
    if isinstance(received, DueMoment):
        return False
    if isinstance(received, PersonEvent):
        return _is_stale_event(state, received)
    if received.type == "family_changed":
        sent = state.followers.get(str(state_of(received)["sender"]))
        return sent is not None and sent.version >= received.version
    if received.type == "account_changed":
        brief = state.brief(state.together())
        return brief is None or brief.account_id != received.account_id or brief.version >= received.version
    return False


def _is_stale_event(state: PersonState, event: PersonEvent) -> bool:
    match event.type:
        case "joined":
            return event.other_person_id in (None, state.person_id, state.pointer)
        case "separated":
            return state.pointer is None or event.other_person_id not in (None, state.pointer)
        case "profile":
            return state.own.profile is not None and state.own.profile.updated_at > event.occurred_at
        case "answer":
            known = state.own.answers.get(event.name or "")
            return known is not None and known.answered_at > event.occurred_at
        case _:
            return False


def take_in(state: PersonState, received: PersonEvent | SegmenterWork) -> None:
    """Change what *state* knows; nothing is evaluated yet. The position has to be that of *received* already."""
    if isinstance(received, PersonEvent):
        _take_event(state, received)
    elif received.type == "family_changed":
        raw = state_of(received)
        members = {name: (int(member["version"]), Facts.load(member["facts"])) for name, member in raw["members"].items()}
        state.followers[str(raw["sender"])] = Sent(received.version, members)
    elif received.type == "account_changed":
        state.account = account_card(state_of(received)["card"])
    else:
        _take_board(state, state_of(received))


def _take_board(state: PersonState, raw: Mapping[str, Any]) -> None:
    board, wishes = str(raw["board"]), raw.get("wishes", {})
    if board not in state.own.boards:
        state.own.boards = sorted([*state.own.boards, board])
        state.own_version = state.position
    for feedback_id, wish in wishes.items():
        state.own.ask(feedback_id, None if wish is None else asked(wish))
        state.own_version = state.position


def _take_event(state: PersonState, event: PersonEvent) -> None:
    match event.type:
        case "joined":
            state.pointer, state.pointer_since = event.other_person_id, event.ingested_at
        case "separated":
            state.pointer, state.pointer_since = None, event.ingested_at
        case "erased":
            state.own = Facts(boards=state.own.boards)
            state.own_version = state.position
        case _:
            state.own.learn(event)
            state.own_version = state.position
