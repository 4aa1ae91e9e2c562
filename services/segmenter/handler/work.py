"""``segmenter.work``: each note goes to the handler of what it is addressed to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from services.common.events import SegmenterWork
from services.common.outcome import Drop, Outcome
from services.common.records import Received
from services.segmenter.handler.accounts import Accounts
from services.segmenter.handler.boards import Boards
from services.segmenter.handler.people import People
from services.segmenter.handler.said import said_void
from services.segmenter.ports import Said

_Handle = Callable[[Sequence[Received[SegmenterWork]]], Awaitable[Sequence[Outcome]]]


class Work:
    """Hands notes out. Those to one board, person or account keep their order; between them there is none.

    Notes that speak of a store that is lost are void: their versions are its own, and what they said follows again from the inputs.
    """

    def __init__(self, accounts: Accounts, people: People, boards: Boards, said: Said) -> None:
        self._said = said
        self._void: dict[int, int] = {}
        self._handlers: dict[str, _Handle] = {
            "person_in_account": accounts.members,
            "account_changed": people.notes,
            "family_changed": people.notes,
            "person_on_board": people.notes,
            "person_changed": boards.notes,
        }

    async def notes(self, batch: Sequence[Received[SegmenterWork]]) -> Sequence[Outcome]:
        """Handle records of ``segmenter.work``; a type that a newer version writes is dropped by an older one."""
        self._void |= await said_void(self._said, {r.record.partition for r in batch} - self._void.keys())
        valid = [place for place, r in enumerate(batch) if r.record.offset > self._void[r.record.partition]]
        outcomes: list[Outcome] = [Drop("void")] * len(batch)
        for place in valid:
            outcomes[place] = Drop("unknown_note")
        for handle in dict.fromkeys(self._handlers.values()):
            places = [place for place in valid if self._handlers.get(batch[place].event.type) == handle]
            if places:
                for place, outcome in zip(places, await handle([batch[place] for place in places]), strict=True):
                    outcomes[place] = outcome
        return outcomes
