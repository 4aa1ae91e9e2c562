"""Feedback: submitted, revised, retracted; a rating without a word is its author's answer, and no board's business."""

from __future__ import annotations

from dataclasses import replace

import orjson

from services.common import ids
from services.common.clock import Micros
from services.common.events import BoardEvent, PersonEvent
from services.common.outcome import Drop, Reject
from services.ingest.domain.identity import bind_rest, has_address, introduction, note_contact, resolve, tell_board, unannounced
from services.ingest.domain.inputs import Arrival, Feedback
from services.ingest.domain.ledger import Ledger
from services.ingest.domain.rows import Entry, Subject
from services.ingest.domain.verdict import Verdict, earlier

_ANSWER = "answer"


def decide_feedback(ledger: Ledger, given: Feedback, arrival: Arrival) -> Verdict:
    """Return what *given* becomes on its board, with what it tells of its author first."""
    at = arrival.at if given.occurred_at is None else given.occurred_at
    subject = ledger.subject(given.subject)
    known = earlier(subject, given, arrival)
    if not isinstance(known, Entry) and subject.entries and subject.entries[-1].place not in ("", given.board):
        known = Reject("conflict", "board: this id was published on another board; retract it there and use an id of its own here")
    if isinstance(known, Drop | Reject):
        # An attempt that another worker overtook may have bound aliases; nobody else would ever announce them.
        return unannounced(ledger, given, arrival, at) or known
    entry = _accepted(ledger, given, arrival, known, at)
    news = () if given.deleted else introduction(ledger, given, entry, arrival, at)
    if entry.kind == _ANSWER:
        return (*news, _answer(given, entry, arrival, at))
    return (*news, *(_joined(given, link, arrival, at) for link in entry.links), _event(given, entry, arrival, at))


def _accepted(ledger: Ledger, given: Feedback, arrival: Arrival, known: Entry | None, at: Micros) -> Entry:
    """Return the entry of *given*, and make what follows of it so; on a redelivery it may be so already."""
    subject = ledger.subject(given.subject)
    kind = _kind(given, subject)
    entry = known or Entry(given.order, arrival.origin, given.digest, kind, "" if kind == _ANSWER else given.board)
    if given.deleted:
        person_id = subject.entries[-1].person_id if known is None and subject.entries else entry.person_id
        entry = replace(entry, person_id=person_id)
    else:
        person_id = entry.person_id or _writer(ledger, given, arrival, subject)
        bind_rest(ledger, given.workspace, given.author, person_id, arrival)
        contact = note_contact(ledger, person_id, given.author, at)
        links = tell_board(ledger, ledger.person(person_id), given.board) if given.text is not None else ()
        if known is None:
            entry = replace(entry, person_id=person_id, contact=contact, links=links)
    if known is None:
        ledger.accept(given.subject, entry)
    return entry


def _kind(given: Feedback, subject: Subject) -> str:
    was_told = any(entry.kind != _ANSWER for entry in subject.entries)  # the board heard of it
    if given.deleted or (given.text is None and was_told):
        return "retracted"
    if given.text is None:
        return _ANSWER
    return "revised" if was_told else "submitted"


def _writer(ledger: Ledger, given: Feedback, arrival: Arrival, subject: Subject) -> str:
    """Return who wrote *given*; an edit that names nobody is by whoever wrote what it edits."""
    before = subject.entries[-1].person_id if subject.entries else None
    if before is not None and given.author.is_provisional:
        return before
    return resolve(ledger, given.workspace, given.author, arrival)


def _answer(given: Feedback, entry: Entry, arrival: Arrival, at: Micros) -> PersonEvent:
    rating = given.rating or 0.0
    return PersonEvent(
        event_id=ids.event_id(given.workspace, _ANSWER, given.subject, str(given.order)),
        type="answer",
        workspace=given.workspace,
        person_id=entry.person_id or "",
        source=given.source,
        occurred_at=at,
        ingested_at=arrival.at,
        origin=arrival.origin,
        name=f"{given.source}_score",
        answer_json=orjson.dumps(int(rating) if rating.is_integer() else rating).decode(),
        subject=given.subject,
        digest=given.digest,
        has_address=has_address(given.author),
        brings_contact=entry.contact,
        revision=given.order,
    )


def _event(given: Feedback, entry: Entry, arrival: Arrival, at: Micros) -> BoardEvent:
    return BoardEvent(
        event_id=ids.event_id(given.workspace, given.subject, str(given.order)),
        type=entry.kind,  # type: ignore[arg-type]  # stored as text; one of _kind's three
        workspace=given.workspace,
        board=given.board,
        source=given.source,
        occurred_at=at,
        ingested_at=arrival.at,
        origin=arrival.origin,
        feedback_id=given.subject,
        revision=given.order,
        external_id=given.external_id,
        person_id=entry.person_id,
        text=given.text,
        language=given.language,
        url=given.url,
        rating=given.rating,
        subject=given.subject,
        digest=given.digest,
        has_address=not given.deleted and has_address(given.author),
        brings_contact=entry.contact,
    )


def _joined(given: Feedback, link: tuple[str, str], arrival: Arrival, at: Micros) -> BoardEvent:
    """Return the news, for a board on which a joined person writes for the first time, that it is joined."""
    person_id, into = link
    return BoardEvent(
        event_id=ids.event_id(given.workspace, "joined", given.board, person_id, into, given.subject, str(given.order)),
        type="persons_joined",
        workspace=given.workspace,
        board=given.board,
        source=given.source,
        occurred_at=at,
        ingested_at=arrival.at,
        origin=arrival.origin,
        person_id=person_id,
        other_person_id=into,
        subject=given.subject,
        digest=given.digest,
    )
