"""The ledger: one row per (idea as linked, release, person), with all that was tried and why nothing was sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from services.common.clock import Micros
from services.common.events import Alert, NotificationOutcome
from services.common.ids import make_id
from services.notifier.domain.board import NewAlert
from services.notifier.domain.letter import letter_of

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
    is_gone: bool = False
    """Whether the address turned out not to exist: it is not written to again until they give one anew."""


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
    """Whether the mail server was about to be asked and its answer is not known: a process died there. The mail may have gone out, so
    it is sent again, with the same Message-ID, whatever has changed since; and no other alert takes its place."""
    channel: str | None = None
    """Of the attempt that is being made, or was made last; no other may answer for it while ``trying``."""
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
        status_reason=made.release.reason,
    )
    return Row(
        alert=alert,
        sequence=made.sequence,
        ordinal=made.ordinal,
        partition=partition,
        state="pending" if direct else "deferred",
        attempt=1 if direct else 0,
        wanted_sequence=made.sequence,
        lane="" if direct else made.release.id,
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
        outcome=next((state for state in FINAL if state == outcome.outcome), "deferred"),
        reason=outcome.reason,
        attempt=outcome.attempt,
        at=outcome.occurred_at,
        origin=origin,
        channel=outcome.channel,
        message_id=outcome.message_id,
        contact_of=outcome.contact_person_id,
        is_gone=outcome.address_gone,
    )
    wanted_again = verdict.outcome == "suppressed" and row.wanted and row.wanted_sequence > row.sequence
    is_over = verdict.outcome != "deferred" and not wanted_again
    state: State = verdict.outcome if is_over else "deferred"
    letter = None if verdict.message_id is None else letter_of(verdict.message_id)
    due_at = None if is_over else HELD
    return replace(row, state=state, attempt=verdict.attempt, due_at=due_at, channel=verdict.channel, letter=letter, history=(verdict,))


def taken_up(row: Row, lease_until: Micros) -> Row:
    """Return a due *row* on its way through the outbox again; should its record go astray, it is due at *lease_until*."""
    attempt = row.attempt + 1 if row.state == "deferred" else row.attempt
    return replace(row, state="pending", attempt=attempt, due_at=lease_until)


def begun(row: Row, channel: str, letter: str) -> Row:
    """Return *row* about to be told by *channel* in *letter*."""
    return replace(row, trying=True, channel=channel, letter=letter)


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


def fallen_back(row: Row, verdict: Verdict, channel: str) -> Row:
    """Return *row*, for which *channel* does not work, due at once: the next one is tried."""
    return replace(
        row,
        state="deferred",
        due_at=verdict.at,
        trying=False,
        failed_channels=(*row.failed_channels, channel),
        failures=0,
        first_failed_at=None,
        history=(*row.history, verdict),
    )


def reported(row: Row, verdict: Verdict) -> Row:
    """Return *row*, which was told, with what was heard of its message since; numbered as an attempt of its own, as each word is."""
    return replace(row, state=verdict.outcome, attempt=verdict.attempt, history=(*row.history, verdict))


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
        contact_person_id=verdict.contact_of,
        address_gone=verdict.is_gone,
    )


def told_before(others: Sequence[Row]) -> Row | None:
    """Return the one of *others* (same family, same people) by which the person was told."""
    return next((other for other in others if other.state in TOLD), None)


def told_first(row: Row, others: Sequence[Row]) -> Row | None:
    """Return the one of *others* that is on its way and comes before *row*: one that may have gone out, else an older one.

    An order, so that two rows never wait for each other: that in which their board made them, and in which the outbox brings them.
    """
    mine = (row.sequence, row.ordinal)
    waiting = [other for other in others if other.state in ("pending", "deferred")]
    before = (other for other in waiting if other.trying or (other.wanted and (other.sequence, other.ordinal) < mine))
    return next(before, None)


def letters_told(rows: Iterable[Row]) -> Sequence[Micros]:
    """Return when each message of which *rows* tell left, whatever became of it later."""
    left: dict[str, Micros] = {}
    for row in rows:
        for verdict in row.history:
            if verdict.outcome in (*TOLD, "bounced") and verdict.message_id is not None:
                left[verdict.message_id] = min(verdict.at, left.get(verdict.message_id, verdict.at))
    return list(left.values())


def addresses_gone(rows: Iterable[Row], channel: str) -> Mapping[str, Micros]:
    """Return, by person, when an address of *channel* that they had given turned out not to exist."""
    gone: dict[str, Micros] = {}
    for row in rows:
        for verdict in row.history:
            if verdict.is_gone and verdict.channel == channel and verdict.contact_of is not None:
                gone[verdict.contact_of] = max(verdict.at, gone.get(verdict.contact_of, verdict.at))
    return gone
