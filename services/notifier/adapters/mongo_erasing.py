"""What the notifier's database lets go of when a person is erased."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from services.common.mongo import MongoStore, mongo_errors


class MongoWords:
    """See ``services.notifier.ports.WordStore``. Every write can be repeated."""

    def __init__(self, store: MongoStore) -> None:
        self._words, self._told = store.database["board_log"], store.database["ledger"]

    async def forget_words(self, board: str, quotes: Collection[int], titles: Collection[int]) -> Collection[str]:
        """Let the entries at *quotes* hold no quote, those at *titles* no title; return the titles that they held."""
        held: set[str] = set()
        async with mongo_errors():
            if quotes:
                spoken = {"_id": {"$in": [_place(board, sequence) for sequence in quotes]}, "quote": {"$ne": None}}
                await self._words.update_many(spoken, {"$set": {"quote": ""}})
            async for found in self._words.find({"_id": {"$in": [_place(board, sequence) for sequence in titles]}}):
                body = dict(found["body"])
                if title := body.pop("title", None):
                    held.add(title)
                    await self._words.update_one({"_id": found["_id"]}, {"$set": {"body": body}})
        return held

    async def forget_quotes(self, person_ids: Collection[str]) -> None:
        """Let no row of *person_ids* quote them."""
        await self._set({"person": {"$in": list(person_ids)}}, "quote", "")

    async def retitle(self, board: str, former: Collection[str], title: str) -> None:
        """Let the rows of *board* whose idea has one of the *former* titles say *title*."""
        await self._set({"board": board, "alert.title": {"$in": list(former)}}, "title", title)

    async def _set(self, which: dict[str, Any], name: str, value: str) -> None:
        async with mongo_errors():
            await self._told.update_many(which, {"$set": {f"alert.{name}": value}})


def _place(board: str, sequence: int) -> str:
    return f"{board}#{sequence}"
