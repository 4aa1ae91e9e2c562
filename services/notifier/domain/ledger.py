"""The ledger: one row per (idea as linked, release, person), with all that was tried and why nothing was sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from services.common.clock import Micros
from services.common.events import Alert, NotificationOutcome
from services.common.ids import make_id
from services.common.values import altered
from services.notifier.domain.board import NewAlert
from services.notifier.domain.letter import letter_of
from services.notifier.domain.row import FINAL, HELD, OUTBOX_KEEPS, TOLD, Row, State, Verdict, is_direct

_MADE = "made"
"""The origin of a row's first word, which no record of the outbox brought."""


def new_row(made: NewAlert, workspace: str, board: str, quote: str, partition: int) -> Row:
    """Return the row of an alert that was just made."""
    direct = is_direct(made.ordinal)
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
        history=(Verdict(outcome="pending", reason="they asked for it, and it is to be told", attempt=0, at=made.at, origin=_MADE),),
    )


def rebuilt(row: Row) -> Row:
    """Return *row*, made anew for a store that is new: what became of it is not known yet."""
    return altered(row, state="deferred", attempt=0, due_at=HELD)


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
        may_have_arrived=outcome.may_have_arrived,
    )
    wanted_again = verdict.outcome == "suppressed" and row.wanted and row.wanted_sequence > row.sequence
    is_over = verdict.outcome != "deferred" and not wanted_again
    state: State = verdict.outcome if is_over else "deferred"
    letter = None if verdict.message_id is None else letter_of(verdict.message_id)
    due_at = None if is_over else HELD
    return altered(
        row,
        state=state,
        attempt=verdict.attempt,
        due_at=due_at,
        channel=verdict.channel,
        letter=letter,
        doubted=verdict.may_have_arrived,
        history=(row.history[0], verdict),
    )


def taken_up(row: Row, lease_until: Micros) -> Row:
    """Return a due *row* on its way through the outbox again; should its record go astray, it is due at *lease_until*."""
    attempt = row.attempt + 1 if row.state == "deferred" else row.attempt
    return altered(row, state="pending", attempt=attempt, due_at=lease_until)


def begun(row: Row, channel: str, letter: str) -> Row:
    """Return *row* about to be told by *channel* in *letter*."""
    return altered(row, trying=True, channel=channel, letter=letter)


def settled(row: Row, verdict: Verdict, **told: str) -> Row:
    """Return *row* with its final *verdict*; *told* are the channel and the letter by which it was told."""
    doubted = row.may_have_left and verdict.outcome != "sent"
    history = (*row.history, altered(verdict, may_have_arrived=True) if doubted else verdict)
    return altered(row, state=verdict.outcome, due_at=None, trying=False, doubted=doubted, history=history, **told)


def deferred(row: Row, verdict: Verdict, due_at: Micros, *, failed: bool) -> Row:
    """Return *row* put off until *due_at*; *failed* counts against its retry schedule.

    A message that may have gone out before still may: that it is refused today tells nothing of then.
    """
    return altered(
        row,
        state="deferred",
        due_at=due_at,
        trying=False,
        doubted=row.may_have_left,
        failures=row.failures + int(failed),
        first_failed_at=row.first_failed_at if row.first_failed_at is not None or not failed else verdict.at,
        history=(*row.history, altered(verdict, may_have_arrived=row.may_have_left)),
    )


def fallen_back(row: Row, verdict: Verdict, channel: str) -> Row:
    """Return *row*, for which *channel* does not work, due at once: the next one is tried."""
    return altered(
        row,
        state="deferred",
        due_at=verdict.at,
        trying=False,
        failed_channels=(*row.failed_channels, channel),
        failures=0,
        first_failed_at=None,
        history=(*row.history, verdict),
    )


def woken(row: Row, channel: str, due_at: Micros) -> Row:
    """Return *row*, which *channel* had failed, due again: they have given another address of it."""
    others = tuple(name for name in row.failed_channels if name != channel)
    return altered(row, state="deferred", due_at=due_at, failed_channels=others, failures=0, first_failed_at=None)


def reported(row: Row, verdict: Verdict) -> Row:
    """Return *row*, which was told, with what was heard of its message since; numbered as an attempt of its own, as each word is."""
    return altered(row, state=verdict.outcome, attempt=verdict.attempt, history=(*row.history, verdict))


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
        may_have_arrived=verdict.may_have_arrived,
    )


def told_before(others: Sequence[Row]) -> Row | None:
    """Return the one of *others* (same family, same people) by which the person was told, or may have been: nobody will know."""
    return next((other for other in others if other.state in TOLD or (other.doubted and other.state in FINAL)), None)


def told_first(row: Row, others: Sequence[Row]) -> Row | None:
    """Return the one of *others* that is on its way and comes before *row*: one that may have gone out, else an older one.

    An order, so that two rows never wait for each other: that in which their board made them, and in which the outbox brings them.
    """
    mine = (row.sequence, row.ordinal)
    waiting = [other for other in others if other.state in ("pending", "deferred")]
    before = (other for other in waiting if other.may_have_left or (other.wanted and (other.sequence, other.ordinal) < mine))
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
