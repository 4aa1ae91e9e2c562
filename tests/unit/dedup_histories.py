"""Histories of two boards for property tests: short, and dense in what acts upon what."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from services.common.events import BoardEvent
from tests.fakes_dedup import BOARDS, WORKSPACE, command, event_name, event_of, idea_name, submitted

_TEXTS = (
    "dark mode",
    "export to pdf",
    "crash on start",
    "Dark  MODE",
    "dark mode please",
    "dark theme",
    "pdf export",
    "start",
    "billing",
    "logo",
)
_RATINGS = (None, 4.5, float("nan"), float("inf"))
_KINDS = (
    *["said"] * 5,
    "voted",
    *["merge"] * 3,
    *["unmerge"] * 2,
    "joined",
    "joined",
    "separated",
    "retracted",
    "move",
    "move",
    "split",
    "rename",
    "accept",
    "dismiss",
    "undo",
    "undo",
    "undo",
    "status",
)
_OPENERS = 6
_LENGTH = 26


def _event(place: int, kind: str, one: int, other: int, third: int) -> BoardEvent:
    """Return the event number *place*: *one* and *other* name ideas, feedback or persons, *third* the rest."""
    board = BOARDS[third % 5 == 4]
    idea, second = idea_name(one, board), idea_name(other, board)
    feedback = f"{WORKSPACE}:feedback:{one}"
    match kind:
        case "said" | "voted":
            is_vote = kind == "voted"
            return event_of(
                place,
                type="revised" if third % 3 else "submitted",
                board=board,
                revision=third % 3,
                feedback_id=feedback,
                person_id=_person(other),
                text="+1" if is_vote else None if third == 19 else _TEXTS[(other + third) % len(_TEXTS)],
                is_vote=is_vote,
                parent_id=f"{WORKSPACE}:feedback:{other}" if is_vote else None,
                rating=_RATINGS[third % 4],
            )
        case "retracted":
            return event_of(place, type="retracted", board=board, feedback_id=feedback, revision=third % 3)
        case "status":
            status = {"status": ("planned", "shipped")[third % 2], "release_id": (None, "r1")[other % 2]}
            return event_of(place, type="status_changed", board=board, idea_id=idea, **status)
        case "undo":
            return command(place, kind, board=board, idea_id=idea, undone_event_id=event_name(_OPENERS + (3 * one + other) % 20))
        case "joined" | "separated":
            return event_of(place, type=f"persons_{kind}", board=board, person_id=_person(one), other_person_id=_person(other))
        case _:
            pair = {"idea_id": idea, "other_idea_id": None if kind == "unmerge" and third % 2 else second}
            return command(place, kind, board=board, feedback_id=f"{WORKSPACE}:feedback:{other}", title=("", "Night")[third % 2], **pair)


def _person(number: int) -> str:
    return f"{WORKSPACE}:person:{number % 4}"


def _history(people: Sequence[int], steps: Sequence[tuple[str, int, int, int]]) -> list[BoardEvent]:
    """Return a history whose first events open ideas, so that there is something to act on."""
    openers = [submitted(place, _TEXTS[place], person=str(person)) for place, person in enumerate(people)]
    return [*openers, *(_event(place, *step) for place, step in enumerate(steps, start=len(openers)))]


NAMES = st.integers(0, 7)
HISTORIES = st.builds(
    _history,
    st.lists(st.integers(0, 3), min_size=_OPENERS, max_size=_OPENERS),
    st.lists(st.tuples(st.sampled_from(_KINDS), NAMES, NAMES, st.integers(0, 19)), min_size=8, max_size=_LENGTH - _OPENERS),
)
PLACES = st.integers(0, _LENGTH - 1)
CUTS = st.lists(st.integers(1, _LENGTH), max_size=6)
