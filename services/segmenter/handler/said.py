"""What was published out of a store that is lost, where it waits until the inputs come by again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import orjson

from services.common.events import EnrichedFeedback
from services.segmenter.ports import Said


class SaidFeedback:
    """Enriched records by feedback id, in the order of their versions; those that were asked for are held in memory."""

    def __init__(self, said: Said) -> None:
        self._said = said
        self.rows: dict[str, list[EnrichedFeedback]] = {}
        """Of what was loaded; empty lists where nothing was said."""

    async def load(self, feedback_ids: Iterable[str]) -> None:
        """Have what was said of *feedback_ids* at hand."""
        missing = sorted(set(feedback_ids) - self.rows.keys())
        if missing:
            found = await self._said.get(map(_key, missing))
            for name in missing:
                self.rows[name] = [EnrichedFeedback(**fields) for fields in orjson.loads(found.get(_key(name), b"[]"))]

    async def keep(self, rows: Iterable[EnrichedFeedback]) -> None:
        """Keep *rows*; of two with the same version the one that was published first."""
        new: defaultdict[str, list[EnrichedFeedback]] = defaultdict(list)
        for row in rows:
            new[row.feedback_id].append(row)
        await self.load(new)
        for name, later in new.items():
            known = {row.enrichment_version: row for row in reversed([*self.rows[name], *later])}
            self.rows[name] = [known[version] for version in sorted(known)]
        await self._said.put({_key(name): orjson.dumps(self.rows[name]) for name in new})

    async def drop(self, version_of: Callable[[str], int]) -> None:
        """Let go of what was loaded and is taken over: *version_of* gives the version that is reached of a piece of feedback."""
        heard = [name for name, rows in self.rows.items() if rows and rows[-1].enrichment_version <= version_of(name)]
        if heard:
            await self._said.drop(map(_key, heard))


async def keep_demands(said: Said, versions: Mapping[str, int]) -> None:
    """Keep by board which version of a demand was published, 1 where only feedback was; the highest holds."""
    known = await said_demands(said, versions)
    await said.put({_demand_key(board): orjson.dumps(max(version, known[board])) for board, version in versions.items()})


async def said_demands(said: Said, boards: Iterable[str]) -> dict[str, int]:
    """Return by board the highest version of a demand that was published, 0 where nothing was."""
    wanted = list(boards)
    found = await said.get(map(_demand_key, wanted))
    return {board: orjson.loads(found.get(_demand_key(board), b"0")) for board in wanted}


async def keep_void(said: Said, offsets: Mapping[int, int]) -> None:
    """Keep by partition that its notes up to an offset speak of a store that is lost."""
    known = await said_void(said, offsets)
    await said.put({_void_key(number): orjson.dumps(max(offset, known[number])) for number, offset in offsets.items()})


async def said_void(said: Said, partitions: Iterable[int]) -> dict[int, int]:
    """Return by partition the last note that speaks of a store that is lost, -1 where none does."""
    wanted = list(partitions)
    found = await said.get(map(_void_key, wanted))
    return {number: orjson.loads(found.get(_void_key(number), b"-1")) for number in wanted}


def _key(feedback_id: str) -> str:
    return f"feedback/{feedback_id}"


def _demand_key(board: str) -> str:
    return f"demand/{board}"


def _void_key(partition: int) -> str:
    return f"void/{partition}"
