"""Persons and accounts: profiles, companies, activity, preferences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal, TypeAlias

from services.common import ids
from services.common.clock import Micros
from services.common.events import Account, Event, PersonEvent
from services.common.outcome import Drop, Reject
from services.ingest.domain.identity import bind_rest, has_address, introduction, note_contact, resolve, unannounced
from services.ingest.domain.inputs import Activity, Arrival, Company, Preference, Profile
from services.ingest.domain.ledger import Ledger
from services.ingest.domain.rows import Entry, Person
from services.ingest.domain.verdict import STALE, Verdict, earlier


def decide_profile(ledger: Ledger, given: Profile, arrival: Arrival) -> Verdict:
    """Return the person's new profile, unless a newer one is known under whatever alias."""

    def newer(person: Person) -> Person | None:
        return replace(person, profile_at=given.order) if given.order >= person.profile_at else None

    event = {"name": given.person.name, "account_id": given.account_id, "traits_json": given.traits_json, "language": given.language}
    return _about_person(ledger, given, arrival, given.order, newer=newer, news=event)


def decide_preference(ledger: Ledger, given: Preference, arrival: Arrival) -> Verdict:
    """Return the person's new preference, and the address that it brings, unless a newer one of the same channel and idea is known."""
    about = scope_of(given.channel, given.idea_id, given.address)

    def newer(person: Person) -> Person | None:
        changed = dict(person.preferences)
        if given.order < changed.get(about, -1):
            return None
        changed[about] = given.order
        return replace(person, preferences=tuple(sorted(changed.items())))

    said = {"channel": given.channel, "idea_id": given.idea_id, "opted_out": given.opted_out, "address": given.address, **given.wishes}
    verdict = _about_person(ledger, given, arrival, given.order, newer=newer, news=said)
    return (*verdict, *_contact(given, arrival, verdict)) if isinstance(verdict, tuple) else verdict


def scope_of(channel: str | None, idea: str | None, address: str | None) -> str:
    """Return what newer preferences replace: those of a channel and an idea; that one brings an address is another thing."""
    scope = f"{channel or ''}/{idea or ''}"
    return scope if address is None else f"{scope}/address"


def _contact(given: Preference, arrival: Arrival, verdict: tuple[Event, ...]) -> Iterator[PersonEvent]:
    """Yield the address that *given* brings, where *verdict* tells of it."""
    if given.address is None:
        return
    for event in verdict:
        if isinstance(event, PersonEvent) and event.type == "preference":
            yield PersonEvent(
                event_id=ids.event_id(given.workspace, "contact", event.person_id, given.subject, str(given.order), given.channel or ""),
                type="contact",
                workspace=given.workspace,
                person_id=event.person_id,
                source=given.source,
                occurred_at=given.order,
                ingested_at=arrival.at,
                origin=arrival.origin,
                channel=given.channel,
                address=given.address,
            )


def decide_activity(ledger: Ledger, given: Activity, arrival: Arrival) -> Verdict:
    """Return what the person did, or answered."""
    at = arrival.at if given.occurred_at is None else given.occurred_at
    news: dict[str, Any] = {"name": given.name, "amount": given.amount}
    if given.answer_json is not None:
        news = {"name": given.name, "answer_json": given.answer_json, "confidence": given.confidence}
    return _about_person(ledger, given, arrival, at, newer=lambda person: person, news=news)


def decide_company(ledger: Ledger, given: Company, arrival: Arrival) -> Verdict:
    """Return the account's new state."""
    known = earlier(ledger.subject(given.subject), given, arrival)
    if isinstance(known, Drop | Reject):
        return known
    if known is None:
        ledger.accept(given.subject, Entry(given.order, arrival.origin, given.digest, "account"))
    account = Account(
        account_id=given.subject,
        workspace=given.workspace,
        external_id=given.external_id,
        version=given.order,
        updated_at=given.order,
        ingested_at=arrival.at,
        origin=arrival.origin,
        name=given.name,
        plan=given.plan,
        mrr_cents=given.mrr_cents,
        employees=given.employees,
        industry=given.industry,
        region=given.region,
        owner=given.owner,
        traits_json=given.traits_json,
        digest=given.digest,
    )
    return (account,)


_Newer: TypeAlias = Callable[[Person], Person | None]
"""Returns the person with the news noted, or None where something newer is known."""


def _about_person(
    ledger: Ledger, given: Profile | Preference | Activity, arrival: Arrival, at: Micros, *, newer: _Newer, news: dict[str, Any]
) -> Verdict:
    known = earlier(ledger.subject(given.subject), given, arrival)
    if isinstance(known, Drop | Reject):
        return unannounced(ledger, given, arrival, at) or known
    person_id = None if known is None else known.person_id
    if person_id is None:
        person_id = resolve(ledger, given.workspace, given.person, arrival)
    else:
        bind_rest(ledger, given.workspace, given.person, person_id, arrival)
    entry = _settled(ledger, given, person_id, arrival, at, newer=newer, known=known)
    if entry.kind == _STALE:
        return unannounced(ledger, given, arrival, at) or STALE
    return (*introduction(ledger, given, entry, arrival, at), _event(given, entry, arrival, at, {"person_id": person_id, **news}))


def _settled(
    ledger: Ledger,
    given: Profile | Preference | Activity,
    person_id: str,
    arrival: Arrival,
    at: Micros,
    *,
    newer: _Newer,
    known: Entry | None,
) -> Entry:
    """Return the entry of *given*, and make what follows of it so; on a redelivery it may be so already.

    What came too late is entered as well: later records must not change what a redelivery of it becomes.
    """
    person = ledger.person(person_id)
    changed = newer(person)
    kind = known.kind if known is not None else _STALE if changed is None else _KINDS[type(given)]
    contact = False
    if kind != _STALE:
        if changed is not None and changed != person:
            ledger.put(changed)
        contact = note_contact(ledger, person_id, given.person, at)
    if known is not None:
        return known
    entry = Entry(given.order, arrival.origin, given.digest, kind, person_id=person_id, contact=contact)
    ledger.accept(given.subject, entry)
    return entry


_STALE = "stale"
_KINDS: Mapping[type[Profile | Preference | Activity], Literal["profile", "preference", "activity"]] = {
    Profile: "profile",
    Preference: "preference",
    Activity: "activity",
}


def _event(given: Profile | Preference | Activity, entry: Entry, arrival: Arrival, at: Micros, news: dict[str, Any]) -> PersonEvent:
    return PersonEvent(
        event_id=ids.event_id(given.workspace, given.subject, str(given.order)),
        type="answer" if isinstance(given, Activity) and given.answer_json is not None else _KINDS[type(given)],
        workspace=given.workspace,
        source=given.source,
        occurred_at=at,
        ingested_at=arrival.at,
        origin=arrival.origin,
        subject=given.subject,
        digest=given.digest,
        has_address=has_address(given.person),
        brings_contact=entry.contact,
        **news,
    )
