"""What a board is not sure of, what it asked of humans, and what they said."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from services.common.events import Decision
from services.dedup.domain.methods import UNDO
from services.dedup.domain.proposals import leaving

Pair: TypeAlias = tuple[str, str]


class Doubts:
    """Pairs of ideas that may be one, and ideas that may be two.

    What humans say of pairs holds as long as the command is in force by which they said it; undoing says nothing of its own.
    """

    def __init__(self, is_in_force: Callable[[str], bool]) -> None:
        """*is_in_force* tells whether a command, by its event, was not undone."""
        self._is_in_force = is_in_force
        self.suggestions: dict[Pair, str] = {}
        """Pairs in the direction in which they would be merged: ``open``, ``accepted`` or ``dismissed``."""
        self.scores: dict[Pair, float] = {}
        """Of pairs that were suggested, or merged by a repair, in the same direction."""
        self.fresh: dict[Pair, None] = {}
        """Those that the last pass suggested."""
        self._pass = ""
        self.kept_apart: dict[Pair, None] = {}
        """Pairs that a human dismissed, unmerged or split: no repair merges them."""
        self._said: dict[Pair, list[tuple[str, bool]]] = {}
        """By pair what humans said of it, one after another: the event, and whether they kept it apart."""
        self.merged_by_hand: dict[str, None] = {}
        """Ideas whose pointers a human made: no split of what they hold together is proposed."""
        self.merged_by_repair: dict[str, None] = {}
        """Ideas whose pointers a pass made, and no human confirms: the next pass may remove them."""
        self._by_passes: dict[str, str] = {}
        """Ideas whose pointers a pass made, confirmed or not, and what they point at."""
        self._makers: dict[Pair, bool] = {}
        """Whether a pass made a pointer, a human else; undoing makes it for whoever did."""
        self._confirmed: dict[Pair, list[str]] = {}
        """By pointer the events by which humans confirmed it."""
        self.splits: dict[str, tuple[str, ...]] = {}
        """Open proposals: of a root idea, the feedback that would leave it."""
        self.looked_at: dict[str, int] = {}
        """Texts that a root idea had when a split of it was last proposed."""

    def take(self, decision: Decision, idea_id: str, texts_of: Callable[[str], int]) -> tuple[float, bool] | None:
        """Take in *decision*, which is about *idea_id*; return a pair's score and whether a human took it for one, if it says so."""
        if decision.type == "split":
            self.splits.pop(idea_id, None)
        if decision.other_idea_id is None:
            self._take_split(decision, idea_id, texts_of)
            return None
        return self._take_pair(decision, (decision.idea_id or "", decision.other_idea_id))

    def confirm(self, event_id: str, pointers: Iterable[Pair]) -> None:
        """Let those of *pointers* that a pass made be what a human said by *event_id*: no pass removes them."""
        for pointer in pointers:
            if self._by_passes.get(pointer[0]) == pointer[1]:
                self.merged_by_repair.pop(pointer[0], None)
                self._confirmed.setdefault(pointer, []).append(event_id)

    def reconsider(self, answers: Iterable[tuple[Pair, str]]) -> None:
        """Let hold what humans said by commands that are in force, after an undoing that changed *answers* to suggestions.

        What the board has learned from them, it keeps.
        """
        self.suggestions.update(answers)
        for pair, said in self._said.items():
            if next((is_apart for event, is_apart in reversed(said) if self._is_in_force(event)), False):
                self.kept_apart[pair] = None
            else:
                self.kept_apart.pop(pair, None)
        for pointer in self._by_passes.items():
            self._let_loose(pointer)

    def _take_split(self, decision: Decision, idea_id: str, texts_of: Callable[[str], int]) -> None:
        if decision.type == "suggested":
            self.splits[idea_id] = leaving(decision)
            self.looked_at[idea_id] = texts_of(idea_id)
        elif decision.type == "dismissed":
            self.splits.pop(idea_id, None)

    def _take_suggestion(self, pair: Pair, decision: Decision) -> None:
        self.suggestions[pair], self.scores[pair] = "open", decision.score or 0.0
        if decision.method == "repair":
            if self._pass != decision.event_id:
                self._pass = decision.event_id
                self.fresh.clear()
            self.fresh[pair] = None

    def _take_pair(self, decision: Decision, pair: Pair) -> tuple[float, bool] | None:
        is_human = decision.method not in ("repair", UNDO)
        match decision.type:
            case "suggested":
                self._take_suggestion(pair, decision)
            case "merged":
                self._point(pair, decision)
                if is_human:
                    self._say(decision.event_id, pair, is_apart=False)
            case "unmerged":
                self._part(pair, is_pass=decision.method == "repair")
                return self._answered(decision.event_id, pair, is_same=False) if is_human else None
            case "split" if is_human:
                self._say(decision.event_id, pair, is_apart=True)
            case "accepted" | "dismissed":
                self.suggestions[pair] = decision.type
                return self._answered(decision.event_id, pair, is_same=decision.type == "accepted")
        return None

    def _answered(self, event_id: str, pair: Pair, *, is_same: bool) -> tuple[float, bool] | None:
        self._say(event_id, pair, is_apart=not is_same)
        score = self.scores.pop(pair, None)
        return None if score is None else (score, is_same)

    def _say(self, event_id: str, pair: Pair, *, is_apart: bool) -> None:
        """Keep what a human said of a pair; that it is one holds in both directions."""
        for of in (pair,) if is_apart else (pair, pair[::-1]):
            said = self._said.setdefault(of, [])
            if said[-1:] != [(event_id, is_apart)]:  # a split says so of each text
                said.append((event_id, is_apart))
            self.kept_apart.pop(of, None)
        if is_apart:
            self.kept_apart[pair] = None

    def _point(self, pointer: Pair, decision: Decision) -> None:
        if decision.method != UNDO:
            self._makers[pointer] = decision.method == "repair"
        if decision.method == "repair":
            self.scores[pointer] = decision.score or 0.0
        if self._makers.get(pointer, False):
            self._by_passes[pointer[0]] = pointer[1]
            self._let_loose(pointer)
        else:
            self.merged_by_hand[pointer[0]] = None

    def _part(self, pointer: Pair, *, is_pass: bool) -> None:
        if is_pass:
            self.scores.pop(pointer, None)
        self.merged_by_hand.pop(pointer[0], None)
        self.merged_by_repair.pop(pointer[0], None)
        self._by_passes.pop(pointer[0], None)

    def _let_loose(self, pointer: Pair) -> None:
        """Let passes remove a pointer of theirs, unless a human confirms it."""
        if any(map(self._is_in_force, self._confirmed.get(pointer, ()))):
            self.merged_by_repair.pop(pointer[0], None)
        else:
            self.merged_by_repair[pointer[0]] = None
