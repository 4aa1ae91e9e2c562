"""Who would hear of an idea, by what, and who not: the service's own decisions without its broker, for ``groundswell notify preview``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.common.clock import Micros
from services.common.codec import Codec
from services.common.events import Decision, NotificationOutcome, PersonEvent, PersonSegments
from services.common.ids import board_key
from services.common.records import Record
from services.notifier.definition import Notifications
from services.notifier.domain.entry import Entry
from services.notifier.domain.row import FINAL, Row
from services.notifier.domain.telling import Human, Means, Send, Silence, Step, about_the_same, decide
from services.notifier.handler.audiences import audiences_of, families_of
from services.notifier.handler.boards import BoardHandler
from services.notifier.handler.people import PeopleHandler
from services.notifier.handler.recall import LedgerRecall
from services.notifier.ports import Channel, Store

__all__ = ["TOPICS", "Forecast", "Foreseen", "Release"]

TOPICS = (Decision.TOPIC, NotificationOutcome.TOPIC, PersonEvent.TOPIC, PersonSegments.TOPIC)

_CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class Release:
    """What would be said of an idea that nothing was said of yet."""

    status: str
    id: str = "preview"
    name: str | None = None
    url: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Foreseen:
    """One row: what became of it, or what would."""

    row: Row
    human: Human
    step: Step | None
    """None where it is over: the row's last verdict says how."""

    @property
    def outcome(self) -> str:
        """Return how it ended or would: a state of the ledger, or ``would be told``, ``would wait``."""
        match self.step:
            case None:
                return self.row.state
            case Send():
                return "would be told"
            case Silence(outcome, _):
                return outcome
            case _:
                return "would wait"

    @property
    def reason(self) -> str:
        """Return why, or by what."""
        match self.step:
            case None:
                return self.row.history[-1].reason if self.row.history else ""
            case Send(channel=channel):
                return f"by {channel}"
            case other:
                return other.reason


class Forecast:
    """Foresees on an empty *store*, which holds what the topics say afterwards, and what is supposed."""

    def __init__(self, store: Store, codec: Codec, definition: Notifications, channels: Mapping[str, Channel]) -> None:
        self._store = store
        self._codec = codec
        self._definition = definition
        self._channels = channels
        self._means = Means(channels, definition.manners())

    async def foresee(self, records: Mapping[str, Sequence[Record]], idea: str, release: Release, now: Micros) -> list[Foreseen]:
        """Return what would become of everybody who asked for *idea* or its family, were *release* said of it at *now*.

        Where people were told of that status already, the rows are those of then.

        Args:
            records: Of ``TOPICS``, whole.
            idea: An idea that *records* know.
            release: What is supposed.
            now: The present moment.
        """
        decoder = self._codec.optional_decoder(Decision)
        decisions = [decision for record in records[Decision.TOPIC] if (decision := decoder(record)) is not None]
        boards = BoardHandler(self._store, self._codec, self._definition.statuses, lambda _: 0)
        people = PeopleHandler(self._store, self._definition.late_contact_days, self._channels.values())
        recall = LedgerRecall(self._store, self._codec, self._definition.statuses, boards, people)
        await recall.recall(Decision.TOPIC, records[Decision.TOPIC])
        await _suppose(self._store, decisions, idea, release, now)
        await recall.recall(NotificationOutcome.TOPIC, records[NotificationOutcome.TOPIC])
        await recall.fold()
        await recall.recall(PersonEvent.TOPIC, records[PersonEvent.TOPIC])
        await recall.recall(PersonSegments.TOPIC, records[PersonSegments.TOPIC])
        persons = sorted({decision.person_id for decision in decisions if decision.person_id is not None})
        found: list[Foreseen] = []
        for start in range(0, len(persons), _CHUNK):
            found.extend(await self._of(persons[start : start + _CHUNK], idea, release.status, now))
        return found

    async def _of(self, persons: Sequence[str], idea: str, status: str, now: Micros) -> list[Foreseen]:
        audiences = await audiences_of(self._store, persons)
        everyone = {person.person_id for audience in audiences.values() for person in audience.persons} | set(persons)
        rows = await self._store.rows_of(everyone)
        families = await families_of(self._store, {row.alert.idea_id for row in rows} | {idea})
        found = []
        for row in rows:
            audience = audiences.get(row.alert.person_id)
            if audience is None or row.alert.status != status or families[row.alert.idea_id] != families[idea]:
                continue
            members = {person.person_id for person in audience.persons}
            human = Human(audience, [other for other in rows if other.alert.person_id in members])
            others = about_the_same(row, human, families, tell_again=self._definition.tell_again)
            found.append(Foreseen(row, human, None if row.state in FINAL else decide(row, human, others, self._means, now)))
        return found


async def _suppose(store: Store, decisions: Sequence[Decision], idea: str, release: Release, now: Micros) -> None:
    """Say *release* of *idea*, unless its family was told of that status before."""
    mine = next(decision for decision in decisions if decision.idea_id == idea)
    of_board = [decision for decision in decisions if (decision.workspace, decision.board) == (mine.workspace, mine.board)]
    roots = {decision.idea_id: decision.root_id for decision in of_board if decision.idea_id is not None and decision.root_id is not None}
    root = roots.get(idea, idea)
    said = {roots.get(d.idea_id or "", d.idea_id) for d in of_board if d.type == "status_changed" and d.status == release.status}
    if root in said:
        return
    entry = Entry(
        sequence=max(decision.sequence for decision in of_board) + 1,
        origin="preview",
        type="status_changed",
        at=now,
        idea_id=root,
        status=release.status,
        tells=True,
        release_id=release.id,
        release_name=release.name,
        release_url=release.url,
        reason=release.reason,
    )
    await store.collect({board_key(mine.workspace, mine.board): [entry]})
