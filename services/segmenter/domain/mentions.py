"""What a person asked for, as far as segments look at it: bounded, and the same in whatever order it is heard."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.common.clock import Micros

KEPT_MENTIONS = 100
"""Of each person the newest so many, by their own times."""
_KEPT_WORDS = 60
_WORD = re.compile(r"[^\W_]{2,40}")


@dataclass(frozen=True, slots=True)
class Asked:
    """One piece of feedback as far as segments look at it."""

    at: Micros
    """When it was written."""
    idea_id: str
    """As it is linked; merges do not change it."""
    words: tuple[str, ...]
    """Distinct, lower case, ascending; at most 60."""


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of *text* as ``Asked`` keeps them."""
    found = dict.fromkeys(word.lower() for word in _WORD.findall(text))
    return tuple(sorted(list(found)[:_KEPT_WORDS]))


def asked(raw: Mapping[str, Any]) -> Asked:
    """Return what was stored or sent as *raw*."""
    return Asked(raw["at"], raw["idea_id"], tuple(raw["words"]))


def newest(mentions: Mapping[str, Asked]) -> dict[str, Asked]:
    """Return those of *mentions* (by feedback id) that are kept, ordered by id."""
    if len(mentions) <= KEPT_MENTIONS:
        return dict(sorted(mentions.items()))
    ranked = sorted(mentions.items(), key=lambda entry: (entry[1].at, entry[0]), reverse=True)
    return dict(sorted(ranked[:KEPT_MENTIONS]))
