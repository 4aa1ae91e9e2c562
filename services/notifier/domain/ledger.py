"""The ledger: one row per (idea as linked, release, person), with all that was tried and why nothing was sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from services.common.clock import Micros
from services.common.events import Alert, NotificationOutcome
from services.common.ids import make_id
from services.notifier.domain.board import NewAlert

DIRECT_ALERTS = 500
"""So many alerts of one decision are published with it. The rest become due rows, which the people's own workers take up in their
turn: an idea with very many requesters neither fills a worker's memory nor holds up the others."""

OUTBOX_KEEPS: Micros = 168 * 3_600_000_000
"""So long the outbox keeps a record (``schemas/topics/notifications.outbox.yaml``). An alert that is still pending then was never read."""

HELD: Micros = 2**62
"""When a rebuilt row is due: not before its partition is assigned, when everything that was said of it has been read."""

State: TypeAlias = Literal["pending", "sent", "deferred", "failed", "opted_out", "unreachable", "already_told", "suppressed"]
_FINAL: tuple[State, ...] = ("sent", "failed", "opted_out", "unreachable", "already_told", "suppressed")


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
    due_at: Micros | None = None
    """When a deferred row is looked at again, or a pending one whose outbox record went astray or expired; None where nothing is due."""
    trying: bool = False
    """Whether the mail server was about to be asked and its answer is not known: a process died there. The mail may have gone out, so
    it is sent again, with the same Message-ID, whatever has changed since; and no other alert takes its place."""
    failures: int = 0
    first_failed_at: Micros | None = None
    history: tuple[Verdict, ...] = ()

    @property
    def alert_id(self) -> str:
        """Return the alert's id."""
        return self.alert.alert_id

    @property
    def direct(self) -> bool:
        """Tell whether it was published with the decision that made it."""
        return self.ordinal < DIRECT_ALERTS

    def verdicts_since(self, origin: str) -> tuple[Verdict, ...]:
        """Return what became of the outbox record *origin*, if it was acted on, and of those after it.

        Published again together, so that the last word of an alert is the last in its log, whatever is read again.
        """
        places = [place for place, verdict in enumerate(self.history) if verdict.origin == origin]
        return self.history[places[0] :] if places else ()


def new_row(made: NewAlert, workspace: str, board: str, quote: str, partition: int) -> Row:
    """Return the row of an alert that was just made."""
    direct = made.ordinal < DIRECT_ALERTS
    alert = Alert(
        alert_id=made.alert_id,
        workspace=workspace,
        board=board,
        person_id=made.person,
        idea_id=made.idea,
        root_id=made.root,
        feedback_id=made.feedback,
        status=made.release.status,
        title=made.title,
        quote=quote,
        attempt=1,
        created_at=made.at,
        release_id=made.release.id,
        release_name=made.release.name,
        release_url=made.release.url,
    )
    return Row(
        alert=alert,
        sequence=made.sequence,
        ordinal=made.ordinal,
        partition=partition,
        state="pending" if direct else "deferred",
        attempt=1 if direct else 0,
        wanted_sequence=made.sequence,
        due_at=made.at + OUTBOX_KEEPS if direct else made.at,
    )


def rebuilt(row: Row) -> Row:
    """Return *row*, made anew for a store that is new: what became of it is not known yet."""
    return replace(row, state="deferred", attempt=0, due_at=HELD)


def recalled(row: Row, outcome: NotificationOutcome, origin: str) -> Row:
    """Return a rebuilt *row* with what its log says; *row* itself where it knows that already.

    A mail that was on its way when the store went has left no word: it is sent again, with the same Message-ID.

    Args:
        row: Rebuilt.
        outcome: Of this alert.
        origin: Of the log's record.
    """
    if outcome.attempt <= row.attempt:
        return row
    verdict = Verdict(
        outcome=next((state for state in _FINAL if state == outcome.outcome), "deferred"),
        reason=outcome.reason,
        attempt=outcome.attempt,
        at=outcome.occurred_at,
        origin=origin,
        channel=outcome.channel,
        message_id=outcome.message_id,
    )
    wanted_again = verdict.outcome == "suppressed" and row.wanted and row.wanted_sequence > row.sequence
    is_over = verdict.outcome != "deferred" and not wanted_again
    state: State = verdict.outcome if is_over else "deferred"
    return replace(row, state=state, attempt=verdict.attempt, due_at=None if is_over else HELD, history=(verdict,))


def taken_up(row: Row, lease_until: Micros) -> Row:
    """Return a due *row* on its way through the outbox again; should its record go astray, it is due at *lease_until*."""
    attempt = row.attempt + 1 if row.state == "deferred" else row.attempt
    return replace(row, state="pending", attempt=attempt, due_at=lease_until)


def settled(row: Row, verdict: Verdict) -> Row:
    """Return *row* with its final *verdict*."""
    answered = verdict.outcome in ("sent", "failed")
    return replace(row, state=verdict.outcome, due_at=None, trying=row.trying and not answered, history=(*row.history, verdict))


def deferred(row: Row, verdict: Verdict, due_at: Micros, *, failed: bool) -> Row:
    """Return *row* put off until *due_at*; *failed* counts against its retry schedule.

    A mail that may have gone out before a process died may still have: that the server refuses it today tells nothing of then.
    """
    return replace(
        row,
        state="deferred",
        due_at=due_at,
        failures=row.failures + int(failed),
        first_failed_at=row.first_failed_at if row.first_failed_at is not None or not failed else verdict.at,
        history=(*row.history, verdict),
    )


def outcome_of(row: Row, verdict: Verdict) -> NotificationOutcome:
    """Return *verdict* as it is published."""
    alert = row.alert
    return NotificationOutcome(
        outcome_id=make_id(alert.workspace, "outcome", alert.alert_id, str(verdict.attempt)),
        alert_id=alert.alert_id,
        workspace=alert.workspace,
        board=alert.board,
        person_id=alert.person_id,
        idea_id=alert.idea_id,
        root_id=alert.root_id,
        release_id=alert.release_id,
        outcome=verdict.outcome,
        reason=verdict.reason,
        attempt=verdict.attempt,
        occurred_at=verdict.at,
        channel=verdict.channel,
        message_id=verdict.message_id,
    )


def told_before(others: Sequence[Row]) -> Row | None:
    """Return the one of *others* (same family, same people) by which the person was told."""
    return next((other for other in others if other.state == "sent"), None)


def told_first(row: Row, others: Sequence[Row]) -> Row | None:
    """Return the one of *others* that is on its way and comes before *row*: one that may have gone out, else an older one.

    An order, so that two rows never wait for each other: that in which their board made them, and in which the outbox brings them.
    """
    mine = (row.sequence, row.ordinal)
    waiting = [other for other in others if other.state in ("pending", "deferred")]
    before = (other for other in waiting if other.trying or (other.wanted and (other.sequence, other.ordinal) < mine))
    return next(before, None)
