"""What ingest's events and dedup's decisions leave of each piece of feedback, and whether two runs agree on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from services.common.events import Decision


@dataclass(frozen=True, slots=True)
class State:
    """What the newest event of a piece says, to its board or of its author."""

    revision: int
    is_of_board: bool
    is_gone: bool
    content: tuple[Any, ...]
    parent_id: str | None = None
    is_vote: bool = False

    @property
    def is_held(self) -> bool:
        """Tell whether its board holds it."""
        return self.is_of_board and not self.is_gone


States = dict[str, State]


def take(states: States, event: Any) -> None:
    """Keep what the newest revision of a piece says: praise that became a request is the request."""
    if event.TOPIC == "board.events":
        if event.feedback_id is None:
            return
        content = (event.text, event.person_id, event.original, event.language, event.rating, event.actor)
        key, state = event.feedback_id, State(event.revision, True, event.type == "retracted", content, event.parent_id, event.is_vote)
    elif event.TOPIC == "people.events" and event.type in ("answer", "activity"):
        key, state = event.subject, State(event.revision, False, False, (event.type, event.answer_json, event.person_id))
    else:
        return
    known = states.get(key)
    if known is None or state.revision >= known.revision:
        states[key] = state


def differing(left: Mapping[str, State], expected: Mapping[str, State]) -> list[str]:
    """Return the pieces of which the two do not say the same."""
    return sorted(key for key in left.keys() | expected.keys() if not _agree(left.get(key), expected.get(key)))


def _agree(one: State | None, other: State | None) -> bool:
    """Tell whether both say the same of a piece. What its board does not hold may have been taken back there, or never have come:
    that depends on the order, and so does whether praise that replaced a request is told beside the retraction.
    """
    held = [state if state is not None and state.is_held else None for state in (one, other)]
    if held != [None, None]:
        return held[0] == held[1]
    of_persons = [state for state in (one, other) if state is not None and not state.is_of_board]
    return len(of_persons) < 2 or of_persons[0] == of_persons[1]


def wrongly_linked(decisions: Iterable[Decision], expected: Mapping[str, State]) -> list[str]:
    """Return the pieces that *decisions*, in their order, link otherwise than they should: each that its board holds to an idea, by who
    wrote it; a vote to its parent's, and to none where its parent has none.
    """
    idea_of: dict[str, tuple[str | None, str | None]] = {}
    for decision in decisions:
        feedback = decision.feedback_id or ""
        if decision.type in ("linked", "moved", "split"):
            idea_of[feedback] = decision.idea_id, decision.person_id
        elif decision.type == "unlinked":
            idea_of.pop(feedback, None)
    wrong = [key for key in idea_of if key not in expected or not expected[key].is_held]
    for key, state in expected.items():
        if not state.is_held:
            continue
        idea, person = idea_of.get(key, (None, None))
        wanted = idea_of.get(state.parent_id or "", (None, None))[0] if state.is_vote else idea or "some idea"
        if idea != wanted or (idea is not None and person != state.content[1]):
            wrong.append(key)
    return sorted(wrong)
