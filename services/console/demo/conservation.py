"""Whether anything was lost, judged from topics and the mail sink alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.common.codec import Codec
from services.common.deadletter import topic_of
from services.common.events import (
    Account,
    Alert,
    BoardEvent,
    Decision,
    EnrichedFeedback,
    Idea,
    IdeaDemand,
    NotificationOutcome,
    PersonEvent,
)
from services.common.records import Record
from services.console.board import Links, decoded, end_of, final_outcomes, in_order, joined, newest
from services.console.letters import letter_of

_NEED_DECISIONS = ("submitted", "revised", "commanded", "status_changed")
_UNFINISHED = ("pending", "deferred")


@dataclass(frozen=True, slots=True)
class Check:
    """One law: what went in equals what came out, was dead-lettered, or was repeated or out of date on purpose."""

    law: str
    went_in: int
    came_out: int
    dead_lettered: int = 0
    repeated: int = 0
    wrong: int = 0
    """How many are unaccounted for, or counted wrong."""


Records = Mapping[str, Sequence[Record]]


def checks(codec: Codec, records: Records, raw_topics: Iterable[str], mails: Sequence[Mapping[str, Any]]) -> list[Check]:
    """Return every law with its numbers, *records* being all that lies in all topics and *mails* what the sink accepted."""
    events = decoded(codec, BoardEvent, records["board.events"])
    decisions = in_order(decoded(codec, Decision, records["board.decisions"]))
    outcomes = decoded(codec, NotificationOutcome, records["notifications.log"])
    return [
        _front_door(codec, records, raw_topics, events),
        _decided(records, events, decisions),
        _enriched(codec, records, decisions),
        _recounted(codec, records, decisions),
        told_check(codec, records),
        _mailed(outcomes, mails),
    ]


def _letters(records: Records, service: str) -> set[tuple[str, int, int]]:
    letters = [letter_of(service, record) for record in records[topic_of(service)]]
    return {(letter.topic, letter.partition, letter.offset) for letter in letters}


def _front_door(codec: Codec, records: Records, raw_topics: Iterable[str], events: Sequence[BoardEvent]) -> Check:
    raw = [record for topic in raw_topics for record in records[topic]]
    origins = {event.origin for event in events}
    origins |= {event.origin for event in decoded(codec, PersonEvent, records["people.events"])}
    origins |= {account.origin for account in decoded(codec, Account, records["accounts"])}
    letters = _letters(records, "ingest")
    repeats = _repeats(raw)
    made = sum(record.origin in origins for record in raw)
    dead = sum((record.topic, record.partition, record.offset) in letters for record in raw)
    rest = [r for r in raw if r.origin not in origins and (r.topic, r.partition, r.offset) not in letters]
    repeated = sum(record.origin in repeats for record in rest)
    return Check("raw records → events", len(raw), made, dead, repeated, len(raw) - made - dead - repeated)


def _repeats(raw: Sequence[Record]) -> set[str]:
    """Return the origins of records that say again, or say less than, what an earlier one of their topic said."""
    seen: set[tuple[str, bytes | None]] = set()
    newest_revision: dict[tuple[str, str], int] = {}
    repeats: set[str] = set()
    for record in raw:
        identity, revision = _revision(record)
        place = (record.topic, identity)
        if (record.topic, record.value) in seen or (identity and revision < newest_revision.get(place, -1)):
            repeats.add(record.origin)
        seen.add((record.topic, record.value))
        newest_revision[place] = max(revision, newest_revision.get(place, -1))
    return repeats


def _revision(record: Record) -> tuple[str, int]:
    """Return (id, revision) of a record in the canonical form; ("", 0) for all others."""
    try:
        body = json.loads(record.value or b"")
        return str(body["id"]), int(body.get("revision") or 0)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return "", 0


def _decided(records: Records, events: Sequence[BoardEvent], decisions: Sequence[Decision]) -> Check:
    needed = {event.event_id for event in events if event.type in _NEED_DECISIONS and not event.is_vote}  # a vote may wait
    answered = needed & {decision.event_id for decision in decisions}
    letters = _letters(records, "dedup")
    dead = sum((r.topic, r.partition, r.offset) in letters for r in records["board.events"])
    return Check("board events → decisions", len(needed), len(answered), dead, 0, len(needed) - len(answered) - dead)


def _enriched(codec: Codec, records: Records, decisions: Sequence[Decision]) -> Check:
    linked = {(d.feedback_id, d.revision) for d in decisions if d.type == "linked"}
    told = [(f.feedback_id, f.revision, f.enrichment_version) for f in decoded(codec, EnrichedFeedback, records["feedback.enriched"])]
    enriched = linked & {(feedback, revision) for feedback, revision, _ in told}
    twice = sum(count - 1 for count in Counter(told).values())
    letters = _letters(records, "segmenter")
    dead = sum((r.topic, r.partition, r.offset) in letters for r in records["board.decisions"])
    return Check("links → enriched feedback, each once", len(linked), len(enriched), dead, 0, len(linked) - len(enriched) - dead + twice)


def _recounted(codec: Codec, records: Records, decisions: Sequence[Decision]) -> Check:
    """Hold the counters of ideas and demand against a recount of the decisions: a human counts once, a mention each time."""
    links = Links.of(decisions)
    humans = joined(decoded(codec, PersonEvent, records["people.events"]))
    ideas = newest(decoded(codec, Idea, records["ideas"]))
    demand = newest(decoded(codec, IdeaDemand, records["ideas.demand"]))
    right, by_root = 0, links.by_root()
    for root, said in by_root.items():
        people = {end_of(links.person_of[feedback], humans) for feedback in said if feedback in links.person_of}
        counted = (len(people), len(said))
        told = [(state.people, state.mentions) for state in (ideas.get(root), demand.get(root)) if state is not None]
        right += [counted, counted] == told
    return Check("ideas and demand = a recount", len(by_root), right, wrong=len(by_root) - right)


def told_check(codec: Codec, records: Records) -> Check:
    """Return whether everyone who asked for what shipped, and every alert that was made, has an outcome that is final."""
    decisions = in_order(decoded(codec, Decision, records["board.decisions"]))
    links = Links.of(decisions)
    shipped = {links.root(d.idea_id) for d in decisions if d.type == "status_changed" and d.status == "shipped" and d.idea_id}
    asked = {
        (root, links.person_of[feedback])
        for root, said in links.by_root().items()
        if root in shipped
        for feedback in said
        if feedback in links.person_of
    }
    outcomes = final_outcomes(decoded(codec, NotificationOutcome, records["notifications.log"]))
    final = {alert: outcome for alert, outcome in outcomes.items() if outcome.outcome not in _UNFINISHED}
    heard = {(links.root(outcome.idea_id), outcome.person_id) for outcome in final.values()}
    unfinished = {alert.alert_id for alert in decoded(codec, Alert, records["notifications.outbox"])} - final.keys()
    wrong = len(asked - heard) + len(unfinished)
    return Check("who asked for what shipped → outcomes", len(asked), len(asked & heard), wrong=wrong)


def _mailed(outcomes: Sequence[NotificationOutcome], mails: Sequence[Mapping[str, Any]]) -> Check:
    """Every mail that was sent arrived once."""
    sent = {o.message_id for o in final_outcomes(outcomes).values() if o.outcome == "sent" and o.channel == "email"}
    arrived = Counter(mail["message_id"] for mail in mails)
    wrong = len(sent - set(arrived)) + len(set(arrived) - sent) + sum(count - 1 for count in arrived.values())
    return Check("sent → mails, each once", len(sent), len(arrived), wrong=wrong)
