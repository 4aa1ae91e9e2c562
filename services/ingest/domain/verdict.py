"""The one law of what comes twice, late, or differently."""

from __future__ import annotations

from typing import TypeAlias

from services.common.events import Event
from services.common.outcome import Drop, Reject
from services.ingest.domain.inputs import Arrival, Input
from services.ingest.domain.rows import Entry, Subject

Verdict: TypeAlias = tuple[Event, ...] | Drop | Reject
"""The events that a record becomes, or why it becomes none."""

STALE = Drop("stale")
REPEAT = Drop("repeat")
IGNORED = Drop("ignored")


def earlier(subject: Subject, given: Input, arrival: Arrival) -> Entry | Drop | Reject | None:
    """Return what is known of *given* already, or None where it is news.

    - The same origin: it is a redelivery; its entry, so that the same outputs can be made again.
    - The same order with the same content: it was published again, and is dropped. With another content it is a conflict.
    - A lower order than the newest: it is stale.
    """
    newest = None
    for entry in subject.entries:
        if entry.origin == arrival.origin:
            return entry
        if entry.order == given.order:
            newest = entry
    if newest is not None:
        return REPEAT if newest.digest == given.digest else _conflict(given)
    if subject.entries and given.order < subject.entries[-1].order:
        return STALE
    return None


def _conflict(given: Input) -> Reject:
    return Reject(
        "conflict",
        f"{given.source}: its id and version were published before with another content; "
        "a changed record needs a higher revision or a later updated_at, another record an id of its own",
    )
