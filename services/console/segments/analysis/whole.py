"""Everything that is to be said of the segments of one scheme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.common.clock import Micros
from services.console.segments.analysis.customers import Customer, customers
from services.console.segments.analysis.fit import Fit, criteria, fits
from services.console.segments.analysis.moods import Mood, moods
from services.console.segments.analysis.outcomes import Course, Outcome, Rate, rates, recomputed
from services.console.segments.analysis.personas import Portrait, portraits
from services.console.segments.analysis.voices import voices
from services.console.segments.analysis.wishes import Wish, wishes
from services.console.segments.analysis.worth import Worth, worths
from services.console.segments.evidence import Evidence
from services.segmenter.domain.definition import Definition


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked."""

    schemes: Sequence[str]
    since: Micros
    """When the people of wins and losses are counted in their segments."""
    until: Micros
    """When it is looked at what became of them; everything else is of now, which is the same moment unless said otherwise."""
    outcomes: Sequence[Outcome]
    then: bool = True
    """Whether feedback counts in the segments that its author was in at that moment, or is in now."""
    by_events: bool = False
    """Whether the past is what the history says was known, or what the events say had happened."""


@dataclass(frozen=True, slots=True)
class SchemeAnalysis:
    """The answer, by segments of one scheme."""

    scheme: str
    wishes: list[Wish]
    moods: list[Mood]
    rates: list[Rate]
    fits: list[Fit]
    portraits: list[Portrait]


@dataclass(frozen=True, slots=True)
class Analysis:
    """The whole answer."""

    question: Question
    people: int
    mentions: int
    schemes: list[SchemeAnalysis]
    worths: list[Worth]
    customers: list[Customer]
    titles: Mapping[str, str]


def analysed(evidence: Evidence, definition: Definition, question: Question) -> Analysis:
    """Return the answer to *question*; nothing is written anywhere."""
    heard = voices(evidence, then=question.then)
    if question.by_events:
        past, later = (recomputed(evidence, definition, moment) for moment in (question.since, question.until))
    else:
        past, later = (evidence.history.at(moment) for moment in (question.since, question.until))
    course = Course(past, later, question.outcomes)
    schemes = []
    for scheme in question.schemes:
        asked = wishes(evidence, heard, scheme)
        judged = criteria(evidence, heard, scheme, question.until, course)
        schemes.append(
            SchemeAnalysis(
                scheme,
                asked,
                moods(heard, scheme),
                rates(course, scheme),
                fits(evidence, judged),
                portraits(evidence, heard, scheme, asked, question.until),
            )
        )
    return Analysis(
        question,
        len(evidence.population.humans),
        len(heard),
        schemes,
        worths(evidence, heard, definition, question.until),
        customers(evidence, question.until, course),
        evidence.titles,
    )
