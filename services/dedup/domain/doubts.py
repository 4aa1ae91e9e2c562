"""What a board is not sure of, what it asked of humans, and what they said."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from services.common.events import Decision
from services.dedup.domain.proposals import leaving

Pair: TypeAlias = tuple[str, str]


class Doubts:
    """Pairs of ideas that may be one, and ideas that may be two."""

    def __init__(self) -> None:
        self.suggestions: dict[Pair, str] = {}
        """Pairs in the direction in which they would be merged: ``open``, ``accepted`` or ``dismissed``."""
        self.scores: dict[Pair, float] = {}
        """Of pairs that were suggested, or merged by a repair, in the same direction."""
        self.fresh: dict[Pair, None] = {}
        """Those that the last pass suggested."""
        self._pass = ""
        self.kept_apart: dict[Pair, None] = {}
        """Pairs that a human dismissed, unmerged or split: no repair merges them."""
        self.merged_by_hand: dict[str, None] = {}
        """Ideas whose pointers a human made: no split of what they hold together is proposed."""
        self.merged_by_repair: dict[str, None] = {}
        """Ideas whose pointers a pass made, and no human confirms: the next pass may remove them."""
        self._confirmed: dict[str, list[str]] = {}
        """Ideas whose pointers a pass made: the events by which humans confirmed them."""
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

    def confirm(self, event_id: str, ideas: Iterable[str]) -> None:
        """Let those pointers of *ideas* that a pass made be what a human said by *event_id*: no pass removes them."""
        for idea in ideas:
            if idea in self.merged_by_repair or idea in self._confirmed:
                self.merged_by_repair.pop(idea, None)
                self._confirmed.setdefault(idea, []).append(event_id)

    def reconsider(self, is_in_force: Callable[[str], bool]) -> None:
        """Let passes remove again what no answer confirms that is still in force, after an undoing."""
        for idea, events in self._confirmed.items():
            if any(map(is_in_force, events)):
                self.merged_by_repair.pop(idea, None)
            else:
                self.merged_by_repair[idea] = None

    def answer(self, pair: Pair, state: str) -> None:
        """Let the answer to a suggestion be *state*, after an undoing; what the board has learned from it, it keeps."""
        self.suggestions[pair] = state
        if state == "dismissed":
            self.kept_apart[pair] = None
        else:
            self.kept_apart.pop(pair, None)

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
        if decision.type in ("accepted", "dismissed"):
            self.suggestions[pair] = decision.type
        match decision.type:
            case "suggested":
                self._take_suggestion(pair, decision)
            case "merged" if decision.method == "repair":
                self.scores[pair] = decision.score or 0.0
                self.merged_by_repair[pair[0]] = None
            case "unmerged" if decision.method == "repair":
                self.scores.pop(pair, None)
                self._part(pair[0])
            case "merged":
                self.merged_by_hand[pair[0]] = None
                self.kept_apart.pop(pair, None)
                self.kept_apart.pop(pair[::-1], None)
            case "split":
                self.kept_apart[pair] = None
            case "accepted" | "dismissed" | "unmerged":
                is_same = decision.type == "accepted"
                if decision.type == "unmerged":
                    self.merged_by_hand.pop(pair[0], None)
                    self._part(pair[0])
                if not is_same:
                    self.kept_apart[pair] = None
                score = self.scores.pop(pair, None)
                return None if score is None else (score, is_same)
        return None

    def _part(self, idea: str) -> None:
        self.merged_by_repair.pop(idea, None)
        self._confirmed.pop(idea, None)
