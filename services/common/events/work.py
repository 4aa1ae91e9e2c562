"""Internal: what a service tells itself to look at again, in another order than the one it was heard in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from services.common.clock import Micros
from services.common.ids import board_key

SegmenterWorkType: TypeAlias = Literal[
    "unknown",
    "person_changed",
    "person_on_board",
    "family_changed",
    "person_in_account",
    "account_changed",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmenterWork:
    """``segmenter.work``: a person's or an account's change, on its way to the boards or people that it concerns.

    With *board* set it goes to the board's order, else with *person_id* to the person's, else to *account_id*'s.
    ``state_json`` carries what the receiver needs, ``version`` (the subject's own) orders repeated news.

    - person_changed, to a board: the card of ``person_id`` (memberships, account, pointer).
    - person_on_board, to a person: who asked on a board for the first time (and, where a rule looks at that, what for), and which version
      of the card the board knows.
    - family_changed, to a person: what is known of the persons who follow this one, by way of one of them.
    - person_in_account, to an account: who belongs to it from now on.
    - account_changed, to a person: the card of ``account_id``.
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
