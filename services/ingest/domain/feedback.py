"""Feedback: submitted, revised, retracted, in one part or several.

A rating without a word is its author's answer, and praise outside a thread is something that its author did: neither is a board's
business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from services.common import ids
from services.common.clock import Micros
from services.common.events import BoardEvent, PersonEvent
from services.common.outcome import Drop, Reject
from services.common.values import maker
from services.ingest.domain.identity import bind_rest, has_address, introduction, note_contact, resolve, tell_board, unannounced
from services.ingest.domain.inputs import Arrival, Feedback
from services.ingest.domain.ledger import Ledger
from services.ingest.domain.rows import Entry, Subject
from services.ingest.domain.verdict import Verdict, earlier

_ANSWER, _PRAISE = "answer", "praise"
_OF_A_PERSON = (_ANSWER, _PRAISE)
_ENTRY, _BOARD_EVENT = maker(Entry), maker(BoardEvent)


def decide_feedback(ledger: Ledger, given: Feedback, arrival: Arrival) -> Verdict:
    """Return what *given* becomes on its board, with what it tells of its author first."""
    at = arrival.at if given.occurred_at is None else given.occurred_at
    subject = ledger.subject(given.subject)
    known = earlier(subject, given, arrival)
    if not isinstance(known, Entry) and subject.entries and subject.entries[-1].place not in ("", given.board):
        known = Reject("conflict", "board: this id was published on another board; retract it there and use an id of its own here")
    if not isinstance(known, Entry | Reject) and _is_someone_elses(subject, given):
        known = Reject("conflict", "author: this id is of a piece that somebody else wrote; another author's needs an id of its own")
    if isinstance(known, Drop | Reject):
        # An attempt that another worker overtook may have bound aliases; nobody else would ever announce them.
        return unannounced(ledger, given, arrival, at) or known
    entry = _accepted(ledger, given, arrival, known, at)
    news = () if given.deleted else introduction(ledger, given, entry, arrival, at)
    if entry.kind in _OF_A_PERSON:
        return (*news, _of_person(given, entry, arrival, at))
    return (*news, *(_joined(given, link, arrival, at) for link in entry.links), *_events(given, entry, arrival, at))


def _is_someone_elses(subject: Subject, given: Feedback) -> bool:
    """Tell whether nobody who signed an earlier revision signed this one. Only what a board was told counts; deletions are unsigned."""
    before = {author for entry in subject.entries if entry.order < given.order for author in entry.authors}
    signed = given.author.digests(given.workspace) if before and not given.deleted else ()
    return bool(signed) and before.isdisjoint(signed)


def _accepted(ledger: Ledger, given: Feedback, arrival: Arrival, known: Entry | None, at: Micros) -> Entry:
    """Return the entry of *given*, and make what follows of it so; on a redelivery it may be so already."""
    subject = ledger.subject(given.subject)
    found = _told_by_author(ledger, given, arrival, None if known is None else known.person_id, at)
    if known is not None:
        return known
    entry = _entry(given, arrival, subject, found)
    ledger.accept(given.subject, entry)
    return entry


def _told_by_author(ledger: Ledger, given: Feedback, arrival: Arrival, person_id: str | None, at: Micros) -> dict[str, Any]:
    """Return those fields of an entry that its author, *person_id* if it is known, gives it, and make what follows of it so."""
    subject = ledger.subject(given.subject)
    if given.deleted:
        return {"person_id": subject.entries[-1].person_id if subject.entries else None}
    person_id = person_id or _writer(ledger, given, arrival, subject)
    bind_rest(ledger, given.workspace, given.author, person_id, arrival)
    contact = note_contact(ledger, person_id, given.author, at)
    links = tell_board(ledger, ledger.person(person_id), given.board) if _speaks(given) else ()
    return {"person_id": person_id, "contact": contact, "links": links}


def _entry(given: Feedback, arrival: Arrival, subject: Subject, found: Mapping[str, Any]) -> Entry:
    kind = _kind(given, subject)
    if kind in _OF_A_PERSON:
        return _ENTRY(order=given.order, origin=arrival.origin, digest=given.digest, kind=kind, **found)
    return _ENTRY(
        order=given.order,
        origin=arrival.origin,
        digest=given.digest,
        kind=kind,
        place=given.board,
        parts=max([1 + len(given.further), *[entry.parts for entry in subject.entries]]),
        authors=() if given.deleted else given.author.digests(given.workspace),
        **found,
    )


def _speaks(given: Feedback) -> bool:
    """Tell whether a board is to hear of it: a request, or a vote for one."""
    return given.text is not None and (not given.is_praise or given.parent_id is not None)


def _kind(given: Feedback, subject: Subject) -> str:
    was_told = any(entry.kind not in _OF_A_PERSON for entry in subject.entries)
    if given.deleted or (was_told and not _speaks(given)):
        return "retracted"
    if not _speaks(given):
        return _PRAISE if given.rating is None else _ANSWER
    return "revised" if was_told else "submitted"


def _writer(ledger: Ledger, given: Feedback, arrival: Arrival, subject: Subject) -> str:
    """Return who wrote *given*; an edit that names nobody is by whoever wrote what it edits."""
    before = subject.entries[-1].person_id if subject.entries else None
    if before is not None and given.author.is_provisional:
        return before
    return resolve(ledger, given.workspace, given.author, arrival)


def _of_person(given: Feedback, entry: Entry, arrival: Arrival, at: Micros) -> PersonEvent:
    rating = given.rating
    is_whole = rating is not None and rating.is_integer()
    return PersonEvent(
        event_id=ids.event_id(given.workspace, entry.kind, given.subject, str(given.order)),
        type="activity" if rating is None else "answer",
        workspace=given.workspace,
        person_id=entry.person_id or "",
        source=given.source,
        occurred_at=at,
        ingested_at=arrival.at,
        origin=arrival.origin,
        name=f"{given.source}_praise" if rating is None else f"{given.source}_score",
        amount=1.0 if rating is None else None,
        answer_json=None if rating is None else orjson.dumps(int(rating) if is_whole else rating).decode(),
        subject=given.subject,
        digest=given.digest,
        has_address=has_address(given.author),
        brings_contact=entry.contact,
        revision=given.order,
    )


def _events(given: Feedback, entry: Entry, arrival: Arrival, at: Micros) -> list[BoardEvent]:
    """Return the event of each part; those that an earlier revision had and this one has not are retracted."""
    whole = _event(given, entry, arrival, at)
    if entry.parts == 1:
        return [whole]
    texts: list[str | None] = [*given.further, *([None] * (entry.parts - 1 - len(given.further)))]
    return [whole, *(_further(whole, number, text) for number, text in enumerate(texts, start=1))]


def _further(whole: BoardEvent, number: int, text: str | None) -> BoardEvent:
    part = ids.part_id(whole.workspace, whole.feedback_id or "", number)
    return replace(
        whole,
        event_id=ids.event_id(whole.workspace, part, str(whole.revision)),
        type="retracted" if text is None else whole.type,
        feedback_id=part,
        text=text,
        rating=None,
        parent_id=whole.feedback_id,
        part=number,
        is_vote=False,
        original=None if text is None else whole.original,
    )


def _event(given: Feedback, entry: Entry, arrival: Arrival, at: Micros) -> BoardEvent:
    is_told = entry.kind != "retracted"
    return _BOARD_EVENT(
        event_id=ids.event_id(given.workspace, given.subject, str(given.order)),
        type=entry.kind,
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
        text=given.text if is_told else None,
        language=given.language,
        url=given.url,
        rating=given.rating,
        actor=given.agent,
        subject=given.subject,
        digest=given.digest,
        has_address=not given.deleted and has_address(given.author),
        brings_contact=entry.contact,
        parent_id=given.parent_id,
        parts=entry.parts,
        is_vote=is_told and given.is_praise,
        original=given.original if is_told else None,
        authors=" ".join(entry.authors) or None,
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
