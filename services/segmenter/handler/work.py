"""``segmenter.work``: each note goes to the handler of what it is addressed to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from services.common.events import SegmenterWork
from services.common.outcome import Drop, Outcome
from services.common.records import Received
from services.segmenter.handler.accounts import Accounts
from services.segmenter.handler.boards import Boards
from services.segmenter.handler.people import People

_Handle = Callable[[Sequence[Received[SegmenterWork]]], Awaitable[Sequence[Outcome]]]


class Work:
    """Hands notes out. Those to one board, person or account keep their order; between them there is none."""

    def __init__(self, accounts: Accounts, people: People, boards: Boards) -> None:
        self._handlers: dict[str, _Handle] = {
            "person_in_account": accounts.members,
            "account_changed": people.notes,
            "family_changed": people.notes,
            "person_on_board": people.notes,
            "person_changed": boards.notes,
        }

    async def notes(self, batch: Sequence[Received[SegmenterWork]]) -> Sequence[Outcome]:
        """Handle records of ``segmenter.work``; a type that a newer version writes is dropped by an older one."""
        outcomes: list[Outcome] = [Drop("unknown_note")] * len(batch)
        for handle in dict.fromkeys(self._handlers.values()):
            places = [place for place, received in enumerate(batch) if self._handlers.get(received.event.type) == handle]
            if places:
                for place, outcome in zip(places, await handle([batch[place] for place in places]), strict=True):
                    outcomes[place] = outcome
        return outcomes
