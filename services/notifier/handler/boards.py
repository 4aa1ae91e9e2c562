"""``board.decisions`` → alerts: folds each board and publishes what its decisions complete."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TypeVar

from services.common.codec import Codec
from services.common.events import Decision
from services.common.ids import board_key
from services.common.logs import get_logger
from services.common.outcome import Drop, Emit, Outcome
from services.common.records import Output, Received
from services.notifier.domain.board import Board, Effects, NewAlert, Want
from services.notifier.domain.entry import Entry, entry_of
from services.notifier.domain.joining import Waiting
from services.notifier.domain.ledger import new_row, outcome_of, rebuilt
from services.notifier.domain.row import Row, is_direct
from services.notifier.ports import BoardStore, Join, LedgerStore, Store, WordStore

log = get_logger(__name__)
T = TypeVar("T")

ERASED_TITLE = "(erased)"
"""What an alert is about whose idea was named by somebody who was erased."""
_CHUNK = 1_000
"""So many rows or quotes go to the store in one call: what a tick writes at most of a decision that makes very many."""
_PORTION = 5_000
"""So many entries of a log are read at once."""


@dataclass(frozen=True, slots=True)
class _Held:
    """What is in memory of one board."""

    workspace: str
    name: str
    state: Board
    waiting: Waiting = field(default_factory=Waiting)


class BoardHandler:
    """Handles decisions; its boards are folded from the store on demand and forgotten on revocation.

    Rows are stored before the log's entry, and that before anything is published. A crash in between repeats what the same entry
    brings about: the fold is a pure function of the log. Of very many rows, the first are written with the decision; the others follow
    in pieces, between other records, so that no board holds up another. A mark in the store says so until the last one is there.
    """

    def __init__(self, store: Store, codec: Codec, statuses: Collection[str], partition_of: Callable[[str], int]) -> None:
        self._log: BoardStore = store
        self._ledger: LedgerStore = store
        self._words: WordStore = store
        self._codec = codec
        self._statuses = statuses
        self._partition_of = partition_of
        self._boards: dict[str, _Held] = {}
        self._unfinished: list[Join] = []
        """Joins that an earlier process left behind."""

    async def assigned(self, partitions: frozenset[int]) -> None:
        """Begin with nothing in memory but what is left to be written: another worker may have gone on where this one left off."""
        self._boards.clear()
        self._unfinished = [join for join in await self._log.joins() if join.partition in partitions]

    async def revoked(self) -> None:
        """Let go of every board."""
        self._boards.clear()
        self._unfinished.clear()

    async def due(self, partitions: frozenset[int]) -> Sequence[Output]:  # noqa: ARG002 - the port's shape
        """Write the next rows of the decisions that made very many; return their first words.

        Raises:
            TransientError: The store does not answer.
        """
        while self._unfinished:
            join = self._unfinished[-1]
            if join.board not in self._boards:
                self._boards[join.board] = await self._folded(join.workspace, join.name)
            self._unfinished.pop()
        outputs: list[Output] = []
        for key, held in self._boards.items():
            if held.waiting.alerts:
                outputs += await self._piece(key, held)
            elif held.waiting.marked:  # the last one's words are out
                await self._log.end_join(key)
                held.waiting.marked = held.waiting.again = False
        return outputs

    async def _piece(self, key: str, held: _Held) -> list[Output]:
        waiting = held.waiting
        made = waiting.first(_CHUNK)
        rows = [waiting.wanted(row) for row in await self._rows(held.workspace, held.name, {}, made)]
        ids = [row.alert_id for row in rows]
        await self._ledger.add(rows)
        if said := waiting.said_of(ids):
            await self._ledger.want(said)  # of those that were there already
        if waiting.again:
            written = await self._ledger.rows(ids)
            rows = [written[alert_id] for alert_id in ids]
        waiting.drop(ids)
        log.info("joined", board=key, rows=len(rows), left=len(waiting.alerts))
        return [output for row in rows for output in self._words_of(row)]

    async def handle(self, batch: Sequence[Received[Decision | None]]) -> Sequence[Outcome]:
        """Decide a batch of decisions of any boards.

        Raises:
            TransientError: The store does not answer.
            Fenced: Another worker owns one of the boards.
        """
        outcomes: list[Outcome] = [Drop("tombstone")] * len(batch)
        by_board: dict[tuple[str, str], list[tuple[int, Received[Decision]]]] = {}
        for place, received in enumerate(batch):
            decision = received.event
            if decision is not None:
                by_board.setdefault((decision.workspace, decision.board), []).append((place, Received(received.record, decision)))
        for (workspace, board), decisions in by_board.items():
            for place, outcome in await self._take(workspace, board, decisions):
                outcomes[place] = outcome
        return outcomes

    async def _take(self, workspace: str, board: str, decisions: Sequence[tuple[int, Received[Decision]]]) -> list[tuple[int, Outcome]]:
        key = board_key(workspace, board)
        held = self._boards.pop(key, None)  # comes back only once the store holds what it holds
        if held is None:
            held = await self._folded(workspace, board)
        state = held.state
        effects, entries, places = Effects(), dict[int, Entry](), dict[int, int]()
        repeats: list[tuple[int, str, int]] = []
        for place, received in decisions:
            decision, origin = received.event, received.record.origin
            if decision.sequence <= state.position:
                repeats.append((place, origin, decision.sequence))
                continue
            if decision.sequence > state.position + 1:
                log.warning("sequence_gap", expected=state.position + 1, found=decision.sequence, origin=origin)
            entry = entry_of(decision, origin, self._statuses)
            state.apply(entry, effects)
            entries[entry.sequence] = entry
            places[entry.sequence] = place
        rows = await self._remember(held, entries, effects, decisions[0][1].record.partition)
        self._boards[key] = held
        await self._forget_words(key, [received.event for _, received in decisions])
        made = _by_sequence(rows)
        outcomes = [(place, self._published(made.get(sequence, ()))) for sequence, place in places.items()]
        return outcomes + await self._again(key, repeats)

    async def rebuild(self, workspace: str, board: str) -> None:
        """Bring about, for a store that is new, what the log of *board* says: its rows are held, and nothing is published.

        Raises:
            TransientError: The store does not answer.
        """
        state, effects = Board(workspace), Effects()
        async for entry in self._entries(board_key(workspace, board)):
            state.apply(entry, effects)
            if len(effects.alerts) + len(effects.wants) + len(effects.unions) >= _CHUNK:
                await self._rebuild(workspace, board, effects)
                effects = Effects()
        await self._rebuild(workspace, board, effects)

    async def _rebuild(self, workspace: str, board: str, effects: Effects) -> None:
        await self._log.unite(effects.unions)
        for chunk in _chunks(effects.alerts):
            await self._ledger.add([rebuilt(row) for row in await self._rows(workspace, board, {}, chunk)])
        last: dict[str, Want] = {want.alert_id: want for want in effects.wants}
        for wants in _chunks(list(last.values())):
            await self._ledger.want(wants)

    async def _forget_words(self, key: str, decisions: Sequence[Decision]) -> None:
        """Let go of the words that *decisions* came without: whose they were was erased."""
        quotes = [decision.sequence for decision in decisions if decision.type == "linked" and not decision.text]
        titles = [decision.sequence for decision in decisions if decision.type in ("opened", "renamed") and not decision.title]
        if not quotes and not titles:
            return
        former = await self._words.forget_words(key, quotes, titles)
        if former:
            await self._words.retitle(key, former, ERASED_TITLE)
            self._boards.pop(key, None)  # it knows the titles still

    async def _folded(self, workspace: str, name: str) -> _Held:
        key = board_key(workspace, name)
        joins = await self._log.joins([key])
        held = _Held(workspace, name, Board(workspace), Waiting(marked=bool(joins), again=bool(joins)))
        forgotten = Effects()
        async for entry in self._entries(key):
            held.state.apply(entry, forgotten)
            if joins and entry.sequence >= joins[0].sequence:
                held.waiting.take(forgotten)  # the rest is in the store
            forgotten = Effects()
        return held

    async def _entries(self, key: str) -> AsyncIterator[Entry]:
        """Read a board's log in portions, so that a long one costs no more memory than what is folded from it."""
        after = 0
        while portion := await self._log.entries(key, after, _PORTION):
            for entry in portion:
                yield entry
            after = portion[-1].sequence

    async def _remember(self, held: _Held, entries: dict[int, Entry], effects: Effects, partition: int) -> list[Row]:
        """Store what *entries* bring about, then the entries; return the rows that are published with them."""
        workspace, name = held.workspace, held.name
        await self._log.unite(effects.unions)
        direct: list[Row] = []
        for chunk in _chunks([alert for alert in effects.alerts if is_direct(alert.ordinal)]):
            rows = await self._rows(workspace, name, entries, chunk)
            await self._ledger.add(rows)
            direct.extend(rows)
        for wants in _chunks(held.waiting.take(effects)):
            await self._ledger.want(wants)
        if first := next((alert for alert in effects.alerts if not is_direct(alert.ordinal)), None):
            await self._log.begin_joins([Join(board_key(workspace, name), first.sequence, workspace, name, partition)])
            held.waiting.marked = True
        if entries:
            await self._log.append(board_key(workspace, name), list(entries.values()))
        return direct

    async def _rows(self, workspace: str, board: str, entries: dict[int, Entry], made: Sequence[NewAlert]) -> list[Row]:
        stored = {alert.quoted for alert in made if alert.quoted not in entries}
        quotes = dict(await self._log.quotes(board_key(workspace, board), stored)) if stored else {}
        quotes |= {sequence: entry.quote for sequence, entry in entries.items() if entry.quote}
        return [new_row(alert, workspace, board, quotes.get(alert.quoted, ""), self._partition_of(alert.person)) for alert in made]

    async def _again(self, key: str, repeats: Sequence[tuple[int, str, int]]) -> list[tuple[int, Outcome]]:
        """Publish again what a redelivered decision made; drop what was merely published a second time."""
        if not repeats:
            return []
        origins = await self._log.origins(key, {sequence for _, _, sequence in repeats})
        redelivered = {sequence for _, origin, sequence in repeats if origins.get(sequence) == origin}
        made = _by_sequence(await self._ledger.made_with(key, redelivered) if redelivered else ())
        return [
            (place, self._published(made.get(sequence, ())) if origins.get(sequence) == origin else Drop("repeat"))
            for place, origin, sequence in repeats
        ]

    def _published(self, rows: Sequence[Row]) -> Emit:
        """Return the alerts of *rows* that nobody has acted on, each after its first word."""
        unread = [row for row in rows if row.state == "pending" and row.attempt == 1]
        return Emit((*(word for row in unread for word in self._words_of(row)), *(self._codec.output(row.alert) for row in unread)))

    def _words_of(self, row: Row) -> list[Output]:
        """Return all that was said of *row* in its order, so that the last word in the log is its last, whatever is said again."""
        return [self._codec.output(outcome_of(row, verdict)) for verdict in row.history]


def _by_sequence(rows: Sequence[Row]) -> dict[int, list[Row]]:
    return {sequence: list(some) for sequence, some in groupby(rows, key=lambda row: row.sequence)}


def _chunks(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
