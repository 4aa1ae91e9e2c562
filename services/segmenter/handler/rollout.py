"""How far a definition's rollout has come: whoever was evaluated by another one is evaluated again, some hundreds at a time."""

from __future__ import annotations

from services.common.clock import Clock, Micros
from services.common.logs import get_logger
from services.segmenter.ports import Documents, Gauges

log = get_logger(__name__)

_SAY_EVERY: Micros = 10_000_000


class Rollout:
    """Counts who is left, from time to time, and says so; what is left is in the store, so a new worker goes on where an old one ended."""

    def __init__(self, documents: Documents, clock: Clock, gauges: Gauges) -> None:
        self._documents = documents
        self._clock = clock
        self._gauges = gauges
        self._began: tuple[Micros, int] | None = None
        """When this worker began, and how many were left then; None while nothing is rolled out."""
        self._said: Micros = 0

    def forget(self) -> None:
        """Begin anew: other partitions, or another definition."""
        self._began, self._said = None, 0

    async def watch(self, partitions: frozenset[int], definition: str, outdated: int) -> None:
        """Say how many of *partitions* are left, once every ten seconds; *outdated* were found now, at least.

        Raises:
            TransientError: The store does not answer.
        """
        now = self._clock.now()
        if (self._began is None and not outdated) or (outdated and 0 <= now - self._said < _SAY_EVERY):
            return
        left = await self._documents.outdated(partitions, definition)
        self._said = now
        if self._began is None:
            self._began = (now, left)
        seconds, done = (now - self._began[0]) / 1e6, self._began[1] - left
        self._gauges.left_to_evaluate(left)
        if left:
            log.info("rolling_out", definition=definition, left=left, done=done, seconds=round(seconds, 1))
        else:
            log.info("rolled_out", definition=definition, people=done, seconds=round(seconds, 1))
            self._began = None
