"""``notifications.outbox`` → messages, the ledger, ``notifications.log``: the one sender of each person."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.common.clock import Clock, Micros
from services.common.codec import Codec
from services.common.events import Alert
from services.common.logs import get_logger
from services.common.outcome import Drop, Emit, Outcome, Reject
from services.common.records import Output, Received
from services.notifier.domain.audience import Audience
from services.notifier.domain.ledger import deferred, outcome_of, settled
from services.notifier.domain.letter import letter_of
from services.notifier.domain.pace import Limits, Pace
from services.notifier.domain.row import HELD, TOLD, Row, Verdict
from services.notifier.domain.telling import Human, Means, Retries, Send, Silence, Step, Wait, about_the_same, decide
from services.notifier.handler.audiences import audiences_of, families_of
from services.notifier.handler.post import Change, Parcel, Post, verdict_of
from services.notifier.ports import Channel, LedgerStore, OutcomeCounter, Store, Unrenderable

log = get_logger(__name__)

_LETTER_ALERTS = 20
"""So many alerts one message tells of at most."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How alerts are sent."""

    tell_again: bool
    """Tell of every further release; otherwise a human hears once of each status of a family of ideas."""
    schedule: Retries
    """When failed attempts are made again, by channels that ``retries`` does not name."""
    batch_seconds: float
    """After so long no further message of a batch is tried; the rest is put off, so that the loop is never held up."""
    limits: Limits = field(default_factory=Limits)
    retries: Mapping[str, Retries] = field(default_factory=dict)
    chunk: int = 100
    """So many messages are sent between two writes of the ledger: what a crash may repeat, under the same id, is twice as many at most."""


@dataclass(slots=True)
class _Job:
    """A record that is acted on."""

    place: int
    received: Received[Alert]
    row: Row
    human: Human


class _Desk:
    """What a batch of records is decided by; rows are replaced as they change."""

    def __init__(self, audiences: Mapping[str, Audience], families: Mapping[str, str], rows: Iterable[Row]) -> None:
        self.audiences = audiences
        """By person."""
        self.families = families
        self._rows = defaultdict[str, dict[str, Row]](dict)
        for row in rows:
            self.put(row)

    def row(self, alert: Alert) -> Row | None:
        """Return the row of *alert* as it is now."""
        return self._rows[self.audiences[alert.person_id].root].get(alert.alert_id)

    def put(self, row: Row) -> None:
        """Let *row* be what is known of its alert."""
        self._rows[self.audiences[row.alert.person_id].root][row.alert_id] = row

    def human(self, person_id: str) -> Human:
        """Return the human behind *person_id*, with their rows as they are now."""
        audience = self.audiences[person_id]
        return Human(audience, list(self._rows[audience.root].values()))


class OutboxHandler:
    """Sends alerts, chunk by chunk: read the ledger, decide, send, write the ledger."""

    def __init__(
        self,
        *,
        store: Store,
        codec: Codec,
        channels: Mapping[str, Channel],
        means: Means,
        clock: Clock,
        counter: OutcomeCounter,
        manner: Manner,
        partition_of: Callable[[str], int],
        partitions: int,
    ) -> None:
        self._store = store
        self._ledger: LedgerStore = store
        self._codec = codec
        self._means = means
        self._clock = clock
        self._counter = counter
        self._manner = manner
        self._partition_of = partition_of
        self._partitions = partitions
        self._pace = Pace(manner.limits)
        retries = {name: manner.retries.get(name, manner.schedule) for name in channels}
        self._post = Post(store, clock, channels, means, retries, chunk=manner.chunk)

    async def assigned(self, partitions: frozenset[int]) -> None:
        """Keep to this worker's share of the rate limits."""
        self._pace.share(max(1, len(partitions)) / self._partitions)

    async def revoked(self) -> None:
        """Nothing of a partition is held in memory."""

    async def handle(self, batch: Sequence[Received[Alert]]) -> Sequence[Outcome]:
        """Send or explain a batch of alerts; takes ``batch_seconds`` and the slowest channel's timeout at most.

        Raises:
            TransientError: The store does not answer. A mail server that does not is a reason to defer.
            Fenced: Another worker has written one of the rows.
        """
        deadline = time.monotonic() + self._manner.batch_seconds
        desk = await self._desk({received.event.person_id for received in batch})
        outcomes: dict[int, Outcome] = {}
        places = list(range(len(batch)))
        while places:
            jobs, left, busy = list[_Job](), list[int](), set[str]()
            for place in places:
                received = batch[place]
                row = desk.row(received.event)
                outcome = await self._triage(received, row, desk)
                if outcome is not None or row is None:
                    outcomes[place] = outcome or _unknown()
                elif (root := desk.audiences[row.alert.person_id].root) in busy:
                    left.append(place)  # one human's alerts follow one another: each looks at what became of those before
                else:
                    busy.add(root)
                    jobs.append(_Job(place, received, row, desk.human(row.alert.person_id)))
            outcomes |= await self._tell(jobs, desk, deadline)
            places = left
        return [outcomes[place] for place in range(len(batch))]

    async def _desk(self, person_ids: set[str]) -> _Desk:
        audiences = await audiences_of(self._store, person_ids)
        everyone = {person.person_id: audience for audience in audiences.values() for person in audience.persons} | dict(audiences)
        rows = await self._ledger.rows_of(everyone.keys())
        families = await families_of(self._store, {row.alert.idea_id for row in rows})
        return _Desk(everyone, families, rows)

    async def _triage(self, received: Received[Alert], row: Row | None, desk: _Desk) -> Outcome | None:
        """Return what becomes of a record that is not acted on, or None for one that is."""
        alert, record = received.event, received.record
        if row is None:
            return _unknown()
        if row.verdicts_since(record.origin):
            return Emit(await self._again(row, record.origin, desk))
        if row.state != "pending" or row.attempt != alert.attempt:
            return Drop("repeat")
        root = desk.audiences[row.alert.person_id].root
        if self._partition_of(root) != record.partition:
            return Emit(
                (replace(self._codec.output(alert), partition_key=root.encode()),)
            )  # to the one sender of whom they turned out to be
        return None

    async def _tell(self, jobs: Sequence[_Job], desk: _Desk, deadline: float) -> dict[int, Outcome]:
        """Do what is to be done about *jobs*, of different humans, and remember it; return what is published, by place."""
        now = self._clock.now()
        changes: dict[int, Sequence[Change]] = {}
        parcels: dict[int, Parcel] = {}
        for job in jobs:
            done = self._settle_or_pack(job, self._paced(job, self._step(job.row, job.human, desk, now), now), desk, now)
            if isinstance(done, Parcel):
                parcels[job.place] = done
            else:
                changes[job.place] = [(job.row, done)]
        silent = [change for some in changes.values() for change in some]
        changes |= await self._post.deliver(list(parcels.values()), silent, deadline)
        for _, new in (change for some in changes.values() for change in some):
            desk.put(new)
            self._counter.told(new.history[-1].outcome)
        return {place: self._emitted([new for _, new in some], parcels.get(place)) for place, some in changes.items()}

    def _step(self, row: Row, human: Human, desk: _Desk, now: Micros) -> Step:
        others = about_the_same(row, human, desk.families, tell_again=self._manner.tell_again)
        return decide(row, human, others, self._means, now)

    def _paced(self, job: _Job, step: Step, now: Micros) -> Step:
        """Return *step*, or until when it has to wait for its place among all messages."""
        if not isinstance(step, Send) or job.row.trying:
            return step
        hold = self._pace.ask(step.channel, step.address, now)
        return step if hold is None else Wait(hold.until, hold.reason)

    def _settle_or_pack(self, job: _Job, step: Step, desk: _Desk, now: Micros) -> Row | Parcel:
        origin = job.received.record.origin
        match step:
            case Silence(outcome, reason):
                return settled(job.row, verdict_of(job.row, outcome, reason, origin, now))
            case Wait(until, reason):
                return deferred(job.row, verdict_of(job.row, "deferred", reason, origin, now), until, failed=False)
            case Send():
                try:
                    return self._post.packed(job.place, origin, job.human, self._together(job, step, desk, now), step)
                except Unrenderable as error:
                    log.error("unrenderable", alert_id=job.row.alert_id, error=str(error))
                    return settled(job.row, verdict_of(job.row, "failed", str(error), origin, now, road=step))

    def _together(self, job: _Job, road: Send, desk: _Desk, now: Micros) -> list[Row]:
        """Return the rows that one message tells of, the job's first."""
        others = [row for row in job.human.rows if row.alert_id != job.row.alert_id and _is_waiting(row)]
        if job.row.may_have_left:
            same = [row for row in others if row.may_have_left and row.letter is not None and row.letter == job.row.letter]
            return [job.row, *(row for row in same if row.trying or self._step(row, job.human, desk, now) == road)]
        if not road.gathers:
            return [job.row]
        found = [job.row]
        for row in sorted(others, key=lambda row: (row.alert.created_at, row.alert_id)):
            if len(found) < _LETTER_ALERTS and not row.may_have_left and self._step(row, job.human, desk, now) == road:
                found.append(row)
        return found

    async def _again(self, row: Row, origin: str, desk: _Desk) -> tuple[Output, ...]:
        """Return what was published when *row* was acted on by the record *origin*, and all that was said since of those rows.

        Who was told by the same message is asked of the ledger: people may have been separated since.
        """
        human = desk.human(row.alert.person_id)
        letters = {letter_of(verdict.message_id) for verdict in row.verdicts_since(origin) if verdict.message_id is not None}
        told = {other.alert_id: other for other in (await self._ledger.told_in(letters) if letters else ())}
        others = {other.alert_id: other for other in human.rows} | told
        concerned = [row, *(other for other in others.values() if other.alert_id != row.alert_id and other.verdicts_since(origin))]
        outputs = [
            self._codec.output(outcome_of(some, verdict))
            for some in concerned
            for verdict in _words(some, some.verdicts_since(origin), along=some is not row)
        ]
        letters_told = defaultdict[tuple[str, str], list[Row]](list)
        for some in concerned:
            for verdict in some.verdicts_since(origin):
                if verdict.outcome == "sent" and verdict.message_id is not None:
                    letters_told[verdict.channel or "", verdict.message_id].append(some)
        for (channel, _), rows in letters_told.items():
            outputs.extend(self._post.republished(rows, channel, human))
        return tuple(outputs)

    def _emitted(self, rows: Sequence[Row], parcel: Parcel | None) -> Emit:
        outputs = [
            self._codec.output(outcome_of(row, verdict))
            for row in rows
            for verdict in _words(row, row.history[-1:], along=row is not rows[0])
        ]
        if parcel is not None and rows[0].state in TOLD:
            outputs.extend(self._post.outputs(parcel))
        return Emit(tuple(outputs))


def _words(row: Row, said: Sequence[Verdict], *, along: bool) -> Sequence[Verdict]:
    """Return what was *said* of *row*, behind its first word where it was taken along: no record of its own has shown that to be out."""
    return row.history if along and len(said) == len(row.history) - 1 else said


def _is_waiting(row: Row) -> bool:
    """Tell whether *row* may be taken along: a rebuilt one not before its own partition is assigned."""
    return row.state in ("pending", "deferred") and row.due_at != HELD


def _unknown() -> Reject:
    return Reject("unknown_alert", "the ledger has no row of it: alerts come from board.decisions alone")
