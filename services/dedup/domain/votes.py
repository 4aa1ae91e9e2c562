"""Pieces that say nothing but "+1" to another: each is where its parent is, whichever of the two comes first, and follows its edits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from services.common.events import BoardEvent, Decision
from services.dedup.domain.methods import VOTE

_ERASED: Mapping[str, Any] = {"text": "", "external_id": None, "url": None, "language": None}


@dataclass(frozen=True, slots=True)
class Vote:
    """What a vote is for, and what its link carries once it has one."""

    parent_id: str
    said: Mapping[str, Any]

    @classmethod
    def of(cls, decision: Decision) -> Vote | None:
        """Return the vote that *decision* linked; None where it linked none."""
        candidates: list[dict[str, Any]] = orjson.loads(decision.candidates_json or "[]") if decision.method == VOTE else []
        if not candidates or "parent" not in candidates[0]:  # those of before did not say it
            return None
        return cls(candidates[0]["parent"], {name: getattr(decision, name) for name in _CARRIED})

    def without_words_of(self, person_id: str) -> Vote:
        """Return it without its words, if they are *person_id*'s."""
        return Vote(self.parent_id, {**self.said, **_ERASED}) if self.said["person_id"] == person_id else self


_CARRIED = (
    "feedback_id",
    "revision",
    "person_id",
    "source",
    "external_id",
    "text",
    "language",
    "url",
    "rating",
    "actor",
    "occurred_at",
    "ingested_at",
)


def feedback_of(event: BoardEvent) -> dict[str, Any]:
    """Return what a link carries of the feedback itself."""
    finite = event.rating is not None and math.isfinite(event.rating)  # JSON, which the log is kept in, has no other numbers
    return {
        "feedback_id": event.feedback_id,
        "revision": event.revision,
        "person_id": event.person_id,
        "source": event.source,
        "external_id": event.external_id,
        "text": event.text,
        "language": event.language,
        "url": event.url,
        "rating": event.rating if finite else None,
        "actor": event.actor,
    }


def vote_of(event: BoardEvent) -> Vote | None:
    """Return the vote that *event* is; None where it is none, or for nothing."""
    if event.type == "retracted" or not event.is_vote or event.parent_id is None:
        return None
    return Vote(event.parent_id, {**feedback_of(event), "occurred_at": event.occurred_at, "ingested_at": event.ingested_at})


class Votes:
    """The votes of a board, as their newest revisions have them, linked or not."""

    def __init__(self) -> None:
        self._votes: dict[str, Vote] = {}
        self._of: dict[str, set[str]] = {}

    def put(self, feedback_id: str, vote: Vote | None) -> None:
        """Let *feedback_id* be *vote*, or none."""
        if vote is None and not self._votes:
            return
        former = self._votes.pop(feedback_id, None)
        if former is not None:
            self._of[former.parent_id].discard(feedback_id)
            if not self._of[former.parent_id]:
                del self._of[former.parent_id]
        if vote is not None:
            self._votes[feedback_id] = vote
            self._of.setdefault(vote.parent_id, set()).add(feedback_id)

    def recall(self, linked: Decision) -> None:
        """Know again the vote that *linked* gave a place: its own event may be gone."""
        vote = Vote.of(linked)
        if vote is not None:
            self.put(linked.feedback_id or "", vote)

    def has(self, parent_id: str) -> bool:
        """Tell whether there are votes for *parent_id*."""
        return parent_id in self._of

    def of(self, parent_id: str) -> list[tuple[str, Vote]]:
        """Return the votes for *parent_id*, by their ids."""
        return [(name, self._votes[name]) for name in sorted(self._of.get(parent_id, ()))]

    def hangs_on(self, feedback_id: str, other_id: str) -> bool:
        """Tell whether *feedback_id* is *other_id*, or a vote for it, for one of its votes, and so on: then it can give it no place."""
        passed: set[str] = set()
        while feedback_id not in passed:
            if feedback_id == other_id:
                return True
            passed.add(feedback_id)
            vote = self._votes.get(feedback_id)
            if vote is None:
                return False
            feedback_id = vote.parent_id
        return False

    def erase(self, person_id: str) -> None:
        """Let go of what a person said."""
        self._votes = {name: vote.without_words_of(person_id) for name, vote in self._votes.items()}
