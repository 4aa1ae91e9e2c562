"""Letters: written, sent, and what each row's verdict is."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from services.common.clock import Clock, Micros
from services.common.logs import get_logger
from services.common.records import Output
from services.common.values import altered
from services.notifier.domain.ledger import begun, deferred, fallen_back, settled, taken_up
from services.notifier.domain.letter import Letter, letter_id
from services.notifier.domain.person import EMAIL
from services.notifier.domain.row import Row, State, Verdict
from services.notifier.domain.telling import SECOND, Human, Means, Retries, Send, has_another_road
from services.notifier.ports import Accepted, Channel, Delivery, Disabled, LedgerStore, Message, Postponed, Refused, Unrenderable

log = get_logger(__name__)

LEASE: Micros = 900 * SECOND
"""So long a row that was taken up may be on its way before it counts as lost, even where no worker died."""
_UNTRIED_WAIT: Micros = SECOND

Change: TypeAlias = tuple[Row, Row]
"""A row as it is in the ledger, and as it is to be."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message and the rows that it tells of; the first is the one whose record is acted on."""

    place: int
    origin: str
    human: Human
    rows: Sequence[Row]
    road: Send
    letter: Letter
    message: Message


class Post:
    """Sends letters by any channel."""

    def __init__(
        self,
        ledger: LedgerStore,
        clock: Clock,
        channels: Mapping[str, Channel],
        means: Means,
        retries: Mapping[str, Retries],
        *,
        chunk: int,
    ) -> None:
        """Send by *channels*, *chunk* messages between two writes of the ledger."""
        self._chunk = chunk
        self._ledger = ledger
        self._clock = clock
        self._channels = channels
        self._means = means
        self._retries = retries

    def packed(self, place: int, origin: str, human: Human, rows: Sequence[Row], road: Send) -> Parcel:
        """Return the message that tells of *rows*; of the first alone where no template tells of all.

        Raises:
            Unrenderable: No template tells of the first.
        """
        try:
            letter = self._letter(human, rows, road.address)
            message = self._channels[road.channel].compose(letter)
        except Unrenderable as error:
            if len(rows) == 1:
                raise
            log.error("unrenderable", channel=road.channel, alerts=len(rows), error=str(error))
            return self.packed(place, origin, human, rows[:1], road)
        return Parcel(place, origin, human, rows, road, letter, message)

    async def deliver(self, parcels: Sequence[Parcel], silent: Sequence[Change], deadline: float) -> Mapping[int, Sequence[Change]]:
        """Send *parcels*, no two of them to one human, and settle them, and *silent* with the first; return, by place, each row's change.

        The ledger knows who is about to be asked before anyone is, and what became of it soon after: a chunk of messages is sent while
        the ledger takes down the one before and the one behind.

        Raises:
            TransientError: The store does not answer.
            Fenced: Another worker has written one of the rows.
        """
        chunks = [parcels[start : start + self._chunk] for start in range(0, len(parcels), self._chunk)]
        changes: dict[int, Sequence[Change]] = {}
        unsettled = list(silent)
        writing: list[asyncio.Task[None]] = []
        try:
            beginning = self._begun(chunks, 0, writing)
            for number, chunk in enumerate(chunks):
                await beginning
                beginning = self._begun(chunks, number + 1, writing)
                judged = await self._sent_and_judged(chunk, deadline)
                changes |= judged
                unsettled += [change for some in judged.values() for change in some]
                writing.append(asyncio.create_task(self._ledger.settle(unsettled)))
                unsettled = []
            if unsettled:
                await self._ledger.settle(unsettled)
        finally:
            ended = await asyncio.gather(*writing, return_exceptions=True)  # what was sent is written down, whatever else failed
        for end in ended:
            if end is not None:
                raise end
        return changes

    def _begun(self, chunks: Sequence[Sequence[Parcel]], number: int, writing: list[asyncio.Task[None]]) -> Awaitable[None]:
        """Let the ledger know, beside what goes on, who is asked in chunk *number*, if there is one."""
        parcels = chunks[number] if number < len(chunks) else ()
        rows = [begun(_on_its_way(row), parcel.road.channel, parcel.letter.id) for parcel in parcels for row in parcel.rows]
        lease = self._clock.now() + LEASE
        taken_along = [(row, taken_up(row, lease)) for parcel in parcels for row in parcel.rows if row.state == "deferred"]
        writing.append(asyncio.create_task(self._begin(taken_along, rows)))
        return writing[-1]

    async def _begin(self, taken_along: Sequence[Change], rows: Sequence[Row]) -> None:
        if taken_along:
            await self._ledger.take_up(taken_along)
        if rows:
            await self._ledger.begin(rows)

    async def _sent_and_judged(self, parcels: Sequence[Parcel], deadline: float) -> dict[int, Sequence[Change]]:
        deliveries = await self._sent(parcels, deadline)
        now = self._clock.now()
        return {
            parcel.place: [self._judged(parcel, row, delivery, now) for row in parcel.rows]
            for parcel, delivery in zip(parcels, deliveries, strict=True)
        }

    def republished(self, rows: Sequence[Row], name: str, human: Human) -> Sequence[Output]:
        """Return what was published when *rows* were told by the channel *name* in one message, besides their verdicts."""
        channel = self._channels.get(name)
        if channel is None or channel.needs_address:
            return ()
        letter = self._letter(human, rows, human.audience.root)
        try:
            return channel.outputs(channel.compose(letter), letter)
        except Unrenderable as error:
            log.error("unrenderable", channel=channel.name, alerts=len(rows), error=str(error))
            return ()

    def outputs(self, parcel: Parcel) -> Sequence[Output]:
        """Return what is published with the word that *parcel* was taken."""
        return self._channels[parcel.road.channel].outputs(parcel.message, parcel.letter)

    def _letter(self, human: Human, rows: Sequence[Row], address: str) -> Letter:
        alerts = [row.alert for row in sorted(rows, key=lambda row: (row.alert.created_at, row.alert_id))]
        begun_as = rows[0].letter if rows[0].may_have_left else None
        audience = human.audience
        return Letter(begun_as or letter_id(alerts), address, alerts, self._clock.now(), audience.language, audience.segments)

    async def _sent(self, parcels: Sequence[Parcel], deadline: float) -> Sequence[Delivery]:
        by_channel = defaultdict[str, list[int]](list)
        for place, parcel in enumerate(parcels):
            by_channel[parcel.road.channel].append(place)
        answers = await asyncio.gather(
            *(self._channels[name].send([parcels[place].message for place in places], deadline) for name, places in by_channel.items())
        )
        found: dict[int, Delivery] = {}
        for places, deliveries in zip(by_channel.values(), answers, strict=True):
            found |= zip(places, deliveries, strict=True)
        return [found[place] for place in range(len(parcels))]

    def _judged(self, parcel: Parcel, row: Row, delivery: Delivery, now: Micros) -> Change:
        old = _on_its_way(row)
        channel, letter = parcel.road.channel, parcel.letter.id
        match delivery:
            case Accepted(said):
                by = "the mail server" if channel == EMAIL else channel
                verdict = verdict_of(old, "sent", said or f"accepted by {by}", parcel.origin, now, parcel=parcel)
                return old, settled(old, verdict, channel=channel, letter=letter)
            case Refused(reason) | Disabled(reason):
                verdict = verdict_of(old, "deferred", reason, parcel.origin, now, parcel=parcel)
                tried = altered(old, channel=channel, letter=letter)
                return old, self._failed(parcel, tried, altered(verdict, is_gone=isinstance(delivery, Disabled)))
            case Postponed(reason):
                verdict = verdict_of(old, "deferred", reason, parcel.origin, now, road=parcel.road)
                tried = altered(old, channel=channel, letter=letter, doubted=old.doubted or delivery.unknown)
                return old, self._postponed(parcel, tried, verdict, delivery, now)

    def _failed(self, parcel: Parcel, tried: Row, verdict: Verdict) -> Row:
        """Return *tried* after its channel has failed it: due for the next one, unless it may have gone out by this one already."""
        if not tried.may_have_left:
            fallen = fallen_back(tried, verdict, parcel.road.channel)
            if has_another_road(fallen, parcel.human, self._means):
                return fallen
        return settled(tried, altered(verdict, outcome="failed"))

    def _postponed(self, parcel: Parcel, tried: Row, verdict: Verdict, delivery: Postponed, now: Micros) -> Row:
        if not delivery.tried:
            return deferred(tried, verdict, max(delivery.until or 0, now + _UNTRIED_WAIT), failed=False)
        failures = tried.failures + 1
        first = tried.first_failed_at if tried.first_failed_at is not None else now
        due_at = self._retries[parcel.road.channel].next(failures, first, now, random.random())  # noqa: S311 - spreads load, guards nothing
        if due_at is None:
            doubt = ", and one of them may have reached them" if tried.may_have_left else ""
            return self._failed(parcel, tried, altered(verdict, reason=f"given up after {failures} attempts{doubt}: {verdict.reason}"))
        return deferred(tried, verdict, max(due_at, delivery.until or 0), failed=True)


def verdict_of(
    row: Row, outcome: State, reason: str, origin: str, now: Micros, *, road: Send | None = None, parcel: Parcel | None = None
) -> Verdict:
    """Return what is said of *row*'s present attempt: on *road*, or with the message of *parcel*."""
    taken = road if parcel is None else parcel.road
    return Verdict(
        outcome=outcome,
        reason=reason,
        attempt=row.attempt,
        at=now,
        origin=origin,
        channel=None if taken is None else taken.channel,
        message_id=None if parcel is None else parcel.message.message_id,
        contact_of=None if taken is None else taken.contact_of,
        contact_at=None if taken is None else taken.contact_at,
    )


def _on_its_way(row: Row) -> Row:
    """Return *row* as it is in the ledger once it was taken along."""
    return row if row.state == "pending" else taken_up(row, row.due_at or 0)
