"""Internal: what a service tells itself to look at again, in another order than the one it was heard in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from services.common.clock import Micros
from services.common.ids import board_key

SegmenterWorkType: TypeAlias = Literal["unknown", "person_changed", "account_changed", "account_people"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmenterWork:
    """``segmenter.work``: a person's or an account's change, on its way to the boards or people that it concerns.

    With *board* set it goes to the board's order (its demand is looked at again), otherwise to *person_id*'s order.
    ``state_json`` carries what the receiver needs (memberships, account, MRR), ``version`` orders repeated news.
    """

    TOPIC: ClassVar[str] = "segmenter.work"

    work_id: str
    type: SegmenterWorkType
    workspace: str
    version: int
    created_at: Micros
    cause_id: str
    board: str | None = None
    person_id: str | None = None
    account_id: str | None = None
    state_json: str | None = None

    def key(self) -> str:
        """Return the work's id."""
        return self.work_id

    def partition_key(self) -> str:
        """Return the board's key, or the person's id."""
        if self.board is not None:
            return board_key(self.workspace, self.board)
        return self.person_id or self.account_id or self.workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierWork:
    """``notifier.work``: something about a person or a row that has to be looked at again."""

    TOPIC: ClassVar[str] = "notifier.work"

    work_id: str
    type: str
    workspace: str
    version: int
    created_at: Micros
    cause_id: str
    board: str | None = None
    person_id: str | None = None
    alert_id: str | None = None
    state_json: str | None = None

    def key(self) -> str:
        """Return the work's id."""
        return self.work_id

    def partition_key(self) -> str:
        """Return the board's key, or the person's id."""
        if self.board is not None:
            return board_key(self.workspace, self.board)
        return self.person_id or self.workspace
