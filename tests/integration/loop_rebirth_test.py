"""A service whose store is lost reads back what it has said, then its inputs, and only then begins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from services.common.kafka_rewind import StillRunning, has_read, set_back
from services.common.settings import KafkaSettings
from tests.support.topics import Broker, Sent, eventually
from tests.support.worker_process import Tiny

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

_COUNT = 40


@pytest.fixture
def outside(bootstrap: str) -> Broker:
    return Broker(bootstrap)


@pytest.fixture
def tiny(bootstrap: str, tmp_path: Path) -> Iterator[Tiny]:
    with Tiny(bootstrap, f"tiny-{uuid4().hex[:8]}", tmp_path) as service:
        yield service


def _records() -> list[Sent]:
    return [Sent(b"say|%d" % number, b"k%d" % number, partition=number % 2) for number in range(_COUNT)]


def _offsets(tiny: Tiny, what: str) -> list[tuple[int, int]]:
    return [(number, offset) for entry in tiny.journal() if entry["what"] == what for number, offset in entry["records"]]


async def _through(outside: Broker, tiny: Tiny) -> None:
    async def caught_up() -> bool:
        return await outside.lag(tiny.group, tiny.source) == 0

    await eventually(caught_up, "all acknowledged")


async def test_a_lost_store_is_told_what_was_said_before_the_inputs_come_again(outside: Broker, tiny: Tiny) -> None:
    await outside.create(2, tiny.source, tiny.target, tiny.letters)
    first = tiny.start()
    await outside.send(tiny.source, _records())
    await _through(outside, tiny)
    assert first.terminate() == 0
    assert not _offsets(tiny, "recalled"), "nothing had been said before the first start"

    again = tiny.start()
    await eventually(lambda: bool(again.log("started")), "started")
    assert again.terminate() == 0
    assert len(_offsets(tiny, "began")) == _COUNT, "a store that is there is believed"

    (tiny.folder / f"{tiny.name}.db").unlink()
    reborn = tiny.start()
    await eventually(lambda: len(_offsets(tiny, "ended")) == 2 * _COUNT, "every input again")
    said = _offsets(tiny, "recalled")
    assert len(said) == _COUNT
    for place in (0, 1):
        offsets = [offset for number, offset in said if number == place]
        assert offsets == [*range(len(offsets))], "each partition from its beginning, in order"
    moments = [entry["what"] for entry in tiny.journal()]
    assert moments.index("recalled") > moments.index("ended"), "it was read back once only"
    assert "recalled" not in moments[moments.index("recalled") + moments[moments.index("recalled") :].index("began") :]
    await _through(outside, tiny)
    assert reborn.terminate() == 0

    last = tiny.start()
    await eventually(lambda: bool(last.log("started")), "started")
    assert last.terminate() == 0
    assert len(_offsets(tiny, "recalled")) == _COUNT, "the store has been born by now"


async def test_a_group_at_work_is_not_set_back(outside: Broker, tiny: Tiny) -> None:
    await outside.create(2, tiny.source, tiny.target, tiny.letters)
    worker = tiny.start()
    await outside.send(tiny.source, _records())
    await _through(outside, tiny)
    kafka = KafkaSettings(bootstrap_servers=outside.bootstrap, session_timeout_ms=4000)
    places = [(tiny.source, 0), (tiny.source, 1)]
    with pytest.raises(StillRunning, match=tiny.group):
        await set_back(kafka, tiny.group, places)
    assert await outside.lag(tiny.group, tiny.source) == 0
    # Tansu keeps the leader of a group for ever that leaves it while it rebalances: let it settle first.
    await eventually(
        lambda: [e["partitions"] for e in tiny.journal() if e["what"] == "assigned"][-1] == [0, 1], "all is the worker's again"
    )
    assert worker.terminate() == 0
    assert await has_read(kafka, tiny.group, places)
    assert not await has_read(kafka, f"{tiny.group}-of-nobody", places)
    assert dict(await set_back(kafka, tiny.group, places)) == {(tiny.source, 0): 0, (tiny.source, 1): 0}
    assert await outside.lag(tiny.group, tiny.source) == _COUNT


async def test_who_was_stopped_on_purpose_is_not_suspected_when_all_is_read_again(outside: Broker, tiny: Tiny, bootstrap: str) -> None:
    """A replay begins where the last worker began; it must not look like a worker that was killed there."""
    await outside.create(2, tiny.source, tiny.target, tiny.letters)
    first = tiny.start()
    await outside.send(tiny.source, _records())
    await _through(outside, tiny)
    assert first.terminate() == 0

    kafka = KafkaSettings(bootstrap_servers=bootstrap, idempotence=False, session_timeout_ms=6_000)
    await set_back(kafka, tiny.group, [(tiny.source, number) for number in range(2)])
    again = tiny.start()
    await eventually(lambda: len(_offsets(tiny, "ended")) == 2 * _COUNT, "every input again")
    assert again.terminate() == 0
    assert again.log("taken_in_parts") == []
