"""Commands and statuses of ideas, on their way into the board's order. Whether they can be obeyed is dedup's to say."""

from __future__ import annotations

from services.common import ids
from services.common.events import BoardEvent
from services.common.outcome import Drop, Reject
from services.ingest.domain.inputs import Arrival, IdeaCommand, IdeaStatus
from services.ingest.domain.ledger import Ledger
from services.ingest.domain.rows import Entry
from services.ingest.domain.verdict import Verdict, earlier


def decide_idea_command(ledger: Ledger, given: IdeaCommand, arrival: Arrival) -> Verdict:
    """Return the command as an event of its board."""
    known = earlier(ledger.subject(given.subject), given, arrival)
    if isinstance(known, Drop | Reject):
        return known
    if known is None:
        ledger.accept(given.subject, Entry(given.order, arrival.origin, given.digest, "commanded"))
    event = BoardEvent(
        event_id=ids.event_id(given.workspace, given.subject),
        type="commanded",
        workspace=given.workspace,
        board=given.board,
        source=given.source,
        occurred_at=arrival.at,
        ingested_at=arrival.at,
        origin=arrival.origin,
        feedback_id=given.feedback_id,
        command=given.command,
        actor=given.actor,
        idea_id=given.idea_id,
        other_idea_id=given.other_idea_id,
        title=given.title,
        undone_event_id=given.undone_event_id,
        subject=given.subject,
        digest=given.digest,
    )
    return (event,)


def decide_idea_status(ledger: Ledger, given: IdeaStatus, arrival: Arrival) -> Verdict:
    """Return the status as an event of its board, unless a newer one of the same idea and release is known."""
    known = earlier(ledger.subject(given.subject), given, arrival)
    if isinstance(known, Drop | Reject):
        return known
    if known is None:
        ledger.accept(given.subject, Entry(given.order, arrival.origin, given.digest, "status_changed"))
    event = BoardEvent(
        event_id=ids.event_id(given.workspace, given.subject, str(given.order)),
        type="status_changed",
        workspace=given.workspace,
        board=given.board,
        source=given.source,
        occurred_at=given.order,
        ingested_at=arrival.at,
        origin=arrival.origin,
        idea_id=given.idea_id,
        status=given.status,
        reason=given.reason,
        release_id=given.release_id,
        release_name=given.release_name,
        release_url=given.release_url,
        subject=given.subject,
        digest=given.digest,
    )
    return (event,)
