"""What the handlers hold in memory lasts as long as this worker owns its partitions."""

from __future__ import annotations

from services.segmenter.handler.boards import Boards
from services.segmenter.handler.due import DuePeople


class Ownership:
    """Lets go of everything at a rebalance."""

    def __init__(self, boards: Boards, due: DuePeople) -> None:
        self._boards = boards
        self._due = due

    async def assigned(self, partitions: frozenset[int]) -> None:  # noqa: ARG002 - the port's shape
        """Begin without anything that an earlier assignment left."""
        await self.revoked()

    async def revoked(self) -> None:
        """Forget boards and what was on its way; the store has both."""
        self._boards.forget()
        self._due.forget()
