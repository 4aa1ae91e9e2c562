"""Persons and accounts: profiles, companies, activity, preferences, and who is the same human."""

from __future__ import annotations

import json
from typing import Any

from services.common import ids
from services.common.hours import read_hours, zone_of
from services.ingest.domain.aliases import read_author
from services.ingest.domain.faults import fault
from services.ingest.domain.fields import Fields
from services.ingest.domain.identity import EMAIL
from services.ingest.domain.inputs import Activity, Company, Erasure, PersonCommand, Preference, Profile, digest_of
from services.ingest.domain.reading.common import (
    ADDRESS_LIMIT,
    LANGUAGE_LIMIT,
    answer_of,
    cents_of,
    known_as,
    named_person,
    our_id,
    own_workspace,
    traits_of,
)

_CHANNELS = 20


def read_profile(fields: Fields, topic: str) -> Profile:
    """Return what a CRM or CDP says of a person; *topic* is its source."""
    workspace = own_workspace(fields)
    person = known_as(read_author(fields, crm_field="id"), "id, email or alias")
    updated_at = fields.required("updated_at", fields.moment("updated_at"))
    account = fields.identifier("account")
    account_id = None if account is None else ids.account_id(workspace, account)
    traits, language = traits_of(fields), fields.text("language", limit=LANGUAGE_LIMIT)
    return Profile(
        workspace=workspace,
        source=topic,
        subject=ids.make_id(workspace, "profile", person.aliases[0]),
        order=updated_at,
        digest=digest_of(person.aliases, person.name, account_id, traits, language),
        person=person,
        account_id=account_id,
        traits_json=traits,
        language=language,
    )


def read_company(fields: Fields, topic: str) -> Company:
    """Return what a CRM says of an account; *topic* is its source."""
    workspace = own_workspace(fields)
    external_id = fields.required("id", fields.identifier("id"))
    updated_at = fields.required("updated_at", fields.moment("updated_at"))
    rest: dict[str, Any] = {
        "name": fields.text("name"),
        "plan": fields.text("plan"),
        "mrr_cents": cents_of(fields),
        "employees": fields.whole("employees"),
        "industry": fields.text("industry"),
        "region": fields.text("region"),
        "owner": fields.text("owner"),
        "traits_json": traits_of(fields),
    }
    return Company(
        workspace=workspace,
        source=topic,
        subject=ids.account_id(workspace, external_id),
        order=updated_at,
        digest=digest_of(rest),
        external_id=external_id,
        **rest,
    )


def read_activity(fields: Fields, topic: str) -> Activity:
    """Return something that a person did or answered; *topic* is its source."""
    workspace = own_workspace(fields)
    external_id = fields.required("id", fields.identifier("id"))
    person, name = named_person(fields), fields.required("name", fields.text("name"))
    amount, occurred_at = fields.number("amount"), fields.moment("occurred_at")
    answer_json, confidence = answer_of(fields), fields.number("confidence")
    if confidence is not None and not 0 <= confidence <= 1:
        raise fault("out_of_range", "confidence: expected 0 to 1")
    answered = () if answer_json is None else (answer_json, confidence)
    return Activity(
        workspace=workspace,
        source=topic,
        subject=ids.make_id(workspace, "activity", external_id),
        order=0,
        digest=digest_of(person.known_by, name, amount, occurred_at, *answered),
        person=person,
        name=name,
        amount=1.0 if amount is None else amount,
        occurred_at=occurred_at,
        answer_json=answer_json,
        confidence=confidence,
    )


def read_preference(fields: Fields, topic: str) -> Preference:
    """Return whether a person wants to hear; *topic* is its source."""
    workspace = own_workspace(fields)
    external_id = fields.required("id", fields.identifier("id"))
    person = named_person(fields)
    channel, idea = fields.slug("channel"), our_id(fields, workspace, "idea_id", "idea")
    opted_out = fields.required("opted_out", fields.flag("opted_out"))
    updated_at, wishes = fields.required("updated_at", fields.moment("updated_at")), _wishes_of(fields)
    address = _address_of(fields, channel)
    more = ((sorted(wishes.items()),) if wishes else ()) + ((address,) if address else ())
    return Preference(
        workspace=workspace,
        source=topic,
        subject=ids.make_id(workspace, "preference", external_id),
        order=updated_at,
        digest=digest_of(person.known_by, channel, idea, opted_out, *more),
        person=person,
        opted_out=opted_out,
        channel=channel,
        idea_id=idea,
        address=address,
        wishes=wishes,
    )


def _address_of(fields: Fields, channel: str | None) -> str | None:
    """Return where the person is reached by *channel*; a mailbox is an alias as well, and given as such."""
    address = fields.text("address", limit=ADDRESS_LIMIT)
    if address is None:
        return None
    if channel is None:
        raise fault("missing_field", "channel: expected the channel that address is of")
    if channel == EMAIL:
        raise fault("out_of_range", "address: expected person.email instead, by which the person is known as well")
    if not address.isprintable() or " " in address:
        raise fault("out_of_range", "address: expected one line without a blank")
    return address


def _wishes_of(fields: Fields) -> dict[str, str]:
    """Return how the person of a preference wants to hear, by the names of the event's fields."""
    digest, quiet, zone = fields.text("digest"), fields.text("quiet_hours"), fields.text("time_zone")
    if digest is not None and digest not in ("off", "daily", "weekly"):
        raise fault("out_of_range", "digest: expected one of off, daily, weekly")
    if zone is not None and zone_of(zone) is None:
        raise fault("out_of_range", "time_zone: expected a name of the IANA database, such as Europe/Berlin")
    try:
        read_hours(quiet or "off")
    except ValueError as error:
        raise fault("out_of_range", f"quiet_hours: {error}") from None
    channels = fields.listed("channels")
    if len(channels) > _CHANNELS or not all(isinstance(channel, str) and ids.is_slug(channel) for channel in channels):
        raise fault("bad_id", "channels: expected at most 20 names of channels, such as email")
    said = {
        "digest_rhythm": digest,
        "quiet_hours": quiet,
        "time_zone": zone,
        "channels_json": json.dumps(list(channels)) if channels else None,
    }
    return {name: value for name, value in said.items() if value is not None}


_PERSON_COMMANDS = ("join", "separate", "erase")


def read_person_command(fields: Fields, topic: str) -> PersonCommand | Erasure:
    """Return whether two persons are one human, or who is to be forgotten; *topic* is its source."""
    workspace = own_workspace(fields)
    external_id = fields.required("id", fields.identifier("id"))
    command = fields.required("command", fields.text("command"))
    if command not in _PERSON_COMMANDS:
        raise fault("unknown_command", f"command: expected one of {', '.join(_PERSON_COMMANDS)}")
    person = fields.required("person_id", our_id(fields, workspace, "person_id", "person"))
    subject = ids.make_id(workspace, "person-command", external_id)
    if command == "erase":
        digest = digest_of(command, person)
        return Erasure(workspace=workspace, source=topic, subject=subject, order=0, digest=digest, person_id=person)
    other = fields.required("other_person_id", our_id(fields, workspace, "other_person_id", "person"))
    if person == other:
        raise fault("bad_id", "other_person_id: expected another person than person_id")
    return PersonCommand(
        workspace=workspace,
        source=topic,
        subject=subject,
        order=0,
        digest=digest_of(command, person, other),
        separate=command == "separate",
        person_id=person,
        other_person_id=other,
    )
