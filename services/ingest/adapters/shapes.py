"""Rows as plain values, the same in every store. No list lies directly in a list: not every server that speaks MongoDB takes that."""

from __future__ import annotations

from typing import Any

from services.common.values import maker
from services.ingest.domain.rows import Entry, Link, Person

_PERSON = maker(Person)


def entry_to_plain(entry: Entry) -> dict[str, Any]:
    """Return *entry* as JSON has it."""
    plain: dict[str, Any] = {"order": entry.order, "origin": entry.origin, "digest": entry.digest, "kind": entry.kind}
    if entry.place:
        plain["place"] = entry.place
    if entry.person_id is not None:
        plain["person_id"] = entry.person_id
    if entry.contact:
        plain["contact"] = True
    if entry.links:
        plain["links"] = [{"person_id": person_id, "into": into} for person_id, into in entry.links]
    if entry.boards:
        plain["boards"] = list(entry.boards)
    if entry.change:
        plain["change"] = entry.change
    if entry.parts != 1:
        plain["parts"] = entry.parts
    if entry.authors:
        plain["authors"] = list(entry.authors)
    return plain


def entry_of(plain: dict[str, Any]) -> Entry:
    """Return what ``entry_to_plain`` was given."""
    return Entry(
        order=plain["order"],
        origin=plain["origin"],
        digest=plain["digest"],
        kind=plain["kind"],
        place=plain.get("place", ""),
        person_id=plain.get("person_id"),
        contact=plain.get("contact", False),
        links=tuple((link["person_id"], link["into"]) for link in plain.get("links", ())),
        boards=tuple(plain.get("boards", ())),
        change=plain.get("change", 0),
        parts=plain.get("parts", 1),
        authors=tuple(plain.get("authors", ())),
    )


def person_to_plain(person: Person) -> dict[str, Any]:
    """Return *person* as JSON has it, without its key and version."""
    return {
        "boards": sorted(person.boards),
        "contact": person.contact,
        "contact_at": person.contact_at,
        "profile_at": person.profile_at,
        "preferences": [{"about": about, "at": at} for about, at in person.preferences],
        "links": [
            {"origin": link.origin, "into": link.into, "pair": None if link.pair is None else list(link.pair), "number": link.number}
            for link in person.links
        ],
        **({} if person.erased_at < 0 else {"erased_at": person.erased_at}),
    }


def person_of(person_id: str, version: int, plain: dict[str, Any]) -> Person:
    """Return what ``person_to_plain`` was given."""
    return _PERSON(
        person_id=person_id,
        version=version,
        boards=frozenset(plain["boards"]),
        contact=plain["contact"],
        contact_at=plain["contact_at"],
        profile_at=plain["profile_at"],
        preferences=tuple((preference["about"], preference["at"]) for preference in plain["preferences"]),
        links=tuple(
            Link(link["origin"], link["into"], None if link["pair"] is None else tuple(link["pair"]), link["number"])
            for link in plain["links"]
        ),
        erased_at=plain.get("erased_at", -1),
    )
