"""The small things that all services rest on: ids, partitions, retries, dead letters, and what a batch comes to."""

from __future__ import annotations

import asyncio
import base64
import hashlib

import pytest
from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from services.common import ids
from services.common.crash import CrashMark, is_given_up, marks_for, runs_of
from services.common.deadletter import SPARE_BYTES, dead_letter
from services.common.errors import TransientError
from services.common.kafka import partition_of
from services.common.outcome import Drop, Emit, Outcome, Reject
from services.common.ports import Partition
from services.common.records import Output, Record
from services.common.retry import retrying
from services.common.settle import settle
from tests.support.memory import run_fast

_RECORD = Record("feedback.raw", 3, 17, 0, b"\xff key", b"\x00 bytes", (("trace", b"t"),))


@given(digest=st.binary(min_size=15, max_size=15))
def test_ids_are_in_base_32_as_the_standard_has_it(digest: bytes) -> None:
    assert ids._base32(digest) == base64.b32encode(digest).decode().lower()


@given(parts=st.lists(st.text() | st.text("ab\x1f0123456789"), max_size=4))
def test_ids_of_ascii_and_of_other_texts_are_made_by_one_rule(parts: list[str]) -> None:
    encoded = [part.encode("utf-8", "surrogatepass") for part in ("w", "kind", *parts)]
    said = b"".join(str(len(part)).encode() + b"\x1f" + part for part in encoded)
    digest = hashlib.blake2b(said, digest_size=15).digest()
    assert ids.make_id("w", "kind", *parts) == f"w:kind:{base64.b32encode(digest).decode().lower()}"


def test_ids_stay_what_they_were() -> None:
    """Ids are in stores and topics of running installations: a change here loses everything that they name."""
    assert ids.feedback_id("lumora", "email", "42") == "lumora:feedback:vgzjwmedjnxp7xblpo2yfike"
    assert ids.person_id("lumora", "email:ann@example.com") == "lumora:person:rdyqm5zl7ji6okkedonhdfbb"
    assert ids.decision_id("lumora", "product", 1) == "lumora:decision:n24qrfmg5q3bw2atdiqaqktg"


@given(parts=st.lists(st.text(), max_size=4), others=st.lists(st.text(), max_size=4))
def test_different_parts_never_share_an_id(parts: list[str], others: list[str]) -> None:
    same = ids.make_id("w", "kind", *parts) == ids.make_id("w", "kind", *others)
    assert same == (parts == others)


@given(text=st.text(min_size=1, max_size=20), cut=st.integers(0, 20), other=st.integers(0, 20))
def test_the_boundary_between_parts_counts(text: str, cut: int, other: int) -> None:
    cut, other = min(cut, len(text)), min(other, len(text))
    same = ids.make_id("w", "k", text[:cut], text[cut:]) == ids.make_id("w", "k", text[:other], text[other:])
    assert same == (cut == other)


@pytest.mark.parametrize(
    ("key", "java"),
    [  # org.apache.kafka.common.utils.UtilsTest
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_partitions_are_those_of_the_java_client(key: bytes, java: int) -> None:
    assert murmur2(key) & 0xFFFFFFFF == java & 0xFFFFFFFF
    assert partition_of(key, 12) == (java & 0x7FFFFFFF) % 12


@given(failures=st.integers(0, 200), budget=st.floats(0.5, 300))
def test_retries_end_with_the_budget_and_never_wait_longer_than_five_seconds(failures: int, budget: float) -> None:
    waits: list[float] = []
    left = [failures]

    async def call() -> str:
        if left[0]:
            left[0] -= 1
            raise TransientError("away")
        return "here"

    async def scenario() -> tuple[str, float]:
        loop = asyncio.get_running_loop()
        try:
            answer = await retrying(call, budget_seconds=budget, on_retry=lambda _, wait: waits.append(wait))
        except TransientError:
            answer = "gave up"
        return answer, loop.time()

    answer, spent = run_fast(scenario())
    assert spent <= budget
    assert all(wait <= min(5.0, 0.1 * 2**number) for number, wait in enumerate(waits))
    assert (answer == "here") == (left[0] == 0 and len(waits) == failures)


def test_what_is_no_transient_error_is_not_retried() -> None:
    calls: list[None] = []

    async def call() -> None:
        calls.append(None)
        raise KeyError

    with pytest.raises(KeyError):
        run_fast(retrying(call, budget_seconds=10, on_retry=lambda *_: None))
    assert len(calls) == 1


@given(
    value=st.binary() | st.none(),
    key=st.binary() | st.none(),
    headers=st.lists(st.tuples(st.sampled_from(["a", "__connect.errors.attempt", "__connect.errors.topic"]), st.binary())),
    detail=st.text(),
)
def test_a_dead_letter_keeps_key_value_and_foreign_headers_whatever_they_are(
    value: bytes | None, key: bytes | None, headers: list[tuple[str, bytes]], detail: str
) -> None:
    record = Record("t", 1, 2, 0, key, value, tuple(headers))
    letter = dead_letter("ingest", record, Reject("reason", detail))
    assert (letter.key, letter.value) == (key, value)
    assert [h for h in letter.headers if h[0] == "a"] == [h for h in headers if h[0] == "a"]
    assert [name for name, _ in letter.headers].count("__connect.errors.attempt") == 1
    assert int(dict(letter.headers)["__connect.errors.attempt"]) >= 1


def test_a_dead_letter_counts_its_attempts_and_stays_within_its_spare_bytes() -> None:
    first = dead_letter("ingest", _RECORD, Reject("reason", "é" * 100_000))
    again = Record("ingest.deadletter", 0, 0, 0, first.key, first.value, first.headers)
    second = dead_letter("ingest", again, Reject("reason", "x"))
    assert dict(second.headers)["__connect.errors.attempt"] == b"2"
    assert sum(len(name) + len(content) for name, content in first.headers) < SPARE_BYTES


def test_a_batch_comes_to_its_outputs_in_order_and_rejects_what_no_broker_would_take() -> None:
    small, large = Output("out", b"k", b"v", b"k"), Output("out", b"k", b"v" * 2000, b"k")
    headers = Output("out", None, None, b"k", (("h", b"x" * 2000),))
    decided: list[Outcome] = [Emit((small,)), Drop("repeat"), Emit((small, large)), Reject("reason", "detail"), Emit(()), Emit((headers,))]
    settled = settle("ingest", [(_RECORD, outcome) for outcome in decided], 1000)
    assert [output.topic for output in settled.outputs] == ["out", "ingest.deadletter", "ingest.deadletter", "ingest.deadletter"]
    assert [reject.reason for _, reject in settled.rejected] == ["oversized_output", "reason", "oversized_output"]
    assert (settled.emitted, settled.dropped) == (2, 1)


@pytest.mark.parametrize("where", ["key", "value", "headers"])
@pytest.mark.parametrize("over", [0, 1])
def test_no_dead_letter_is_larger_than_its_topic_takes(where: str, over: int) -> None:
    """A topic of somebody else's may take records of any size; a letter that no broker takes would be a record that blocks for ever."""
    allowed = 1024 * 1024
    empty = Record("feedback.raw", 3, 17, 0, b"", b"", (("h", b""),))
    [letter] = settle("ingest", [(empty, Reject("r", "d"))], allowed).outputs
    room = allowed + SPARE_BYTES - 2 * 256 - sum(len(name) + len(value) for name, value in letter.headers)
    much = b"x" * (room + over)
    parts = {"key": b"", "value": b"", "headers": (("h", b""),)} | {where: (("h", much),) if where == "headers" else much}
    record = Record("feedback.raw", 3, 17, 0, **parts)  # type: ignore[arg-type]  # of the right types, by name
    [letter] = settle("ingest", [(record, Reject("r", "d"))], allowed).outputs
    told = dict(letter.headers)
    assert told["__connect.errors.topic"] == b"feedback.raw"
    assert ("__connect.errors.left.bytes" in told) == bool(over)
    assert sum(map(len, (letter.key or b"", letter.value or b"", *told, *told.values()))) <= allowed + SPARE_BYTES


def _in_hand(**offsets: list[int]) -> list[Record]:
    return [Record(topic, 0, offset, 0, None, None) for topic, column in offsets.items() for offset in column]


def test_marks_count_deaths_only_at_a_record_alone() -> None:
    assert marks_for(_in_hand(t=[5, 9], u=[3]), {}) == [CrashMark("t", 0, 5, 9, 9, 0), CrashMark("u", 0, 3, 3, 3, 0)]
    known: dict[Partition, CrashMark] = {("t", 0): CrashMark("t", 0, 5, 9, 20, 0)}
    deaths = []
    for _ in range(3):
        [known["t", 0]] = marks_for(_in_hand(t=[5]), known)
        deaths.append(is_given_up(known["t", 0], 5))
    assert deaths == [False, False, True]
    assert known["t", 0] == CrashMark("t", 0, 5, 5, 20, 3)
    assert not is_given_up(known["t", 0], 6)
    assert marks_for(_in_hand(t=[7]), known) == [CrashMark("t", 0, 7, 7, 20, 1)]
    assert marks_for(_in_hand(t=[5, 6]), known) == [CrashMark("t", 0, 5, 6, 20, 0)]


def test_what_is_suspected_is_cut_into_eight_and_few_go_one_by_one() -> None:
    marks = {("t", 0): CrashMark("t", 0, 10, 25, 40, 0), ("u", 0): CrashMark("u", 0, 7, 7, 9, 2)}
    runs, others = runs_of(_in_hand(t=[*range(10, 42)], u=[7, 8, 9], v=[1]), marks)
    assert [[(r.topic, r.offset) for r in run] for run in runs] == [
        [("u", 7)],
        *[[("t", 10 + 2 * pair), ("t", 11 + 2 * pair)] for pair in range(15)],
        [("t", 40)],
        [("u", 8)],
        [("u", 9)],
    ]
    assert others == _in_hand(t=[41], v=[1])
