"""What was said, by whom, about which idea, and in which segments that person is counted."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.common.events import EnrichedFeedback
from services.console.segments.evidence import Evidence
from services.segmenter.domain.definition import UNKNOWN

MOOD = 0.05
"""Sentiment beyond it, up or down, counts as positive or negative; between, as neutral (the convention of VADER's authors)."""


@dataclass(frozen=True, slots=True)
class Voice:
    """One piece of feedback that is linked and was not taken back."""

    person_id: str
    root_id: str
    """The idea to which merges lead now."""
    segments: Mapping[str, str]
    row: EnrichedFeedback
    valence: float | None
    """-1 bad to 1 good: by the rating that came with it, else by the sentiment of its words; None where there is neither."""

    @property
    def mood(self) -> int | None:
        """-1 negative, 0 neutral, 1 positive."""
        return None if self.valence is None else (self.valence > MOOD) - (self.valence < -MOOD)


def voices(evidence: Evidence, *, then: bool) -> list[Voice]:
    """Return all that was said; *then*: in the segments in which its author was at its first evaluation, else in the present ones."""
    population, present = evidence.population, evidence.segments()
    scales = _scales(evidence.feedback.values())
    found = []
    for feedback_id, (person_id, root) in sorted(population.links.items()):
        row = evidence.feedback.get(feedback_id)
        if row is None or row.retracted:
            continue
        human = population.human(person_id)
        segments = json.loads(row.segments_json) if then else present.get(human, {})
        found.append(Voice(human, root, segments, row, _valence(row, scales)))
    return found


def by_segment(heard: Sequence[Voice], scheme: str) -> dict[str, list[Voice]]:
    """Return *heard* by segment of *scheme*; whom too little is known of is in none: unknown is not the rest."""
    found: defaultdict[str, list[Voice]] = defaultdict(list)
    for voice in heard:
        segment = voice.segments.get(scheme, UNKNOWN)
        if segment != UNKNOWN:
            found[segment].append(voice)
    return dict(sorted(found.items()))


def askers(heard: Iterable[Voice]) -> dict[str, set[str]]:
    """Return who asks for each idea."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for voice in heard:
        found[voice.root_id].add(voice.person_id)
    return dict(found)


def quotes(heard: Iterable[Voice], most: int = 3, longest: int = 160) -> Iterator[tuple[str, Voice]]:
    """Yield the shortest words that say something (of one person once), with where they stand."""
    said: set[str] = set()
    for voice in sorted(heard, key=lambda v: (len(v.row.text) < 20, len(v.row.text), v.row.feedback_id)):
        text = " ".join(voice.row.text.split())
        if text and voice.person_id not in said and len(said) < most:
            said.add(voice.person_id)
            yield (text if len(text) <= longest else f"{text[: longest - 1]}…"), voice


def _scales(rows: Iterable[EnrichedFeedback]) -> dict[str, float]:
    """Return the top of each channel's scale, by the highest rating that it ever gave: stars go to 5, recommendations to 10."""
    tops: defaultdict[str, float] = defaultdict(float)
    for row in rows:
        if row.rating is not None:
            tops[row.source] = max(tops[row.source], row.rating)
    return {source: 5.0 if top <= 5 else 10.0 if top <= 10 else top for source, top in tops.items()}


def _valence(row: EnrichedFeedback, scales: Mapping[str, float]) -> float | None:
    if row.rating is None:
        return row.sentiment
    top = scales[row.source]
    if top == 10:  # recommendation: 0-6 detract, 9 and 10 promote
        return -1.0 if row.rating <= 6 else 1.0 if row.rating >= 9 else 0.0
    return max(-1.0, min(1.0, (row.rating - (top + 1) / 2) / ((top - 1) / 2)))
