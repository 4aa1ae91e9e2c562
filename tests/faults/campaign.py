"""One run: load, faults by seed, settling, judgement, and everything once more."""

from __future__ import annotations

import asyncio
import pickle
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tests.faults.catalog import SUDDEN, faults_of
from tests.faults.evidence import Evidence
from tests.faults.fleet import SERVICES
from tests.faults.folding import fold
from tests.faults.injections import AHEAD_SECONDS, Fault
from tests.faults.invariants import broken, i4_everyone_hears_once, i7_saying_it_again_changes_nothing
from tests.faults.surroundings import Engine
from tests.faults.world import World, opened

_FAVOUR = 5
_MERGEABLE = 4
"""Ideas among which chance chooses the one to be merged."""
_CHUNK_RECORDS = 12
_CHUNK_SECONDS = 0.6
_SHIP_SECONDS = 60.0
"""For so long the end of the load waits for an idea that can be shipped."""
_PAUSE_SECONDS = (0.5, 3.0)
_SUDDEN_SECONDS = (1.0, 5.0)


@dataclass
class Report:
    """What a run came to."""

    seed: int
    broken: Mapping[str, list[str]]
    injected: Mapping[str, int]
    deaths: Mapping[str, int]
    exits: Mapping[str, int]
    records: int
    """How many were published from outside."""
    settled_seconds: float
    folder: str
    samples: int
    mails: int
    facts: Mapping[str, int] = field(default_factory=dict)
    longest_pause_seconds: float = 0.0
    """Between two pieces of enriched feedback, the last topic that a record reaches."""

    def text(self) -> str:
        """Return all of it, the first broken invariant first."""
        lines = [f"seed {self.seed}: {self.records} records, {sum(self.deaths.values())} deaths {dict(self.exits)}"]
        lines += [f"  injected {dict(self.injected)}; {self.samples} samples, {self.mails} mails, {dict(self.facts)}"]
        lines += [
            f"  longest pause {self.longest_pause_seconds:.1f} s; settled within {self.settled_seconds:.0f} s; logs under {self.folder}"
        ]
        for name, words in self.broken.items():
            lines += [f"  {name} is broken {len(words)} times:", *(f"    {word}" for word in words[:5])]
        return "\n".join(lines) if self.broken else "\n".join([*lines, "  every invariant holds"])


def _all_told(evidence: Evidence) -> bool:
    return next(i4_everyone_hears_once(evidence), None) is None


async def run(
    engine: Engine,
    seed: int,
    seconds: float,
    say: Callable[[str], None],
    *,
    only: Collection[str] | None = None,
    patches: Mapping[str, str] | None = None,
    deadly: bool = True,
    favoured: Collection[str] = (),
    least_enriched: int = 0,
    told: Callable[[Evidence], bool] = _all_told,
) -> Report:
    """Run once.

    Args:
        engine: What it runs on.
        seed: Decides load and faults; the machine decides when they meet.
        seconds: For so long there is load, and faults.
        say: Told of each fault.
        only: The faults to choose from, by name; by default all that the engine allows.
        patches: What ``tests.faults.patched`` does to each process of a service.
        deadly: Whether there is one record for each service that kills its worker every time.
        favoured: Faults, by name, that come some times as often as usual.
        least_enriched: The load goes on until so much feedback has come through, however slow the machine is.
        told: What is waited for afterwards, beside that nobody is behind; by default, that everyone has heard of what shipped.
    """
    patches = {service: ",".join(_patched(service, patches or {}, deadly=deadly)) for service in SERVICES}
    async with opened(engine, seed, say, patches) as world:
        watching = asyncio.create_task(world.watch())
        await world.publish(world.load.background())
        loading = asyncio.create_task(_load(world, seconds, least_enriched, deadly=deadly))
        await asyncio.gather(
            _hurt(world, _chosen(SUDDEN, only), loading, _SUDDEN_SECONDS),
            _hurt(world, _chosen(faults_of(world), only, favoured), loading, _PAUSE_SECONDS),
            loading,
        )
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        world.set_clock(AHEAD_SECONDS)  # what was put off by clocks that were ahead is due by now
        settled = await world.settle(told)
        before = await world.judged(settled)
        found = broken(before)
        if found:
            _keep(world, before)
        else:
            found |= await _again(world, before, told)
        return _report(world, before, found)


def _patched(service: str, patches: Mapping[str, str], *, deadly: bool) -> list[str]:
    usual = ["clock", f"deadly_{service}"] if deadly else ["clock"]
    return ["clock", patches[service]] if service in patches else usual


async def _load(world: World, seconds: float, least_enriched: int, *, deadly: bool) -> None:
    """Publish as long as it lasts; ship and merge ideas towards the end of each quarter."""
    began = time.monotonic()
    quarter = 0
    while (passed := time.monotonic() - began) < seconds or len(world.tail.records["feedback.enriched"]) < least_enriched:
        await world.publish(world.load.feedback(_CHUNK_RECORDS))
        if passed > seconds * (quarter + 0.7) / 4:
            quarter += 1
            await _ship(world)
            if deadly and quarter == 1:
                await world.publish(world.load.deadly())
        await asyncio.sleep(_CHUNK_SECONDS)
    deadline = time.monotonic() + _SHIP_SECONDS
    while time.monotonic() < deadline:
        if await _ship(world):
            return
        await asyncio.sleep(_CHUNK_SECONDS)


async def _ship(world: World) -> bool:
    """Ship the idea of each of two boards that most people ask for, and merge others into them that the same people ask for.

    So somebody always asks twice for what ships. Tell if there was any.
    """
    boards = fold(world.evidence())
    where = {d["idea_id"]: d["board"] for d in world.evidence().facts("board.decisions") if d["type"] == "opened"}
    said = boards.said()
    asked = {root: boards.people(feedback) for root, feedback in said.items()}
    ranked = sorted(said.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    fresh = [root for root, _ in ranked if root not in boards.shipped]
    for root in fresh[:2]:
        await world.publish(world.load.shipped(root, where[root]))
        others = [other for other in fresh[2:] if where[other] == where[root]]
        others.sort(key=lambda other: -len(asked[other] & asked[root]))  # stable: of those alike, the one that most ask for
        if others:
            await world.publish(world.load.merged(world.rng.choice(others[:_MERGEABLE]), root, where[root]))
    return bool(fresh)


def _chosen(
    faults: Mapping[str, tuple[Fault, int]], only: Collection[str] | None, favoured: Collection[str] = ()
) -> list[tuple[str, Fault]]:
    """Return *faults*, or those in *only*, each as many times as it weighs; more of those that are *favoured*."""
    return [
        (name, fault)
        for name, (fault, weight) in faults.items()
        if only is None or name in only
        for _ in range(weight * (_FAVOUR if name in favoured else 1))
    ]


async def _hurt(world: World, choice: Sequence[tuple[str, Fault]], loading: asyncio.Task[None], pause_seconds: tuple[float, float]) -> None:
    while not loading.done() and choice:
        await asyncio.sleep(world.rng.uniform(*pause_seconds))
        name, fault = world.rng.choice(choice)
        await fault(world)
        world.count(name)


async def _again(world: World, before: Evidence, told: Callable[[Evidence], bool]) -> dict[str, list[str]]:
    """Publish everything once more; nothing may change."""
    world.say("everything again")
    await world.publish(world.load.everything_again(), age_seconds=0.0)
    settled = await world.settle(told)
    after = await world.judged(settled)
    found = broken(after)
    if found:
        _keep(world, after)
    words = [*i7_saying_it_again_changes_nothing(before, after)]
    return {"I7": [*words, *found.pop("I7", ())], **found} if words else found


def _keep(world: World, evidence: Evidence) -> None:
    """Keep what was found wanting, to be looked at later."""
    (world.folder / "evidence.pickle").write_bytes(pickle.dumps(evidence))


def _longest_pause_seconds(world: World) -> float:
    return max((later - earlier for earlier, later in pairwise(world.enriched_at)), default=0.0)


def _report(world: World, evidence: Evidence, found: Mapping[str, list[str]]) -> Report:
    return Report(
        seed=world.seed,
        broken=found,
        injected=world.counts,
        deaths=evidence.deaths,
        exits=world.fleet.exits,
        records=len(evidence.outside),
        settled_seconds=evidence.settled_seconds,
        folder=str(world.folder),
        samples=len(evidence.samples),
        mails=len(evidence.mails),
        longest_pause_seconds=_longest_pause_seconds(world),
        facts={
            topic: len(evidence.facts(topic)) for topic in ("board.events", "board.decisions", "feedback.enriched", "notifications.log")
        },
    )
