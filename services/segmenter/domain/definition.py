"""What segments mean: ordered schemes of CEL rules, compiled once, and the membership that follows from what is known of a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cel

from services.common.clock import Micros
from services.segmenter.domain.recency import Recency

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
class Rule:
    """One segment of a scheme and the condition of belonging to it."""

    segment: str
    when: str
    program: Any
    """The compiled CEL program."""
    recency: Recency
    texts: Texts = Texts()

    def matches(self, context: Any) -> bool:
        """Tell whether the condition holds; what touches something missing does not hold: unknown is not false."""
        try:
            return self.program.execute(context) is True
        except _NO_MATCH:
            return False


@dataclass(frozen=True, slots=True)
class Scheme:
    """One dimension of segmentation; the first rule that matches wins."""

    name: str
    rules: Sequence[Rule]
    default: str
    default_texts: Texts = Texts()

    def segment(self, context: Any) -> str:
        """Return the segment of whoever *context* describes."""
        for rule in self.rules:
            if rule.matches(context):
                return rule.segment
        return self.default


@dataclass(frozen=True, slots=True)
class Definition:
    """All schemes of one version; the first is the primary one."""

    version: str
    schemes: Sequence[Scheme]

    @property
    def primary(self) -> str:
        """The name of the first scheme."""
        return self.schemes[0].name

    def unknown(self) -> dict[str, str]:
        """Return the memberships of a person nobody has a profile of."""
        return {scheme.name: UNKNOWN for scheme in self.schemes}

    def complete(self, segments: Mapping[str, str]) -> dict[str, str]:
        """Return *segments* with every scheme of this version in its order; what was never evaluated is unknown."""
        return {scheme.name: segments.get(scheme.name, UNKNOWN) for scheme in self.schemes}

    def evaluate(self, variables: Mapping[str, Any]) -> dict[str, str]:
        """Return the segment in every scheme, from the CEL variables person, account, activity and answers."""
        context = cel.Context(variables=dict(variables))
        return {scheme.name: scheme.segment(context) for scheme in self.schemes}

    def next_change(self, moments: Mapping[str, tuple[Micros, Micros]], as_of: Micros) -> Micros | None:
        """Return the earliest moment after *as_of* at which time alone could change a membership; None where it cannot.

        Args:
            moments: First and last moment of each activity, by name.
            as_of: The moment of the evaluation.
        """
        found = [rule.recency.next_change(moments, as_of) for scheme in self.schemes for rule in scheme.rules if rule.recency.used]
        return min((moment for moment in found if moment is not None), default=None)
