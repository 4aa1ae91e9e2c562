"""What the outcomes of one batch come to: the records to publish, and how many ended how."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

from services.common.deadletter import RECORD_OVERHEAD_BYTES, SPARE_BYTES, bytes_of, dead_letter
from services.common.outcome import Drop, Emit, Outcome, Reject
from services.common.records import Output, Record


@dataclass(slots=True)
class Settled:
    """The outcomes of one batch of one topic, added up."""

    outputs: list[Output] = field(default_factory=list)
    """In the order of their records, dead letters among them."""
    rejected: list[tuple[Record, Reject]] = field(default_factory=list)
    emitted: int = 0
    dropped: int = 0


def settle(service: str, decided: Iterable[tuple[Record, Outcome]], max_output_bytes: int) -> Settled:
    """Add up *decided*; an output of more than *max_output_bytes*, which no broker would take, rejects its record instead."""
    settled = Settled()
    outputs = settled.outputs
    for record, outcome in decided:
        match outcome:
            case Emit(events):
                reject = _oversized(events, max_output_bytes)
                if reject is None:
                    outputs.extend(events)
                    settled.emitted += 1
                else:
                    _refuse(service, record, reject, settled, max_output_bytes)
            case Drop():
                settled.dropped += 1
            case Reject():
                _refuse(service, record, outcome, settled, max_output_bytes)
            case _ as never:
                assert_never(never)
    return settled


def _refuse(service: str, record: Record, reject: Reject, settled: Settled, max_output_bytes: int) -> None:
    settled.outputs.append(dead_letter(service, record, reject, max_bytes=max_output_bytes + SPARE_BYTES))
    settled.rejected.append((record, reject))


def _oversized(outputs: tuple[Output, ...], allowed: int) -> Reject | None:
    for output in outputs:
        size = len(output.value or b"") + len(output.key or b"") + RECORD_OVERHEAD_BYTES
        if output.headers:  # most have none, and this runs for each
            size = bytes_of(output.key, output.value, output.headers)
        if size > allowed:
            return Reject("oversized_output", f"its {output.topic} record has {size} bytes; {allowed} are allowed")
    return None
