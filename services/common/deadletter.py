"""Dead letters: the original key and bytes, untouched, with Kafka Connect's error headers. No personal data in them."""

from __future__ import annotations

from services.common.outcome import Reject
from services.common.records import Header, Output, Record

_ERRORS = "__connect.errors."
REPLAY = "groundswell.replay."
"""What the console adds to a record that it publishes again: ``id`` (of the replay), ``of`` (service/partition/offset of the dead letter),
``timestamp`` (milliseconds of the original)."""
SPARE_BYTES = 64 * 1024
"""How much larger than its source a dead letter may be, for the headers."""
_DETAIL_CHARACTERS = 8 * 1024
_TIMESTAMP_DIGITS = 15
RECORD_OVERHEAD_BYTES = 256
"""What the broker adds to a record at most, beside key, value and headers."""


def dead_letter(service: str, record: Record, reject: Reject, attempt: int = 1, *, max_bytes: int | None = None) -> Output:
    """Return the dead letter of *record*.

    One that would have more than *max_bytes*, which no broker would take, is made without key, bytes and headers of the original:
    they stay where they are, and ``left.bytes`` tells how many there are. Only a topic that takes more than we allow has such records.

    Headers that the record brought along are kept, except an older set of ours: a replayed letter that fails again tells of its
    latest failure, ``attempt`` counts on, and the replay's headers point back at the letter that it was made of.
    """
    earlier = {name: value for name, value in record.headers if name.startswith(_ERRORS)}
    attempts = _count(earlier.get(f"{_ERRORS}attempt")) + attempt
    kept = tuple(header for header in record.headers if not header[0].startswith(_ERRORS))
    ours: tuple[Header, ...] = (
        (f"{_ERRORS}topic", record.topic.encode()),
        (f"{_ERRORS}partition", str(record.partition).encode()),
        (f"{_ERRORS}offset", str(record.offset).encode()),
        (f"{_ERRORS}timestamp", str(original_timestamp(record)).encode()),
        (f"{_ERRORS}stage", b"VALUE_CONVERTER"),
        (f"{_ERRORS}exception.class.name", reject.reason.encode()),
        (f"{_ERRORS}exception.message", reject.detail[:_DETAIL_CHARACTERS].encode("utf-8", "replace")),
        (f"{_ERRORS}attempt", str(attempts).encode()),
        (f"{_ERRORS}service", service.encode()),
    )
    size = bytes_of(record.key, record.value, kept)
    if max_bytes is not None and size + bytes_of(None, None, ours) > max_bytes:
        return Output(topic_of(service), None, None, record.origin.encode(), (*ours, (f"{_ERRORS}left.bytes", str(size).encode())))
    return Output(topic_of(service), record.key, record.value, record.key or record.origin.encode(), (*kept, *ours))


def bytes_of(key: bytes | None, value: bytes | None, headers: tuple[Header, ...]) -> int:
    """Return how many bytes a record has on the broker, at most."""
    return len(key or b"") + len(value or b"") + sum(len(name) + len(told or b"") for name, told in headers) + RECORD_OVERHEAD_BYTES


def original_timestamp(record: Record) -> int:
    """Return when *record* was first published (milliseconds): a replay may carry a newer time, because old records are deleted soon."""
    for name, value in record.headers:
        if name == f"{REPLAY}timestamp" and value.isdigit() and len(value) <= _TIMESTAMP_DIGITS:
            return int(value)
    return record.timestamp_ms


def _count(header: bytes | None) -> int:
    """Read an attempt count; a foreign producer may have written anything there."""
    return int(header) if header is not None and header.isdigit() and len(header) < 10 else 0


def topic_of(service: str) -> str:
    """Return the name of a service's dead-letter topic."""
    return f"{service}.deadletter"
