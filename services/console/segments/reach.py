"""Who can be told anything."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from services.common.clock import Micros
from services.common.events import PersonEvent


def reachable(events: Sequence[PersonEvent], human: Callable[[str], str]) -> set[str]:
    """Return the humans who have an address and have not opted out of everything."""
    refused: dict[tuple[str, str | None], tuple[Micros, bool]] = {}
    contacts: defaultdict[str, set[str]] = defaultdict(set)
    for event in events:
        if event.type == "contact" and event.channel:
            contacts[human(event.person_id)].add(event.channel)
        elif event.type == "preference" and event.idea_id is None:
            key = (human(event.person_id), event.channel)
            if key not in refused or refused[key][0] <= event.occurred_at:
                refused[key] = (event.occurred_at, bool(event.opted_out))
    return {
        person_id
        for person_id, channels in contacts.items()
        if not refused.get((person_id, None), (0, False))[1]
        and any(not refused.get((person_id, channel), (0, False))[1] for channel in channels)
    }
