"""A segment as one imagined person: drawn from counts, with the words of real ones; a picture to talk about, not evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from services.common.clock import Micros
from services.console.segments.analysis.voices import Voice, by_segment, quotes
from services.console.segments.analysis.wishes import Wish, over_represented
from services.console.segments.evidence import Evidence
from services.console.segments.features import Feature, Matrix, features, matrix_of
from services.console.segments.traits import farthest, unlike_others
from services.segmenter.domain.definition import UNKNOWN
from services.segmenter.domain.loading import NO, YES
from services.segmenter.offline import Human

JOB = "job"
"""The survey question by which people say what they want to get done."""
_TOLD = 3
_TYPICAL = 0.5


@dataclass(frozen=True, slots=True)
class Portrait:
    """One segment's persona."""

    segment: str
    name: str
    people: int
    share: float
    """Of all whose segment is known."""
    traits: list[str]
    """What is most unlike the others, a sentence each."""
    jobs: list[str]
    """What they want to get done: answers first, then what they ask for most."""
    pains: list[str]
    """What they complain about."""
    gains: list[str]
    """What they praise."""
    quotes: list[str]
    """With channel and date."""


def portraits(evidence: Evidence, heard: Sequence[Voice], scheme: str, found: Sequence[Wish], as_of: Micros) -> list[Portrait]:
    """Return the persona of each segment of *scheme* that anybody is in now."""
    segments = {p: s.get(scheme, UNKNOWN) for p, s in evidence.segments().items()}
    people = [h for h in evidence.population.humans.values() if h.is_known and segments.get(h.person_id, UNKNOWN) != UNKNOWN]
    columns = features(people, as_of)
    rows, said = matrix_of(len(people), columns), by_segment(heard, scheme)
    names = sorted({segments[human.person_id] for human in people} - ({NO} if "." in scheme else set()))
    drawn = []
    for segment in names:
        inside = np.array([segments[human.person_id] == segment for human in people])
        mine = [human for human, is_in in zip(people, inside, strict=True) if is_in]
        words = said.get(segment, [])
        drawn.append(
            Portrait(
                segment,
                _name(scheme if segment == YES else segment, rows, inside, columns),
                len(mine),
                len(mine) / len(people),
                list(unlike_others(rows, inside, columns)),
                [*_answered(mine), *_wanted(evidence.titles, found, segment)],
                list(_felt(evidence.titles, words, -1)),
                list(_felt(evidence.titles, words, 1)),
                list(_said(words, found, segment)),
            )
        )
    return drawn


def _name(segment: str, rows: Matrix, inside: np.typing.NDArray[np.bool_], columns: Sequence[Feature]) -> str:
    """Return the segment's name with what most of its people are, and most of the others are not."""
    typical: list[str] = []
    for place in farthest(rows, inside):
        column = columns[place]
        is_told = column.kind == "is" and isinstance(column.equals, str)
        mine, theirs = float(np.nanmean(rows[inside][:, place])), float(np.nanmean(rows[~inside][:, place]))
        if is_told and mine >= _TYPICAL and mine >= 1.25 * theirs and column.equals not in (segment, *typical):
            typical.append(str(column.equals))
    return segment.replace("_", " ") + (f" ({', '.join(typical[:2])})" if typical else "")


def _answered(people: Sequence[Human]) -> list[str]:
    answers = Counter(str(given.value) for human in people if (given := human.facts.answers.get(JOB)) is not None)
    told = sum(answers.values())
    return [f"{answer} ({count} of {told} who answered)" for answer, count in answers.most_common(_TOLD)]


def _wanted(titles: Mapping[str, str], found: Sequence[Wish], segment: str) -> list[str]:
    mine = [wish for wish in found if wish.segment == segment]
    special = over_represented(mine)
    ranked = [*special, *(wish for wish in mine if wish not in special)][:_TOLD]
    return [f"{_title(titles, w.root_id)} ({w.people} of {w.of} who ask{_special(w)})" for w in ranked]


def _special(wish: Wish) -> str:
    if not wish.is_over_represented:
        return ""
    return ", nobody else does" if wish.index is None else f", {wish.index:.1f} times as often as the rest"


def _felt(titles: Mapping[str, str], words: Sequence[Voice], mood: int) -> Iterator[str]:
    told = [voice for voice in words if voice.mood == mood]
    counts = Counter({root: len({v.person_id for v in told if v.root_id == root}) for root in {v.root_id for v in told}})
    for root, people in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:_TOLD]:
        quote = next((text for text, _ in quotes([v for v in told if v.root_id == root], 1, 90)), "")
        yield f"{_title(titles, root)} ({people} people)" + (f": “{quote}”" if quote else "")


def _said(words: Sequence[Voice], found: Sequence[Wish], segment: str) -> Iterator[str]:
    special = {wish.root_id for wish in over_represented(found, segment)}
    chosen = [voice for voice in words if voice.root_id in special] or words
    for text, voice in quotes(chosen, _TOLD):
        yield f"“{text}” ({voice.row.source}, {datetime.fromtimestamp(voice.row.occurred_at / 1e6, UTC).date().isoformat()})"


def _title(titles: Mapping[str, str], root: str) -> str:
    return " ".join(titles.get(root, root).split())[:80]
