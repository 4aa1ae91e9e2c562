"""What becomes of feedback: submitted, revised, retracted; repeats, conflicts, what comes late."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.common import ids
from services.common.outcome import Drop, Emit, Reject
from services.ingest.domain.ledger import ENTRIES_KEPT
from services.ingest.domain.rows import Changes
from services.ingest.ports import Contended
from tests.fakes_ingest import BOARD, START_MS, WORKSPACE, FakeMemory, Front, events_of, feedback, kinds
from tests.ingest_samples import ANN

FEEDBACK_ID = ids.feedback_id(WORKSPACE, "feedback", "f-1")


def test_a_submission_carries_what_the_record_said() -> None:
    alias, contact, event = Front().events(
        feedback(7, rating=4, url="https://example.com/1", language="en", occurred_at="2026-11-21T10:30:00+01:00")
    )
    assert (alias.type, alias.alias, alias.person_id) == ("alias", "email:ann@example.com", ANN)
    assert (contact.type, contact.channel, contact.address, contact.person_id) == ("contact", "email", "ann@example.com", ANN)
    assert (event.type, event.feedback_id, event.revision, event.external_id, event.person_id) == ("submitted", FEEDBACK_ID, 0, "f-1", ANN)
    assert (event.text, event.rating, event.url, event.language) == ("Let me lock a frame.", 4.0, "https://example.com/1", "en")
    assert event.occurred_at == 1_795_253_400_000_000
    assert event.ingested_at == (START_MS + 7) * 1000
    assert event.origin == "feedback.raw/0/7"


def test_without_a_moment_of_its_own_the_records_counts() -> None:
    *_, event = Front().events(feedback(7))
    assert event.ingested_at == event.occurred_at


def test_a_record_without_a_timestamp_counts_as_the_epoch() -> None:
    record = feedback(0)
    unstamped = type(record)(record.topic, 0, 0, -1, None, record.value)
    *_, event = Front().events(unstamped)
    assert event.ingested_at == 0


def test_the_same_content_again_is_dropped() -> None:
    front = Front()
    front.events(feedback(0))
    assert Drop("repeat") == front.outcome(feedback(1))
    assert Drop("repeat") == front.outcome(feedback(1, author={"email": "Ann@Example.com", "name": "Ann, renamed"}))


@pytest.mark.parametrize("change", [{"text": "Dark mode."}, {"deleted": True}, {"rating": 1}, {"author": {"email": "bob@example.com"}}])
def test_another_content_under_the_same_revision_is_a_conflict(change: dict[str, Any]) -> None:
    front = Front()
    front.events(feedback(0))
    outcome = front.outcome(feedback(1, **change))
    assert isinstance(outcome, Reject)
    assert outcome.reason == "conflict"


def test_a_higher_revision_revises_and_a_lower_one_is_stale() -> None:
    front = Front()
    front.events(feedback(0, revision=3))
    (event,) = front.events(feedback(1, revision=5, text="Dark mode."))
    assert (event.type, event.revision, event.text) == ("revised", 5, "Dark mode.")
    assert Drop("stale") == front.outcome(feedback(2, revision=4, text="Between."))
    assert Drop("repeat") == front.outcome(feedback(3, revision=3))


def test_an_edit_that_names_nobody_stays_with_its_author() -> None:
    *_, event = Front().events(feedback(0), feedback(1, revision=1, author=None))
    assert (event.type, event.person_id) == ("revised", ANN)


def test_a_deletion_retracts_and_needs_no_text() -> None:
    front = Front()
    front.events(feedback(0))
    (event,) = front.events(feedback(1, revision=2, deleted=True, text=None, author={"email": "moderator@example.com"}))
    assert (event.type, event.feedback_id, event.text, event.person_id) == ("retracted", FEEDBACK_ID, None, ANN)
    assert Drop("stale") == front.outcome(feedback(2, revision=1, text="A late edit."))


def test_feedback_does_not_move_between_boards() -> None:
    front = Front()
    front.events(feedback(0))
    outcome = front.outcome(feedback(1, revision=1, board="api"))
    assert isinstance(outcome, Reject)
    assert outcome.reason == "conflict"


def test_nobody_is_a_provisional_person() -> None:
    alias, event = Front().events(feedback(0, author=None))
    assert ids.person_id(WORKSPACE, f"feedback:{FEEDBACK_ID}") == event.person_id == alias.person_id
    assert f"feedback:{FEEDBACK_ID}" == alias.alias


def test_workspaces_and_channels_keep_equal_ids_apart() -> None:
    front = Front()
    records = [feedback(0), feedback(1, workspace="acme"), feedback(2, channel="forum")]
    events = [event for event in front.events(*records) if event.TOPIC == "board.events"]
    assert 3 == len({event.feedback_id for event in events}) == len({event.event_id for event in events})
    assert {f"{WORKSPACE}/{BOARD}", f"acme/{BOARD}"} == {event.partition_key() for event in events}
    assert len({event.person_id for event in events}) == 2


def test_only_the_newest_entries_are_kept_and_older_ones_count_as_stale() -> None:
    front = Front()
    records = [feedback(n, revision=n, text=f"Version {n}.") for n in range(ENTRIES_KEPT + 2)]
    front.events(*records)
    assert Drop("stale") == front.outcome(feedback(1_000, revision=1, text="Version 1."))
    assert isinstance(front.outcome(records[-1]), Emit)


class _Overtaken(FakeMemory):
    """Another worker takes the second publication of the same record between our reading and our writing of subjects."""

    def __init__(self) -> None:
        super().__init__()
        self.overtake = True

    async def save(self, changes: Changes) -> None:
        if self.overtake:
            self.overtake = False
            await super().save(Changes(changes.bindings, (), ()))  # as MongoDB leaves it: aliases first, and then the conflict
            await Front(self).take([feedback(99)])
            raise Contended("a document of subjects was written by another worker")
        await super().save(changes)


def test_an_alias_is_announced_by_the_attempt_that_bound_it_even_if_it_lost_the_feedback() -> None:
    front = Front(_Overtaken())
    with pytest.raises(Contended):
        asyncio.run(front.take([feedback(0)]))
    (alias,) = events_of(front.outcome(feedback(0)))
    assert (alias.type, alias.alias, alias.origin) == ("alias", "email:ann@example.com", "feedback.raw/0/0")


class _Torn(FakeMemory):
    """A store that dies after so many of the three kinds of rows."""

    def __init__(self, kinds_written: int) -> None:
        super().__init__()
        self._kinds_written: int | None = kinds_written

    async def save(self, changes: Changes) -> None:
        kinds_written, self._kinds_written = self._kinds_written, None
        if kinds_written is None:
            return await super().save(changes)
        parts = Changes(changes.bindings, changes.subjects if kinds_written > 1 else (), changes.persons if kinds_written > 2 else ())
        await super().save(parts)
        raise Contended("the connection broke")


@pytest.mark.parametrize("kinds_written", [1, 2, 3])
def test_what_a_torn_write_left_changes_no_byte(kinds_written: int) -> None:
    records = [
        feedback(0),
        feedback(1, id="f-2", board="api", author={"crm_id": "9", "alias": "slack:U1"}),
        feedback(2, revision=1, text="More."),
    ]
    whole, torn = FakeMemory(), _Torn(kinds_written)
    expected = asyncio.run(Front(whole).take(records))
    with pytest.raises(Contended):
        asyncio.run(Front(torn).take(records))
    assert expected == asyncio.run(Front(torn).take(records))
    assert whole.bound == torn.bound
    assert {key: row.entries for key, row in whole.known.items()} == {key: row.entries for key, row in torn.known.items()}
    assert {key: row.boards for key, row in whole.people.items()} == {key: row.boards for key, row in torn.people.items()}


def test_people_come_before_what_they_wrote() -> None:
    assert kinds(Front().events(feedback(0))) == ["alias", "contact", "submitted"]


@pytest.mark.parametrize("text", [None, "", "  "])
def test_a_rating_without_a_word_is_its_authors_answer(text: str | None) -> None:
    front = Front()
    events = front.events(feedback(0, text=text, rating=9, channel="nps"))

    assert kinds(events) == ["alias", "contact", "answer"]
    answer = events[-1]
    assert (answer.person_id, answer.name, answer.answer_json, answer.confidence) == (ANN, "nps_score", "9", None)
    assert front.outcome(feedback(1, text=text, rating=9, channel="nps")) == Drop("repeat")


def test_a_rating_that_is_given_words_later_is_submitted_then_and_taken_back_when_they_go() -> None:
    front = Front()
    said = front.events(
        feedback(0, text=None, rating=3),
        feedback(1, revision=1, rating=3),
        feedback(2, revision=2, rating=4, text="More."),
        feedback(3, revision=3, rating=4, text=None),
        feedback(4, revision=4, deleted=True, text=None),
    )

    assert kinds(said) == ["alias", "contact", "answer", "submitted", "revised", "retracted", "retracted"]


def test_neither_words_nor_a_rating_is_nothing() -> None:
    assert isinstance(outcome := Front().outcome(feedback(0, text=None)), Reject)
    assert outcome.reason == "missing_field"
