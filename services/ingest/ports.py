"""What ingest needs of its store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Protocol, TypeAlias

from services.common.errors import TransientError
from services.ingest.domain.rows import Binding, Changes, Person, Subject

Publish: TypeAlias = Callable[[str, bytes, bytes], Awaitable[None]]
"""Takes topic, key and value; returns once the broker has the record. Raises ``TransientError`` where it did not say so in time."""


class Contended(TransientError):  # noqa: N818 - a state, not a failure
    """Another worker wrote a row that we had read. Reading and deciding again gives the right answer."""


class Memory(Protocol):
    """Rows by key. Reading a key that was never written gives nothing for it."""

    async def bindings(self, keys: Collection[str]) -> Mapping[str, Binding]:
        """Return those of *keys* that are bound."""

    async def bindings_of(self, person_ids: Collection[str]) -> Sequence[Binding]:
        """Return every alias that is one of *person_ids*'s."""

    async def subjects(self, keys: Collection[str]) -> Mapping[str, Subject]:
        """Return those of *keys* of which something was accepted."""

    async def persons(self, keys: Collection[str]) -> Mapping[str, Person]:
        """Return those of *keys* whom something is known of."""

    async def save(self, changes: Changes) -> None:
        """Write all of *changes*, durable when this returns: bindings first, then subjects, what is unbound, persons.

        A binding is written where the alias is nobody's, a versioned row where the stored version is the one before. What was written
        when this fails in the middle stays; every record is then decided again, and finds what it wrote by its own origin.

        Raises:
            Contended: A row is no longer as it was read.
            TransientError: The store is away.
        """
