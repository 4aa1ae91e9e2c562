"""The handler beside its decisions: what it does when the store fails, another worker interferes, or an event is no use."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.common.errors import ConfigurationError, Fenced, TransientError
from services.common.outcome import Drop, Emit, Reject
from services.dedup.app import check_model
from services.dedup.domain.entry import Entry
from services.dedup.handler import DedupHandler
from services.dedup.ports import Vectors
from tests.fakes_dedup import (
    CODEC,
    FakeEncoder,
    MemoryBoardLog,
    MemorySaidLog,
    NoMeter,
    event_of,
    handle_all,
    handler_on,
    received,
    submitted,
)

_EVENTS = [submitted(place, text) for place, text in enumerate(["dark mode", "export to pdf", "dark mode", "mode dark please"])]


class Flaky(MemoryBoardLog):
    """Writes, then says that it did not; or does not write at all."""

    def __init__(self) -> None:
        super().__init__()
        self.loses_reply = False
        self.is_away = False
        self.loads = 0

    async def load(self, board: str, *, after: int, limit: int) -> Sequence[Entry]:
        self.loads += 1
        return await super().load(board, after=after, limit=limit)

    async def append(self, entries: Sequence[Entry]) -> None:
        if self.is_away:
            raise TransientError("away")
        await super().append(entries)
        if self.loses_reply:
            raise TransientError("no reply")


@pytest.mark.parametrize("fault", ["loses_reply", "is_away"])
async def test_after_a_failed_write_the_same_batch_says_the_same(fault: str) -> None:
    expected = await handler_on(MemoryBoardLog()).handle(received(_EVENTS))
    log = Flaky()
    handler = handler_on(log)
    await handler.handle(received(_EVENTS[:1]))

    setattr(log, fault, True)
    with pytest.raises(TransientError):
        await handler.handle(received(_EVENTS))
    setattr(log, fault, False)

    assert expected == await handler.handle(received(_EVENTS))


async def test_a_zombie_is_fenced_and_then_decides_what_the_other_decided() -> None:
    log = MemoryBoardLog()
    zombie, other = handler_on(log), handler_on(log)
    await zombie.handle(received(_EVENTS[:1]))
    expected = await other.handle(received(_EVENTS))

    with pytest.raises(Fenced):
        await zombie.handle([*received(_EVENTS[:1]), *received([submitted(9, "late")], first_offset=9)])
    await zombie.revoked()

    assert expected == await zombie.handle(received(_EVENTS))


@pytest.mark.parametrize(
    ("fields", "lacking"),
    [
        ({"type": "unknown"}, "type"),
        ({"type": "submitted", "feedback_id": "f"}, "person_id, text"),
        ({"type": "retracted"}, "feedback_id"),
        ({"type": "commanded"}, "command"),
        ({"type": "status_changed", "idea_id": "i"}, "status"),
        ({"type": "persons_joined", "person_id": "p"}, "other_person_id"),
    ],
)
async def test_an_incomplete_event_is_rejected_and_leaves_no_trace(fields: dict[str, str], lacking: str) -> None:
    log = MemoryBoardLog()

    outcomes = await handler_on(log).handle(received([event_of(8, **fields), _EVENTS[0]]))

    assert outcomes[0] == Reject("incomplete_event", f"a {fields['type']} event needs {lacking}")
    assert isinstance(outcomes[1], Emit)
    assert len(log.rows["lumora/product"]) == 1


def test_what_changes_nothing_is_dropped_and_remembered() -> None:
    log = MemoryBoardLog()
    stale = submitted(1, "older", feedback_id=_EVENTS[0].feedback_id)

    assert Drop("no_change") == handle_all(handler_on(log), [received([_EVENTS[0], stale])])[1]
    assert Drop("repeat") == handle_all(handler_on(log), [received([stale], first_offset=7)])[0]


def test_exact_repeats_are_not_encoded() -> None:
    encoder = FakeEncoder()
    handler = handler_on(MemoryBoardLog(), encoder=encoder)

    handle_all(handler, [received(_EVENTS[:2]), received([submitted(5, "Dark  MODE")], first_offset=5)])

    assert encoder.encoded == ["dark mode", "export to pdf"]


def test_votes_are_not_encoded() -> None:
    encoder = FakeEncoder()
    vote = submitted(5, "+1 from all of us", is_vote=True, parent_id=_EVENTS[0].feedback_id)

    outcomes = handle_all(handler_on(MemoryBoardLog(), encoder=encoder), [received([_EVENTS[0], vote])])

    assert isinstance(outcomes[1], Emit)
    assert encoder.encoded == ["dark mode"]


async def test_boards_in_memory_are_bounded_and_folded_again_when_needed() -> None:
    log = Flaky()
    handler = handler_on(log, boards=2)
    for offset, board in enumerate(["product", "api", "web", "api", "web"]):
        await handler.handle(received([submitted(offset, f"wish {offset}", board=board)], first_offset=offset))
    assert log.loads == 3

    await handler.handle(received([submitted(9, "wish", board="product")], first_offset=9))

    assert log.loads == 4


async def test_the_event_loop_goes_on_while_texts_are_encoded() -> None:
    released = threading.Event()

    class Slow(FakeEncoder):
        def encode(self, texts: Sequence[str]) -> Vectors:
            assert released.wait(30)
            return super().encode(texts)

    with ThreadPoolExecutor(max_workers=1) as thread, ThreadPoolExecutor(max_workers=1) as encoding:
        handler = DedupHandler(
            MemoryBoardLog(),
            MemorySaidLog(),
            Slow(),
            CODEC,
            meter=NoMeter(),
            thread=thread,
            encoding=encoding,
            boards_in_memory=9,
            texts_in_memory=9,
        )
        handling = asyncio.create_task(handler.handle(received(_EVENTS)))
        started = time.monotonic()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not handling.done()
        assert time.monotonic() - started < 10
        released.set()
        assert len(await handling) == len(_EVENTS)


async def test_another_models_store_is_refused() -> None:
    log = MemoryBoardLog()
    await check_model(log, "one")
    await check_model(log, "one")

    with pytest.raises(ConfigurationError, match="holds vectors of one, not of two"):
        await check_model(log, "two")
