"""``board.decisions``, the facts that dedup established, and ``ideas``, the state that they add up to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from services.common.clock import Micros
from services.common.ids import board_key

DecisionType: TypeAlias = Literal[
    "unknown",
    "opened",
    "linked",
    "unlinked",
    "merged",
    "unmerged",
    "moved",
    "split",
    "renamed",
    "suggested",
    "accepted",
    "dismissed",
    "status_changed",
    "refused",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One fact of a board. Folding a board's decisions by ``sequence`` (1, 2, 3, … without a gap) rebuilds it.

    - opened: ``idea_id``, ``title``.
    - linked: ``feedback_id``, ``revision``, ``person_id``, ``text`` and the rest of the feedback, to ``idea_id``; ``actor`` wrote it
      down for ``person_id``. Without words where that person was erased.
    - unlinked: ``feedback_id`` from ``idea_id``, because it was revised or retracted (``reason``).
    - merged, unmerged: ``idea_id`` into, or out of, ``other_idea_id``.
    - moved: ``feedback_id`` of ``person_id`` from ``other_idea_id`` to ``idea_id``.
    - split: ``feedback_id`` of ``person_id`` from ``other_idea_id`` to ``idea_id``, which was opened for it.
    - suggested, accepted, dismissed: the pair ``idea_id``, ``other_idea_id``.
      With ``idea_id`` alone, a split of it; ``feedback_id`` is the likest of those that would leave it, ``candidates_json`` names them.
      Accepted without a suggestion: a human merged what dedup had merged by itself, and may not part from then on.
    - renamed: ``idea_id``, ``title``. status_changed: ``idea_id``, ``status``, ``reason``, ``release_*``.
    - refused: a command that cannot be obeyed; ``reason`` says why.
    """

    TOPIC: ClassVar[str] = "board.decisions"

    decision_id: str
    type: DecisionType
    workspace: str
    board: str
    sequence: int
    event_id: str
    occurred_at: Micros
    ingested_at: Micros
    idea_id: str | None = None
    root_id: str | None = None
    """Where the pointers of ``idea_id`` end once this decision holds."""
    other_idea_id: str | None = None
    feedback_id: str | None = None
    revision: int = 0
    person_id: str | None = None
    source: str | None = None
    external_id: str | None = None
    text: str | None = None
    language: str | None = None
    url: str | None = None
    rating: float | None = None
    method: str | None = None
    """How it was reached: ``exact``, ``semantic``, ``repair``, ``split``, ``command``, ``undo`` (``reason`` is the command's event),
    ``revision``, ``retraction``, ``vote`` (a "+1", linked where its parent is)."""
    score: float | None = None
    threshold: float | None = None
    candidates_json: str | None = None
    """The best ideas at that moment, best first: ``[{"idea", "score", "centroid", "member", "nearest"}]``."""
    title: str | None = None
    actor: str | None = None
    status: str | None = None
    reason: str | None = None
    release_id: str | None = None
    release_name: str | None = None
    release_url: str | None = None
    origin: str | None = None
    """``topic/partition/offset`` of the board's event: events before it that no decision speaks of established nothing."""

    def key(self) -> str:
        """Return the decision's id."""
        return self.decision_id

    def partition_key(self) -> str:
        """Return the board's key."""
        return board_key(self.workspace, self.board)


@dataclass(frozen=True, slots=True, kw_only=True)
class Idea:
    """The present state of an idea. A root counts its whole family; an idea that was merged away counts its own links."""

    TOPIC: ClassVar[str] = "ideas"

    idea_id: str
    workspace: str
    board: str
    version: int
    """The sequence of the last decision that changed it; or one above the last version, where two of its people were joined or parted."""
    root_id: str
    title: str
    status: str
    people: int
    mentions: int
    first_seen: Micros
    last_seen: Micros
    updated_at: Micros
    merged_ideas: int = 0
    """How many ideas point at this one, directly or through others."""
    release_id: str | None = None
    release_name: str | None = None
    quote: str | None = None
    """The text that is nearest to all others of the idea, cut at 280 characters."""
    keywords: str | None = None
    """Up to four words that set it apart from the board's other ideas, most telling first, with blanks between."""
    trend: str = ""
    """``new`` (first asked for within four weeks), ``growing``, ``steady`` or ``fading``, by the latest moment of the board."""
    recent_people: int = 0
    """Persons who asked for it in the four weeks up to that moment's."""
    earlier_people: int = 0
    """The same of the four weeks before these."""

    def key(self) -> str:
        """Return the idea's id."""
        return self.idea_id

    def partition_key(self) -> str:
        """Return the board's key."""
        return board_key(self.workspace, self.board)
