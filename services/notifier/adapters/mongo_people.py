"""What is known of persons in MongoDB: one document a person."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pymongo import UpdateOne

from services.common.errors import Fenced
from services.common.mongo import MongoStore, mongo_errors
from services.notifier.adapters.documents import person_body, person_from, pointer_end
from services.notifier.adapters.mongo_writing import insert
from services.notifier.domain.person import Person


class MongoPeople:
    """``PersonStore`` on MongoDB."""

    def __init__(self, store: MongoStore) -> None:
        self._people = store.database["persons"]

    async def persons(self, person_ids: Collection[str]) -> Mapping[str, Person]:
        """Return those of *person_ids* of whom anything is known."""
        async with mongo_errors():
            found = await self._people.find({"_id": {"$in": list(person_ids)}}).to_list(None)
        return {document["_id"]: _person(document) for document in found}

    async def followers(self, person_ids: Collection[str]) -> Sequence[Person]:
        """Return everyone whose pointer names one of *person_ids*."""
        async with mongo_errors():
            found = await self._people.find({"into": {"$in": list(person_ids)}}).sort("_id", 1).to_list(None)
        return [_person(document) for document in found]

    async def put(self, changes: Sequence[tuple[Person, Person]]) -> None:
        """Replace each (old, new)."""
        unknown = [_person_document(new) for old, new in changes if not old.version]
        updates = [
            UpdateOne({"_id": new.person_id, "version": old.version}, {"$set": _person_fields(new)}) for old, new in changes if old.version
        ]
        taken = await insert(self._people, unknown)
        matched = 0
        if updates:
            async with mongo_errors():
                matched = (await self._people.bulk_write(updates, ordered=False)).matched_count
        if taken or matched < len(updates):
            written = await self.persons([new.person_id for _, new in changes])
            if any(written.get(new.person_id) != new for _, new in changes):
                raise Fenced("a person was written by another worker")


def _person_fields(person: Person) -> dict[str, Any]:
    return {"version": person.version, "into": pointer_end(person), "body": person_body(person)}


def _person_document(person: Person) -> dict[str, Any]:
    return {"_id": person.person_id, **_person_fields(person)}


def _person(document: Mapping[str, Any]) -> Person:
    return person_from(document["_id"], document["version"], document["into"], document["body"])
