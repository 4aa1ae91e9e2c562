"""The segmenter's store in memory: the same port as the real ones, held to the same contract suite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from services.common.clock import Micros
from services.common.errors import Fenced
from services.segmenter.ports import BoardEntry, Change, Document, Entry, Stores


class MemoryDocuments:
    """Documents of one kind."""

    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}
        self.entries: dict[tuple[str, str], Entry] = {}

    async def load(self, ids: Iterable[str]) -> Mapping[str, Document]:
        return {name: self.documents[name] for name in ids if name in self.documents}

    async def cards(self, ids: Iterable[str]) -> Mapping[str, bytes]:
        return {name: self.documents[name].card for name in ids if name in self.documents}

    async def find(self, inputs: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], Entry]:
        return {pair: self.entries[pair] for pair in inputs if pair in self.entries}

    async def inputs(self, id: str, prefix: str, before: int) -> Sequence[str]:  # noqa: A002 - the port's name
        return sorted(
            input_id
            for (document, input_id), entry in self.entries.items()
            if document == id and input_id.startswith(prefix) and entry.position < before
        )

    async def save(self, changes: Sequence[Change]) -> None:
        for change in changes:
            now = self.documents.get(change.after.id)
            if (now is None) != (change.before is None) or (now and change.before and now.position != change.before.position):
                raise Fenced("not as it was loaded")
            self.documents[change.after.id] = change.after
            self.entries |= {(change.after.id, entry.input_id): entry for entry in change.entries}

    async def history(self, id: str) -> Sequence[Entry]:  # noqa: A002 - the port's name
        return sorted((entry for (document, _), entry in self.entries.items() if document == id), key=lambda entry: entry.position)

    async def rewrite(self, id: str, entries: Sequence[Entry]) -> None:  # noqa: A002
        for entry in entries:
            self.entries[id, entry.input_id] = replace(self.entries[id, entry.input_id], facts=entry.facts)

    async def due(self, partitions: frozenset[int], now: Micros, definition: str, limit: int) -> Sequence[str]:
        ours = [document for document in self.documents.values() if document.partition in partitions]
        late = sorted(document.id for document in ours if document.due_at is not None and document.due_at <= now)
        other = sorted(document.id for document in ours if document.definition != definition)
        return list(dict.fromkeys([*late, *other]))[:limit]

    async def outdated(self, partitions: frozenset[int], definition: str) -> int:
        return sum(document.partition in partitions and document.definition != definition for document in self.documents.values())


class MemoryBoardLog:
    """The logs of all boards."""

    def __init__(self) -> None:
        self.logs: dict[str, list[BoardEntry]] = {}

    async def read(self, board: str, after: int, limit: int) -> Sequence[bytes]:
        return [entry.operations for entry in self.logs.get(board, [])[after : after + limit]]

    async def find(self, board: str, input_ids: Iterable[str]) -> Mapping[str, BoardEntry]:
        wanted = set(input_ids)
        return {entry.input_id: entry for entry in self.logs.get(board, []) if entry.input_id in wanted}

    async def facts(self, board: str, positions: Iterable[int]) -> Mapping[int, bytes]:
        wanted = set(positions)
        return {entry.position: entry.facts for entry in self.logs.get(board, []) if entry.position in wanted}

    async def page(self, board: str, after: int, limit: int) -> Sequence[BoardEntry]:
        return self.logs.get(board, [])[after : after + limit]

    async def rewrite(self, entries: Sequence[BoardEntry]) -> None:
        for entry in entries:
            self.logs[entry.board][entry.position - 1] = entry

    async def append(self, entries: Sequence[BoardEntry]) -> None:
        for entry in entries:
            log = self.logs.setdefault(entry.board, [])
            if entry.position != len(log) + 1:
                raise Fenced("the position is taken")
            log.append(entry)


class MemorySaid:
    """What was published out of a store that is lost."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    async def get(self, keys: Iterable[str]) -> Mapping[str, bytes]:
        return {key: self.values[key] for key in keys if key in self.values}

    async def put(self, values: Mapping[str, bytes]) -> None:
        self.values |= values

    async def drop(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.values.pop(key, None)


def memory_stores() -> Stores:
    """Return an empty store."""

    async def nothing() -> None:
        """There is nothing to make beforehand."""

    return Stores(MemoryDocuments(), MemoryDocuments(), MemoryBoardLog(), MemorySaid(), nothing)
