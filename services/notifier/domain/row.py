"""One alert's row: what is kept of it, and every word that was said of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from services.common.clock import Micros
from services.common.events import Alert

DIRECT_ALERTS = 500
"""So many alerts of one decision are published with it. The rest become due rows, which the people's own workers take up in their
turn: an idea with very many requesters neither fills a worker's memory nor holds up the others."""

OUTBOX_KEEPS: Micros = 168 * 3_600_000_000
"""So long the outbox keeps a record (``schemas/topics/notifications.outbox.yaml``). An alert that is still pending then was never read."""

HELD: Micros = 2**62
"""When a rebuilt row is due: not before its partition is assigned, when everything that was said of it has been read."""

State: TypeAlias = Literal[
    "pending", "sent", "delivered", "bounced", "deferred", "failed", "opted_out", "unreachable", "already_told", "suppressed"
]
TOLD: tuple[State, ...] = ("sent", "delivered")
FINAL: tuple[State, ...] = ("sent", "delivered", "bounced", "failed", "opted_out", "unreachable", "already_told", "suppressed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of one attempt, kept so that a redelivery of the alert tells the same again."""

    outcome: State
    reason: str
    attempt: int
    at: Micros
    origin: str
    """Of the outbox record that was acted on."""
    channel: str | None = None
    message_id: str | None = None
    contact_of: str | None = None
    """Whose contact was written to; None where nobody was."""
    contact_at: Micros | None = None
    """When that contact was given, as far as it is known."""
    is_gone: bool = False
    """Whether the address turned out not to exist: it is not written to again until they give one anew."""
    may_have_arrived: bool = False
    """Whether a message may have reached them although no answer to it ever came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One alert's row. *pending*: attempt number ``attempt`` is on its way through the outbox. *deferred*: due again at ``due_at``."""

    alert: Alert
    """As it was first made."""
    sequence: int
    """Of the decision that made it."""
    ordinal: int
    """Its place among the alerts that this decision made, from 0."""
    partition: int
    """The outbox partition of the person."""
    state: State
    attempt: int
    wanted_sequence: int
    """Of the decision that last said whether the alert is wanted."""
    wanted: bool = True
    lane: str = ""
    """Rows of a lane are taken up in their turn, whatever waits in the others: those of one release to very many people have their own."""
    due_at: Micros | None = None
    """When a deferred row is looked at again, or a pending one whose outbox record went astray or expired; None where nothing is due."""
    trying: bool = False
    """Whether the other side was about to be asked and its answer is not known: a process died there. The message may have gone out, so
    it is sent again, under the same id, whatever has changed since; and no other alert takes its place."""
    doubted: bool = False
    """Whether a message by ``channel`` may have arrived although no answer to it ever came. It is sent again by that channel, under the
    same id, or not at all: no other channel and no other alert takes its place, whatever is said of further attempts."""
    channel: str | None = None
    """Of the attempt that is being made, or was made last; no other may answer for it while ``trying`` or ``doubted``."""
    letter: str | None = None
    """The message of that attempt (``domain.letter``), which may tell of other rows too."""
    failed_channels: tuple[str, ...] = ()
    """They did not work for this alert and are not tried again."""
    failures: int = 0
    """Of the present channel."""
    first_failed_at: Micros | None = None
    history: tuple[Verdict, ...] = ()

    @property
    def alert_id(self) -> str:
        """Return the alert's id."""
        return self.alert.alert_id

    @property
    def direct(self) -> bool:
        """Tell whether it was published with the decision that made it."""
        return is_direct(self.ordinal)

    @property
    def may_have_left(self) -> bool:
        """Tell whether a message may have gone out of which nothing was heard."""
        return self.trying or self.doubted

    @property
    def looked_at(self) -> Micros | None:
        """Return when it was first looked at; None where it was not yet."""
        return next((verdict.at for verdict in self.history if verdict.outcome != "pending"), None)

    def verdicts_since(self, origin: str) -> tuple[Verdict, ...]:
        """Return what became of the outbox record *origin*, if it was acted on, and of those after it.

        Published again together, so that the last word of an alert is the last in its log, whatever is read again.
        """
        places = [place for place, verdict in enumerate(self.history) if verdict.origin == origin]
        return self.history[places[0] :] if places else ()


def is_direct(ordinal: int) -> bool:
    """Tell whether the alert at this place among those of a decision is published with it."""
    return ordinal < DIRECT_ALERTS
