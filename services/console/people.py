"""A person as the published topics tell it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.common.events import Account, EnrichedFeedback, NotificationOutcome, PersonEvent, PersonSegments, SegmentTransition
from services.common.records import Record
from services.console.board import decoded, end_of, final_outcomes, find, joined, latest_feedback, newest
from services.console.cluster import Cluster
from services.console.context import codec

_TOPICS = ("people.events", "people.segments", "people.transitions", "accounts", "feedback.enriched", "notifications.log")


@dataclass(frozen=True, slots=True)
class PersonView:
    """Everything about one person; persons that were joined into it included."""

    person_id: str
    name: str | None
    aliases: list[str]
    profile: dict[str, Any]
    segments: list[dict[str, Any]]
    asked: list[dict[str, Any]]
    told: list[dict[str, Any]]


async def read_person(cluster: Cluster, workspace: str, wanted: str) -> PersonView:
    """Return the person that *wanted* names: an id, the beginning of one, or an alias.

    Raises:
        CommandFailed: Nobody, or more than one, is called so.
    """
    records = await cluster.read(_TOPICS)
    events = [event for event in decoded(codec(), PersonEvent, records["people.events"]) if event.workspace == workspace]
    by_alias = {event.alias: event.person_id for event in events if event.type == "alias" and event.alias}
    person = by_alias.get(wanted) or find((event.person_id for event in events), wanted, "person")
    return view_of(_family(events, person), person, events, records)


def _family(events: Iterable[PersonEvent], person: str) -> set[str]:
    """Return *person* and everyone who is the same human."""
    pointers = joined(events)
    human = end_of(person, pointers)
    return {human, person, *(member for member in pointers if end_of(member, pointers) == human)}


def view_of(family: set[str], person: str, events: Sequence[PersonEvent], records: Mapping[str, list[Record]]) -> PersonView:
    """Return what *records* say about *person*, with what they say about the rest of its *family*."""
    mine = [event for event in events if event.person_id in family]
    profiles = sorted((event for event in mine if event.type == "profile"), key=lambda event: event.occurred_at)
    profile = profiles[-1] if profiles else None
    name = (
        profile.name
        if profile
        else next((event.name for event in reversed(mine) if event.type in ("alias", "contact") and event.name), None)
    )
    return PersonView(
        person,
        name,
        sorted({event.alias for event in mine if event.type == "alias" and event.alias}),
        {} if profile is None else _profile(profile, records["accounts"]),
        _segments(person, records),
        _asked(family, records["feedback.enriched"]),
        _told(family, records["notifications.log"]),
    )


def _profile(profile: PersonEvent, accounts: list[Record]) -> dict[str, Any]:
    found = newest_account(decoded(codec(), Account, accounts)).get(profile.account_id or "")
    account = {} if found is None else {"account": found.name, "plan": found.plan, "MRR": found.mrr_cents // 100}
    return {**account, **json.loads(profile.traits_json or "{}")}


def newest_account(values: Iterable[Account]) -> dict[str, Account]:
    """Return the highest version of each account."""
    kept: dict[str, Account] = {}
    for value in values:
        if value.account_id not in kept or kept[value.account_id].version <= value.version:
            kept[value.account_id] = value
    return kept


def _segments(person: str, records: Mapping[str, list[Record]]) -> list[dict[str, Any]]:
    present = newest(decoded(codec(), PersonSegments, records["people.segments"])).get(person)
    if present is None:
        return []
    last: dict[str, SegmentTransition] = {}
    for transition in decoded(codec(), SegmentTransition, records["people.transitions"]):
        if transition.person_id == person:
            last[transition.scheme] = transition
    rows = []
    for scheme, segment in json.loads(present.segments_json).items():
        change = last.get(scheme)
        rows.append({"scheme": scheme, "segment": segment, "since": change and _day(change.occurred_at), "cause": change and change.cause})
    return rows


def _asked(family: set[str], enriched: list[Record]) -> list[dict[str, Any]]:
    said = latest_feedback(decoded(codec(), EnrichedFeedback, enriched)).values()
    return [{"idea": f.root_id, "channel": f.source, "text": f.text} for f in said if f.person_id in family and not f.retracted]


def _told(family: set[str], log: list[Record]) -> list[dict[str, Any]]:
    outcomes = final_outcomes(decoded(codec(), NotificationOutcome, log)).values()
    return [
        {"idea": o.root_id, "release": o.release_id, "outcome": o.outcome, "reason": o.reason} for o in outcomes if o.person_id in family
    ]


def _day(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1e6, UTC).date().isoformat()
