"""What a batch of a board brings, and what it has led to so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from services.common.clock import Micros
from services.common.events import Decision, SegmenterWork
from services.common.records import Received
from services.segmenter.domain.cards import PersonCard
from services.segmenter.domain.decide import EFFECTIVE
from services.segmenter.handler.said import SaidFeedback
from services.segmenter.ports import BoardEntry

Entries: TypeAlias = dict[tuple[str, str], BoardEntry]
"""What a batch led to and is not stored yet, by board and input id."""

ChangedIdeas: TypeAlias = dict[tuple[str, str], int]
"""By board and idea the place, in the batch, of the last input that changed the idea's demand."""


@dataclass(slots=True)
class Input:
    """A decision, or a note, to a board."""

    board: str
    input_id: str
    origin: str
    event: Decision | SegmenterWork
    card: PersonCard | None = None

    @property
    def erasure_id(self) -> str | None:
        """The id under which the log knows that a link came again without its words."""
        is_erased = isinstance(self.event, Decision) and self.event.type == "linked" and not self.event.text
        return f"{self.input_id}/erased" if is_erased else None

    @property
    def feedback_id(self) -> str | None:
        """The feedback that a decision is about."""
        return self.event.feedback_id if isinstance(self.event, Decision) else None

    @property
    def at(self) -> Micros:
        """When it came in."""
        return self.event.ingested_at if isinstance(self.event, Decision) else self.event.created_at


@dataclass(slots=True)
class Hand:
    """What a batch needs beside the boards, and what it has led to so far."""

    cards: Mapping[str, PersonCard]
    seen: Entries
    said: SaidFeedback
    recalls: bool
    entries: Entries = field(default_factory=dict)
    facts: dict[tuple[str, int], bytes] = field(default_factory=dict)
    """Those of the entries, by board and position."""
    changed: ChangedIdeas = field(default_factory=dict)

    def keep(self, entry: BoardEntry) -> None:
        """Remember what an input led to."""
        self.entries[entry.board, entry.input_id] = entry
        self.facts[entry.board, entry.position] = entry.facts


def inputs_of(batch: Sequence[Received[Decision | None]]) -> list[Input]:
    """Return the decisions of *batch* on which a demand depends."""
    return [Input(d.partition_key(), d.decision_id, r.record.origin, d) for r in batch if (d := r.event) is not None and is_effective(d)]


def is_effective(decision: Decision) -> bool:
    """Tell whether a demand depends on *decision*."""
    return decision.type in EFFECTIVE and not (decision.type == "split" and decision.feedback_id is None)
