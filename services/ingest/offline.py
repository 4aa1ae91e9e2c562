"""The service's own memory without its store, for commands that try things."""

from __future__ import annotations

from services.ingest.domain.ledger import Ledger
from services.ingest.domain.rows import Binding, Person, Subject


class _Bindings(dict[str, Binding | None]):
    """Nobody is known at first."""

    def __missing__(self, key: str) -> None:
        return None


class _Subjects(dict[str, Subject]):
    """Nothing was accepted at first."""

    def __missing__(self, key: str) -> Subject:
        return Subject(key)


class _Persons(dict[str, Person]):
    """Nothing follows anyone at first."""

    def __missing__(self, key: str) -> Person:
        return Person(key)


def empty_ledger() -> Ledger:
    """Return what ingest knows before anything was read."""
    return Ledger(_Bindings(), _Subjects(), _Persons())
