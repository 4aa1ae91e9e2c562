"""What the segmenter publishes: enriched feedback, memberships, their changes, and demand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from services.common.clock import Micros
from services.common.ids import board_key


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrichedFeedback:
    """A piece of feedback with who asked and what segments they were in at its first evaluation."""

    TOPIC: ClassVar[str] = "feedback.enriched"

    feedback_id: str
    revision: int
    enrichment_version: int
    """1 first; grows with a new revision, a move, a retraction, or a first profile that arrives within a day."""
    workspace: str
    board: str
    event_id: str
    decision_id: str
    source: str
    external_id: str
    idea_id: str
    """The idea that the feedback was linked to."""
    root_id: str
    """Where that idea's pointers ended at that moment."""
    person_id: str
    text: str
    retracted: bool
    primary_segment: str
    """The membership in the first scheme."""
    segments_json: str
    """``{scheme: segment}``, every scheme in it."""
    definition_version: str
    occurred_at: Micros
    ingested_at: Micros
    evaluated_at: Micros
    language: str | None = None
    url: str | None = None
    rating: float | None = None
    account_id: str | None = None
    account_name: str | None = None
    plan: str | None = None
    mrr_cents: int | None = None
    sentiment: float | None = None
    """How the text sounds, -1 to 1; absent where it is not English."""
    first_idea_id: str | None = None
    """The idea of the first link, whatever moved the feedback since."""
    first_root_id: str | None = None
    """Where that idea's pointers ended then."""

    def key(self) -> str:
        """Return the feedback's id."""
        return self.feedback_id

    def partition_key(self) -> str:
        """Return the board's key."""
        return board_key(self.workspace, self.board)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonSegments:
    """A person's present memberships."""

    TOPIC: ClassVar[str] = "people.segments"

    person_id: str
    workspace: str
    version: int
    segments_json: str
    """``{scheme: segment}``, every scheme in it."""
    primary_segment: str
    definition_version: str
    evaluated_at: Micros
    account_id: str | None = None

    def key(self) -> str:
        """Return the person's id."""
        return self.person_id

    def partition_key(self) -> str:
        """Return the person's id."""
        return self.person_id


TransitionCause: TypeAlias = Literal["unknown", "attribute", "account", "activity", "time", "definition", "joined"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentTransition:
    """A change of a person's segment in one scheme."""

    TOPIC: ClassVar[str] = "people.transitions"

    transition_id: str
    workspace: str
    person_id: str
    scheme: str
    segment: str
    cause: TransitionCause
    definition_version: str
    occurred_at: Micros
    """When what caused it happened."""
    evaluated_at: Micros
    previous_segment: str | None = None
    """Absent for the first membership in the scheme."""
    cause_id: str | None = None
    """The event that caused it, where one did."""

    def key(self) -> str:
        """Return the transition's id."""
        return self.transition_id

    def partition_key(self) -> str:
        """Return the person's id."""
        return self.person_id


@dataclass(frozen=True, slots=True, kw_only=True)
class IdeaDemand:
    """Who stands behind an idea, now. A root counts its whole family; an idea that was merged away counts nothing."""

    TOPIC: ClassVar[str] = "ideas.demand"

    idea_id: str
    workspace: str
    board: str
    version: int
    root_id: str
    people: int
    accounts: int
    mentions: int
    mrr_cents: int
    """Of the accounts behind it, each counted once."""
    segments_json: str
    """``{scheme: {segment: {"people", "accounts", "mentions", "mrr_cents", "recent_mentions", "earlier_mentions", "lift", "p",
    "p_adjusted"}}}``; segments without demand are left out."""
    updated_at: Micros
    recent_mentions: int = 0
    """Of the four weeks up to ``updated_at``, by when they were written."""
    earlier_mentions: int = 0
    """Of the four weeks before."""
    board_people: int = 0
    """Who asks for anything on the board: the idea's people are held against the others of them."""
    comparisons: int = 0
    """By so many ``p`` is multiplied for ``p_adjusted``: all pairs of a root idea and a segment (Bonferroni)."""
    over_represented: str = ""
    """``scheme=segment`` of each segment whose ``p_adjusted`` is below 0.05, blanks between, the surest first."""
    quotes_json: str = "[]"
    """``[{"feedback_id", "text", "source", "occurred_at", "account_id", "segments"}]``: the best of all and of each segment."""
    definition_version: str = ""

    def key(self) -> str:
        """Return the idea's id."""
        return self.idea_id

    def partition_key(self) -> str:
        """Return the board's key."""
        return board_key(self.workspace, self.board)
