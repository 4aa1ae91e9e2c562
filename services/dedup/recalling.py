"""What dedup gives a new store back: its own decisions."""

from __future__ import annotations

from collections.abc import Sequence

from services.common.codec import Codec
from services.common.errors import MalformedRecord
from services.common.events import Decision
from services.common.logs import get_logger
from services.common.records import Record
from services.dedup.ports import SaidLog

log = get_logger(__name__)


class DecisionRecall:
    """See ``services.common.ports.Recall``. The boards are folded later, event by event, as their events are read again."""

    def __init__(self, said: SaidLog, codec: Codec) -> None:
        self._said = said
        self._decode = codec.optional_decoder(Decision)

    @property
    def topics(self) -> Sequence[str]:
        """Return the one topic."""
        return (Decision.TOPIC,)

    async def recall(self, topic: str, records: Sequence[Record]) -> None:
        """Keep the decisions in *records*; one that was erased is missing from then on."""
        decisions = []
        for record in records:
            try:
                decision = self._decode(record)
            except MalformedRecord as error:
                log.error("not_a_decision", topic=topic, partition=record.partition, offset=record.offset, reason=error.reason)
                continue
            if decision is not None:
                decisions.append(decision)
        await self._said.remember(decisions)
