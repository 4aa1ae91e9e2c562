"""Who is who: aliases, contacts, profiles, preferences, accounts, and persons who prove to be one."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from services.common import ids
from services.common.outcome import Drop, Reject
from services.common.records import Record
from tests.fakes_ingest import WORKSPACE, Front, events_of, feedback, join, kinds, raw
from tests.ingest_samples import ACCOUNT, ACTIVITY, ANN, BOB, IDEA, PREFERENCE, PROFILE


def _person(alias: str) -> str:
    return ids.person_id(WORKSPACE, alias)


def _profile(offset: int, **fields: Any) -> Record:
    return raw("people.raw", offset, PROFILE | fields)


def _author(offset: int, **author: Any) -> Record:
    return feedback(offset, id=f"f-{offset}", author=author)


def _writers(front: Front, *records: Record) -> list[str]:
    return [event.person_id for event in front.events(*records) if event.TOPIC == "board.events"]


def test_a_new_person_is_identified_by_the_mail_address_where_there_is_one() -> None:
    assert _writers(Front(), _author(0, crm_id="7", email="ann@example.com", alias="slack:U1")) == [ANN]
    assert [_person("crm:7")] == _writers(Front(), _author(0, crm_id="7", alias="slack:U1"))
    assert [_person("slack:U1")] == _writers(Front(), _author(0, alias="slack:U1"))


def test_every_alias_that_is_bound_is_announced_once() -> None:
    front = Front()
    events = front.events(
        _author(0, alias="slack:U1"), _author(1, alias="slack:U1", email="ann@example.com"), _author(2, email="ann@example.com")
    )
    aliases = [(event.alias, event.person_id) for event in events if getattr(event, "type", "") == "alias"]
    assert [("slack:U1", _person("slack:U1")), ("email:ann@example.com", _person("slack:U1"))] == aliases


def test_a_known_alias_wins_in_the_order_crm_mail_channel() -> None:
    front = Front()
    front.events(_author(0, crm_id="7"), _author(1, email="ann@example.com"), _author(2, alias="slack:U1"))
    everything = {"crm_id": "7", "email": "ann@example.com", "alias": "slack:U1"}
    assert [_person("crm:7")] == _writers(front, _author(3, **everything))
    del everything["crm_id"]
    assert _writers(front, _author(4, **everything)) == [ANN]


def test_an_alias_stays_with_whom_it_was_bound_to() -> None:
    front = Front()
    front.events(_author(0, crm_id="7"), _author(1, alias="slack:U1"), _author(2, crm_id="7", alias="slack:U1"))
    assert [_person("slack:U1")] == _writers(front, _author(3, alias="slack:U1"))


def test_the_newest_address_is_the_contact_in_whatever_order_they_come() -> None:
    letters = [
        feedback(n, id=str(n), author={"crm_id": "7", "email": email}, occurred_at=f"2026-11-2{day}T00:00:00Z")
        for n, (email, day) in enumerate([("a@example.com", 1), ("b@example.com", 2), ("a@example.com", 3)])
    ]
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0), (0, 2, 1)):
        events = Front().events(*(letters[n] for n in order))
        contacts = sorted((event.occurred_at, event.address) for event in events if getattr(event, "type", "") == "contact")
        assert contacts[-1][1] == "a@example.com"


def test_the_same_address_is_no_news() -> None:
    events = Front().events(
        *(_author(n, email=email) for n, email in enumerate(["ann@example.com", "Ann@example.com", "ann+x@example.com"]))
    )
    assert [event.address for event in events if getattr(event, "type", "") == "contact"] == ["ann@example.com"]


def test_a_profile_comes_with_its_traits_and_account() -> None:
    *_, profile = Front().events(_profile(0))
    assert (profile.type, profile.person_id, profile.name, profile.language) == ("profile", ANN, "Ann Lee", "en")
    assert ids.account_id(WORKSPACE, "acme") == profile.account_id
    assert orjson.loads(profile.traits_json) == {"role": "designer", "seats": 12}
    assert profile.occurred_at == 1_795_253_400_000_000


def test_an_older_profile_never_replaces_a_newer_one_under_whatever_alias() -> None:
    front = Front()
    front.events(_profile(0))
    assert Drop("stale") == front.outcome(_profile(1, updated_at="2026-11-20T00:00:00Z"))
    by_mail = {"id": None, "email": "ann@example.com"}
    assert Drop("stale") == front.outcome(_profile(2, updated_at="2026-11-19T00:00:00Z", **by_mail))
    assert kinds(front.events(_profile(3, updated_at="2026-11-22T00:00:00Z", **by_mail))) == ["profile"]
    assert Drop("stale") == front.outcome(_profile(4, updated_at="2026-11-21T12:00:00Z"))


def test_what_an_older_profile_calls_the_person_is_still_learned() -> None:
    front = Front()
    front.events(_profile(0))
    older = _profile(1, id=None, updated_at="2026-11-20T00:00:00Z", alias="slack:U9")
    assert kinds(events_of(front.outcome(older))) == ["alias"]
    assert _writers(front, _author(2, alias="slack:U9")) == [ANN]


def test_preferences_are_apart_by_channel_and_idea() -> None:
    front = Front()
    front.events(_profile(0))
    records = [
        raw(
            "preferences.raw",
            n,
            PREFERENCE | {"id": str(n), "channel": channel, "idea_id": idea, "updated_at": f"2026-11-{20 + n}T00:00:00Z"},
        )
        for n, (channel, idea) in enumerate([("email", None), (None, IDEA), (None, None)])
    ]
    assert kinds(front.events(*records)) == ["preference"] * 3
    older = PREFERENCE | {"id": "9", "opted_out": False, "updated_at": "2026-11-19T00:00:00Z"}
    assert Drop("stale") == front.outcome(raw("preferences.raw", 9, older))


def test_our_own_id_names_a_person_whatever_it_is_called_besides() -> None:
    front = Front()
    front.events(_profile(0))
    by_id = PREFERENCE | {"id": "by id", "person": {"person_id": ANN}, "updated_at": "2026-11-22T00:00:00Z"}
    [event] = front.events(raw("preferences.raw", 0, by_id))
    assert (event.type, event.person_id) == ("preference", ANN)
    assert Drop("repeat") == front.outcome(raw("preferences.raw", 1, by_id))
    both = by_id | {"id": "both", "person": {"person_id": ANN, "alias": "slack:U7"}, "updated_at": "2026-11-23T00:00:00Z"}
    assert kinds(front.events(raw("preferences.raw", 2, both))) == ["alias", "preference"]
    assert _writers(front, _author(3, alias="slack:U7")) == [ANN]


def _reached(n: int, **fields: Any) -> Record:
    return raw("preferences.raw", n, PREFERENCE | {"id": str(n), "idea_id": None, "channel": "webhook", "opted_out": False} | fields)


def test_where_a_person_is_reached_by_a_channel_comes_with_a_preference_of_it() -> None:
    front = Front()
    front.events(_profile(0))
    given = _reached(0, address="https://hooks.example.com/a", updated_at="2026-11-22T00:00:00Z")
    preference, contact = front.events(given)
    assert (preference.type, contact.type, contact.channel, contact.address) == (
        "preference",
        "contact",
        "webhook",
        "https://hooks.example.com/a",
    )
    assert contact.person_id == ANN
    assert Drop("repeat") == front.outcome(_reached(1, id="0", address="https://hooks.example.com/a", updated_at="2026-11-22T00:00:00Z"))
    older = _reached(2, address="https://hooks.example.com/b", updated_at="2026-11-21T00:00:00Z")
    assert Drop("stale") == front.outcome(older)


def test_an_address_is_not_lost_because_something_newer_was_said_of_the_channel() -> None:
    front = Front()
    front.events(_profile(0))
    front.events(_reached(0, opted_out=True, updated_at="2026-11-23T00:00:00Z"))
    assert kinds(front.events(_reached(1, address="https://hooks.example.com/a", updated_at="2026-11-22T00:00:00Z"))) == [
        "preference",
        "contact",
    ]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"channel": None, "address": "https://x.example"}, "missing_field"),
        ({"channel": "email", "address": "ann@example.com"}, "out_of_range"),
        ({"address": "https://x.example/a b"}, "out_of_range"),
        ({"address": "x" * 3_000}, "too_long"),
    ],
)
def test_an_address_that_cannot_be_one_is_refused(fields: dict[str, Any], reason: str) -> None:
    outcome = Front().outcome(_reached(0, **fields))
    assert isinstance(outcome, Reject)
    assert outcome.reason == reason


@pytest.mark.parametrize(("person_id", "reason"), [("acme:person:x", "workspace_mismatch"), ("lumora:idea:x", "bad_id"), ("ann", "bad_id")])
def test_an_id_that_is_not_a_person_of_the_workspace_is_refused(person_id: str, reason: str) -> None:
    outcome = Front().outcome(raw("preferences.raw", 0, PREFERENCE | {"person": {"person_id": person_id}}))
    assert isinstance(outcome, Reject)
    assert outcome.reason == reason


def test_activity_counts_once_each() -> None:
    front = Front()
    *_, event = front.events(raw("activity.raw", 0, ACTIVITY))
    assert (event.type, event.name, event.amount, event.person_id) == ("activity", "board_exported", 1.0, ANN)
    assert Drop("repeat") == front.outcome(raw("activity.raw", 1, ACTIVITY))
    outcome = front.outcome(raw("activity.raw", 2, ACTIVITY | {"amount": 3}))
    assert isinstance(outcome, Reject)
    assert outcome.reason == "conflict"


ANSWER = ACTIVITY | {"id": "q-1", "name": "style", "answer": "visual"}


@pytest.mark.parametrize(
    ("given", "answer", "confidence"),
    [
        ({}, '"visual"', None),
        ({"confidence": 0.4}, '"visual"', 0.4),
        ({"answer": 9}, "9", None),
        ({"answer": None, "answer_json": "true"}, "true", None),
    ],
)
def test_an_answer_is_told_with_its_confidence(given: dict[str, Any], answer: str, confidence: float | None) -> None:
    front = Front()
    *_, event = front.events(raw("activity.raw", 0, ANSWER | given))
    assert (event.type, event.name, event.answer_json, event.confidence) == ("answer", "style", answer, confidence)
    assert Drop("repeat") == front.outcome(raw("activity.raw", 1, ANSWER | given))


@pytest.mark.parametrize("given", [{"answer": [1]}, {"answer": None, "answer_json": "{"}, {"confidence": 2}])
def test_an_answer_is_a_scalar_and_a_confidence_a_share(given: dict[str, Any]) -> None:
    assert isinstance(Front().outcome(raw("activity.raw", 0, ANSWER | given)), Reject)


@pytest.mark.parametrize(
    ("given", "cents"), [({"mrr": 1299.9}, 129_990), ({"mrr": "0.1"}, 10), ({"mrr": 0.125}, 12), ({"mrr_cents": 7}, 7), ({"mrr": None}, 0)]
)
def test_an_account_is_worth_whole_cents(given: dict[str, Any], cents: int) -> None:
    base = {name: value for name, value in ACCOUNT.items() if name != "mrr"}
    (account,) = Front().events(raw("accounts.raw", 0, base | given))
    assert cents == account.mrr_cents
    assert (ids.account_id(WORKSPACE, "acme"), account.updated_at) == (account.account_id, account.version)


def test_an_older_account_never_replaces_a_newer_one() -> None:
    front = Front()
    front.events(raw("accounts.raw", 0, ACCOUNT))
    assert Drop("stale") == front.outcome(raw("accounts.raw", 1, ACCOUNT | {"updated_at": "2026-11-01T00:00:00Z", "plan": "free"}))


SMALL, LARGE = sorted((ANN, BOB))
WRITTEN = {SMALL: "ann@example.com", LARGE: "bob@example.com"} if SMALL == ANN else {SMALL: "bob@example.com", LARGE: "ann@example.com"}


def _on(offset: int, person: str, board: str) -> Record:
    return feedback(offset, id=f"{board}-{offset}", board=board, author={"email": WRITTEN[person]})


def test_the_larger_id_points_at_the_smaller_and_every_board_of_either_hears_of_it() -> None:
    for pair in ((SMALL, LARGE), (LARGE, SMALL)):
        front = Front()
        front.events(_on(0, SMALL, "api"), _on(1, LARGE, "product"))
        person, *boards = front.events(join(0, *pair))
        assert (person.type, person.person_id, person.other_person_id) == ("joined", LARGE, SMALL)
        assert {("persons_joined", "api"), ("persons_joined", "product")} == {(event.type, event.board) for event in boards}
        assert {(LARGE, SMALL)} == {(event.person_id, event.other_person_id) for event in boards}


def test_a_board_on_which_a_joined_person_writes_later_hears_of_it_first() -> None:
    front = Front()
    front.events(join(0, SMALL, LARGE))
    events = [event for event in front.events(_on(0, LARGE, "product"), _on(1, LARGE, "product")) if event.TOPIC == "board.events"]
    assert kinds(events) == ["persons_joined", "submitted", "submitted"]
    assert (events[0].person_id, events[0].other_person_id) == (LARGE, SMALL)


def test_separation_undoes_the_join_where_it_was_told() -> None:
    front = Front()
    front.events(join(0, SMALL, LARGE), _on(0, LARGE, "product"))
    person, board = front.events(join(1, SMALL, LARGE, number=2, command="separate"))
    assert (person.type, person.person_id, person.other_person_id) == ("separated", LARGE, SMALL)
    assert (board.type, board.board) == ("persons_separated", "product")
    assert [event.type for event in front.events(_on(1, LARGE, "api")) if event.TOPIC == "board.events"] == ["submitted"]


def test_persons_who_are_not_joined_cannot_be_separated_not_even_by_a_redelivery_after_they_were() -> None:
    front = Front()
    early = join(0, SMALL, LARGE, number=1, command="separate")
    first = front.outcome(early)
    assert isinstance(first, Reject)
    assert first.reason == "not_joined"
    front.events(join(1, SMALL, LARGE, number=2))
    assert first == front.outcome(early)
    assert Drop("unchanged") == front.outcome(join(2, LARGE, SMALL, number=3))


def test_a_join_of_three_is_undone_by_the_pair_that_made_it() -> None:
    a, b, c = sorted(_person(f"slack:U{n}") for n in range(3))
    front = Front()
    front.events(join(0, b, a, number=1), join(1, c, b, number=2))  # c points at a, the root of b
    person, *_ = front.events(join(2, b, c, number=3, command="separate"))
    assert ("separated", c, a) == (person.type, person.person_id, person.other_person_id)
    person, *_ = front.events(join(3, a, b, number=4, command="separate"))
    assert (b, a) == (person.person_id, person.other_person_id)


def test_boards_follow_the_chain() -> None:
    a, b, c = sorted(_person(f"slack:U{n}") for n in range(3))
    slack = {_person(f"slack:U{n}"): f"slack:U{n}" for n in range(3)}
    front = Front()
    front.events(feedback(0, id="1", board="api", author={"alias": slack[c]}), join(0, c, b, number=1))
    _, board = front.events(join(1, b, a, number=2))
    assert ("persons_joined", "api", b, a) == (board.type, board.board, board.person_id, board.other_person_id)
    links = [
        e for e in front.events(feedback(1, id="2", board="docs", author={"alias": slack[c]})) if getattr(e, "type", "") == "persons_joined"
    ]
    assert [(c, b), (b, a)] == [(event.person_id, event.other_person_id) for event in links]


def test_a_join_that_is_read_again_after_the_separation_shares_nothing_more() -> None:
    front = Front()
    again = join(0, SMALL, LARGE, number=1)
    front.events(again, join(1, SMALL, LARGE, number=2, command="separate"), _on(0, LARGE, "product"))
    front.events(again)
    third = _person("slack:U1")
    boards = [event.board for event in front.events(join(2, SMALL, third, number=3)) if event.TOPIC == "board.events"]
    assert boards == []


def test_who_writes_for_a_customer_is_recorded_and_the_customer_is_credited() -> None:
    front = Front()
    (said,) = [e for e in front.events(feedback(0, agent={"email": "Kim+desk@lumora.example"})) if e.TOPIC == "board.events"]
    assert (said.person_id, said.actor) == (ANN, _person("email:kim@lumora.example"))
    (nameless,) = [e for e in front.events(feedback(1, id="f-2", author=None, agent={"alias": "slack:KIM"})) if e.TOPIC == "board.events"]
    assert nameless.person_id not in (ANN, _person("slack:KIM"))
    assert isinstance(front.outcome(feedback(4, agent={"crm_id": "7"})), Reject)
