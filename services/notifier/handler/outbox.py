"""``notifications.outbox`` → mail, the ledger, ``notifications.log``: the one sender of each person."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from services.common.clock import Clock, Micros
from services.common.codec import Codec
from services.common.events import Alert
from services.common.logs import get_logger
from services.common.outcome import Drop, Emit, Outcome, Reject
from services.common.records import Received
from services.notifier.domain.ledger import Row, State, Verdict, deferred, outcome_of, settled
from services.notifier.domain.letter import Letter, letter_id
from services.notifier.domain.person import EMAIL, Audience
from services.notifier.domain.telling import SECOND, Schedule, Send, Silence, Wait, decide
from services.notifier.handler.audiences import audiences_of, families_of
from services.notifier.ports import (
    Accepted,
    Channel,
    Delivery,
    Disabled,
    LedgerStore,
    Message,
    OutcomeCounter,
    Postponed,
    Refused,
    Store,
    Unrenderable,
)

log = get_logger(__name__)

_CHUNK = 50
"""So many mails are sent before the ledger is written: what a crash may repeat, with the same Message-ID."""
_UNTRIED_WAIT: Micros = SECOND


@dataclass(frozen=True, slots=True)
class Manner:
    """How alerts are sent."""

    tell_again: bool
    """Tell of every further release; otherwise a human hears once of each status of a family of ideas."""
    schedule: Schedule
    batch_seconds: float
    """After so long no further mail of a batch is tried; the rest is put off, so that the loop is never held up."""


@dataclass(slots=True)
class _Job:
    """A record that is acted on."""

    place: int
    received: Received[Alert]
    row: Row
    audience: Audience


class OutboxHandler:
    """Sends alerts, chunk by chunk: read the ledger, decide, send, write the ledger."""

    def __init__(
        self,
        *,
        store: Store,
        codec: Codec,
        channel: Channel,
        clock: Clock,
        counter: OutcomeCounter,
        manner: Manner,
        partition_of: Callable[[str], int],
    ) -> None:
        self._store = store
        self._ledger: LedgerStore = store
        self._codec = codec
        self._channel = channel
        self._clock = clock
        self._counter = counter
        self._manner = manner
        self._partition_of = partition_of

    async def handle(self, batch: Sequence[Received[Alert]]) -> Sequence[Outcome]:
        """Send or explain a batch of alerts; takes ``batch_seconds`` and the mail server's timeout at most.

        Raises:
            TransientError: The store does not answer. A mail server that does not is a reason to defer.
            Fenced: Another worker has written one of the rows.
        """
        deadline = time.monotonic() + self._manner.batch_seconds
        outcomes: list[Outcome] = []
        for start in range(0, len(batch), _CHUNK):
            outcomes.extend(await self._take(batch[start : start + _CHUNK], deadline))
        return outcomes

    async def _take(self, chunk: Sequence[Received[Alert]], deadline: float) -> list[Outcome]:
        audiences = await audiences_of(self._store, {received.event.person_id for received in chunk})
        people = {person.person_id for audience in audiences.values() for person in audience.persons}
        people |= audiences.keys()
        ledger = {row.alert_id: row for row in await self._ledger.rows_of(people)}
        families = await families_of(self._store, {row.alert.idea_id for row in ledger.values()})
        outcomes: dict[int, Outcome] = {}
        places = list(range(len(chunk)))
        while places:
            jobs, left = list[_Job](), list[int]()
            for place in places:
                received = chunk[place]
                row = ledger.get(received.event.alert_id)
                outcome = self._triage(received, row, audiences)
                if outcome is not None or row is None:
                    outcomes[place] = outcome or _unknown()
                elif any(job.audience.root == audiences[row.alert.person_id].root for job in jobs):
                    left.append(place)  # one human's alerts follow one another: each looks at what became of those before
                else:
                    jobs.append(_Job(place, received, row, audiences[row.alert.person_id]))
            for job, (row, verdict) in zip(jobs, await self._tell(jobs, ledger, families, deadline), strict=True):
                ledger[row.alert_id] = row
                outcomes[job.place] = self._emitted(row, (verdict,))
            places = left
        return [outcomes[place] for place in range(len(chunk))]

    def _triage(self, received: Received[Alert], row: Row | None, audiences: Mapping[str, Audience]) -> Outcome | None:
        """Return what becomes of a record that is not acted on, or None for one that is."""
        alert, record = received.event, received.record
        if row is None:
            return _unknown()
        if said := row.verdicts_since(record.origin):
            return self._emitted(row, said)
        if row.state != "pending" or row.attempt != alert.attempt:
            return Drop("repeat")
        root = audiences[row.alert.person_id].root
        if self._partition_of(root) != record.partition:
            return Emit(
                (replace(self._codec.output(alert), partition_key=root.encode()),)
            )  # to the one sender of whom they turned out to be
        return None

    async def _tell(
        self, jobs: Sequence[_Job], ledger: Mapping[str, Row], families: Mapping[str, str], deadline: float
    ) -> list[tuple[Row, Verdict]]:
        """Do what is to be done about *jobs*, of different humans, and remember it; return each row with its verdict."""
        now = self._clock.now()
        results: dict[int, tuple[Row, Verdict]] = {}
        mails: list[tuple[_Job, Message]] = []
        for job in jobs:
            match decide(job.row, job.audience, self._others(job, ledger, families), now):
                case Silence(outcome, reason):
                    verdict = Verdict(outcome=outcome, reason=reason, attempt=job.row.attempt, at=now, origin=job.received.record.origin)
                    results[job.place] = (settled(job.row, verdict), verdict)
                case Wait(until, reason):
                    verdict = self._verdict(job, "deferred", reason, now)
                    results[job.place] = (deferred(job.row, verdict, until, failed=False), verdict)
                case Send(address):
                    try:
                        mails.append((job, self._channel.compose(_letter(job.row.alert, address))))
                    except Unrenderable as error:
                        log.error("unrenderable", alert_id=job.row.alert_id, error=str(error))
                        verdict = self._verdict(job, "failed", str(error), now)
                        results[job.place] = (settled(job.row, verdict), verdict)
        deliveries = await self._sent(mails, deadline) if mails else ()
        now = self._clock.now()
        for (job, mail), delivery in zip(mails, deliveries, strict=True):
            results[job.place] = self._delivered(job, mail, delivery, now)
        await self._ledger.settle([(job.row, results[job.place][0]) for job in jobs])
        for _, verdict in results.values():
            self._counter.told(verdict.outcome)
        return [results[job.place] for job in jobs]

    async def _sent(self, mails: Sequence[tuple[_Job, Message]], deadline: float) -> Sequence[Delivery]:
        await self._ledger.begin([job.row for job, _ in mails])
        return await self._channel.send([mail for _, mail in mails], deadline)

    def _others(self, job: _Job, ledger: Mapping[str, Row], families: Mapping[str, str]) -> list[Row]:
        """Return the other rows by which the same human hears of the same thing."""
        mine = job.row.alert
        people = {person.person_id for person in job.audience.persons}
        return [
            row
            for row in ledger.values()
            if row.alert.person_id in people
            and row.alert_id != mine.alert_id
            and row.alert.status == mine.status
            and (row.alert.release_id == mine.release_id or not self._manner.tell_again)
            and families[row.alert.idea_id] == families[mine.idea_id]
        ]

    def _delivered(self, job: _Job, mail: Message, delivery: Delivery, now: Micros) -> tuple[Row, Verdict]:
        match delivery:
            case Accepted():
                verdict = replace(self._verdict(job, "sent", "accepted by the mail server", now), message_id=mail.message_id)
                return settled(job.row, verdict), verdict
            case Refused(reason) | Disabled(reason):
                verdict = replace(self._verdict(job, "failed", reason, now), message_id=mail.message_id)
                return settled(job.row, verdict), verdict
            case Postponed(reason, tried):
                return self._postponed(job, reason, now, tried=tried)

    def _postponed(self, job: _Job, reason: str, now: Micros, *, tried: bool) -> tuple[Row, Verdict]:
        if not tried:
            verdict = self._verdict(job, "deferred", reason, now)
            return deferred(job.row, verdict, now + _UNTRIED_WAIT, failed=False), verdict
        failures = job.row.failures + 1
        first = job.row.first_failed_at if job.row.first_failed_at is not None else now
        due_at = self._manner.schedule.next(failures, first, now, random.random())  # noqa: S311 - spreads load, guards nothing
        if due_at is None:
            verdict = self._verdict(job, "failed", f"given up after {failures} attempts: {reason}", now)
            return settled(job.row, verdict), verdict
        verdict = self._verdict(job, "deferred", reason, now)
        return deferred(job.row, verdict, due_at, failed=True), verdict

    def _verdict(self, job: _Job, outcome: State, reason: str, now: Micros) -> Verdict:
        return Verdict(outcome=outcome, reason=reason, attempt=job.row.attempt, at=now, origin=job.received.record.origin, channel=EMAIL)

    def _emitted(self, row: Row, verdicts: Sequence[Verdict]) -> Emit:
        return Emit(tuple(self._codec.output(outcome_of(row, verdict)) for verdict in verdicts))


def _letter(alert: Alert, address: str) -> Letter:
    return Letter(letter_id((alert,)), address, (alert,))


def _unknown() -> Reject:
    return Reject("unknown_alert", "the ledger has no row of it: alerts come from board.decisions alone")
