"""Measures what docs promise of the segmenter, and exits with 1 where a bar is missed.

    python -m bench.segmenter rate [--events 20000] [--rounds 3]    feedback/s enriched, beside the worker loop that does nothing else
    python -m bench.segmenter profiles [--people 4000]              people/s a core evaluated by ten schemes of five rules
    python -m bench.segmenter rollout [--people 1000000]            everybody evaluated again by a new definition, a kill -9 in the middle

The embedded broker, SQLite, services as processes of their own (but for `profiles`, which calls the handlers). Linux alone.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from bench.limits.figures import Bar, Found
from bench.limits.made import Decided, person, profile
from bench.limits.rig import PARTITIONS, Rig, Service
from bench.segmenter_people import DEFINITION, NEWER, clone_people, company, timed_profiles
from bench.worker import prepare, run_loop
from services.common.events import Event
from services.common.kafka_log import read_whole
from services.console.embedded.broker import EmbeddedBroker

_OF_LOOP = 0.25
_PEOPLE_A_SECOND = 1_200
_RSS_MIB = 512
_IDEAS = 400


def _crowd(people: int) -> Iterator[Event]:
    """Yield accounts of five people each, then the people's profiles."""
    accounts = [company(number) for number in range(max(people // 5, 1))]
    yield from accounts
    for number in range(people):
        yield replace(profile(number), account_id=accounts[number % len(accounts)].account_id)


def _wishes(events: int, people: int) -> Iterator[Event]:
    """Yield decisions: few ideas have most of the requests; a merge and an unmerge every thousand."""
    chance, board = random.Random(1), Decided("hot")
    for number in range(events):
        if number % 1_000 == 999:
            yield (
                board.merged(_IDEAS - 1 - number // 2_000, 0) if number % 2_000 == 999 else board.unmerged(_IDEAS - 1 - number // 2_000, 0)
            )
        else:
            yield board.linked(number, person(chance.randrange(people)), min(int(chance.expovariate(1 / 30)), _IDEAS - 1))


async def _enrich(folder: Path, events: int) -> tuple[float, float]:
    """Return feedback/s and CPU µs a piece of feedback of the segmenter, all that it tells itself included."""
    async with Rig(folder) as rig:
        service = await rig.start("segmenter")
        await rig.feed(rig.outputs(_crowd(events // 4)))
        await rig.drained("segmenter")
        outputs = rig.outputs(_wishes(events, events // 4))
        service.pause()
        await rig.feed(outputs)
        before, started = service.usage().cpu_seconds, time.perf_counter()
        service.resume()
        await rig.drained("segmenter")
        seconds, cpu = time.perf_counter() - started, service.usage().cpu_seconds - before
        if letters := await rig.letters():
            raise SystemExit(f"{letters} dead letters: the figures would mean nothing")
    return events / seconds, cpu / events * 1e6


def _loop(folder: Path, events: int, number: int) -> tuple[float, float]:
    """Return events/s and CPU µs an event of the worker loop with a handler that hands on."""
    with EmbeddedBroker(folder / "loop.log") as broker:
        source = f"bench-{os.getpid()}-{number}"
        asyncio.run(prepare(broker.bootstrap_servers, source, f"{source}-out", events))
        run = run_loop("ours", broker.bootstrap_servers, source, f"{source}-out", events)
    return run.events_per_second, run.cpu_micros


def rate(events: int, rounds: int) -> Found:
    """Measure enrichment beside the bare loop, in turn."""
    found = Found("feedback enriched", events)
    ours: list[tuple[float, float]] = []
    bare: list[tuple[float, float]] = []
    for number in range(rounds):
        with tempfile.TemporaryDirectory(prefix="bench-segmenter-") as folder:
            bare.append(_loop(Path(folder), events, number))
            ours.append(asyncio.run(_enrich(Path(folder), events)))
        found.figures |= {
            f"round {number + 1}: bare loop, events/s": bare[-1][0], f"round {number + 1}: bare loop, CPU us/event": bare[-1][1],
            f"round {number + 1}: segmenter, feedback/s": ours[-1][0], f"round {number + 1}: segmenter, CPU us/feedback": ours[-1][1],
        }  # fmt: skip
    share = statistics.median(mine[0] / its[0] for mine, its in zip(ours, bare, strict=True))
    by_cpu = statistics.median(its[1] / mine[1] for mine, its in zip(ours, bare, strict=True))
    found.figures |= {"of the bare loop's rate, by the clock (median)": share, "of the bare loop's rate, by CPU time (median)": by_cpu}
    found.bars.append(Bar("the bare loop's rate, times that of enrichment", 1 / share, 1 / _OF_LOOP))
    return found


def profiles(people: int) -> Found:
    """Measure evaluations by ten schemes of five rules, the store's reads and writes included, in this process."""
    found = Found("people evaluated by ten schemes of five rules", people)
    with tempfile.TemporaryDirectory(prefix="bench-segmenter-") as folder:
        found.figures |= asyncio.run(timed_profiles(Path(folder), people))
    again = found.figures["evaluated again (load, evaluate, store): people/s a core"]
    found.bars.append(Bar("seconds of a core for so many people as the bar has a second", _PEOPLE_A_SECOND / again, 1.0))
    return found


async def rollout(folder: Path, people: int) -> Found:
    """Give a store of *people* another definition, kill the worker in the middle, and wait until nobody is left."""
    found = Found("rollout of a definition", people)
    older, newer = folder / "older.yaml", folder / "newer.yaml"
    older.write_text(DEFINITION)
    newer.write_text(NEWER)
    async with Rig(folder) as rig:
        await rig.start("segmenter", GROUNDSWELL_SEGMENTS_FILE=str(older))
        rig.services["segmenter"].stop()
        await clone_people(folder / "data" / "segmenter.db", older, people)
        started = time.monotonic()
        service = await rig.start("segmenter", GROUNDSWELL_SEGMENTS_FILE=str(newer))
        half = await _until(rig, service, people / 2, 0)
        peak = service.usage().peak_mib
        os.kill(service.pid, signal.SIGKILL)
        found.figures["left when the worker was killed"] = half
        since = service.log.stat().st_size
        service = await rig.start("segmenter", GROUNDSWELL_SEGMENTS_FILE=str(newer))
        if half:  # where few are evaluated faster than they are counted, the first worker has finished
            await _until(rig, service, 0, since)
        seconds = time.monotonic() - started
        peak = max(peak, service.usage().peak_mib)
        rows = await _newer_rows(rig)
        found.figures |= {"seconds": seconds, "people/s": people / seconds, "RSS MiB, peak": peak, "people whose row was said anew": rows}
        found.bars += [
            Bar("RSS MiB, peak", peak, _RSS_MIB),
            Bar("people who were left out", people - rows, 0),
            Bar("letters", await rig.letters(), 0),
        ]
    return found


async def _until(rig: Rig, service: Service, left: float, since: int) -> float:
    """Return how many are left, once that is at most *left*; print how it goes. What the log said before *since* was another worker's."""
    began, said = time.monotonic(), 0.0
    while True:
        service.check()
        log = service.log.read_bytes()[since:]
        now = 0.0 if b'"rolled_out"' in log else await rig.metric("segmenter", "groundswell_segmenter_rollout_people")
        if time.monotonic() - said > 10:
            said = time.monotonic()
            print(f"  {time.monotonic() - began:7.0f} s  {now:12,.0f} left  {service.usage().rss_mib:6.0f} MiB", flush=True)
        if (b'"rolling_out"' in log or b'"rolled_out"' in log) and now <= left:
            return now
        await asyncio.sleep(1)


async def _newer_rows(rig: Rig) -> int:
    """Return for how many people a row was published since the clones were made."""
    keys: set[bytes | None] = set()
    async for records in read_whole(rig.kafka, "people.segments", PARTITIONS, batch_bytes=8 * 1024 * 1024):
        keys.update(record.key for record in records)
    return len(keys)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return 1 where a bar is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.segmenter", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="*", choices=["rate", "profiles", "rollout"])
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--people", type=int)
    asked = parser.parse_args(arguments)
    holds = True
    for what in asked.what or ["rate", "profiles", "rollout"]:
        if what == "rate":
            found = rate(asked.events, asked.rounds)
        elif what == "profiles":
            found = profiles(asked.people or 4_000)
        else:
            with tempfile.TemporaryDirectory(prefix="bench-segmenter-") as folder:
                found = asyncio.run(rollout(Path(folder), asked.people or 1_000_000))
        found.figures["load of the machine"] = os.getloadavg()[0]
        holds = holds and all(bar.holds for bar in found.bars)
        print("\n".join([*found.lines(), ""]), flush=True)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
