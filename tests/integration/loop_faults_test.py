"""The first table of what a stream framework loses, row by row, against our loop on a real broker: nothing of it happens."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from services.common.guard import Exit
from tests.support.topics import Broker, Sent, eventually
from tests.support.worker_process import Tiny

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


@pytest.fixture
async def outside(bootstrap: str) -> Broker:
    return Broker(bootstrap)


@pytest.fixture
def tiny(bootstrap: str, tmp_path: Path) -> Iterator[Tiny]:
    with Tiny(bootstrap, f"tiny-{uuid4().hex[:8]}", tmp_path) as service:
        yield service


async def _topics(outside: Broker, tiny: Tiny, partitions: int = 1) -> None:
    await outside.create(partitions, tiny.source, tiny.target, tiny.letters)


def _numbered(count: int, **special: bytes) -> list[Sent]:
    """Return *count* records ``ok|0``, ``ok|1``, …; *special* replaces some by number: ``_5=b"crash|5"``."""
    values = [special.get(f"_{number}", b"ok|%d" % number) for number in range(count)]
    return [Sent(value, b"key-%d" % number) for number, value in enumerate(values)]


async def _drained(outside: Broker, tiny: Tiny) -> None:
    async def empty() -> bool:
        return await outside.lag(tiny.group, tiny.source) == 0

    await eventually(empty, f"everything acknowledged; the last worker said:\n{tiny.processes[-1].text()[-3000:]}")


def _values(records: list) -> set[bytes]:  # type: ignore[type-arg]
    return {record.value for record in records}


@pytest.mark.parametrize(
    ("verb", "batch", "expected_starts"), [(b"crash", 1, 4), (b"crash", 500, 6), (b"killed", 1, 6), (b"killed", 500, 6)]
)
async def test_a_death_acknowledges_nothing_past_its_record_and_buries_only_the_culprit(
    outside: Broker, tiny: Tiny, verb: bytes, batch: int, expected_starts: int
) -> None:
    """Three deaths at the record itself; in a batch one more, and one in a part of it; one where others were done and no word was left."""
    await _topics(outside, tiny)
    culprit = verb + b"|\x00\xff payload"
    await outside.send(tiny.source, _numbered(20, _5=culprit))
    starts = 0
    while True:
        worker = tiny.start(GROUNDSWELL_BATCH_RECORDS=str(batch))
        starts += 1

        async def settled(worker=worker) -> bool:  # type: ignore[no-untyped-def]
            return not worker.running or await outside.lag(tiny.group, tiny.source) == 0

        await eventually(settled, "died or done")
        if worker.running:
            break
        assert worker.wait() == (Exit.BUG if verb == b"crash" else -signal.SIGKILL)
        position = (await outside.committed(tiny.group, tiny.source)).get(0) or 0
        assert position <= 5, "nothing past the unfinished record was acknowledged"
        assert len(worker.log("crash")) == (verb == b"crash")
        assert "payload" not in worker.text(), "no log quotes a payload"
        assert starts <= expected_starts
    assert worker.terminate() == 0
    letters = await outside.read(tiny.letters)
    assert [(letter.value, letter.key) for letter in letters] == [(culprit, b"key-5")]
    headers = dict(letters[0].headers)
    assert headers["__connect.errors.exception.class.name"] == b"crash"
    assert headers["__connect.errors.offset"] == b"5"
    assert _values(await outside.read(tiny.target)) == {b"ok|%d" % number for number in range(20) if number != 5}
    assert starts == expected_starts


async def test_a_cancellation_from_within_is_a_crash_and_not_a_silent_end(outside: Broker, tiny: Tiny) -> None:
    await _topics(outside, tiny)
    await outside.send(tiny.source, _numbered(3, _1=b"cancelled|1"))
    assert tiny.start().wait() == Exit.BUG
    assert (await outside.committed(tiny.group, tiny.source)).get(0) is None


async def test_garbage_is_buried_byte_for_byte_with_its_headers_and_the_rest_goes_on(outside: Broker, tiny: Tiny) -> None:
    await _topics(outside, tiny, partitions=2)
    garbage = [
        Sent(b"\x00\x01\xfe\xff no verb", b"\xff\xfe", 0, (("trace", b"\x00\x01"), ("__connect.errors.attempt", b"not a number"))),
        Sent(None, b"null value", 1),
        Sent(b"", None, 0),
        Sent(None, None, 1),
        Sent(b"{" * 200_000, b"deep", 1),
    ]
    good = [Sent(b"ok|%d" % number, b"%d" % number, number % 2) for number in range(40)]
    mixed = [record for at, record in enumerate(good) for record in ([garbage[at // 8], record] if at % 8 == 0 else [record])]
    await outside.send(tiny.source, mixed)
    worker = tiny.start()
    await _drained(outside, tiny)
    letters = await outside.read(tiny.letters)
    assert sorted(map(repr, ((r.key, r.value) for r in letters))) == sorted(map(repr, ((r.key, r.value) for r in garbage)))
    kept = next(letter for letter in letters if letter.key == b"\xff\xfe")
    assert ("trace", b"\x00\x01") in kept.headers
    assert dict(kept.headers)["__connect.errors.attempt"] == b"1"
    assert _values(await outside.read(tiny.target)) == _values(good)
    status, metrics = worker.get("/metrics")
    assert status == 200
    assert f'groundswell_dead_letters_total{{reason="no_verb",service="{tiny.name}",topic="{tiny.source}"}} 3.0' in metrics
    assert worker.terminate() == 0


async def test_an_output_that_is_too_large_buries_its_input_alone(outside: Broker, tiny: Tiny) -> None:
    await _topics(outside, tiny)
    await outside.send(tiny.source, _numbered(3, _0=b"wide:1048000|0", _1=b"wide:2000000|1"))
    tiny.start()
    await _drained(outside, tiny)
    assert sorted(len(r.value or b"") for r in await outside.read(tiny.target)) == [4, 1048000]
    (letter,) = await outside.read(tiny.letters)
    assert letter.value == b"wide:2000000|1"


async def test_kill_9_in_mid_batch_loses_nothing(outside: Broker, tiny: Tiny) -> None:
    await _topics(outside, tiny)
    await outside.send(tiny.source, [Sent(b"slow:0.05|%d" % number, b"k") for number in range(60)])
    worker = tiny.start(GROUNDSWELL_BATCH_RECORDS="20")
    await eventually(lambda: sum(entry["what"] == "began" for entry in tiny.journal()) >= 2, "in its second batch")
    worker.kill()
    tiny.start(GROUNDSWELL_BATCH_RECORDS="20")
    await _drained(outside, tiny)
    assert _values(await outside.read(tiny.target)) == {b"slow:0.05|%d" % number for number in range(60)}
    assert await outside.read(tiny.letters) == []


async def test_sigterm_in_mid_batch_drains_it_and_exits_cleanly(outside: Broker, tiny: Tiny) -> None:
    await _topics(outside, tiny)
    await outside.send(tiny.source, [Sent(b"slow:0.1|%d" % number, b"k") for number in range(40)])
    worker = tiny.start(GROUNDSWELL_BATCH_RECORDS="20")
    await eventually(lambda: any(entry["what"] == "began" for entry in tiny.journal()), "in its first batch")
    assert worker.terminate() == 0
    assert (await outside.committed(tiny.group, tiny.source))[0] == 20, "the batch in hand was finished, the next one not begun"
    assert len(await outside.read(tiny.target)) == 20
    assert worker.log("stopped")
    assert "Traceback" not in worker.text()
    tiny.start(GROUNDSWELL_BATCH_RECORDS="20")
    await _drained(outside, tiny)
    assert len(await outside.read(tiny.target)) == 40, "nothing is lost and nothing repeats"


async def test_a_batch_that_outlasts_the_stop_is_dropped_and_comes_again(outside: Broker, tiny: Tiny) -> None:
    await _topics(outside, tiny)
    flag = tiny.folder / "back"
    await outside.send(tiny.source, [Sent(b"away:%s|1" % str(flag).encode(), b"k")])
    worker = tiny.start(GROUNDSWELL_STOP_SECONDS="1")
    await eventually(lambda: bool(worker.log("retrying")), "retrying")
    assert worker.terminate() == 0
    assert worker.log("batch_dropped")
    assert (await outside.committed(tiny.group, tiny.source)).get(0) is None
    flag.touch()
    tiny.start()
    await _drained(outside, tiny)


async def test_a_store_that_is_away_is_retried_in_place_with_heartbeats_going_on(outside: Broker, tiny: Tiny) -> None:
    await _topics(outside, tiny)
    flag = tiny.folder / "back"
    await outside.send(tiny.source, [Sent(b"ok|0", b"k"), Sent(b"away:%s|1" % str(flag).encode(), b"k"), Sent(b"ok|2", b"k")])
    worker = tiny.start(GROUNDSWELL_KAFKA_SESSION_TIMEOUT_MS="3000", GROUNDSWELL_LIVENESS_SECONDS="8")

    def long_enough() -> bool:
        retries = [line for line in worker.log("retrying") if line["what"] == "handle"]
        return len(retries) >= 2 and sum(line["wait_seconds"] for line in retries) > 7  # more than two sessions

    await eventually(long_enough, "retried for longer than two sessions")
    assert worker.get("/healthz")[0] == 200, "a worker that retries is alive"
    assert [entry["what"] for entry in tiny.journal()].count("revoked") == 0, "the group kept it all the while"
    flag.touch()
    await _drained(outside, tiny)
    assert worker.running
    assert len(await outside.read(tiny.target)) == 3


async def test_a_store_that_stays_away_ends_the_process_unacknowledged(outside: Broker, tiny: Tiny) -> None:
    await _topics(outside, tiny)
    await outside.send(tiny.source, [Sent(b"ok|0", b"k"), Sent(b"away:%s|1" % str(tiny.folder / "never").encode(), b"k")])
    worker = tiny.start(GROUNDSWELL_RETRY_SECONDS="3")
    assert worker.wait() == Exit.UNAVAILABLE
    assert worker.log("unavailable")[0]["error"] == "the store is away"
    assert (await outside.committed(tiny.group, tiny.source)).get(0) is None
    assert await outside.read(tiny.letters) == []


async def test_fenced_on_the_very_first_batch_it_is_read_again(outside: Broker, tiny: Tiny) -> None:
    await _topics(outside, tiny)
    await outside.send(tiny.source, [Sent(b"fenced|0", b"k"), *[Sent(b"ok|%d" % number, b"k") for number in range(1, 30)]])
    worker = tiny.start(GROUNDSWELL_BATCH_RECORDS="10")
    await _drained(outside, tiny)
    assert _values(await outside.read(tiny.target)) == {b"fenced|0", *(b"ok|%d" % number for number in range(1, 30))}
    assert worker.log("stepping_back")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
