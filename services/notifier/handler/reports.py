"""``notifications.reports`` → the ledger, ``notifications.log``: what was heard of a message after the other side had taken it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from services.common.codec import Codec
from services.common.events import DeliveryReport
from services.common.outcome import Drop, Emit, Outcome, Reject
from services.common.records import Output, Received
from services.notifier.domain.ledger import fallen_back, outcome_of, reported
from services.notifier.domain.row import TOLD, Row, Verdict
from services.notifier.domain.telling import Human, Means, has_another_road
from services.notifier.handler.audiences import audiences_of
from services.notifier.ports import LedgerStore, Store


class ReportHandler:
    """Takes in bounces and confirmations. What bounced is due at once for the person's next channel, if there is one."""

    def __init__(self, store: Store, codec: Codec, means: Means) -> None:
        self._store = store
        self._ledger: LedgerStore = store
        self._codec = codec
        self._means = means

    async def handle(self, batch: Sequence[Received[DeliveryReport]]) -> Sequence[Outcome]:
        """Write down a batch of reports, one after the other.

        Raises:
            TransientError: The store does not answer.
            Fenced: Another worker has written one of the rows.
        """
        found: dict[str, list[Row]] = {}
        for row in await self._ledger.told_in({received.event.letter for received in batch}):
            found.setdefault(row.letter or "", []).append(row)
        humans = await self._humans([row for rows in found.values() for row in rows])
        outcomes: list[Outcome] = []
        for received in batch:
            rows = found.get(received.event.letter, [])
            outcomes.append(await self._take(received, rows, humans))
        return outcomes

    async def _take(self, received: Received[DeliveryReport], rows: list[Row], humans: Mapping[str, Human]) -> Outcome:
        report, origin = received.event, received.record.origin
        if not rows:
            return Reject("unknown_letter", "the ledger has no alert that was told by such a message")
        if again := [row for row in rows if row.verdicts_since(origin)]:
            return Emit(tuple(self._outcome(row, verdict) for row in again for verdict in row.verdicts_since(origin)))
        changes = [
            (row, changed) for row in rows if (changed := self._changed(row, report, origin, humans[row.alert.person_id])) is not None
        ]
        if not changes:
            return Drop("repeat")
        await self._ledger.report(changes)
        rows[:] = [*(row for row in rows if row not in [old for old, _ in changes]), *(new for _, new in changes)]
        return Emit(tuple(self._outcome(new, new.history[-1]) for _, new in changes))

    def _changed(self, row: Row, report: DeliveryReport, origin: str, human: Human) -> Row | None:
        """Return *row* with what *report* says, or None where that says nothing new."""
        if row.state not in TOLD or row.channel != report.channel:
            return None
        last = row.history[-1]
        verdict = replace(last, outcome="delivered", reason=report.reason, attempt=row.attempt + 1, at=report.occurred_at, origin=origin)
        if report.outcome == "delivered":
            return reported(row, verdict) if row.state == "sent" else None
        if report.outcome != "bounced":
            return None
        bounced = replace(verdict, outcome="bounced", is_gone=report.address_gone)
        again = replace(bounced, outcome="deferred", reason=f"bounced: {report.reason}")
        fallen = fallen_back(replace(row, attempt=again.attempt), again, report.channel)
        return fallen if has_another_road(fallen, human, self._means) else reported(row, bounced)

    async def _humans(self, rows: Sequence[Row]) -> Mapping[str, Human]:
        audiences = await audiences_of(self._store, {row.alert.person_id for row in rows})
        return {person_id: Human(audience, ()) for person_id, audience in audiences.items()}

    def _outcome(self, row: Row, verdict: Verdict) -> Output:
        return self._codec.output(outcome_of(row, verdict))
