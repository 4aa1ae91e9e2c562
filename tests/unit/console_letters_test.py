"""Dead letters: what their headers say, and that a replay counts on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.common.deadletter import dead_letter
from services.common.outcome import Reject
from services.common.records import Record
from services.console.letters import letter_of

BYTES = st.one_of(st.none(), st.binary(max_size=64))


@given(key=BYTES, value=BYTES, times=st.integers(min_value=1, max_value=4))
def test_a_letter_tells_its_original_and_how_often_it_failed(key: bytes | None, value: bytes | None, times: int) -> None:
    record = Record("feedback.raw", 3, 17, 5, key, value, (("trace", b"t"),))
    for _ in range(times):
        buried = dead_letter("ingest", record, Reject("not_json", "line 1 is not JSON"))
        record = Record("feedback.raw", 3, 17, 5, buried.key, buried.value, buried.headers)
    letter = letter_of("ingest", Record("ingest.deadletter", 1, 9, 6, buried.key, buried.value, buried.headers))
    assert ("feedback.raw/3/17", "ingest/1/9", "not_json", "line 1 is not JSON", times) == (
        letter.original,
        letter.id,
        letter.reason,
        letter.detail,
        letter.attempt,
    )
    assert (key, value) == (letter.key, letter.value)
    assert ("trace", b"t") in letter.headers
