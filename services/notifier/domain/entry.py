"""A board's decisions as the notifier keeps them: what the join needs of each, and nothing else."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from services.common.clock import Micros
from services.common.events import Decision, DecisionType

QUOTE_CHARACTERS = 1_000
"""How much of a person's own words an alert quotes at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One decision of a board; folding them by ``sequence`` gives the board's state (``domain.board``)."""

    sequence: int
    origin: str
    """Of the record that brought it: the same for a redelivery."""
    type: DecisionType
    at: Micros
    """The decision's ``ingested_at``."""
    idea_id: str | None = None
    other_idea_id: str | None = None
    feedback_id: str | None = None
    person_id: str | None = None
    quote: str | None = None
    """The person's words; left out where entries are read back for the fold alone."""
    title: str | None = None
    status: str | None = None
    tells: bool = False
    """Whether the status told people when it was decided: a later change of the setting does not rewrite the past."""
    release_id: str | None = None
    release_name: str | None = None
    release_url: str | None = None
    reason: str | None = None
    """Of a status."""


def entry_of(decision: Decision, origin: str, statuses: Collection[str]) -> Entry:
    """Return what is kept of *decision*; *statuses* are those that tell people."""
    text = decision.text
    return Entry(
        sequence=decision.sequence,
        origin=origin,
        type=decision.type,
        at=decision.ingested_at,
        idea_id=decision.idea_id,
        other_idea_id=decision.other_idea_id,
        feedback_id=decision.feedback_id,
        person_id=decision.person_id,
        quote=None if text is None else shortened(text),
        title=decision.title,
        status=decision.status,
        tells=decision.status in statuses,
        release_id=decision.release_id,
        release_name=decision.release_name,
        release_url=decision.release_url,
        reason=decision.reason if decision.type == "status_changed" else None,
    )


def shortened(text: str) -> str:
    """Return *text* without outer space, at most ``QUOTE_CHARACTERS`` long; an ellipsis marks what was cut."""
    text = text.strip()
    return text if len(text) <= QUOTE_CHARACTERS else text[: QUOTE_CHARACTERS - 1].rstrip() + "…"
