"""The passing of time, and of definitions: the persons whose memberships can change without any event."""

from __future__ import annotations

from collections.abc import Sequence

from services.common.clock import Clock
from services.common.records import Output
from services.segmenter.domain.definition import Definition
from services.segmenter.domain.inputs import DueMoment
from services.segmenter.domain.person import PersonState, load_person
from services.segmenter.handler.facts import Publisher, plain, restored
from services.segmenter.handler.people import People
from services.segmenter.handler.rollout import Rollout
from services.segmenter.ports import Change, Documents, Gauges

_AT_ONCE = 500


class DuePeople:
    """Looks again at those who are due, and at those who were evaluated by another definition, some hundreds a tick.

    What follows is kept with the person as unsent until the next tick, which comes only after it was published: a crash between
    the two publishes it again. The owner's rebalance forgets what was in flight, so that the next owner publishes it again.
    """

    def __init__(
        self, people: People, documents: Documents, definition: Definition, *, publisher: Publisher, clock: Clock, gauges: Gauges
    ) -> None:
        self._people = people
        self._documents = documents
        self._definition = definition
        self._publisher = publisher
        self._clock = clock
        self._rollout = Rollout(documents, clock, gauges)
        self._in_flight: dict[str, PersonState] = {}

    def forget(self) -> None:
        """Take nothing for published that was handed out before."""
        self._in_flight = {}
        self._rollout.forget()

    async def due(self, partitions: frozenset[int]) -> Sequence[Output]:
        """Return what time or a new definition changed for persons of *partitions*, after noting that all returned before was published."""
        await self._settle()
        now, version = self._clock.now(), self._definition.version
        ids = await self._documents.due(partitions, now, version, _AT_ONCE)
        outputs: list[Output] = []
        changes: list[Change] = []
        in_flight: dict[str, PersonState] = {}
        outdated = 0
        for before, person, facts in await self._people.look_again(ids, DueMoment(now)):
            outputs += self._publisher.outputs([*restored(person.unsent), *facts])
            person.unsent += plain(facts)
            changes.append(self._people.change(before, person, ()))
            outdated += before is not None and before.definition != version
            if person.unsent:
                in_flight[person.person_id] = person
        if changes:
            await self._documents.save(changes)
        self._in_flight = in_flight
        await self._rollout.watch(partitions, version, outdated)
        return outputs

    async def _settle(self) -> None:
        if not self._in_flight:
            return
        changes = []
        for document in (await self._documents.load(self._in_flight)).values():
            person = self._in_flight[document.id]
            if person.position != document.position:  # an event has come since
                person = load_person(document.state)
            person.unsent = []
            person.position += 1
            changes.append(self._people.change(document, person, ()))
        await self._documents.save(changes)
        self._in_flight = {}
