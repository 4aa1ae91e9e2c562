"""What is known of a person, as the person's own events add up, and of several that turned out to be one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from services.common.clock import Micros
from services.common.events import PersonEvent
from services.segmenter.domain.mentions import Asked, asked, newest
from services.segmenter.domain.occurrences import KEPT_DAYS, Activity, occurrence, restored
from services.segmenter.domain.recency import DAY, days_since

_KEPT_NAMES = 256
"""Activities and questions of a person: beyond it, those that come first in the alphabet (so that arrival does not matter)."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The newest profile that a CRM or CDP gave of a person."""

    updated_at: Micros
    account_id: str | None
    name: str | None
    language: str | None
    traits: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """The newest answer to one survey question."""

    answered_at: Micros
    value: Any
    confidence: float | None

    @property
    def certainty(self) -> float:
        """The confidence, 0-1; an answer without one was given by the person, and is certain."""
        return 1.0 if self.confidence is None else self.confidence

    def holds(self, as_of: Micros, days: int | None, confidence: float) -> bool:
        """Tell whether it says anything, is at most *days* old (None: of any age) and at least as certain as *confidence*."""
        is_fresh = days is None or as_of < self.answered_at + days * DAY
        return self.value is not None and is_fresh and self.certainty >= confidence


@dataclass(slots=True)
class Facts:
    """What one person's own events said, and on which boards the person asked for something."""

    profile: Profile | None = None
    known_since: Micros | None = None
    """When the first profile came in (its ``ingested_at``)."""
    activity: dict[str, Activity] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    boards: list[str] = field(default_factory=list)
    asked: dict[str, Asked] = field(default_factory=dict)
    """By feedback id."""

    def learn(self, event: PersonEvent) -> None:
        """Take in a profile, an activity or an answer that is not older than what is known."""
        name = event.name or ""
        match event.type:
            case "profile":
                self.profile = Profile(event.occurred_at, event.account_id, event.name, event.language, traits_of(event.traits_json))
                self.known_since = event.ingested_at if self.known_since is None else self.known_since
            case "activity":
                self._count(name, occurrence(event.occurred_at, event.amount), event.ingested_at // DAY - KEPT_DAYS)
            case "answer":
                self.answers[name] = Answer(event.occurred_at, scalar(event.answer_json), event.confidence)
                _keep_first(self.answers)
            case _:
                pass

    def ask(self, feedback_id: str, mention: Asked | None) -> None:
        """Take in what a piece of feedback asks for now; None: nothing any more."""
        self.asked.pop(feedback_id, None)
        if mention is not None:
            self.asked = newest({**self.asked, feedback_id: mention})

    def _count(self, name: str, seen: Activity, oldest_day: int) -> None:
        known = self.activity.get(name)
        self.activity[name] = (seen if known is None else known.plus(seen)).since(oldest_day)
        _keep_first(self.activity)

    @classmethod
    def load(cls, raw: Mapping[str, Any]) -> Facts:
        """Return the facts that were stored as *raw*."""
        profile = raw["profile"]
        return cls(
            profile=None if profile is None else Profile(**profile),
            known_since=raw["known_since"],
            activity={name: restored(seen) for name, seen in raw["activity"].items()},
            answers={name: Answer(**given) for name, given in raw["answers"].items()},
            boards=list(raw["boards"]),
            asked={name: asked(mention) for name, mention in raw.get("asked", {}).items()},
        )


def _keep_first(named: dict[str, Any]) -> None:
    if len(named) > _KEPT_NAMES:
        del named[max(named)]


def traits_of(text: str | None) -> dict[str, Any]:
    """Return the object in *text*; empty where there is none or it is no object. Null counts as missing."""
    value = scalar(text)
    return {name: trait for name, trait in value.items() if trait is not None} if isinstance(value, dict) else {}


def scalar(text: str | None) -> Any:
    """Return the JSON value in *text*; None where there is none."""
    if text is None:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def together(family: Iterable[tuple[str, Facts]]) -> Facts:
    """Return what is known of several persons who are one: newest profile and answers, all activity.

    Of profiles of the same moment the one of the smallest person id holds, so that the order of *family* does not matter.
    """
    members = sorted(family, key=lambda member: member[0])
    if len(members) == 1:
        return members[0][1]
    merged = Facts()
    for _, facts in members:
        if facts.profile is not None and (merged.profile is None or facts.profile.updated_at > merged.profile.updated_at):
            merged.profile = facts.profile
        if facts.known_since is not None:
            merged.known_since = min(facts.known_since, merged.known_since or facts.known_since)
        for name, seen in facts.activity.items():
            merged.activity[name] = merged.activity[name].plus(seen) if name in merged.activity else seen
        for name, given in facts.answers.items():
            if name not in merged.answers or given.answered_at > merged.answers[name].answered_at:
                merged.answers[name] = given
        merged.asked = newest({**merged.asked, **facts.asked})
    merged.boards = sorted({board for _, facts in members for board in facts.boards})
    return merged


def person_variable(profile: Profile | None) -> dict[str, Any]:
    """Return the CEL variable ``person``; what is not known is left out, so that no rule matches by it."""
    if profile is None:
        return {"traits": {}}
    named = {name: value for name, value in (("name", profile.name), ("language", profile.language)) if value is not None}
    return {"traits": dict(profile.traits), **named}


def activity_variable(facts: Facts, as_of: Micros) -> dict[str, Any]:
    """Return the CEL variable ``activity`` as of a moment."""
    return {
        name: {
            "count": seen.count,
            "total": seen.total,
            "first_seen_days": days_since(seen.first_seen, as_of),
            "last_seen_days": days_since(seen.last_seen, as_of),
        }
        for name, seen in facts.activity.items()
    }


def answers_variable(facts: Facts, as_of: Micros, days: int | None, confidence: float) -> dict[str, Any]:
    """Return the CEL variable ``answers``: those that hold for *days* (None: for ever), of at least *confidence*."""
    return {name: given.value for name, given in facts.answers.items() if given.holds(as_of, days, confidence)}
