"""The notifier's ports in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from services.common.clock import Micros
from services.common.errors import Fenced
from services.common.ids import board_key
from services.common.records import Output
from services.notifier.domain.board import Want
from services.notifier.domain.entry import Entry
from services.notifier.domain.families import Union
from services.notifier.domain.letter import Letter
from services.notifier.domain.person import EMAIL, Person, usable
from services.notifier.domain.row import HELD, Row
from services.notifier.ports import Accepted, Delivery, Join, Message, Postponed, Wake


class MemoryStore:
    """Everything that the notifier remembers, until it is garbage."""

    def __init__(self) -> None:
        self.log: dict[tuple[str, int], Entry] = {}
        self.into: dict[str, str] = {}
        self.unfinished: dict[str, Join] = {}
        self.ledger: dict[str, Row] = {}
        self.people: dict[str, Person] = {}

    async def prepare(self) -> None:
        pass

    async def entries(self, board: str, after: int, limit: int) -> Sequence[Entry]:
        return [replace(entry, quote=None) for (of, at), entry in sorted(self.log.items()) if of == board and at > after][:limit]

    async def origins(self, board: str, sequences: Collection[int]) -> Mapping[int, str]:
        return {sequence: self.log[board, sequence].origin for sequence in sequences if (board, sequence) in self.log}

    async def quotes(self, board: str, sequences: Collection[int]) -> Mapping[int, str]:
        found = {sequence: self.log[board, sequence].quote for sequence in sequences if (board, sequence) in self.log}
        return {sequence: quote for sequence, quote in found.items() if quote is not None}

    async def append(self, board: str, entries: Sequence[Entry]) -> None:
        if any(self.log.get((board, entry.sequence), entry).origin != entry.origin for entry in entries):
            raise Fenced("the board's log was written by another worker")
        for entry in entries:
            self.log.setdefault((board, entry.sequence), entry)

    async def collect(self, entries: Mapping[str, Sequence[Entry]]) -> None:
        for board, some in entries.items():
            for entry in some:
                self.log.setdefault((board, entry.sequence), entry)

    async def unite(self, unions: Sequence[Union]) -> None:
        self.into |= {union.absorbed: union.into for union in unions}

    async def unions(self, ideas: Collection[str]) -> Mapping[str, str]:
        return {idea: self.into[idea] for idea in ideas if idea in self.into}

    async def begin_joins(self, joins: Sequence[Join]) -> None:
        for join in joins:
            self.unfinished.setdefault(join.board, join)

    async def joins(self, boards: Collection[str] | None = None) -> Sequence[Join]:
        return [join for board, join in sorted(self.unfinished.items()) if boards is None or board in boards]

    async def end_join(self, board: str) -> None:
        self.unfinished.pop(board, None)

    async def add(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self.ledger.setdefault(row.alert_id, row)

    async def want(self, wants: Sequence[Want]) -> None:
        for want in wants:
            row = self.ledger.get(want.alert_id)
            if row is None:
                continue
            if row.wanted_sequence < want.sequence:
                row = replace(row, wanted=want.wanted, wanted_sequence=want.sequence)
            if want.wanted and row.wanted and row.state == "suppressed":
                row = replace(row, state="deferred", due_at=want.at)
            self.ledger[row.alert_id] = row

    async def rows(self, alert_ids: Collection[str]) -> Mapping[str, Row]:
        return {alert_id: self.ledger[alert_id] for alert_id in alert_ids if alert_id in self.ledger}

    async def rows_of(self, person_ids: Collection[str]) -> Sequence[Row]:
        return [row for row in self.ledger.values() if row.alert.person_id in person_ids]

    async def made_with(self, board: str, sequences: Collection[int]) -> Sequence[Row]:
        rows = [row for row in self.ledger.values() if _board(row) == board and row.sequence in sequences and row.direct]
        return sorted(rows, key=lambda row: (row.sequence, row.ordinal))

    async def begin(self, rows: Sequence[Row]) -> None:
        for old in rows:
            row = self.ledger[old.alert_id]
            if row.state != "pending" or row.attempt != old.attempt:
                raise Fenced("rows of the ledger were written by another worker")
            self.ledger[old.alert_id] = replace(row, trying=True, channel=old.channel, letter=old.letter)

    async def settle(self, changes: Sequence[tuple[Row, Row]]) -> None:
        missed = 0
        for old, new in changes:
            row = self.ledger[old.alert_id]
            unchanged = new.state != "suppressed" or row.wanted_sequence == old.wanted_sequence
            if row.state == "pending" and row.attempt == old.attempt and unchanged:
                self.ledger[old.alert_id] = replace(new, alert=row.alert, wanted=row.wanted, wanted_sequence=row.wanted_sequence)
            elif new.history[-1] not in row.history:
                missed += 1
        if missed:
            raise Fenced(f"{missed} rows of the ledger were written by another worker")

    async def lanes(self, partitions: Collection[int], now: Micros) -> Sequence[str]:
        return sorted(
            {row.lane for row in self.ledger.values() if row.partition in partitions and row.due_at is not None and row.due_at <= now}
        )

    async def due(self, partitions: Collection[int], now: Micros, lane: str, limit: int) -> Sequence[Row]:
        waiting = [row for row in self.ledger.values() if row.partition in partitions and row.lane == lane]
        due = [(row.due_at, row.alert_id, row) for row in waiting if row.due_at is not None and row.due_at <= now]
        return [row for _, _, row in sorted(due, key=lambda item: item[:2])][:limit]

    async def under_way(self, partitions: Collection[int], lane: str, now: Micros, leased_until: Micros, limit: int) -> int:
        waiting = [row for row in self.ledger.values() if row.partition in partitions and row.lane == lane and row.state == "pending"]
        return min(limit, sum(row.due_at is not None and now < row.due_at <= leased_until for row in waiting))

    async def take_up(self, changes: Sequence[tuple[Row, Row]]) -> None:
        for old, new in changes:
            row = self.ledger[old.alert_id]
            if (row.state, row.attempt) == (old.state, old.attempt):
                self.ledger[old.alert_id] = replace(row, state=new.state, attempt=new.attempt, due_at=new.due_at)

    async def restore(self, changes: Sequence[tuple[Row, Row]]) -> None:
        for old, new in changes:
            row = self.ledger[old.alert_id]
            if (row.state, row.attempt) == (old.state, old.attempt):
                self.ledger[old.alert_id] = replace(new, wanted=row.wanted, wanted_sequence=row.wanted_sequence)

    async def told_in(self, letters: Collection[str]) -> Sequence[Row]:
        return [row for row in self.ledger.values() if row.letter in letters]

    async def report(self, changes: Sequence[tuple[Row, Row]]) -> None:
        missed = 0
        for old, new in changes:
            row = self.ledger[old.alert_id]
            if (row.state, row.attempt) == (old.state, old.attempt):
                self.ledger[old.alert_id] = replace(new, wanted=row.wanted, wanted_sequence=row.wanted_sequence)
            elif new.history[-1] not in row.history:
                missed += 1
        if missed:
            raise Fenced(f"{missed} rows of the ledger were written by another worker")

    async def expire(self, partitions: Collection[int], leased_until: Micros, due_at: Micros) -> None:
        for row in list(self.ledger.values()):
            taken_up = row.state == "pending" and row.due_at is not None and row.due_at <= leased_until
            if row.partition in partitions and (taken_up or row.due_at == HELD):
                self.ledger[row.alert_id] = replace(row, due_at=due_at)

    async def wake(self, wakes: Sequence[Wake]) -> None:
        for wake in wakes:
            for row in list(self.ledger.values()):
                concerned = row.alert.person_id in wake.person_ids and row.alert.created_at >= wake.made_since
                if concerned and row.state == "unreachable":
                    self.ledger[row.alert_id] = replace(row, state="deferred", due_at=wake.due_at)

    async def forget_words(self, board: str, quotes: Collection[int], titles: Collection[int]) -> Collection[str]:
        named = [place for sequence in titles if (place := (board, sequence)) in self.log]
        held = {title for place in named if (title := self.log[place].title)}
        self.log |= {place: replace(self.log[place], title=None) for place in named}
        for place in [place for sequence in quotes if (place := (board, sequence)) in self.log]:
            self.log[place] = replace(self.log[place], quote="")
        return held

    async def forget_quotes(self, person_ids: Collection[str]) -> None:
        for row in list(self.ledger.values()):
            if row.alert.person_id in person_ids:
                self.ledger[row.alert_id] = replace(row, alert=replace(row.alert, quote=""))

    async def retitle(self, board: str, former: Collection[str], title: str) -> None:
        for row in list(self.ledger.values()):
            if _board(row) == board and row.alert.title in former:
                self.ledger[row.alert_id] = replace(row, alert=replace(row.alert, title=title))

    async def persons(self, person_ids: Collection[str]) -> Mapping[str, Person]:
        return {person_id: self.people[person_id] for person_id in person_ids if person_id in self.people}

    async def followers(self, person_ids: Collection[str]) -> Sequence[Person]:
        return [person for _, person in sorted(self.people.items()) if person.pointer is not None and person.pointer.into in person_ids]

    async def put(self, changes: Sequence[tuple[Person, Person]]) -> None:
        for old, new in changes:
            known = self.people.get(new.person_id)
            if known != new and (0 if known is None else known.version) != old.version:
                raise Fenced("a person was written by another worker")
            self.people[new.person_id] = new


def _board(row: Row) -> str:
    return board_key(row.alert.workspace, row.alert.board)


class RecordingChannel:
    """Writes messages that say nothing; all are taken, unless *verdict* says otherwise, and remembered."""

    def __init__(self, name: str = EMAIL, *, needs_address: bool = True) -> None:
        self.name = name
        self.needs_address = needs_address
        self.accepted: list[Message] = []
        self.verdict: Callable[[Message], Delivery] = lambda _: Accepted()

    def usable(self, address: str) -> bool:
        return usable(address)

    def compose(self, letter: Letter) -> Message:
        return Message(letter.address, f"<{letter.id}@test.example>", b"")

    async def send(self, messages: Sequence[Message], deadline: float) -> Sequence[Delivery]:
        deliveries = [self.verdict(message) for message in messages]
        self.accepted.extend(message for message, delivery in zip(messages, deliveries, strict=True) if isinstance(delivery, Accepted))
        return deliveries

    def outputs(self, message: Message, letter: Letter) -> Sequence[Output]:
        return ()


class SilentCounter:
    """Counts nothing."""

    def told(self, outcome: str) -> None:
        pass


class HandClock:
    """Stands still until it is moved."""

    def __init__(self, now: Micros) -> None:
        self.time = now

    def now(self) -> Micros:
        return self.time


POSTPONED = Postponed("the mail server said 451 later")
