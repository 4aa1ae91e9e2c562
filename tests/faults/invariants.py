"""What must hold once the dust has settled. Each invariant yields what breaks it, in words; nothing means that it holds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from tests.faults.evidence import CRASH_MARK, POISON_KEY, Evidence, Place, is_raw, origin, said
from tests.faults.folding import fold
from tests.faults.rereading import introduced_anew
from tests.faults.store_laws import STORE_LAWS

Invariant: TypeAlias = Callable[[Evidence], Iterator[str]]

_ANSWERED = ("submitted", "revised", "commanded", "status_changed")
"""Events that need a decision; a merge needs none where what it merges is one already, and holds to the end."""
_UNFINISHED = ("pending", "deferred")
_STATES = {"ideas": "idea_id", "ideas.demand": "idea_id", "people.segments": "person_id"}
_FACTS = ("board.events", "people.events", "board.decisions", "feedback.enriched", "people.transitions")
MOST_BYTES = 1536 * 1024 * 1024


def i1_nothing_is_lost(evidence: Evidence) -> Iterator[str]:
    """Each record from outside led to an event or a dead letter, each event to decisions that hold, each link to enriched feedback."""
    yield from _front_door(evidence)
    said = {(decision["event_id"], decision["type"]) for decision in evidence.facts("board.decisions")}
    answered = {event for event, _ in said}
    letters = {letter.key for _, letter in evidence.letters.get("dedup", ())}
    boards = fold(evidence)
    for row in evidence.rows("board.events"):
        event = row.fields
        if not event or event["type"] not in _ANSWERED or row.raw.key in letters:
            continue
        if event["command"] == "merge" and (event["event_id"], "refused") not in said:
            if boards.root(event["idea_id"]) != boards.root(event["other_idea_id"]):
                yield f"{event['event_id']} of board.events merged what is two ideas"
        elif event["event_id"] not in answered:
            yield f"{event['event_id']} of board.events was never decided"
    enriched = {(fact["feedback_id"], fact["revision"]) for fact in evidence.facts("feedback.enriched")}
    for decision in evidence.facts("board.decisions"):
        if decision["type"] == "linked" and (decision["feedback_id"], decision["revision"]) not in enriched:
            yield f"{decision['feedback_id']} was linked and never enriched"


def _front_door(evidence: Evidence) -> Iterator[str]:
    made = {fact["origin"] for topic in ("board.events", "people.events", "accounts") for fact in evidence.facts(topic)}
    made |= {place for place, _ in evidence.letters.get("ingest", ())}
    best: dict[tuple[str, str], Any] = {}
    for raw in evidence.outside:
        if origin(raw) in made and (spoken := said(raw)) is not None:
            identity, version = spoken
            best[identity] = max(best.get(identity, version), version)
    for raw in evidence.outside:
        if origin(raw) in made:
            continue
        spoken = said(raw)
        if spoken is None or best.get(spoken[0], ()) < spoken[1]:
            yield f"{origin(raw)} left neither an event nor a dead letter"


def i2_commits_follow_outputs(evidence: Evidence) -> Iterator[str]:
    """Whenever somebody looked, what followed from each acknowledged record lay in its topic already."""
    followed = _what_followed(evidence)
    known: dict[tuple[str, str, int], int] = {}
    for sample in evidence.samples:
        for (service, topic, partition), position in sample.committed.items():
            for offset in range(known.get((service, topic, partition), 0), position):
                for place, output in followed.get((service, topic, partition, offset), ()):
                    if output >= sample.ends.get(place, 0):
                        yield f"{service} had acknowledged {topic}/{partition}/{offset} before {place[0]} had what follows from it"
            known[service, topic, partition] = max(position, known.get((service, topic, partition), 0))


def _what_followed(evidence: Evidence) -> Mapping[tuple[str, str, int, int], list[tuple[Place, int]]]:
    """Return, by (service, topic, partition, offset), the place and first offset of everything that followed from a record."""
    found: defaultdict[tuple[str, str, int, int], list[tuple[Place, int]]] = defaultdict(list)
    anew = introduced_anew(evidence, _firsts(evidence, "people.events"))
    for topic in ("board.events", "people.events", "accounts"):
        for row in _firsts(evidence, topic):
            if row.fields.get("event_id") in anew:
                continue
            source, partition, offset = row.fields["origin"].rsplit("/", 2)
            found["ingest", source, int(partition), int(offset)].append(((topic, row.raw.partition), row.raw.offset))
    by_event: defaultdict[str, list[tuple[Place, int]]] = defaultdict(list)
    for row in _firsts(evidence, "board.decisions"):
        by_event[row.fields["event_id"]].append((("board.decisions", row.raw.partition), row.raw.offset))
    for row in evidence.rows("board.events"):
        found["dedup", "board.events", row.raw.partition, row.raw.offset] += by_event.get(row.fields.get("event_id", ""), [])
    by_link: defaultdict[tuple[str, int], list[tuple[Place, int]]] = defaultdict(list)
    for row in _firsts(evidence, "feedback.enriched"):
        if row.fields["enrichment_version"] == 1 and not row.fields["retracted"]:
            link = (row.fields["feedback_id"], row.fields["revision"])
            by_link[link].append((("feedback.enriched", row.raw.partition), row.raw.offset))
    for row in evidence.rows("board.decisions"):
        if row.fields.get("type") == "linked":
            link = (row.fields["feedback_id"], row.fields["revision"])
            found["segmenter", "board.decisions", row.raw.partition, row.raw.offset] += by_link.get(link, [])
    return found


def _firsts(evidence: Evidence, topic: str) -> Iterator[Any]:
    seen: set[bytes | str | None] = set()
    for row in evidence.rows(topic):
        name = row.content if topic == "feedback.enriched" else row.raw.key
        if row.fields and name not in seen:
            seen.add(name)
            yield row


def i3_one_link_one_idea_right_counts(evidence: Evidence) -> Iterator[str]:
    """Each fact is one fact however often it was published; a board's decisions are one sequence; counters equal a recount."""
    yield from _one_fact_a_key(evidence)
    sequences: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    links: Counter[tuple[str, str]] = Counter()
    for decision in evidence.facts("board.decisions"):
        sequences[decision["workspace"], decision["board"]].append(decision["sequence"])
        links[decision["event_id"], decision["feedback_id"]] += decision["type"] == "linked"
    for board, numbers in sequences.items():
        if sorted(numbers) != [*range(1, len(numbers) + 1)]:
            yield f"the decisions of {'/'.join(board)} are not one sequence: {len(numbers)} of them, up to {max(numbers)}"
    yield from (f"{event} was linked {count} times" for (event, _), count in links.items() if count > 1)
    boards = fold(evidence)
    yield from (f"{idea} was opened {count} times" for idea, count in Counter(boards.opened).items() if count > 1)
    for topic in ("ideas", "ideas.demand"):
        states = _newest(evidence, topic)
        for root, feedback in boards.said().items():
            counted = (len(boards.people(feedback)), len(feedback))
            told = (states[root]["people"], states[root]["mentions"]) if root in states else None
            if told != counted:
                yield f"{topic} says {told} (people, mentions) of {root}; a recount says {counted}"


def _one_fact_a_key(evidence: Evidence) -> Iterator[str]:
    for topic in ("board.events", "board.decisions"):
        values: dict[bytes | None, bytes | str | None] = {}
        for row in evidence.rows(topic):
            if values.setdefault(row.raw.key, row.content) != row.content:
                yield f"{topic} holds two facts under {row.raw.key!r}"


def _newest(evidence: Evidence, topic: str) -> Mapping[str, Mapping[str, Any]]:
    kept: dict[str, Mapping[str, Any]] = {}
    for row in evidence.rows(topic):
        if row.fields:
            name = row.fields[_STATES[topic]]
            if name not in kept or kept[name]["version"] <= row.fields["version"]:
                kept[name] = row.fields
    return kept


def i4_everyone_hears_once(evidence: Evidence) -> Iterator[str]:
    """Everyone who asked for what shipped was told, or it is said why not; nobody was told twice of one release."""
    boards = fold(evidence)
    last: dict[str, Mapping[str, Any]] = {}
    for outcome in evidence.facts("notifications.log"):
        known = last.get(outcome["alert_id"])
        if known is None or (known["attempt"], known["occurred_at"]) <= (outcome["attempt"], outcome["occurred_at"]):
            last[outcome["alert_id"]] = outcome
    final = {alert: outcome for alert, outcome in last.items() if outcome["outcome"] not in _UNFINISHED}
    heard = {(boards.root(outcome["idea_id"]), boards.human(outcome["person_id"])) for outcome in final.values()}
    for root, person in sorted(set(boards.owed()) - heard):
        yield f"{person} asked for {root}, which shipped, and nothing tells what became of that"
    for alert in evidence.facts("notifications.outbox"):
        if alert["alert_id"] not in final:
            yield f"{alert['alert_id']} has no final outcome"
    sent = Counter(
        (outcome["release_id"], boards.root(outcome["idea_id"]), boards.human(outcome["person_id"]))
        for outcome in last.values()
        if outcome["outcome"] == "sent"
    )
    yield from (f"{person} was told {count} times of {release}" for (release, _, person), count in sent.items() if count > 1)


def i5_mails_repeat_only_by_crashes(evidence: Evidence) -> Iterator[str]:
    """A mail came again only where a notifier died, or where the server took it and did not say so; always under its Message-ID."""
    taken = Counter(mail["message_id"] for mail in evidence.mails)
    unanswered = Counter(mail["message_id"] for mail in evidence.mails if not mail.get("answered", True))
    for message, count in taken.items():
        if count > 1 + unanswered[message] + evidence.deaths.get("notifier", 0):
            yield f"{message} was taken {count} times; {evidence.deaths.get('notifier', 0)} notifiers died"
    repeats = sum(count - 1 for count in taken.values()) - sum(unanswered.values())
    if repeats > 0 and not evidence.deaths.get("notifier"):
        yield f"{repeats} mails were repeated although no notifier died"
    said = {outcome["message_id"] for outcome in evidence.facts("notifications.log") if outcome["outcome"] == "sent"}
    yield from (f"{message} was sent and never taken" for message in said - taken.keys() if message)


def i6_dead_letters_are_the_poison(evidence: Evidence) -> Iterator[str]:
    """Dead letters are what was poison, byte for byte, and nothing else."""
    poison = {origin(raw): raw for raw in evidence.outside if (raw.key or b"").startswith(POISON_KEY)}
    letters = dict(evidence.letters.get("ingest", ()))
    yield from (f"{place} is poison and was not dead-lettered" for place in poison.keys() - letters.keys())
    yield from (f"{place} was dead-lettered and is none" for place in letters.keys() - poison.keys())
    for place in poison.keys() & letters.keys():
        if (poison[place].key, poison[place].value) != (letters[place].key, letters[place].value):
            yield f"the dead letter of {place} is not what was published"
    for service, topic, field in (
        ("dedup", "board.events", "text"),
        ("segmenter", "people.events", "traits_json"),
        ("notifier", "people.events", "traits_json"),
    ):
        deadly = {row.raw.key for row in evidence.rows(topic) if CRASH_MARK in (row.fields.get(field) or "")}
        given_up = {letter.key for _, letter in evidence.letters.get(service, ())}
        yield from (f"{key!r} of {topic} kills the {service} and was not dead-lettered" for key in deadly - given_up)
        yield from (f"{key!r} of {topic} was dead-lettered by the {service} and is no poison" for key in given_up - deadly)


def i7_states_are_the_fold(evidence: Evidence) -> Iterator[str]:
    """What the state topics say of each idea is what folding its board's decisions says."""
    boards = fold(evidence)
    for name, state in _newest(evidence, "ideas").items():
        if state["root_id"] != boards.root(name):
            yield f"ideas says that {name} ends at {state['root_id']}; its decisions say {boards.root(name)}"
        if name in boards.status and state["status"] != boards.status[name]:
            yield f"ideas says that {name} is {state['status']}; its decisions say {boards.status[name]}"


def i7_saying_it_again_changes_nothing(before: Evidence, after: Evidence) -> Iterator[str]:
    """After the same outside records were published once more, in another order, every topic says what it said."""
    for topic in sorted(before.records):
        if is_raw(topic) or topic.endswith((".work", ".deadletter")):
            continue
        old = {(row.raw.key, row.content) for row in before.rows(topic)}
        new = {(row.raw.key, row.content) for row in after.rows(topic)} - old
        if new:
            yield f"{topic} has {len(new)} records that it had not before, such as {min(new, key=repr)[0]!r}"
    if len(before.mails) != len(after.mails):
        yield f"{len(after.mails) - len(before.mails)} more mails were sent"


def i8_lag_returns_to_nothing(evidence: Evidence) -> Iterator[str]:
    """Nobody was behind any more within the stated time."""
    if evidence.settled_seconds > evidence.settle_limit_seconds:
        yield f"the services were behind for {evidence.settled_seconds:.0f} s; {evidence.settle_limit_seconds:.0f} s are allowed"


def i9_versions_never_go_back(evidence: Evidence) -> Iterator[str]:
    """The last record of each key of a state topic, which is what compaction keeps, has the highest version of that key."""
    for topic in _STATES:
        last = {row.raw.key: row.fields["version"] for row in evidence.rows(topic) if row.fields}
        highest: Counter[bytes | None] = Counter()
        for row in evidence.rows(topic):
            if row.fields:
                highest[row.raw.key] = max(highest[row.raw.key], row.fields["version"])
        for key, version in last.items():
            if version < highest[key]:
                yield f"{topic} ends with version {version} of {key!r}, and had {highest[key]}"


def i10_memory_stays_bounded(evidence: Evidence) -> Iterator[str]:
    """No worker was ever larger than it may be."""
    for service, size in evidence.peak_bytes.items():
        if size > MOST_BYTES:
            yield f"a {service} was {size >> 20} MiB large"


ALL: Mapping[str, Invariant] = {
    "I1": i1_nothing_is_lost,
    "I2": i2_commits_follow_outputs,
    "I3": i3_one_link_one_idea_right_counts,
    "I4": i4_everyone_hears_once,
    "I5": i5_mails_repeat_only_by_crashes,
    "I6": i6_dead_letters_are_the_poison,
    "I7": i7_states_are_the_fold,
    "I8": i8_lag_returns_to_nothing,
    "I9": i9_versions_never_go_back,
    "I10": i10_memory_stays_bounded,
}


def broken(evidence: Evidence) -> dict[str, list[str]]:
    """Return what breaks each invariant that does not hold, in the order of their numbers."""
    found = {name: [*invariant(evidence)] for name, invariant in ALL.items()}
    if evidence.stores is not None:
        for name, law in STORE_LAWS.items():
            found[name] += law(evidence, evidence.stores)
    return {name: words for name, words in found.items() if words}
