"""What several of the documented forms share."""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

import orjson

from services.ingest.domain.aliases import Author, read_author
from services.ingest.domain.faults import fault
from services.ingest.domain.fields import Fields

URL_LIMIT = ADDRESS_LIMIT = 2_048
LANGUAGE_LIMIT = 35  # RFC 5646, 4.4.1
_LARGEST_CENTS = 2**62
_TRAITS_LIMIT = 1_000_000


def own_workspace(fields: Fields) -> str:
    """Return the workspace that the record itself names."""
    return str(fields.required("workspace", fields.slug("workspace")))


def known_as(person: Author, wanted: str) -> Author:
    """Return *person*; *wanted* names the fields of which one was needed."""
    if not person.is_named:
        raise fault("missing_field", f"{wanted}: at least one is required, to know the person by")
    return person


def named_person(fields: Fields) -> Author:
    """Return the person that the object ``person`` names."""
    inner = fields.required("person", fields.inner("person"))
    author = replace(read_author(inner), person_id=our_id(inner, own_workspace(fields), "person_id", "person"))
    return known_as(author, "person.crm_id, person.email, person.alias or person.person_id")


def our_id(fields: Fields, workspace: str, name: str, kind: str) -> str | None:
    """Return one of our own ids; it must be of *kind* and belong to *workspace*."""
    value = fields.text(name)
    if value is None:
        return None
    owner, _, rest = value.partition(":")
    if not rest.startswith(f"{kind}:"):
        raise fault("bad_id", f"{name}: expected WORKSPACE:{kind}:…, an id that this system gave")
    if owner != workspace:
        raise fault("workspace_mismatch", f"{name}: it belongs to another workspace than the one that the record names")
    return value


def traits_of(fields: Fields) -> str | None:
    """Return the traits as JSON with sorted names: an object of scalars, or in Avro ``traits_json``, one such document."""
    traits = fields.scalars("traits")
    document = fields.text("traits_json", limit=_TRAITS_LIMIT)
    if traits is None and document is not None:
        try:
            parsed = orjson.loads(document)
        except orjson.JSONDecodeError:
            raise fault("wrong_type", "traits_json: expected a JSON object of scalars") from None
        traits = Fields({"traits_json": parsed}).scalars("traits_json")
    return None if traits is None else orjson.dumps(traits, option=orjson.OPT_SORT_KEYS).decode()


def answer_of(fields: Fields) -> str | None:
    """Return the answer as JSON: the scalar ``answer``, or in Avro ``answer_json``, one such document; None without either."""
    document = fields.text("answer_json")
    if document is None:
        return None if not fields.has("answer") else orjson.dumps(fields.scalar("answer")).decode()
    try:
        parsed = orjson.loads(document)
    except orjson.JSONDecodeError:
        raise fault("wrong_type", "answer_json: expected the JSON of a text, a number, true or false") from None
    return orjson.dumps(Fields({"answer_json": parsed}).scalar("answer_json")).decode()


def cents_of(fields: Fields) -> int:
    """Return ``mrr_cents``, or ``mrr`` in decimal units (a number or a decimal text), half a cent to even; 0 without either."""
    cents = fields.whole("mrr_cents")
    if cents is None:
        written = fields.decimal("mrr")
        try:
            cents = 0 if written is None else int((Decimal(written) * 100).quantize(Decimal(1), ROUND_HALF_EVEN))
        except (InvalidOperation, ValueError, OverflowError):
            raise fault("wrong_type", "mrr: expected an amount, such as 199.90") from None
    if not 0 <= cents <= _LARGEST_CENTS:
        raise fault("out_of_range", "mrr: expected an amount of 0 or more")
    return cents
