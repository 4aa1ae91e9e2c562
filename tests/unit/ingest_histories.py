"""Logs of raw records for property tests: of few ids and few persons, so that everything meets everything."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from services.common import ids
from services.common.records import Record
from tests.fakes_ingest import WORKSPACE, raw

_IDS = st.sampled_from(["1", "2", "3"])
_EMAILS = st.sampled_from(["ann@example.com", "Ann+x@Example.com", "bob@example.com", None])
_ALIASES = st.sampled_from(["slack:U1", "slack:U2", None])
_CRM = st.sampled_from(["7", "8", None])
_MOMENTS = st.integers(0, 3).map(lambda day: f"2026-11-2{day}T00:00:00Z")
_PERSONS = st.sampled_from(
    [ids.person_id(WORKSPACE, alias) for alias in ("email:ann@example.com", "email:bob@example.com", "slack:U1", "crm:7")]
)


def _object(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"workspace": st.just(WORKSPACE), **fields})


_AUTHOR = st.fixed_dictionaries({"email": _EMAILS, "alias": _ALIASES, "crm_id": _CRM})
_PERSON = _AUTHOR.filter(lambda person: any(person.values()))
_VALUES = {
    "feedback.raw": _object(
        id=_IDS,
        board=st.sampled_from(["product", "api"]),
        text=st.sampled_from(["Lock frames.", "Dark mode.", "Dark mode.", "+1", "Wishes:\n- lock frames\n- dark mode", None]),
        rating=st.sampled_from([None, 9]),
        thread=st.sampled_from([None, None, "1"]),
        author=_AUTHOR,
        revision=st.integers(0, 2),
        deleted=st.booleans(),
        occurred_at=st.one_of(st.none(), _MOMENTS),
    ),
    "people.raw": _object(id=_CRM, email=_EMAILS, updated_at=_MOMENTS, name=st.sampled_from(["Ann", "Anna"])),
    "activity.raw": _object(id=_IDS, person=_PERSON, name=st.just("exported")),
    "preferences.raw": _object(
        id=_IDS,
        person=st.one_of(_PERSON, st.builds(lambda one: {"person_id": one}, _PERSONS)),
        opted_out=st.booleans(),
        updated_at=_MOMENTS,
        channel=st.just("webhook"),
        address=st.sampled_from([None, "https://a.example/", "https://b.example/"]),
    ),
    "accounts.raw": _object(id=_IDS, updated_at=_MOMENTS, plan=st.sampled_from(["free", "team"])),
    "people.commands": _object(
        id=st.integers(0, 2**40), command=st.sampled_from(["join", "separate"]), person_id=_PERSONS, other_person_id=_PERSONS
    ),
    "ideas.status": _object(
        id=st.integers(0, 2**40),
        board=st.just("product"),
        idea_id=st.just(f"{WORKSPACE}:idea:x"),
        status=st.sampled_from(["planned", "shipped"]),
        updated_at=_MOMENTS,
    ),
}


@st.composite
def logs(draw: st.DrawFn) -> list[Record]:
    """Raw records of few ids and few persons, so that everything meets everything; offsets rise by topic.

    Each log is of a few topics only, so that those meet each other more often than by chance.
    """
    chosen = draw(st.lists(st.sampled_from(sorted(_VALUES)), min_size=1, max_size=4, unique=True))
    topics = draw(st.lists(st.sampled_from(chosen), min_size=1, max_size=25))
    offsets = dict.fromkeys(_VALUES, 0)
    records = []
    for topic in topics:
        records.append(raw(topic, offsets[topic], draw(_VALUES[topic])))
        offsets[topic] += 1
    return records
