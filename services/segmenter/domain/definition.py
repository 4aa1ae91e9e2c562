"""What segments mean: ordered schemes of CEL rules, compiled once, and the memberships that follow from what is known of a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import cel

from services.common.clock import Micros
from services.segmenter.domain.facts import Facts, activity_variable, answers_variable, person_variable
from services.segmenter.domain.helpers import VARIABLE
from services.segmenter.domain.recency import DAY, NO_RECENCY, Recency
from services.segmenter.domain.terms import Subject, Watch
from services.segmenter.domain.traits import NO_TRAITS, Traits

UNKNOWN = "unknown"
"""The segment, in every scheme, of a person nobody has a profile of."""

_NO_MATCH = (KeyError, TypeError, RuntimeError, ValueError, ArithmeticError, IndexError)
"""What an evaluation raises when a rule touches what is missing, or what is of another type than the rule expects."""


@dataclass(frozen=True, slots=True)
class Texts:
    """What a segment is for: who answers for it, what it is meant to achieve, what is done about it."""

    owner: str | None = None
    goal: str | None = None
    action: str | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """A yes-or-no question in CEL, compiled."""

    source: str
    program: Any
    """The compiled CEL program, helpers replaced by variables."""
    recency: Recency = NO_RECENCY

    def holds(self, context: Any) -> bool:
        """Tell whether it holds; what touches something missing does not hold: unknown is not false."""
        try:
            return self.program.execute(context) is True
        except _NO_MATCH:
            return False


@dataclass(frozen=True, slots=True)
class Rule:
    """One segment of a scheme and the condition of belonging to it."""

    segment: str
    when: Condition
    texts: Texts = Texts()
    stay: Condition | None = None
    """Hysteresis: whoever is in the segment already stays while this holds, though *when* does not any more."""
    after: frozenset[str] = frozenset()
    """The segments from which one can come into this one; empty: from any."""
    dwell_days: int = 0
    """The least days for which one stays in the segment, whatever the rules say."""

    def takes(self, held: str | None, context: Any) -> bool:
        """Tell whether someone who is in the segment *held* (None: in none yet) belongs here."""
        if held == self.segment:
            return self.when.holds(context) or (self.stay is not None and self.stay.holds(context))
        return (not self.after or held in self.after) and self.when.holds(context)


@dataclass(frozen=True)
class Scheme:
    """One dimension of segmentation; the first rule that takes a person wins."""

    name: str
    rules: Sequence[Rule]
    default: str
    default_texts: Texts = Texts()
    scope: Literal["person", "account"] = "person"
    """Of an account: the same segment for all its people, unknown for who has none."""
    group: str | None = None
    """Of a tag: the scheme in the file that it was written in; such schemes overlap on purpose."""

    @cached_property
    def has_memory(self) -> bool:
        """Whether the segment depends on the one held before, and not only on what is known."""
        return any(rule.stay is not None or rule.after or rule.dwell_days for rule in self.rules)

    def segment(self, context: Any, held: str | None = None) -> str:
        """Return the segment of whoever *context* describes, who is in *held* now."""
        if not self.has_memory:
            for rule in self.rules:
                if rule.when.holds(context):
                    return rule.segment
            return self.default
        passed = {held}
        while (found := self._step(context, held)) not in passed:  # a state machine may go on from where it has come to
            passed.add(found)
            held = found
        return found

    def stays_until(self, held: str | None, since: Micros) -> Micros:
        """Return the moment before which someone who is in *held* since then may not leave it."""
        return since + DAY * max((rule.dwell_days for rule in self.rules if rule.segment == held), default=0)

    def texts(self) -> dict[str, Texts]:
        """Return what each segment is for."""
        return {**{rule.segment: rule.texts for rule in self.rules}, self.default: self.default_texts}

    def _step(self, context: Any, held: str | None) -> str:
        return next((rule.segment for rule in self.rules if rule.takes(held, context)), self.default)


@dataclass(frozen=True, slots=True)
class Held:
    """The memberships before an evaluation."""

    segments: Mapping[str, str] = field(default_factory=dict)
    since: Mapping[str, Micros] = field(default_factory=dict)
    """When the segments of schemes with a memory were entered."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The memberships as of a moment, and when to look again."""

    segments: dict[str, str]
    since: dict[str, Micros]
    next_check_at: Micros | None
    """The earliest moment at which time alone could change a membership; None where it cannot."""


@dataclass(frozen=True)
class Definition:
    """All schemes of one version; the first is the primary one."""

    version: str
    schemes: Sequence[Scheme]
    watches: Sequence[Watch] = ()
    """The terms that rules use, in the order of their variables."""
    answer_days: int | None = None
    """How long answers hold in the variable ``answers``; None: for ever."""
    answer_confidence: float = 0.0
    """The least confidence of an answer in that variable."""
    recency: Recency = NO_RECENCY
    """Of all rules together."""
    rules: str = ""
    """All that decides, as text: two files with the same one give everybody the same segments."""
    uses: frozenset[str] = frozenset({"person", "account", "activity", "answers"})
    """The CEL variables that rules name, helpers apart: nothing else has to be made ready for them."""
    traits: Traits = NO_TRAITS
    """Those that are declared, with their types."""
    asks: bool = False
    """Whether a rule asks for what people ask for: then their workers are told of it."""

    @property
    def primary(self) -> str:
        """The name of the first scheme."""
        return self.schemes[0].name

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of all schemes, in their order."""
        return tuple(scheme.name for scheme in self.schemes)

    def unknown(self) -> dict[str, str]:
        """Return the memberships of a person nobody has a profile of."""
        return {scheme.name: UNKNOWN for scheme in self.schemes}

    def complete(self, segments: Mapping[str, str]) -> dict[str, str]:
        """Return *segments* with every scheme of this version in its order; what was never evaluated is unknown."""
        return {scheme.name: segments.get(scheme.name, UNKNOWN) for scheme in self.schemes}

    def evaluate(self, variables: Mapping[str, Any]) -> dict[str, str]:
        """Return the segment in every scheme, from the CEL variables person, account, activity, answers and helpers, of who is in none."""
        context = cel.Context(variables=dict(variables))
        bare = not variables.get("account")
        return {s.name: UNKNOWN if bare and s.scope == "account" else s.segment(context) for s in self.schemes}

    def evaluate_person(
        self, facts: Facts, account: Mapping[str, Any], as_of: Micros, held: Held, news_at: Micros | None = None
    ) -> Evaluation:
        """Return the memberships of a person as of a moment.

        Args:
            facts: What is known.
            account: The CEL variable of that name; empty where the person has none.
            as_of: The moment; days of windows are UTC days.
            held: The memberships until then. Only schemes with hysteresis, `after` or a minimum dwell look at them: all others are
                a function of *facts*, *account* and *as_of* alone.
            news_at: When that happened which is the news, if anything is. What happened before a segment was entered corrects the entering:
                no dwell holds against it. So nobody is held where a history that is read for the first time led through.
        """
        subject = Subject(facts, account)
        values = [watch.term.value(subject, as_of) for watch in self.watches]
        context = cel.Context(variables=self.variables(subject, as_of, values))
        segments: dict[str, str] = {}
        since: dict[str, Micros] = {}
        wake: list[Micros] = []
        for scheme in self.schemes:
            before = held.segments.get(scheme.name)
            before = None if before == UNKNOWN else before
            found = UNKNOWN if scheme.scope == "account" and not account else scheme.segment(context, before)
            if scheme.has_memory:
                entered = held.since.get(scheme.name, as_of)
                until = scheme.stays_until(before, entered)
                is_move = news_at is None or news_at >= entered
                if before is not None and found not in (before, UNKNOWN) and as_of < until and is_move:
                    found = before
                    wake.append(until)
                since[scheme.name] = entered if found == before else as_of
            segments[scheme.name] = found
        changes = [self._next_change(subject, as_of, values), *wake]
        return Evaluation(segments, since, min((moment for moment in changes if moment is not None), default=None))

    def variables(self, subject: Subject, as_of: Micros, values: Sequence[Any]) -> dict[str, Any]:
        """Return the CEL variables of a person as of a moment; what is not known is left out, so that no rule matches by it."""
        facts = subject.facts
        found: dict[str, Any] = {VARIABLE: {f"t{number}": value for number, value in enumerate(values) if value is not None}}
        if "person" in self.uses:
            found["person"] = person_variable(facts.profile)
        if "account" in self.uses:
            found["account"] = dict(subject.account)
        if "activity" in self.uses:
            found["activity"] = activity_variable(facts, as_of)
        if "answers" in self.uses:
            found["answers"] = answers_variable(facts, as_of, self.answer_days, self.answer_confidence)
        return found

    def _next_change(self, subject: Subject, as_of: Micros, values: Sequence[Any]) -> Micros | None:
        found = [watch.next_change(subject, as_of, now) for watch, now in zip(self.watches, values, strict=True)]
        if self.recency.used:
            moments = {name: (seen.first_seen, seen.last_seen) for name, seen in subject.facts.activity.items()}
            found.append(self.recency.next_change(moments, as_of))
        if "answers" in self.uses and self.answer_days is not None:
            ends = [given.answered_at + self.answer_days * DAY for given in subject.facts.answers.values()]
            found.append(min((end for end in ends if end > as_of), default=None))
        return min((moment for moment in found if moment is not None), default=None)
