"""Records through ingest's own reading, handler and SQLite store, in this process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from services.common.outcome import Emit, Reject
from services.common.paths import EXAMPLES
from services.common.records import Record
from services.common.sqlite import Database
from services.ingest.adapters.sqlite import SCHEMA, SqliteMemory
from services.ingest.channels import Channels, load_channels
from tests.fakes_ingest import START_MS, Front, events_of
from tests.round_trip.judging import States, take
from tests.round_trip.making import Said

FILES = (EXAMPLES / "channels.yaml", EXAMPLES / "vendors.yaml")
CHANNELS = Channels(version=1, channels=[channel for file in FILES for channel in load_channels(file).channels])
_BATCH = 250


async def final(folder: Path, said: Sequence[Said]) -> tuple[States, Counter[str]]:
    """Publish *said* in its order; return what is left of each piece, and how often what came of the records."""
    database = Database(folder / "ingest.db", SCHEMA)
    await database.open()
    try:
        front = Front(SqliteMemory(database), channels=CHANNELS)
        records = [Record(one.topic, 0, offset, START_MS, None, one.value) for offset, one in enumerate(said)]
        records.sort(key=lambda record: (record.offset // _BATCH, record.topic))  # a batch is taken topic by topic
        states: States = {}
        counts: Counter[str] = Counter()
        for first in range(0, len(records), _BATCH):
            for outcome in await front.take(records[first : first + _BATCH]):
                counts[type(outcome).__name__ if not isinstance(outcome, Reject) else outcome.reason] += 1
                for event in events_of(outcome) if isinstance(outcome, Emit) else ():
                    take(states, event)
    finally:
        await database.close()
    return states, counts
