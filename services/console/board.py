"""What the published topics say about a board, folded as any reader of them would."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from services.common.codec import Codec
from services.common.events import Decision, EnrichedFeedback, Event, Idea, IdeaDemand, NotificationOutcome, PersonEvent, PersonSegments
from services.common.records import Record
from services.console.failures import CommandFailed, ExitCode

E = TypeVar("E", bound=Event)
V = TypeVar("V", Idea, IdeaDemand, PersonSegments)


def decoded(codec: Codec, event: type[E], records: Iterable[Record]) -> list[E]:
    """Return the events that *records* hold; tombstones are left out."""
    decode = codec.optional_decoder(event)
    return [value for value in map(decode, records) if value is not None]


def newest(values: Iterable[V]) -> dict[str, V]:
    """Return the highest version of each key, as readers of a compacted topic keep it."""
    kept: dict[str, V] = {}
    for value in values:
        known = kept.get(value.key())
        if known is None or known.version <= value.version:
            kept[value.key()] = value
    return kept


def in_order(decisions: Iterable[Decision]) -> list[Decision]:
    """Return *decisions* by board and sequence, repeats left out."""
    unique = {decision.decision_id: decision for decision in decisions}
    return sorted(unique.values(), key=lambda decision: (decision.workspace, decision.board, decision.sequence))


@dataclass(slots=True)
class Links:
    """Which idea each piece of feedback belongs to now, and where ideas point: the fold of a board's decisions."""

    idea_of: dict[str, str] = field(default_factory=dict)
    """Feedback id → idea id."""
    person_of: dict[str, str] = field(default_factory=dict)
    """Feedback id → person id."""
    pointers: dict[str, str] = field(default_factory=dict)
    """Idea → the idea that it was merged into."""

    @classmethod
    def of(cls, decisions: Sequence[Decision]) -> Links:
        """Return the fold of *decisions*, which are in order."""
        links = cls()
        for decision in decisions:
            links._fold(decision)
        return links

    def root(self, idea: str) -> str:
        """Return where *idea*'s pointers end."""
        return end_of(idea, self.pointers)

    def by_root(self) -> dict[str, list[str]]:
        """Return the feedback of each root."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for feedback, idea in self.idea_of.items():
            found[self.root(idea)].append(feedback)
        return dict(found)

    def _fold(self, decision: Decision) -> None:
        feedback, idea = decision.feedback_id, decision.idea_id
        match decision.type:
            case "linked" | "moved" | "split" if feedback and idea:
                self.idea_of[feedback] = idea
                if decision.person_id:
                    self.person_of[feedback] = decision.person_id
            case "unlinked" if feedback:
                self.idea_of.pop(feedback, None)
            case "merged" if idea and decision.other_idea_id:
                self.pointers[idea] = decision.other_idea_id
            case "unmerged" if idea:
                self.pointers.pop(idea, None)
            case _:
                pass


def latest_feedback(values: Iterable[EnrichedFeedback]) -> dict[str, EnrichedFeedback]:
    """Return the newest enrichment of each piece of feedback."""
    kept: dict[str, EnrichedFeedback] = {}
    for value in values:
        known = kept.get(value.feedback_id)
        if known is None or known.enrichment_version <= value.enrichment_version:
            kept[value.feedback_id] = value
    return kept


def final_outcomes(values: Iterable[NotificationOutcome]) -> dict[str, NotificationOutcome]:
    """Return what became of each alert: the last outcome of each, by attempt and time."""
    kept: dict[str, NotificationOutcome] = {}
    for value in values:
        known = kept.get(value.alert_id)
        if known is None or (known.attempt, known.occurred_at) <= (value.attempt, value.occurred_at):
            kept[value.alert_id] = value
    return kept


def names_of(events: Iterable[PersonEvent]) -> dict[str, str]:
    """Return the name of each person whose newest profile has one."""
    newest_at: dict[str, int] = {}
    names: dict[str, str] = {}
    for event in events:
        if event.type == "profile" and event.name and event.occurred_at >= newest_at.get(event.person_id, 0):
            newest_at[event.person_id] = event.occurred_at
            names[event.person_id] = event.name
    return names


def joined(events: Iterable[PersonEvent]) -> dict[str, str]:
    """Return whom each joined person points at, *events* being in each person's order."""
    pointers: dict[str, str] = {}
    for event in events:
        if event.type == "joined" and event.other_person_id:
            pointers[event.person_id] = event.other_person_id
        elif event.type == "separated":
            pointers.pop(event.person_id, None)
    return pointers


def end_of(start: str, pointers: Mapping[str, str]) -> str:
    """Return where *pointers* lead from *start*."""
    while start in pointers:
        start = pointers[start]
    return start


def find(identifiers: Iterable[str], wanted: str, kind: str) -> str:
    """Return the one id among *identifiers* that is *wanted* or whose digest begins with it.

    Raises:
        CommandFailed: None or several do.
    """
    known = set(identifiers)
    if wanted in known:
        return wanted
    found = sorted(i for i in known if i.rpartition(":")[2].startswith(wanted))
    if len(found) == 1:
        return found[0]
    what = f"no {kind} is called" if not found else f"{len(found)} {kind}s begin with"
    raise CommandFailed(f"{what} {wanted!r}", ExitCode.USAGE)


def segments_line(segments: Mapping[str, Mapping[str, Mapping[str, int]]], scheme: str | None = None) -> str:
    """Return ``{scheme: {segment: {"people": n, …}}}`` as ``enterprise 12, self-serve 3`` of *scheme*, by default the first."""
    if not segments:
        return ""
    chosen = segments.get(scheme) if scheme else next(iter(segments.values()))
    counted = sorted((chosen or {}).items(), key=lambda entry: (-entry[1].get("people", 0), entry[0]))
    return ", ".join(f"{name} {numbers.get('people', 0)}" for name, numbers in counted)


def candidates_of(decision: Decision) -> list[dict[str, Any]]:
    """Return the ideas that *decision* was weighed against, best first."""
    return list(json.loads(decision.candidates_json or "[]"))
