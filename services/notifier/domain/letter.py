"""What one message tells one person: an alert, or several at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from services.common.clock import Micros
from services.common.events import Alert
from services.common.ids import make_id

_ID = re.compile(r"(?<![a-z2-7])[a-z2-7]{24}(?![a-z2-7])")


@dataclass(frozen=True, slots=True)
class Letter:
    """What is told to one person by one message, whatever the channel."""

    id: str
    """24 characters of a-z and 2-7 that tell nothing: names the message on every channel, the same with every attempt."""
    address: str
    alerts: Sequence[Alert]
    """At least one, in the order in which they were made; several make a digest."""
    written_at: Micros
    """When it was written to be sent: a digest of last week's news is a letter of today."""
    language: str | None = None
    """The person's, as far as it is known: ``de``, ``pt-BR``."""
    segments: Sequence[str] = ()
    """The person's: ``scheme=segment``."""

    @property
    def is_digest(self) -> bool:
        """Tell whether it tells of more than one alert."""
        return len(self.alerts) > 1


def letter_id(alerts: Sequence[Alert]) -> str:
    """Return the id of the letter that tells of *alerts*: the alert's own where it is one."""
    if len(alerts) == 1:
        return digest_of(alerts[0].alert_id)
    return digest_of(make_id(alerts[0].workspace, "letter", *sorted(alert.alert_id for alert in alerts)))


def letter_of(message_id: str) -> str:
    """Return the id of the letter that a channel calls *message_id*: the longest run that could be one, whatever is around it."""
    runs = _ID.findall(message_id)
    return runs[0] if runs else message_id


def digest_of(alert_id: str) -> str:
    """Return the part of *alert_id* that names it and tells nothing: 24 characters of a-z and 2-7."""
    return alert_id.rsplit(":", 1)[-1]
