"""What must hold between the stores and the topics once the dust has settled. Nothing yielded means that it holds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from tests.faults.evidence import Evidence, Raw, origin, said
from tests.faults.folding import Boards, fold
from tests.faults.stores import Plain, Stores

StoreLaw: TypeAlias = Callable[[Evidence, Stores], Iterator[str]]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNFINISHED = ("pending", "deferred")


def i1_everything_is_stored(evidence: Evidence, stores: Stores) -> Iterator[str]:
    """Each record from outside is in ingest's store or a dead letter, each event in dedup's, each decision in the notifier's."""
    letters = {place for place, _ in evidence.letters.get("ingest", ())}
    stored = {entry["origin"] for entry in stores.accepted}
    for raw in _left(evidence.outside, stored | letters):
        yield f"{origin(raw)} is neither in ingest's store nor a dead letter"
    decided = {entry["event_id"] for entry in stores.entries}
    given_up = {letter.key for _, letter in evidence.letters.get("dedup", ())}
    for row in evidence.rows("board.events"):
        if row.fields and row.fields["event_id"] not in decided and row.raw.key not in given_up:
            yield f"{row.fields['event_id']} of board.events is not in dedup's store"
    told = {(entry["board"], entry["sequence"]) for entry in stores.told}
    for decision in evidence.facts("board.decisions"):
        if (_board(decision), decision["sequence"]) not in told:
            yield f"decision {decision['sequence']} of {_board(decision)} is not in the notifier's store"


def _left(outside: list[Raw], stored: set[str]) -> Iterator[Raw]:
    """Yield what is not stored, and not outdated by what is."""
    best: dict[tuple[str, str], Any] = {}
    for raw in outside:
        if origin(raw) in stored and (spoken := said(raw)) is not None:
            identity, version = spoken
            best[identity] = max(best.get(identity, version), version)
    for raw in outside:
        spoken = said(raw)
        if origin(raw) not in stored and (spoken is None or best.get(spoken[0], ()) < spoken[1]):
            yield raw


def i3_stores_count_right(evidence: Evidence, stores: Stores) -> Iterator[str]:
    """In dedup's store an event is decided once and linked once, and its newest states equal a recount; the ledger has a row an alert."""
    events = Counter(entry["event_id"] for entry in stores.entries)
    yield from (f"{event} is in dedup's store {count} times" for event, count in events.items() if count > 1)
    decisions = [decision for entry in stores.entries for decision in entry["decisions"]]
    links = Counter((d["event_id"], d["feedback_id"]) for d in decisions if d["type"] == "linked")
    yield from (f"dedup's store links {event} {count} times" for (event, _), count in links.items() if count > 1)
    boards = _folded(evidence, decisions)
    states = _newest(idea for entry in stores.entries for idea in entry["ideas"])
    yield from _miscounted("dedup", states, boards)
    demands = _newest(fields for entry in stores.operations for topic, fields in entry["facts"] if topic == "changed")
    yield from _miscounted("the segmenter", demands, boards)
    inputs = Counter((entry["board"], entry["input_id"]) for entry in stores.operations)
    yield from (f"the segmenter took in {name} {count} times" for (_, name), count in inputs.items() if count > 1)
    rows = Counter((row["alert"]["idea_id"], row["alert"].get("release_id"), row["alert"]["person_id"]) for row in stores.ledger)
    yield from (f"the ledger has {count} rows of {person} about {release}" for (_, release, person), count in rows.items() if count > 1)


def _miscounted(service: str, states: Mapping[str, Plain], boards: Boards) -> Iterator[str]:
    for root, feedback in boards.said().items():
        counted = (len(boards.people(feedback)), len(feedback))
        told = (states[root]["people"], states[root]["mentions"]) if root in states else None
        if told != counted:
            yield f"{service}'s store says {told} (people, mentions) of {root}; a recount of its own log says {counted}"


def _newest(states: Iterator[Plain]) -> Mapping[str, Plain]:
    kept: dict[str, Plain] = {}
    for state in states:
        if state["idea_id"] not in kept or kept[state["idea_id"]]["version"] <= state["version"]:
            kept[state["idea_id"]] = state
    return kept


def i4_the_ledger_is_what_was_told(evidence: Evidence, stores: Stores) -> Iterator[str]:
    """Each alert that was published has a row, each row has ended, and ended as the log says that it did."""
    rows = {row["alert_id"]: row for row in stores.ledger}
    last: dict[str, Plain] = {}
    for outcome in evidence.facts("notifications.log"):
        known = last.get(outcome["alert_id"])
        if known is None or (known["attempt"], known["occurred_at"]) <= (outcome["attempt"], outcome["occurred_at"]):
            last[outcome["alert_id"]] = outcome
    for alert in {fact["alert_id"] for fact in evidence.facts("notifications.outbox")} - rows.keys():
        yield f"{alert} was published and is not in the ledger"
    for alert, row in rows.items():
        if row["state"] in _UNFINISHED:
            yield f"{alert} is {row['state']} in the ledger"
            continue
        told = last[alert]["outcome"] if alert in last else "nothing"
        if told != row["state"]:
            yield f"{alert} is {row['state']} in the ledger; notifications.log says {told}"


def i7_stores_replay_to_the_boards(evidence: Evidence, stores: Stores) -> Iterator[str]:
    """Each service's own log of a board has no gap, and replays to the board that the decisions in the topic make."""
    published = {(_board(d), d["sequence"]): d for d in evidence.facts("board.decisions")}
    stored = {(entry["board"], d["sequence"]): d for entry in stores.entries for d in entry["decisions"]}
    for place in sorted(published.keys() ^ stored.keys()):
        where = "in its topic" if place in published else "in dedup's store"
        yield f"decision {place[1]} of {place[0]} is only {where}"
    for place in sorted(published.keys() & stored.keys()):
        different = _differences(published[place], stored[place])
        if different:
            yield f"decision {place[1]} of {place[0]} is another one in dedup's store: {', '.join(different)}"
    for service, log in (("dedup", stores.entries), ("the segmenter", stores.operations)):
        yield from _gaps(service, log, "position")
    yield from _gaps("the notifier", stores.told, "sequence")
    for entry in stores.told:
        decision = published.get((entry["board"], entry["sequence"]))
        names = ("type", "idea_id", "other_idea_id", "feedback_id", "person_id", "status", "release_id")
        if decision is not None and any(entry.get(name) != decision[name] for name in names):
            yield f"decision {entry['sequence']} of {entry['board']} is another one in the notifier's store"
    yield from _segmenter_differs(fold(evidence), stores)


def _gaps(service: str, log: Any, name: str) -> Iterator[str]:
    places: defaultdict[str, list[int]] = defaultdict(list)
    for entry in log:
        places[entry["board"]].append(entry[name])
    for board, numbers in places.items():
        if sorted(numbers) != [*range(1, len(numbers) + 1)]:
            yield f"{service}'s log of {board} is not 1, 2, 3 …: {len(numbers)} entries, up to {max(numbers)}"


def _differences(published: Plain, stored: Plain) -> list[str]:
    """Return the fields in which a stored decision, whose empty fields are left out, is not the published one."""
    empty = (None, 0, "")
    return [
        name
        for name, value in published.items()
        if (_micros(value) != stored[name] if name in stored else value not in empty and not isinstance(value, bool))
    ]


def _micros(value: Any) -> Any:
    return (value - _EPOCH) // timedelta(microseconds=1) if isinstance(value, datetime) else value


def _segmenter_differs(boards: Boards, stores: Stores) -> Iterator[str]:
    """Compare who asked for what, and what was merged into what, by the segmenter's own log and by the decisions."""
    links, into = _segmenter_fold(stores)
    decided = {feedback: (boards.person_of[feedback], idea) for feedback, idea in boards.idea_of.items()}
    for feedback in sorted(decided.keys() | links.keys()):
        if decided.get(feedback) != links.get(feedback):
            yield f"the segmenter's store says {links.get(feedback)} of {feedback}; the decisions say {decided.get(feedback)}"
    for idea in sorted(boards.into.keys() | into.keys()):
        if boards.into.get(idea) != into.get(idea):
            yield f"the segmenter's store merges {idea} into {into.get(idea)}; the decisions into {boards.into.get(idea)}"


def _segmenter_fold(stores: Stores) -> tuple[Mapping[str, tuple[str, str]], Mapping[str, str]]:
    """Return (person, idea) by feedback, and the pointers of ideas, as the segmenter's operations add up."""
    links: dict[str, tuple[str, str]] = {}
    into: dict[str, str] = {}
    for entry in sorted(stores.operations, key=lambda entry: (entry["board"], entry["position"])):
        for name, *operands in entry["operations"]:
            match name:
                case "link":
                    links[operands[0]] = (operands[1], operands[2])
                case "unlink":
                    links.pop(operands[0], None)
                case "merge":
                    into[operands[0]] = operands[1]
                case "unmerge":
                    into.pop(operands[0], None)
    return links, into


def i9_stores_are_never_behind(evidence: Evidence, stores: Stores) -> Iterator[str]:
    """No state was published that its store does not hold, or has gone beyond."""
    ideas = Counter[str]()
    for entry in stores.entries:
        for idea in entry["ideas"]:
            ideas[idea["idea_id"]] = max(ideas[idea["idea_id"]], idea["version"])
    ends = Counter[str]()
    ahead = Counter[str]()
    for entry in stores.operations:
        ends[entry["board"]] = max(ends[entry["board"]], entry["position"])
        versions = [fields["version"] - entry["position"] for topic, fields in entry["facts"] if topic == "changed"]
        ahead[entry["board"]] = max(ahead[entry["board"]], *versions, 0)  # of a log that was begun anew: versions go on, positions do not
    attempts = {row["alert_id"]: row["attempt"] for row in stores.ledger}
    for topic, name, version, held in (
        ("ideas", "idea_id", "version", lambda fields: ideas[fields["idea_id"]]),
        ("ideas.demand", "idea_id", "version", lambda fields: ends[_board(fields)] + ahead[_board(fields)]),
        ("people.segments", "person_id", "version", lambda fields: (stores.cards or {}).get(fields["person_id"], 0)),
        ("notifications.outbox", "alert_id", "attempt", lambda fields: attempts.get(fields["alert_id"], 0)),
    ):
        for fields in evidence.facts(topic):
            if held(fields) < fields[version]:
                yield f"{topic} has {version} {fields[version]} of {fields[name]}; the store has {held(fields)}"


def _board(fields: Plain) -> str:
    return f"{fields['workspace']}/{fields['board']}"


def _folded(evidence: Evidence, decisions: list[Plain]) -> Boards:
    """Return the boards as *decisions*, which lie in a store, add up; who turned out to be whom is in no board's log."""
    boards = Boards(joined=fold(evidence).joined)
    empty = dict.fromkeys(("feedback_id", "idea_id", "person_id", "other_idea_id", "status"))
    for decision in sorted(decisions, key=lambda d: (d["workspace"], d["board"], d["sequence"])):
        boards.take({**empty, **decision})
    return boards


STORE_LAWS: Mapping[str, StoreLaw] = {
    "I1": i1_everything_is_stored,
    "I3": i3_stores_count_right,
    "I4": i4_the_ledger_is_what_was_told,
    "I7": i7_stores_replay_to_the_boards,
    "I9": i9_stores_are_never_behind,
}
