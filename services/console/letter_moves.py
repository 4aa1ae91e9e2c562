"""Dead letters that have to go: a topic of dead letters forgets by age and by position only, so the others move behind them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from services.common.ports import Partition
from services.common.records import Output, Record
from services.console.cluster import Cluster


async def take_out(cluster: Cluster, letters: Mapping[str, Sequence[Record]], is_one: Callable[[Record], bool]) -> int:
    """Take those of *letters* (by topic) out of which *is_one* is true; return how many.

    The other letters of the same partition are published again behind them, with their own moments, and get new ids; then all before is
    deleted. A broker that cannot delete keeps all as it was: 0. Safe to repeat: a letter that lies there twice, after a run
    that was cut off, is decided twice, which changes nothing.
    """
    taken = 0
    for place, records in _by_partition(letters).items():
        hers = [record for record in records if is_one(record)]
        if not hers or not await cluster.cut(place, records[0].offset):
            continue
        kept = [record for record in records if not is_one(record)]
        outputs = [Output(place[0], record.key, record.value, b"", record.headers) for record in kept]
        await cluster.put(place, outputs, [record.timestamp_ms for record in kept])
        await cluster.cut(place, records[-1].offset + 1)
        taken += len(hers)
    return taken


def _by_partition(letters: Mapping[str, Sequence[Record]]) -> dict[Partition, list[Record]]:
    found: defaultdict[Partition, list[Record]] = defaultdict(list)
    for topic, records in letters.items():
        for record in records:
            found[topic, record.partition].append(record)
    return dict(found)
