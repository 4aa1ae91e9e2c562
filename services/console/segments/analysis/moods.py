"""How segments feel: the distribution of mood over what was said, by ratings, and by the sentiment of words that came without."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from services.console.segments.analysis.chance import Interval, mean
from services.console.segments.analysis.voices import Voice, by_segment


@dataclass(frozen=True, slots=True)
class Mood:
    """One segment's."""

    segment: str
    mentions: int
    """All that it said."""
    told: int
    """Of which so many have a sentiment or a rating."""
    negative: int
    neutral: int
    positive: int
    mean: Interval | None
    """-1 bad to 1 good; each person counts once, by the mean of what the person said."""


def moods(heard: Sequence[Voice], scheme: str) -> list[Mood]:
    """Return the mood of each segment of *scheme*."""
    return [_mood(segment, mine) for segment, mine in by_segment(heard, scheme).items()]


def _mood(segment: str, mine: Sequence[Voice]) -> Mood:
    counts = Counter(voice.mood for voice in mine if voice.mood is not None)
    people: dict[str, list[float]] = {}
    for voice in mine:
        if voice.valence is not None:
            people.setdefault(voice.person_id, []).append(voice.valence)
    each = [sum(values) / len(values) for values in people.values()]
    return Mood(segment, len(mine), sum(counts.values()), counts[-1], counts[0], counts[1], mean(each, -1.0, 1.0))
