"""Our loop when the group changes: workers come, go, freeze and take too long."""

from __future__ import annotations

import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.support.topics import Broker, Sent, eventually
from tests.support.worker_process import Tiny

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]

_KEYS = 40


@pytest.fixture
def outside(bootstrap: str) -> Broker:
    return Broker(bootstrap)


@pytest.fixture
def tiny(bootstrap: str, tmp_path: Path) -> Iterator[Tiny]:
    with Tiny(bootstrap, f"tiny-{uuid4().hex[:8]}", tmp_path, {"TINY_MARKS": "none"}) as service:
        yield service


def _overlaps(journal: list[dict[str, Any]]) -> list[str]:
    """Return where two workers had a batch of one partition in hand at once, by the machine's monotonic clock."""
    spans: defaultdict[int, list[tuple[float, float, int]]] = defaultdict(list)
    began: dict[int, tuple[float, set[int]]] = {}
    for entry in journal:
        worker, numbers = entry["worker"], {partition for partition, _ in entry.get("records", ())}
        if entry["what"] == "began":
            began[worker] = (entry["at"], numbers)
        elif entry["what"] == "ended" and worker in began:
            start, numbers = began.pop(worker)
            for number in numbers:
                spans[number].append((start, entry["at"], worker))
    return [
        f"partition {number}: {first} and {second}"
        for number, found in spans.items()
        for first, second in zip(sorted(found), sorted(found)[1:], strict=False)
        if first[1] > second[0] and first[2] != second[2]
    ]


async def test_one_to_three_to_one_workers_under_load_lose_nothing_and_keep_each_key_s_order(outside: Broker, tiny: Tiny) -> None:
    partitions = 6
    await outside.create(partitions, tiny.source, tiny.target, tiny.letters)
    sent: list[Sent] = []

    async def feed(count: int) -> None:
        more = [
            Sent(b"slow:0.002|%d %d" % (number % _KEYS, number), b"key-%d" % (number % _KEYS), number % _KEYS % partitions)
            for number in range(len(sent), len(sent) + count)
        ]
        sent.extend(more)
        await outside.send(tiny.source, more)

    async def through(least: int) -> None:
        async def enough() -> bool:
            return sum((await outside.committed(tiny.group, tiny.source)).values()) >= least

        await eventually(enough, f"{least} acknowledged", 150)

    def shared(workers: int) -> bool:
        owned = {entry["worker"]: entry["partitions"] for entry in tiny.journal() if entry["what"] == "assigned"}
        alive = [owned.get(worker.pid, []) for worker in tiny.processes if worker.running]
        return len(alive) == workers and sorted(number for numbers in alive for number in numbers) == list(range(partitions))

    await feed(1500)
    first = tiny.start(GROUNDSWELL_BATCH_RECORDS="40")
    await through(200)
    second, third = tiny.start(GROUNDSWELL_BATCH_RECORDS="40"), tiny.start(GROUNDSWELL_BATCH_RECORDS="40")
    await feed(3000)
    await eventually(lambda: shared(3), "three share the partitions")
    await feed(1500)
    assert first.terminate() == 0
    second.kill()
    await eventually(lambda: shared(1), "one owns all", 150)
    await feed(500)
    await through(len(sent))
    assert third.terminate() == 0
    outputs = await outside.read(tiny.target)
    assert {r.value for r in outputs} == {r.value for r in sent}, "nothing lost"
    first_seen: dict[bytes, list[int]] = defaultdict(list)
    seen: set[bytes | None] = set()
    for record in outputs:
        if record.value not in seen:
            seen.add(record.value)
            first_seen[record.key or b""].append(int((record.value or b"").rsplit(b" ", 1)[1]))
    assert all(numbers == sorted(numbers) for numbers in first_seen.values()), "each key's order is kept"
    assert _overlaps(tiny.journal()) == [], "no two workers handle one partition at once"
    assert await outside.read(tiny.letters) == []


async def test_a_batch_that_outlasts_a_revocation_is_dropped_without_a_commit(outside: Broker, tiny: Tiny) -> None:
    await outside.create(2, tiny.source, tiny.target, tiny.letters)
    flag = tiny.folder / "back"
    await outside.send(tiny.source, [Sent(b"away:%s|%d" % (str(flag).encode(), number), b"k", number) for number in range(2)])
    first = tiny.start(GROUNDSWELL_STOP_SECONDS="1")
    await eventually(lambda: bool(first.log("retrying")), "busy")
    tiny.start(GROUNDSWELL_STOP_SECONDS="1")
    await eventually(lambda: any(line["why"] == "revoked" for line in first.log("batch_dropped")), "dropped")
    assert await outside.committed(tiny.group, tiny.source) == {}
    assert first.running
    flag.touch()

    async def done() -> bool:
        return await outside.lag(tiny.group, tiny.source) == 0

    await eventually(done, "everything acknowledged")
    assert len({r.value for r in await outside.read(tiny.target)}) == 2


async def test_a_worker_frozen_for_two_sessions_publishes_nothing_and_steps_back_when_it_wakes(outside: Broker, tiny: Tiny) -> None:
    await outside.create(2, tiny.source, tiny.target, tiny.letters)
    await outside.send(tiny.source, [Sent(b"slow:0.05|%d" % number, b"%d" % number, number % 2) for number in range(200)])
    frozen = tiny.start(GROUNDSWELL_BATCH_RECORDS="40")
    await eventually(lambda: sum(entry["what"] == "began" for entry in tiny.journal()) >= 2, "in its second batch")
    frozen.signal(signal.SIGSTOP)
    at = time.monotonic()
    other = tiny.start(GROUNDSWELL_BATCH_RECORDS="40")

    def taken_over() -> bool:
        return time.monotonic() - at > 8 and any(e["worker"] == other.pid and e["what"] == "ended" for e in tiny.journal())

    await eventually(taken_over, "another worker took over")
    frozen.signal(signal.SIGCONT)

    async def done() -> bool:
        return await outside.lag(tiny.group, tiny.source) == 0

    await eventually(done, "everything acknowledged")
    # Its successor has long said what it had in hand, and more: said again now, older states would end up behind newer ones.
    published = sorted(r.value or b"" for r in await outside.read(tiny.target))
    assert published == sorted(b"slow:0.05|%d" % number for number in range(200))
    await outside.send(tiny.source, [Sent(b"ok|more %d" % number, b"k", number % 2) for number in range(10)])
    await eventually(done, "the rest acknowledged")
    assert frozen.running, "the frozen worker is a member again"
    assert (frozen.terminate(), other.terminate()) == (0, 0)
