"""``board.decisions`` → alerts: folds each board and publishes what its decisions complete."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from itertools import groupby
from typing import TypeVar

from services.common.codec import Codec
from services.common.events import Alert, Decision
from services.common.ids import board_key
from services.common.logs import get_logger
from services.common.outcome import Drop, Emit, Outcome
from services.common.records import Received
from services.notifier.domain.board import Board, Effects, NewAlert, Want
from services.notifier.domain.entry import Entry, entry_of
from services.notifier.domain.ledger import Row, new_row, rebuilt
from services.notifier.ports import BoardStore, LedgerStore, Store, WordStore

log = get_logger(__name__)
T = TypeVar("T")

ERASED_TITLE = "(erased)"
"""What an alert is about whose idea was named by somebody who was erased."""
_CHUNK = 1_000
"""So many rows or quotes go to the store in one call."""
_PORTION = 5_000
"""So many entries of a log are read at once."""


class BoardHandler:
    """Handles decisions; its boards are folded from the store on demand and forgotten on revocation.

    Rows are stored before the log's entry, and that before anything is published. A crash in between repeats what the same entry
    brings about: the fold is a pure function of the log.
    """

    def __init__(self, store: Store, codec: Codec, statuses: Collection[str], partition_of: Callable[[str], int]) -> None:
        self._log: BoardStore = store
        self._ledger: LedgerStore = store
        self._words: WordStore = store
        self._codec = codec
        self._statuses = statuses
        self._partition_of = partition_of
        self._boards: dict[str, Board] = {}

    async def assigned(self, partitions: frozenset[int]) -> None:  # noqa: ARG002 - the port's shape
        """Begin with nothing in memory: another worker may have gone on where this one left off."""
        self._boards.clear()

    async def revoked(self) -> None:
        """Let go of every board."""
        self._boards.clear()

    async def handle(self, batch: Sequence[Received[Decision | None]]) -> Sequence[Outcome]:
        """Decide a batch of decisions of any boards.

        Raises:
            TransientError: The store does not answer.
            Fenced: Another worker owns one of the boards.
        """
        outcomes: list[Outcome] = [Drop("tombstone")] * len(batch)
        by_board: dict[tuple[str, str], list[tuple[int, str, Decision]]] = {}
        for place, received in enumerate(batch):
            decision = received.event
            if decision is not None:
                by_board.setdefault((decision.workspace, decision.board), []).append((place, received.record.origin, decision))
        for (workspace, board), decisions in by_board.items():
            for place, outcome in await self._take(workspace, board, decisions):
                outcomes[place] = outcome
        return outcomes

    async def _take(self, workspace: str, board: str, decisions: Sequence[tuple[int, str, Decision]]) -> list[tuple[int, Outcome]]:
        key = board_key(workspace, board)
        state = self._boards.pop(key, None)  # comes back only once the store holds what it holds
        if state is None:
            state = await self._folded(workspace, key)
        effects, entries, places = Effects(), dict[int, Entry](), dict[int, int]()
        repeats: list[tuple[int, str, int]] = []
        for place, origin, decision in decisions:
            if decision.sequence <= state.position:
                repeats.append((place, origin, decision.sequence))
                continue
            if decision.sequence > state.position + 1:
                log.warning("sequence_gap", expected=state.position + 1, found=decision.sequence, origin=origin)
            entry = entry_of(decision, origin, self._statuses)
            state.apply(entry, effects)
            entries[entry.sequence] = entry
            places[entry.sequence] = place
        rows = await self._remember(workspace, board, entries, effects)
        self._boards[key] = state
        await self._forget_words(key, [decision for _, _, decision in decisions])
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
                await self._effect(workspace, board, {}, effects, rebuilt)
                effects = Effects()
        await self._effect(workspace, board, {}, effects, rebuilt)

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

    async def _folded(self, workspace: str, key: str) -> Board:
        board = Board(workspace)
        forgotten = Effects()
        async for entry in self._entries(key):
            board.apply(entry, forgotten)
            forgotten = Effects()
        return board

    async def _entries(self, key: str) -> AsyncIterator[Entry]:
        """Read a board's log in portions, so that a long one costs no more memory than what is folded from it."""
        after = 0
        while portion := await self._log.entries(key, after, _PORTION):
            for entry in portion:
                yield entry
            after = portion[-1].sequence

    async def _remember(self, workspace: str, board: str, entries: dict[int, Entry], effects: Effects) -> list[Row]:
        """Store what *entries* bring about, then the entries; return the rows that are published with them."""
        direct = await self._effect(workspace, board, entries, effects, lambda row: row)
        if entries:
            await self._log.append(board_key(workspace, board), list(entries.values()))
        return direct

    async def _effect(
        self, workspace: str, board: str, entries: dict[int, Entry], effects: Effects, begin: Callable[[Row], Row]
    ) -> list[Row]:
        """Store *effects*, each new row as *begin* gives it; return the rows that are published with what made them."""
        await self._log.unite(effects.unions)
        direct: list[Row] = []
        for chunk in _chunks(effects.alerts):
            rows = await self._rows(workspace, board, entries, chunk)
            await self._ledger.add([begin(row) for row in rows])
            direct.extend(row for row in rows if row.direct)
        last: dict[str, Want] = {want.alert_id: want for want in effects.wants}
        for wants in _chunks(list(last.values())):
            await self._ledger.want(wants)
        return direct

    async def _rows(self, workspace: str, board: str, entries: dict[int, Entry], made: Sequence[NewAlert]) -> list[Row]:
        stored = {alert.quoted for alert in made if alert.quoted not in entries}
        quotes = dict(await self._log.quotes(board_key(workspace, board), stored)) if stored else {}
        quotes |= {sequence: entry.quote for sequence, entry in entries.items() if entry.quote}
        return [new_row(alert, workspace, board, quotes.get(alert.quoted, ""), self._partition_of(alert.person)) for alert in made]

    async def _again(self, key: str, repeats: Sequence[tuple[int, str, int]]) -> list[tuple[int, Outcome]]:
        """Publish again what a redelivered decision made and nobody has acted on; drop what was merely published a second time."""
        if not repeats:
            return []
        origins = await self._log.origins(key, {sequence for _, _, sequence in repeats})
        redelivered = {sequence for _, origin, sequence in repeats if origins.get(sequence) == origin}
        unread = _by_sequence(await self._ledger.unread(key, redelivered) if redelivered else ())
        return [
            (place, self._published(unread.get(sequence, ())) if origins.get(sequence) == origin else Drop("repeat"))
            for place, origin, sequence in repeats
        ]

    def _published(self, rows: Sequence[Row]) -> Emit:
        alerts: list[Alert] = [row.alert for row in rows]
        return Emit(tuple(self._codec.output(alert) for alert in alerts))


def _by_sequence(rows: Sequence[Row]) -> dict[int, list[Row]]:
    return {sequence: list(some) for sequence, some in groupby(rows, key=lambda row: row.sequence)}


def _chunks(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
