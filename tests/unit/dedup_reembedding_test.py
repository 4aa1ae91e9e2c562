"""A store is given another model's vectors: what was decided stays, what comes goes by the new ones, and a job that is stopped goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from services.common.errors import ConfigurationError
from services.common.events import BoardEvent
from services.dedup.app import check_model
from services.dedup.domain.entry import Entry
from services.dedup.ports import Vectors
from services.dedup.reembedding import UNDER_WAY, Reembedding
from tests.fakes_dedup import BOARDS, WORKSPACE, FakeEncoder, MemoryBoardLog, command, event_of, handler_on, idea_name, received, submitted

_TEXTS = [f"{wish} {way}" for way in ("please", "now", "again", "at last", "soon") for wish in ("dark mode", "pdf export", "big board")]


class _Other(FakeEncoder):
    """Another model."""

    model = "others"

    def __init__(self, stop_after: int | None = None) -> None:
        super().__init__(salt="other")
        self._left = stop_after

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one row a text, unless it is stopped before."""
        if self._left is not None:
            self._left -= len(texts)
            if self._left < 0:
                raise KeyboardInterrupt
        return super().encode(texts)


def _history() -> list[BoardEvent]:
    said = [submitted(n, f"{text} {n // 3}", board=BOARDS[n % 2], person=f"p{n}") for n, text in enumerate(_TEXTS * 9)]
    end = len(said)
    return [
        *said,
        submitted(end, said[4].text or "", board=BOARDS[0], person="p4"),
        submitted(4, "dark mode in other words", board=BOARDS[0], revision=1),
        command(end + 1, "merge", idea_id=idea_name(0), other_idea_id=idea_name(2)),
        event_of(end + 2, type="retracted", feedback_id=said[6].feedback_id, revision=1),
    ]


async def _store() -> MemoryBoardLog:
    log = MemoryBoardLog()
    await check_model(log, FakeEncoder.model)
    await handler_on(log).handle(received(_history()))
    return log


async def _entries(log: MemoryBoardLog) -> list[Entry]:
    return [entry for board in BOARDS for entry in await log.load(f"{WORKSPACE}/{board}", after=0, limit=10_000)]


async def test_decisions_stay_and_vectors_and_counts_are_the_new_models() -> None:
    log = await _store()
    before = await _entries(log)
    assert any(entry.census for entry in before)

    made = await Reembedding(log, _Other(), lambda *_: None).run()

    after = await _entries(log)
    assert made == sum(entry.vector is not None for entry in before)
    assert [replace(entry, vector=None, census=None) for entry in before] == [replace(entry, vector=None, census=None) for entry in after]
    for entry in after:
        text = next((decision.text for decision in reversed(entry.decisions) if decision.type == "linked"), None)
        assert entry.vector is None or entry.vector == _Other().encode([text or ""])[0].tobytes()
    assert [entry.census is None for entry in before] == [entry.census is None for entry in after]
    assert [entry.census for entry in before] != [entry.census for entry in after]
    await check_model(log, _Other.model)
    with pytest.raises(ConfigurationError, match="holds vectors of others"):
        await check_model(log, FakeEncoder.model)


async def test_what_comes_is_decided_as_if_the_new_model_had_always_been_there() -> None:
    log = await _store()
    await Reembedding(log, _Other(), lambda *_: None).run()
    fresh = submitted(900, "dark mode please 1 too", board=BOARDS[0])

    await handler_on(log, encoder=_Other()).handle(received([fresh], first_offset=900))

    linked = (await log.load(f"{WORKSPACE}/{BOARDS[0]}", after=0, limit=10_000))[-1].decisions[-1]
    assert linked.event_id == fresh.event_id
    assert linked.score is not None


@pytest.mark.parametrize("stopped_after", [0, 1, 30, 69, 100])
async def test_a_job_that_was_stopped_goes_on(monkeypatch: pytest.MonkeyPatch, stopped_after: int) -> None:
    monkeypatch.setattr("services.dedup.reembedding._CHUNK_ENTRIES", 7)
    whole, halting = await _store(), await _store()
    await Reembedding(whole, _Other(), lambda *_: None).run()

    with pytest.raises(KeyboardInterrupt):
        await Reembedding(halting, _Other(stopped_after), lambda *_: None).run()
    with pytest.raises(ConfigurationError, match="to its end"):
        await check_model(halting, _Other.model)
    with pytest.raises(ValueError, match="on its way to others"):
        await Reembedding(halting, FakeEncoder(), lambda *_: None).run()
    told: list[tuple[str, int, int]] = []
    rest = await Reembedding(halting, _Other(), lambda *of: told.append(of)).run()

    assert whole.rows == halting.rows
    assert whole.facts == halting.facts
    assert await halting.noted(UNDER_WAY) is None
    assert rest >= sum(entry.vector is not None for entry in await _entries(whole)) - stopped_after
    assert told[-1][1] == told[-1][2]


async def test_a_store_of_that_model_is_left_alone() -> None:
    log, encoder = await _store(), FakeEncoder()

    assert await Reembedding(log, encoder, lambda *_: None).run() == 0
    assert encoder.encoded == []
    assert await Reembedding(MemoryBoardLog(), _Other(), lambda *_: None).run() == 0
