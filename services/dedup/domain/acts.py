"""What humans did to a board's ideas, as a set of commands that can be taken back one by one, in whatever order.

A command that was undone is as if its acts had never been: pointers are the fold of the merges and unmerges in force, in the order of their
decisions; a piece of feedback is where the last move in force put it, else where it was linked; a title is the last one given in force.
Undoing says the difference between what stands and that. So commands and the undoing of them, all of them, leave what was there before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from services.common.events import Decision
from services.dedup.domain.doubts import Pair
from services.dedup.domain.ideas import IdeaState
from services.dedup.domain.methods import UNDO

T = TypeVar("T")

_Title: TypeAlias = tuple[str, str | None]
"""A title, and the person whose words it is."""
_NAMELESS: _Title = ("", None)


@dataclass(frozen=True, slots=True)
class _Pointed:
    event_id: str
    child: str
    parent: str
    is_merge: bool


class Acts:
    """The acts of one board, folded from its decisions."""

    def __init__(self) -> None:
        self._answers: dict[str, tuple[Pair, str]] = {}
        """By event: the suggestion that it answered, and how."""
        self._commands: dict[str, None] = {}
        self._undoing: dict[str, list[str]] = {}
        """The events that undid an event."""
        self._pointed: list[_Pointed] = []
        self._moves: dict[str, list[tuple[str | None, str]]] = {}
        """Of feedback: where it was linked, under None, then where commands put it, each under its event."""
        self._titles: dict[str, list[tuple[str | None, _Title]]] = {}
        """The same of ideas."""

    def take(self, decision: Decision, before: IdeaState | None) -> None:
        """Take in *decision* before it holds; *before* is its idea until then."""
        if decision.method == UNDO or decision.type == "linked":
            return
        event, idea, other = decision.event_id, decision.idea_id or "", decision.other_idea_id or ""
        match decision.type:
            case "merged" | "unmerged":
                self._pointed.append(_Pointed(event, idea, other, decision.type == "merged"))
            case "moved" | "split":
                self._moves.setdefault(decision.feedback_id or "", [(None, other)]).append((event, idea))
            case "unlinked":
                self._moves.pop(decision.feedback_id or "", None)
            case "renamed" if before is not None:
                titles = self._titles.setdefault(idea, [(None, (before.title, before.titled_by))])
                titles.append((event if decision.method == "command" else None, (decision.title or "", decision.person_id)))
            case "accepted" | "dismissed":
                self._answers[event] = ((idea, other), decision.type)
        if decision.method == "command" and decision.type != "refused":
            self._commands[event] = None

    def undo(self, event_id: str, by: str) -> list[tuple[Pair, str]]:
        """Let the event *by* undo *event_id*: a command, or an undoing, which holds again what it undid.

        Return the suggestions that this answers otherwise, and how.
        """
        before = {event for event in self._answers if self.is_in_force(event)}
        self._undoing.setdefault(event_id, []).append(by)
        self._commands[by] = None
        changed = before.symmetric_difference(event for event in self._answers if self.is_in_force(event))
        return [(pair, "open" if event in before else said) for event, (pair, said) in self._answers.items() if event in changed]

    def knows(self, event_id: str) -> bool:
        """Tell whether *event_id* is a command that did something here."""
        return event_id in self._commands

    def is_in_force(self, event_id: str) -> bool:
        """Tell whether nothing that is in force itself undid *event_id*."""
        return not any(self.is_in_force(by) for by in self._undoing.get(event_id, ()))

    def pointers(self) -> dict[str, str]:
        """Return what each merged idea points at, as the acts in force have it."""
        found: dict[str, str] = {}
        for act in self._pointed:
            if not self.is_in_force(act.event_id):
                continue
            if not act.is_merge:
                if found.get(act.child) == act.parent:
                    del found[act.child]
                continue
            child, parent = _root(found, act.child), _root(found, act.parent)
            if child != parent:
                found[child] = parent
        return found

    def places(self) -> Iterator[tuple[str, str]]:
        """Yield each piece of feedback that was ever moved, and the idea where it belongs."""
        return ((feedback, self._last(given)) for feedback, given in self._moves.items())

    def erase(self, person_id: str) -> None:
        """Let go of the titles that are a person's words."""
        for given in self._titles.values():
            given[:] = [(event, _NAMELESS if title[1] == person_id else title) for event, title in given]

    def titles(self) -> Iterator[tuple[str, _Title]]:
        """Yield each idea that was ever renamed, its title, empty where that was erased, and whose words it is."""
        return ((idea, self._last(given)) for idea, given in self._titles.items())

    def _last(self, given: Sequence[tuple[str | None, T]]) -> T:
        return next(what for event, what in reversed(given) if event is None or self.is_in_force(event))


def _root(pointers: Mapping[str, str], idea: str) -> str:
    while idea in pointers:
        idea = pointers[idea]
    return idea
