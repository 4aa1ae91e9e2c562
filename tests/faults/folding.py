"""A board as its decisions say it is: folded by whoever reads them, without the code that made them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.faults.evidence import Evidence


@dataclass
class Boards:
    """All boards of a run."""

    idea_of: dict[str, str] = field(default_factory=dict)
    """Feedback → the idea that it is linked to."""
    person_of: dict[str, str] = field(default_factory=dict)
    into: dict[str, str] = field(default_factory=dict)
    """Idea → the idea that it was merged into."""
    status: dict[str, str] = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)
    shipped: set[str] = field(default_factory=set)
    """Ideas that were said to have shipped."""
    joined: Mapping[str, str] = field(default_factory=dict)
    """Person → the person whom they turned out to be."""

    def root(self, idea: str) -> str:
        """Return where the pointers of *idea* end."""
        return end(idea, self.into)

    def human(self, person: str) -> str:
        """Return whom *person* turned out to be."""
        return end(person, self.joined)

    def said(self) -> Mapping[str, list[str]]:
        """Return the feedback of each root."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for feedback, idea in self.idea_of.items():
            found[self.root(idea)].append(feedback)
        return found

    def people(self, feedback: Iterable[str]) -> set[str]:
        """Return the humans who said *feedback*."""
        return {self.human(self.person_of[one]) for one in feedback if one in self.person_of}

    def owed(self) -> Iterator[tuple[str, str]]:
        """Return the root and the human of all who asked for what shipped: for that idea, or for one whose pointers lead to it.

        What shipped and was then merged into an idea that has not is no news to those who asked for the latter.
        """
        for feedback, idea in self.idea_of.items():
            if feedback in self.person_of and not self.shipped.isdisjoint(path(idea, self.into)):
                yield self.root(idea), self.human(self.person_of[feedback])

    def take(self, decision: Mapping[str, Any]) -> None:
        """Let one more decision hold."""
        feedback, idea, kind = decision["feedback_id"], decision["idea_id"], decision["type"]
        if kind == "opened":
            self.opened.append(idea)
        elif kind in ("linked", "moved", "split"):
            self.idea_of[feedback] = idea
            if decision["person_id"]:
                self.person_of[feedback] = decision["person_id"]
        elif kind == "unlinked":
            self.idea_of.pop(feedback, None)
        elif kind == "merged":
            self.into[idea] = decision["other_idea_id"]
        elif kind == "unmerged":
            self.into.pop(idea, None)
        elif kind == "status_changed":
            self.status[idea] = decision["status"]
            if decision["status"] == "shipped":
                self.shipped |= {idea, self.root(idea)}


def fold(evidence: Evidence) -> Boards:
    """Return all boards as their decisions, in their order, add up."""
    boards = Boards(joined=_joined(evidence))
    for decision in sorted(evidence.facts("board.decisions"), key=lambda d: (d["workspace"], d["board"], d["sequence"])):
        boards.take(decision)
    return boards


def end(start: str, pointers: Mapping[str, str]) -> str:
    """Return where *pointers* lead from *start*."""
    return path(start, pointers)[-1]


def path(start: str, pointers: Mapping[str, str]) -> list[str]:
    """Return *start* and all that *pointers* lead to from there."""
    found = [start]
    while found[-1] in pointers:
        found.append(pointers[found[-1]])
    return found


def _joined(evidence: Evidence) -> Mapping[str, str]:
    pointers: dict[str, str] = {}
    for row in evidence.rows("people.events"):
        if row.fields.get("type") == "joined":
            pointers[row.fields["person_id"]] = row.fields["other_person_id"]
        elif row.fields.get("type") == "separated":
            pointers.pop(row.fields["person_id"], None)
    return pointers
