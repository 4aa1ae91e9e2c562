"""What a batch knows, and what it changes: the stored rows, overlaid by what the records before this one did."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from services.ingest.domain.rows import Binding, Changes, Entry, Person, Subject

ENTRIES_KEPT = 64
"""Of each subject. An older one that is read again counts as stale; the newer ones replaced all that it said."""


class Ledger:
    """Begins with the rows that were loaded; asking for one that was not is a bug, and a ``KeyError``."""

    def __init__(self, bindings: dict[str, Binding | None], subjects: dict[str, Subject], persons: dict[str, Person]) -> None:
        self._bindings = bindings
        self._subjects = subjects
        self._persons = persons
        self._new_bindings: dict[str, Binding] = {}
        self._unbound: set[str] = set()
        self._touched_subjects: set[str] = set()
        self._touched_persons: set[str] = set()

    def binding(self, key: str) -> Binding | None:
        """Return who *key* is."""
        return self._bindings[key]

    def bind(self, binding: Binding) -> None:
        """Say who an alias is that was nobody's."""
        self._bindings[binding.key] = self._new_bindings[binding.key] = binding
        self._unbound.discard(binding.key)

    def bound_to(self, person_id: str) -> Iterable[str]:
        """Return the keys, sorted, of the loaded aliases that are *person_id*'s."""
        return sorted(key for key, binding in self._bindings.items() if binding is not None and binding.person_id == person_id)

    def unbind(self, key: str) -> None:
        """Let an alias be nobody's again."""
        self._bindings[key] = None
        if self._new_bindings.pop(key, None) is None:
            self._unbound.add(key)

    def subject(self, key: str) -> Subject:
        """Return what was accepted of *key*."""
        return self._subjects[key]

    def accept(self, key: str, entry: Entry) -> None:
        """Add *entry*, whose order is above all others."""
        subject = self._subjects[key]
        self._subjects[key] = Subject(key, subject.version, (*subject.entries, entry)[-ENTRIES_KEPT:])
        self._touched_subjects.add(key)

    def restore(self, key: str, entry: Entry) -> None:
        """Put *entry*, which was accepted once, where it belongs among those of *key*, unless it is there."""
        subject = self._subjects[key]
        if all(known.origin != entry.origin for known in subject.entries):
            entries = tuple(sorted((*subject.entries, entry), key=lambda one: one.order))[-ENTRIES_KEPT:]
            if entries != subject.entries:
                self._subjects[key] = replace(subject, entries=entries)
                self._touched_subjects.add(key)

    def person(self, person_id: str) -> Person:
        """Return what follows *person_id*."""
        return self._persons[person_id]

    def put(self, person: Person) -> None:
        """Replace what follows a person."""
        self._persons[person.person_id] = person
        self._touched_persons.add(person.person_id)

    def chain(self, person_id: str) -> Iterable[Person]:
        """Yield *person_id* and whom it points at, up to the last. Pointers lead to smaller ids, so there is no circle."""
        person: Person | None = self._persons[person_id]
        while person is not None:
            yield person
            person = None if person.into is None else self._persons[person.into]

    def changes(self) -> Changes:
        """Return what is to be stored."""
        return Changes(
            tuple(self._new_bindings.values()),
            tuple(
                Subject(row.key, row.version + 1, row.entries) for row in map(self._subjects.__getitem__, sorted(self._touched_subjects))
            ),
            tuple(replace(self._persons[key], version=self._persons[key].version + 1) for key in sorted(self._touched_persons)),
            tuple(sorted(self._unbound)),
        )
