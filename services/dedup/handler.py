"""Gather the boards, decide event by event, remember what was decided; then it may be said."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from itertools import pairwise
from typing import TypeVar

from services.common.codec import Codec
from services.common.events import BoardEvent, Decision, Event
from services.common.ids import board_key
from services.common.logs import get_logger
from services.common.outcome import Drop, Emit, Outcome, Reject
from services.common.records import Received, Record
from services.dedup.ahead import Ahead
from services.dedup.coming import Coming
from services.dedup.domain.board import Board
from services.dedup.domain.decide import VectorOf, missing_fields
from services.dedup.domain.entry import Entry
from services.dedup.domain.erasing import erased_by
from services.dedup.domain.folding import Backlog, establish, was_passed
from services.dedup.domain.policy import PolicyOf, balanced
from services.dedup.domain.texts import text_key
from services.dedup.erasure import erase_log
from services.dedup.ports import BoardLog, Encoder, Meter, SaidLog

log = get_logger(__name__)
T = TypeVar("T")

_CHUNK_ENTRIES = 500
_REPEAT = Drop("repeat")


class DedupHandler:
    """Handles ``board.events``; holds the boards of its partitions in memory, folded from the log when they are first needed.

    *thread*, of one worker, does what takes long (decide, fold), so that the event loop goes on answering; *encoding*, of one worker,
    encodes for it.
    """

    def __init__(
        self,
        log: BoardLog,
        said: SaidLog,
        encoder: Encoder,
        codec: Codec,
        *,
        meter: Meter,
        thread: Executor,
        encoding: Executor,
        boards_in_memory: int,
        texts_in_memory: int,
        policy_of: PolicyOf = balanced,
    ) -> None:
        self._log = log
        self._said = said
        self._encoder = encoder
        self._codec = codec
        self._meter = meter
        self._thread = thread
        self._encoding = encoding
        self._boards_in_memory = boards_in_memory
        self._texts_in_memory = texts_in_memory
        self._policy_of = policy_of
        self._boards: OrderedDict[str, Board] = OrderedDict()
        self._coming = Coming(encoder, encoding, codec.optional_decoder(BoardEvent), self._would_need_vector)
        self._last_said: dict[str, Decision] = {}
        """Of those of the boards whose log does not hold yet all that was said of them."""

    def glance(self, records: Sequence[Record]) -> None:
        """Have the texts of *records* encoded when nothing else is to be; see ``services.common.ports.Route``."""
        self._coming.glance(records)

    def _would_need_vector(self, event: BoardEvent) -> bool:
        """Tell that of an event that may come next, as far as the boards in memory tell: from any thread, while another changes them."""
        board = self._boards.get(_key(event))
        return board is not None and _needs_vector(event, board)

    async def assigned(self, partitions: frozenset[int]) -> None:
        """Do nothing: boards are loaded when their first event arrives."""

    async def revoked(self) -> None:
        """Let go of every board: another worker may change it from now on."""
        self._coming.forget()
        self._boards.clear()
        self._last_said.clear()
        self._meter.holding(0, 0)

    async def handle(self, batch: Sequence[Received[BoardEvent | None]]) -> Sequence[Outcome]:
        """Return what each event establishes, once all of it is stored; see ``services.common.ports.Route``."""
        events = [Received(received.record, received.event) for received in batch if received.event is not None]
        outcomes = iter([outcome for run in _runs(events) for outcome in await self._run(run)])
        return [Drop("erased") if received.event is None else next(outcomes) for received in batch]

    async def _run(self, run: Sequence[Received[BoardEvent]]) -> Sequence[Outcome]:
        outcomes = await self._handle(run)
        last, person = run[-1].event, erased_by(run[-1].event)
        if person is None or outcomes[-1] == _REPEAT:
            return outcomes
        decisions = await erase_log(self._log, self._said, _key(last), (await self._board(_key(last))).position_of(last.event_id), person)
        self._forget(_key(last))  # what is in memory may still say a text as it was erased
        own = outcomes[-1].outputs if isinstance(outcomes[-1], Emit) else ()
        return [*outcomes[:-1], Emit((*map(self._codec.output, decisions), *own))]

    async def _handle(self, batch: Sequence[Received[BoardEvent]]) -> Sequence[Outcome]:
        keys = dict.fromkeys(_key(received.event) for received in batch if not missing_fields(received.event))
        is_stored = False
        try:
            boards = {key: await self._board(key) for key in keys}
            known = await self._known(batch, boards)
            backlogs = {key: await self._backlog(key, board, batch) for key, board in boards.items()}
            outcomes, entries = await self._call(lambda: self._decide(batch, boards, known, backlogs))
            await self._log.append(entries)
            is_stored = True
        finally:
            if not is_stored:  # these boards are ahead of their log, or not: fold them again
                for key in keys:
                    self._forget(key)
        await self._settle(backlogs, boards)
        self._meter.decided(decision.type for entry in entries for decision in entry.decisions)
        self._let_go(keeping=len(keys))
        return outcomes

    def _decide(
        self,
        batch: Sequence[Received[BoardEvent]],
        boards: Mapping[str, Board],
        known: dict[str, Entry],
        backlogs: Mapping[str, Backlog | None],
    ) -> tuple[list[Outcome], list[Entry]]:
        with Ahead(self._encoder, self._encoding, _new_texts(batch, boards)) as ahead:
            return self._establish(batch, boards, known, backlogs, ahead.vector_of)

    def _establish(
        self,
        batch: Sequence[Received[BoardEvent]],
        boards: Mapping[str, Board],
        known: dict[str, Entry],
        backlogs: Mapping[str, Backlog | None],
        vector_of: VectorOf,
    ) -> tuple[list[Outcome], list[Entry]]:
        outcomes: list[Outcome] = []
        entries: list[Entry] = []
        for received in batch:
            event, origin = received.event, received.record.origin
            lacking = missing_fields(event)
            if lacking:
                outcomes.append(Reject("incomplete_event", f"a {event.type} event needs {', '.join(lacking)}"))
                continue
            if event.event_id not in known:
                made = establish(boards[_key(event)], event, origin, vector_of, backlogs[_key(event)])
                known.update((entry.event_id, entry) for entry in made)
                entries.extend(made)
            entry = known[event.event_id]
            outcomes.append(self._outcome(entry) if entry.origin == origin else _REPEAT)
        return outcomes, entries

    def _outcome(self, entry: Entry) -> Outcome:
        events: tuple[Event, ...] = (*(decision for decision in entry.decisions if decision.type != "unknown"), *entry.ideas)
        return Emit(tuple(self._codec.output(event) for event in events)) if events else Drop("no_change")

    async def _board(self, key: str) -> Board:
        board = self._boards.get(key)
        if board is not None:
            self._boards.move_to_end(key)
            return board
        workspace, _, name = key.partition("/")
        board = Board(workspace, name, self._encoder.dimensions, self._policy_of(workspace, name))
        while True:
            entries = await self._log.load(key, after=board.position, limit=_CHUNK_ENTRIES)
            await self._call(partial(_fold, board, entries))
            if len(entries) < _CHUNK_ENTRIES:
                break
        self._boards[key] = board
        last = await self._said.last(key)
        if last is not None:
            self._last_said[key] = last
        return board

    async def _backlog(self, key: str, board: Board, batch: Sequence[Received[BoardEvent]]) -> Backlog | None:
        """Return what was said of *board* that its log lacks, up to where *batch* needs it; None where nothing is left."""
        last = self._last_said.get(key)
        if last is None:
            return None
        new = {
            received.event.event_id: received.record.origin
            for received in batch
            if _key(received.event) == key and board.position_of(received.event.event_id) is None
        }
        places = await self._said.places(new)
        is_beyond = any(event not in places and not was_passed(origin, last) for event, origin in new.items())
        upto = last.sequence if is_beyond else max(places.values(), default=0)
        return Backlog(await self._said.load(key, after=board.sequence, upto=upto), last)

    async def _settle(self, backlogs: Mapping[str, Backlog | None], boards: Mapping[str, Board]) -> None:
        """Let go of what was said of boards whose logs hold it now."""
        for key, backlog in backlogs.items():
            if backlog is None:
                continue
            if backlog.missing:
                log.warning("decisions_missing", board=key, missing=backlog.missing)
            await self._said.forget(key, upto=boards[key].sequence)
            if boards[key].sequence >= self._last_said[key].sequence:
                del self._last_said[key]

    async def _known(self, batch: Sequence[Received[BoardEvent]], boards: Mapping[str, Board]) -> dict[str, Entry]:
        """Return the stored entries of those events of *batch* that were decided before, by event id."""
        positions: dict[str, set[int]] = {}
        for received in batch:
            key = _key(received.event)
            position = boards[key].position_of(received.event.event_id) if key in boards else None
            if position is not None:
                positions.setdefault(key, set()).add(position)
        known: dict[str, Entry] = {}
        for key, wanted in positions.items():
            for start in range(min(wanted), max(wanted) + 1, _CHUNK_ENTRIES):
                stop = min(start + _CHUNK_ENTRIES, max(wanted) + 1)
                if wanted.isdisjoint(range(start, stop)):
                    continue
                for entry in await self._log.load(key, after=start - 1, limit=stop - start):
                    if entry.position in wanted:
                        known[entry.event_id] = entry
        return known

    def _let_go(self, *, keeping: int) -> None:
        texts = sum(len(board) for board in self._boards.values())
        while len(self._boards) > keeping and (len(self._boards) > self._boards_in_memory or texts > self._texts_in_memory):
            key = next(iter(self._boards))
            texts -= len(self._boards[key])
            self._forget(key)
        self._meter.holding(len(self._boards), texts)

    def _forget(self, key: str) -> None:
        self._boards.pop(key, None)
        self._last_said.pop(key, None)

    async def _call(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _new_texts(batch: Sequence[Received[BoardEvent]], boards: Mapping[str, Board]) -> list[tuple[Board, str]]:
    """Return the texts of *batch* that their boards do not hold yet; what turns out to be needed beyond them is encoded when it is."""
    found: list[tuple[Board, str]] = []
    for received in batch:
        event = received.event
        board = boards.get(_key(event))
        if event.text is not None and board is not None and _needs_vector(event, board):
            found.append((board, event.text))
    return found


def _needs_vector(event: BoardEvent, board: Board) -> bool:
    return not event.is_vote and board.position_of(event.event_id) is None and not board.wordings.rows(text_key(event.text or ""))


def _runs(batch: Sequence[Received[BoardEvent]]) -> list[Sequence[Received[BoardEvent]]]:
    """Return *batch* cut behind each erasure: the log is written anew before anything else is decided."""
    edges = [place + 1 for place, received in enumerate(batch) if erased_by(received.event) is not None]
    return [batch[start:stop] for start, stop in pairwise(sorted({0, *edges, len(batch)}))]


def _fold(board: Board, entries: Iterable[Entry]) -> None:
    for entry in entries:
        board.fold(entry)


def _key(event: BoardEvent) -> str:
    return board_key(event.workspace, event.board)
