"""The notes of ``segmenter.work``: how persons, accounts and boards, each with a worker of its own, hear of each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from services.common.clock import Micros
from services.common.events import SegmenterWork
from services.common.events.work import SegmenterWorkType
from services.common.ids import make_id
from services.common.values import maker
from services.segmenter.domain.cards import AccountCard, PersonCard
from services.segmenter.domain.facts import Facts
from services.segmenter.domain.mentions import Asked

_WORK = maker(SegmenterWork)


@dataclass(frozen=True, slots=True)
class Cause:
    """The input that the notes follow from."""

    workspace: str
    cause_id: str
    at: Micros

    def note(
        self,
        kind: SegmenterWorkType,
        version: int,
        state: Mapping[str, Any],
        *,
        board: str | None = None,
        person_id: str | None = None,
        account_id: str | None = None,
    ) -> SegmenterWork:
        """Return the note; its id is a pure function of all that it says."""
        target = board or person_id or account_id or ""
        return _WORK(
            work_id=make_id(self.workspace, "work", kind, target, person_id or account_id or "", str(version), self.cause_id),
            type=kind,
            workspace=self.workspace,
            version=version,
            created_at=self.at,
            cause_id=self.cause_id,
            board=board,
            person_id=person_id,
            account_id=account_id,
            state_json=orjson.dumps(state).decode(),
        )

    def person_changed(self, board: str, card: PersonCard) -> SegmenterWork:
        """Tell *board* what is known of a person now."""
        return self.note("person_changed", card.version, {"card": card}, board=board, person_id=card.person_id)

    def person_on_board(
        self, person_id: str, board: str, known_version: int, wishes: Mapping[str, Asked | None] | None = None
    ) -> SegmenterWork:
        """Tell a person's worker that the person asked on *board*, which knows the card of *known_version* (0: none).

        *wishes* says what for, by feedback id (None: for nothing any more); no rule of the board's definition may ask for that.
        """
        state = {"board": board} if wishes is None else {"board": board, "wishes": wishes}
        return self.note("person_on_board", known_version, state, person_id=person_id)

    def family_changed(self, target: str, sender: str, version: int, members: Mapping[str, tuple[int, Facts]]) -> SegmenterWork:
        """Tell *target* of all who follow it by way of *sender*; nobody, if *sender* follows it no longer."""
        state = {"sender": sender, "members": {name: {"version": age, "facts": facts} for name, (age, facts) in members.items()}}
        return self.note("family_changed", version, state, person_id=target)

    def person_in_account(self, account_id: str, person_id: str, known_version: int) -> SegmenterWork:
        """Tell an account's worker who belongs to it, and which version of the account's card the person knows (0: none)."""
        return self.note("person_in_account", known_version, {"person": person_id}, account_id=account_id)

    def account_changed(self, person_id: str, card: AccountCard) -> SegmenterWork:
        """Tell a person of the account's present state."""
        return self.note("account_changed", card.version, {"card": card}, person_id=person_id, account_id=card.account_id)
