"""People for ``bench.segmenter``: ten schemes of five rules, and a store full of people who were evaluated by them."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

from prometheus_client import CollectorRegistry

from bench.limits.made import NOW, WORKSPACE, activity, person, profile
from services.common.codec import Codec
from services.common.events import Account, Event
from services.common.ids import account_id
from services.common.outcome import Emit
from services.common.records import Output, Received, Record
from services.common.registry import open_schemas
from services.common.settle import settle
from services.common.sqlite import Database
from services.common.worker import Wiring
from services.segmenter.adapters.sqlite import SCHEMA, sqlite_stores
from services.segmenter.app import create_wire, person_partition
from services.segmenter.domain.definition import Held
from services.segmenter.domain.loading import load_definition
from services.segmenter.domain.person import load_person
from services.segmenter.ports import Change
from services.segmenter.settings import SegmenterSettings

_TEMPLATES = 500
_BATCH = 500
_ACTIVITIES = 24
_SCHEMES = {
    "plan": [f'account.plan == "{name}"' for name in ("enterprise", "business", "team", "starter", "free")],
    "company_size": [f"account.employees >= {least}" for least in (1_000, 250, 50, 10, 1)],
    "value": [f"account.mrr >= {least}" for least in (800, 400, 200, 50, 1)],
    "industry": [f'account.industry in ["{name}", "{name}s"]' for name in ("bank", "clinic", "school", "shop", "studio")],
    "region": [
        f'person.traits.country in ["{a}", "{b}"]' for a, b in (("DE", "AT"), ("FR", "BE"), ("GB", "IE"), ("US", "CA"), ("IN", "LK"))
    ],
    "role": [f'person.traits.role.startsWith("{name}")' for name in ("head", "lead", "designer", "engineer", "analyst")],
    "seats": [f"person.traits.seats >= {least}" for least in (100, 50, 20, 5, 1)],
    "engagement": [f'activity.count("board_opened", days(28)) >= {least}' for least in (20, 12, 6, 3, 1)],
    "breadth": [f"activity.kinds(days(90)) >= {least}" for least in (5, 4, 3, 2, 1)],
    "recency": [f'activity.since_last("*") < {days}' for days in (2, 7, 14, 30, 90)],
}


def _definition(version: str, schemes: dict[str, list[str]]) -> str:
    lines = [f'version: "{version}"', "schemes:"]
    for name, rules in schemes.items():
        lines += [f"  - name: {name}", "    default: other", "    rules:"]
        lines += [f"      - {{segment: s{number}, when: '{when}'}}" for number, when in enumerate(rules)]
    return "\n".join(lines) + "\n"


DEFINITION = _definition("1", _SCHEMES)
NEWER = _definition("2", {**_SCHEMES, "value": [f"account.mrr >= {least}" for least in (900, 450, 200, 50, 1)]})
"""Some people move by it; everybody has to be evaluated."""


def company(number: int) -> Account:
    """Return the state of a company."""
    name = f"a{number}"
    return Account(
        account_id=account_id(WORKSPACE, name), workspace=WORKSPACE, external_id=name, version=1, updated_at=NOW, ingested_at=NOW,
        origin="accounts.raw/0/0", name=f"Company {number}", plan=("free", "team", "enterprise")[number % 3],
        mrr_cents=1_000 * (number % 95), employees=number % 2_000, industry=("bank", "clinic", "shop")[number % 3],
    )  # fmt: skip


def _known(people: int, turn: int) -> Iterable[Event]:
    """Yield the profile of each, another one each *turn*."""
    for number in range(people):
        country, role = ("DE", "FR", "US", "JP")[number % 4], ("designer", "lead", "cook")[(number + turn) % 3]
        traits = f'{{"seats":{number % 130},"country":"{country}","role":"{role}"}}'
        event = replace(profile(number, turn), account_id=account_id(WORKSPACE, f"a{number // 5}"), traits_json=traits)
        yield replace(event, occurred_at=NOW + turn, ingested_at=NOW + turn)


def _acts(people: int) -> Iterable[Event]:
    for at in range(1, _ACTIVITIES):
        for number in range(people):
            yield replace(activity(number, at), occurred_at=NOW - (at * (number % 5)) * 86_400_000_000 // 2, ingested_at=NOW)


class _Feeder:
    """Hands records to the handlers as the worker's loop would, notes to themselves included; publishes to nobody."""

    def __init__(self, wiring: Wiring, codec: Codec) -> None:
        self._routes = {route.topic: route for route in wiring.routes}
        self._codec = codec
        self._offset = 0

    async def feed(self, events: Iterable[Event]) -> float:
        """Return the CPU seconds that *events* cost, decoded to encoded."""
        records = [self._record(self._codec.output(event)) for event in events]
        started = time.process_time()
        while records:
            records = [again for start in range(0, len(records), _BATCH) for again in await self._batch(records[start : start + _BATCH])]
        return time.process_time() - started

    async def _batch(self, records: Sequence[Record]) -> list[Record]:
        own: list[Record] = []
        for topic, route in self._routes.items():
            together = [record for record in records if record.topic == topic]
            if together:
                outcomes = await route.handle([Received(record, route.decode(record)) for record in together])
                assert all(isinstance(outcome, Emit) for outcome in outcomes), "nothing that is fed is old"
                settled = settle("segmenter", zip(together, outcomes, strict=True), 1024 * 1024)
                own += [self._record(output) for output in settled.outputs if output.topic == "segmenter.work"]
        return own

    def _record(self, output: Output) -> Record:
        self._offset += 1
        return Record(output.topic, 0, self._offset, 0, output.key, output.value)


@asynccontextmanager
async def _service(folder: Path, text: str, codec: Codec) -> AsyncIterator[tuple[Wiring, SegmenterSettings]]:
    path = folder / "segments.yaml"
    path.write_text(text)
    settings = SegmenterSettings(data_dir=folder / "data", topic_partitions=4, segments_file=path)
    async with create_wire(settings)(codec, CollectorRegistry()) as wiring:
        yield wiring, settings


async def timed_profiles(folder: Path, people: int) -> dict[str, float]:
    """Return people a second of a core: by the rules alone, by a new profile, and by a new definition."""
    codec = Codec(open_schemas(None))
    async with _service(folder, DEFINITION, codec) as (wiring, settings):
        feeder = _Feeder(wiring, codec)
        await feeder.feed(company(number) for number in range(people // 5 + 1))
        first = await feeder.feed(_known(people, 0))
        await feeder.feed(_acts(people))
        changed = await feeder.feed(_known(people, 1))
        rules = _rules_alone(settings, people)
    async with _service(folder, NEWER, codec) as (wiring, _):
        again = await _drain(wiring)
    return {
        "rules alone: people/s a core": people / rules,
        "first profile (decode, evaluate, store, encode): people/s a core": people / first,
        "another profile: people/s a core": people / changed,
        "evaluated again (load, evaluate, store): people/s a core": people / again,
    }


def _rules_alone(settings: SegmenterSettings, people: int) -> float:
    definition = load_definition(settings.segments_file)
    rows = _stored_states(settings.data_dir / "segmenter.db", [person(number) for number in range(people)])
    states = [load_person(raw) for raw in rows]
    started = time.process_time()
    for state in states:
        account = {} if state.account is None else state.account.variables()
        definition.evaluate_person(state.together(), account, NOW, Held(state.segments or {}, state.since))
    return time.process_time() - started


async def _drain(wiring: Wiring) -> float:
    assert wiring.tick is not None
    everywhere, started = frozenset(range(4)), time.process_time()
    while await wiring.tick.due(everywhere):
        pass
    return time.process_time() - started


def _stored_states(path: Path, ids: Sequence[str]) -> list[bytes]:
    """Return the stored states of *ids*, read beside the worker that holds the file."""
    with closing(sqlite3.connect(path)) as connection:
        return [connection.execute("SELECT state FROM people WHERE id = ?", (name,)).fetchone()[0] for name in ids]


async def clone_people(path: Path, segments: Path, people: int) -> None:
    """Fill the store at *path* with *people* who were evaluated by *segments*: some real ones, and copies of them under other ids."""
    settings = SegmenterSettings(data_dir=path.parent, topic_partitions=4, segments_file=segments)
    codec = Codec(open_schemas(None))
    async with create_wire(settings)(codec, CollectorRegistry()) as wiring:
        feeder = _Feeder(wiring, codec)
        await feeder.feed(company(number) for number in range(_TEMPLATES // 5 + 1))
        await feeder.feed(_known(_TEMPLATES, 0))
        await feeder.feed(_acts(_TEMPLATES))
    database = Database(path, SCHEMA)
    await database.open()
    try:
        await _copy(database, people, person_partition(settings))
    finally:
        await database.close()


async def _copy(database: Database, people: int, partition: Callable[[str], int]) -> None:
    documents = sqlite_stores(database).people
    templates = list((await documents.load([person(number) for number in range(_TEMPLATES)])).values())
    for start in range(_TEMPLATES, people, 5_000):
        changes = []
        for number in range(start, min(start + 5_000, people)):
            template, name = templates[number % _TEMPLATES], person(number)
            renamed = [raw.replace(template.id.encode(), name.encode()) for raw in (template.state, template.card)]
            after = replace(template, id=name, state=renamed[0], card=renamed[1], partition=partition(name))
            changes.append(Change(None, after, ()))
        await documents.save(changes)
        await asyncio.sleep(0)
