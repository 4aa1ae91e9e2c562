"""Dead letters: what their headers say, that a replay counts on, leads back and keeps what the original had."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.common.deadletter import dead_letter
from services.common.outcome import Reject
from services.common.records import Record
from services.common.topics import load_topics
from services.console.letter_replays import replayed_headers, timestamp_of
from services.console.letters import Letter, letter_of
from services.ingest.domain.inputs import Arrival

BYTES = st.one_of(st.none(), st.binary(max_size=64))
RAW = load_topics()["feedback.raw"]
HOUR_MS = 3_600_000
NOT_JSON = Reject("not_json", "line 1 is not JSON")


def buried(record: Record, offset: int = 9, at_ms: int = 6) -> Letter:
    output = dead_letter("ingest", record, NOT_JSON)
    return letter_of("ingest", Record("ingest.deadletter", 1, offset, at_ms, output.key, output.value, output.headers))


@given(key=BYTES, value=BYTES, times=st.integers(min_value=1, max_value=4))
def test_a_letter_tells_its_original_and_how_often_it_failed(key: bytes | None, value: bytes | None, times: int) -> None:
    record = Record("feedback.raw", 3, 17, 5, key, value, (("trace", b"t"),))
    letter = buried(record)
    for _ in range(times - 1):
        letter = buried(Record("feedback.raw", 3, 17, 5, letter.key, letter.value, replayed_headers(letter, "replay-1")))
    assert ("feedback.raw/3/17", "ingest/1/9", "not_json", "line 1 is not JSON", times) == (
        letter.original,
        letter.id,
        letter.reason,
        letter.detail,
        letter.attempt,
    )
    assert (key, value) == (letter.key, letter.value)
    assert ("trace", b"t") in letter.headers


def test_a_replay_that_fails_again_leads_back_to_its_letter_and_keeps_the_first_moment() -> None:
    letter = buried(Record("feedback.raw", 3, 17, 5, b"k", b"{", (("trace", b"t"),)))
    again = buried(Record("feedback.raw", 3, 40, 777, b"k", b"{", replayed_headers(letter, "replay-1")), offset=10)
    assert (letter.id, "replay-1", 2, 5) == (again.replay_of, again.replay_id, again.attempt, again.original_ms)
    third = buried(Record("feedback.raw", 3, 41, 888, b"k", b"{", replayed_headers(again, "replay-2")), offset=11)
    assert (again.id, "replay-2", 3, 5) == (third.replay_of, third.replay_id, third.attempt, third.original_ms)
    assert len(third.headers) == len(again.headers)


def test_a_replay_carries_no_words_of_its_failure_so_that_the_largest_record_still_fits() -> None:
    headers = replayed_headers(buried(Record("feedback.raw", 3, 17, 5, b"k", b"{", (("trace", b"t"),))), "replay-1")
    assert [name for name, _ in headers] == [
        "trace",
        "__connect.errors.attempt",
        "groundswell.replay.id",
        "groundswell.replay.of",
        "groundswell.replay.timestamp",
    ]


@given(st.lists(st.tuples(st.sampled_from(["attempt", "partition", "offset", "timestamp"]), st.binary(max_size=30))))
def test_strangers_headers_make_no_letter_unreadable(headers: list[tuple[str, bytes]]) -> None:
    record = Record("ingest.deadletter", 0, 1, 6, None, b"", tuple((f"__connect.errors.{name}", value) for name, value in headers))
    assert letter_of("ingest", record).id == "ingest/0/1"


@given(age_hours=st.integers(min_value=0, max_value=2_000))
def test_a_replay_keeps_its_moment_unless_its_topic_would_delete_it_unread(age_hours: int) -> None:
    now = 1_800_000_000_000
    letter = buried(Record("feedback.raw", 0, 1, now - age_hours * HOUR_MS, b"k", b"v"))
    at = timestamp_of(letter, RAW, now)
    assert at == (letter.original_ms if age_hours <= 168 - 24 else now)
    assert timestamp_of(letter, load_topics()["board.events"], now) == letter.original_ms


def test_feedback_without_a_moment_of_its_own_keeps_that_of_its_first_publication() -> None:
    letter = buried(Record("feedback.raw", 0, 1, 1_000, b"k", b"v"))
    replayed = Record("feedback.raw", 0, 90, 999_000, b"k", b"v", replayed_headers(letter, "replay-1"))
    assert Arrival.of(replayed) == Arrival("feedback.raw/0/90", 1_000_000)
