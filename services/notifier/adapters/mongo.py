"""The notifier's store in MongoDB. One document an entry, a union, a row, a person; every write is conditional and can be repeated."""

from __future__ import annotations

from services.common.mongo import MongoStore, mongo_errors
from services.notifier.adapters.mongo_boards import MongoBoards
from services.notifier.adapters.mongo_erasing import MongoWords
from services.notifier.adapters.mongo_ledger import MongoLedger
from services.notifier.adapters.mongo_people import MongoPeople

_INDEXES = (
    ("board_log", [("board", 1), ("sequence", 1)]),
    ("ledger", [("person", 1)]),
    ("ledger", [("board", 1), ("sequence", 1), ("ordinal", 1)]),
    ("ledger", [("partition", 1), ("lane", 1), ("due_at", 1)]),
    ("ledger", [("letter", 1)]),
    ("persons", [("into", 1)]),
)


class MongoNotifierStore(MongoBoards, MongoLedger, MongoPeople, MongoWords):
    """The port on MongoDB; any number of workers."""

    def __init__(self, store: MongoStore) -> None:
        MongoBoards.__init__(self, store)
        MongoLedger.__init__(self, store)
        MongoPeople.__init__(self, store)
        MongoWords.__init__(self, store)
        self._database = store.database

    async def prepare(self) -> None:
        """Create the indexes; repeating the call changes nothing."""
        async with mongo_errors():
            for collection, keys in _INDEXES:
                await self._database[collection].create_index(keys)
