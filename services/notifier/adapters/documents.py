"""Domain values as plain documents, the same for every store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from services.common.events import Alert
from services.common.values import made_of, named
from services.notifier.domain.entry import Entry
from services.notifier.domain.manners import Quiet, Wishes
from services.notifier.domain.person import Contact, Person, Pointer, Preference, Profile, Stamp
from services.notifier.domain.row import Row, Verdict

_OUTSIDE_THE_BODY = ("sequence", "origin", "quote")


def entry_body(entry: Entry) -> dict[str, Any]:
    """Return what an entry says, without its place, its origin and its quote; absent fields are left out."""
    return {name: value for name, value in asdict(entry).items() if name not in _OUTSIDE_THE_BODY and value not in (None, False)}


def entry_from(sequence: int, origin: str, body: Mapping[str, Any]) -> Entry:
    """Return the entry, without its quote."""
    return Entry(sequence=sequence, origin=origin, **body)


def alert_body(alert: Alert) -> dict[str, Any]:
    """Return all fields of an alert."""
    return named(alert)


def history_body(row: Row) -> list[dict[str, Any]]:
    """Return all verdicts of a row, oldest first."""
    return [named(verdict) for verdict in row.history]


def row_from(document: Mapping[str, Any], alert: Mapping[str, Any], history: list[dict[str, Any]]) -> Row:
    """Return the row whose remaining fields *document* holds by name."""
    return Row(
        alert=made_of(Alert, alert),
        sequence=document["sequence"],
        ordinal=document["ordinal"],
        partition=document["partition"],
        state=document["state"],
        attempt=document["attempt"],
        wanted=bool(document["wanted"]),
        wanted_sequence=document["wanted_sequence"],
        due_at=document["due_at"],
        trying=bool(document["trying"]),
        doubted=bool(document.get("doubted")),
        lane=document.get("lane") or "",
        channel=document.get("channel"),
        letter=document.get("letter"),
        failed_channels=tuple(document.get("failed_channels") or ()),
        failures=document["failures"],
        first_failed_at=document["first_failed_at"],
        history=tuple(made_of(Verdict, verdict) for verdict in history),
    )


def person_body(person: Person) -> dict[str, Any]:
    """Return what is known of a person, without id, version and the pointer's end. Lists hold no lists: not every server takes those."""
    return {
        "contacts": [
            {"channel": channel, "address": contact.address, **_dated(contact.stamp)} for channel, contact in person.contacts.items()
        ],
        "preferences": [
            {"channel": known.channel, "idea": known.idea, "opted_out": known.opted_out, **_wished(known.wishes), **_dated(known.stamp)}
            for known in person.preferences
        ],
        "profile": None if person.profile is None else _profile_body(person.profile),
        "pointed": None if person.pointer is None else _dated(person.pointer.stamp),
        "erased": None if person.erased is None else _dated(person.erased),
        "segments": list(person.segments),
        "segments_version": person.segments_version,
    }


def person_from(person_id: str, version: int, into: str | None, body: Mapping[str, Any]) -> Person:
    """Return the person."""
    return Person(
        person_id=person_id,
        version=version,
        contacts={known["channel"]: Contact(known["address"], _stamp(known)) for known in body["contacts"]},
        preferences=tuple(
            Preference(known["channel"], known["idea"], known["opted_out"], _stamp(known), _wishes(known)) for known in body["preferences"]
        ),
        profile=None if body.get("profile") is None else _profile(body["profile"]),
        pointer=None if body["pointed"] is None else Pointer(into, _stamp(body["pointed"])),
        erased=None if body["erased"] is None else _stamp(body["erased"]),
        segments=tuple(body.get("segments", ())),
        segments_version=body.get("segments_version", 0),
    )


def pointer_end(person: Person) -> str | None:
    """Return whom *person* points at, if anyone."""
    return None if person.pointer is None else person.pointer.into


def _wished(wishes: Wishes) -> dict[str, Any]:
    """Return what of *wishes* was said."""
    said = {
        "digest": wishes.digest,
        "quiet": None if wishes.quiet is None else {"start": wishes.quiet.start, "end": wishes.quiet.end},
        "zone": wishes.zone,
        "channels": " ".join(wishes.channels) or None,
    }
    return {name: value for name, value in said.items() if value is not None}


def _wishes(document: Mapping[str, Any]) -> Wishes:
    quiet = document.get("quiet")
    return Wishes(
        digest=document.get("digest"),
        quiet=None if quiet is None else Quiet(**quiet),
        zone=document.get("zone"),
        channels=tuple(document.get("channels", "").split()),
    )


def _profile_body(profile: Profile) -> dict[str, Any]:
    return {"language": profile.language, "zone": profile.zone, "account": profile.account, **_dated(profile.stamp)}


def _profile(document: Mapping[str, Any]) -> Profile:
    return Profile(_stamp(document), document["language"], document["zone"], document["account"])


def _dated(stamp: Stamp) -> dict[str, Any]:
    at, ingested_at, event_id = stamp
    return {"at": at, "ingested_at": ingested_at, "event_id": event_id}


def _stamp(document: Mapping[str, Any]) -> Stamp:
    return (document["at"], document["ingested_at"], document["event_id"])
