"""Texts that are likely to come next: encoded in the background, each part behind whoever needs a vector now."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from services.common.events import BoardEvent
from services.common.records import Record
from services.dedup.coming import Coming
from tests.fakes_dedup import CODEC, FakeEncoder, submitted


class Queue(Executor):
    """Work that waits until it is told to be done."""

    def __init__(self) -> None:
        self.waiting: deque[Callable[[], object]] = deque()

    def submit(self, work: Any, /, *given: Any, **named: Any) -> Future[Any]:
        self.waiting.append(lambda: work(*given, **named))
        return Future()

    def go_on(self) -> None:
        """Do the first piece of work."""
        self.waiting.popleft()()


def _record(number: int, event: BoardEvent | None) -> Record:
    return Record(BoardEvent.TOPIC, 0, number, 0, b"key", b"no event" if event is None else CODEC.output(event).value)


def _coming(encoder: FakeEncoder, queue: Queue, known: frozenset[str] = frozenset()) -> Coming:
    return Coming(encoder, queue, CODEC.optional_decoder(BoardEvent), lambda event: event.text not in known)


def test_new_texts_are_encoded_part_by_part_and_others_get_their_turn() -> None:
    encoder, queue = FakeEncoder(), Queue()
    texts = [f"text {number}" for number in range(70)]
    _coming(encoder, queue, frozenset({"text 3"})).glance([_record(number, submitted(number, text)) for number, text in enumerate(texts)])
    queue.submit(encoder.encode, ["needed now"])
    while queue.waiting:
        queue.go_on()
    ahead = [text for text in texts if text != "text 3"]
    assert encoder.encoded == [*ahead[:32], "needed now", *ahead[32:]]


def test_what_cannot_be_read_is_passed_over() -> None:
    encoder, queue = FakeEncoder(), Queue()
    _coming(encoder, queue).glance(
        [_record(0, None), Record(BoardEvent.TOPIC, 0, 1, 0, b"key", None), _record(2, submitted(2, "dark mode"))]
    )
    queue.go_on()
    assert encoder.encoded == ["dark mode"]


def test_newer_records_take_the_place_of_older_ones_and_nothing_is_encoded_of_what_is_forgotten() -> None:
    encoder, queue = FakeEncoder(), Queue()
    coming = _coming(encoder, queue)
    coming.glance([_record(0, submitted(0, "dark mode"))])
    coming.glance([_record(1, submitted(1, "export to pdf"))])
    coming.glance([_record(2, submitted(2, "offline"))])
    queue.go_on()
    queue.go_on()
    assert encoder.encoded == []
    coming.forget()
    queue.go_on()
    assert encoder.encoded == []
