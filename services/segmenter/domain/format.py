"""The form of ``segments.yaml``: every field that it may have."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from services.segmenter.domain.definition import Texts
from services.segmenter.domain.occurrences import LONGEST_WINDOW
from services.segmenter.domain.traits import TraitType

NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"
_DAYS = re.compile(r"(days|weeks)\((\d{1,5})\)")
_MOST_SCHEMES = 200

Name = Annotated[str, Field(pattern=NAME)]


def _days(value: object) -> object:
    match = _DAYS.fullmatch(value.replace(" ", "")) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected days(30) or weeks(4)")
    return int(match[2]) * (7 if match[1] == "weeks" else 1)


def _ascending(values: tuple[float, ...]) -> tuple[float, ...]:
    if list(values) != sorted(set(values)):
        raise ValueError("expected four numbers, each larger than the one before")
    return values


Days = Annotated[int, BeforeValidator(_days), Field(ge=1)]
Cuts = Annotated[tuple[float, float, float, float], AfterValidator(_ascending)]
Names = Annotated[tuple[str, ...], BeforeValidator(lambda value: [value] if isinstance(value, str) else value), Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Named(_Part):
    """A segment by its name, and what it is for."""

    segment: Name
    owner: str | None = None
    goal: str | None = None
    action: str | None = None

    def texts(self) -> Texts:
        """Return what the segment is for."""
        return Texts(self.owner, self.goal, self.action)


class RuleSpec(Named):
    """A segment with the condition of belonging to it."""

    when: str = Field(min_length=1)
    stay: str | None = Field(default=None, min_length=1)
    after: tuple[Name, ...] = ()
    dwell: Days | None = None


class SchemeSpec(_Part):
    """One dimension."""

    name: Name
    scope: Literal["person", "account"] = "person"
    rules: list[RuleSpec] | None = Field(default=None, min_length=1, max_length=1000)
    tags: list[RuleSpec] | None = Field(default=None, min_length=1, max_length=100)
    default: Named | None = None
    dwell: Days | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.rules is None) == (self.tags is None):
            raise ValueError("expected either `rules`, of which the first that matches wins, or `tags`, which overlap")
        if self.rules is not None and self.default is None:
            raise ValueError("expected `default`, the segment of those whom no rule takes")
        if self.tags is not None and self.default is not None:
            raise ValueError("`tags` take no default: who has a tag is `yes` in SCHEME.TAG, else `no`")
        return self


class AnswersSpec(_Part):
    """How long answers hold, and how certain they have to be, where a rule does not say."""

    expire: Days | None = None
    confidence: float = Field(default=0.0, ge=0, le=1)


class MinimumSpec(_Part):
    """Below it there are no scores."""

    count: int = Field(default=2, ge=1)
    history: Days | None = None


class RfmSpec(_Part):
    """What a purchase is, and the cut points between the scores."""

    activity: Names
    window: Annotated[int, BeforeValidator(_days), Field(ge=1, le=LONGEST_WINDOW)] = LONGEST_WINDOW
    recency: Cuts
    frequency: Cuts
    monetary: Cuts
    minimum: MinimumSpec = MinimumSpec()

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False)


class ClvSpec(_Part):
    """Margin, retention and discount a month; revenue is the account's MRR, or what the purchases sum up to."""

    margin: float = Field(gt=0, le=1)
    retention: float = Field(gt=0, le=1)
    discount: float = Field(gt=0, le=1)
    activity: Names | None = None
    window: Annotated[int, BeforeValidator(_days), Field(ge=1, le=LONGEST_WINDOW)] = 365

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False)


class TraitsSpec(_Part):
    """The traits that rules may ask for, with their types; of a scope that is left out rules may ask for any."""

    person: dict[str, TraitType] | None = None
    account: dict[str, TraitType] | None = None


class SegmentsFile(_Part):
    """The whole file."""

    version: str = Field(min_length=1, max_length=100)
    lists: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    traits: TraitsSpec = TraitsSpec()
    answers: AnswersSpec = AnswersSpec()
    rfm: RfmSpec | None = None
    clv: ClvSpec | None = None
    schemes: list[SchemeSpec] = Field(min_length=1)

    @field_validator("schemes", mode="before")
    @classmethod
    def _not_too_many(cls, schemes: object) -> object:
        if isinstance(schemes, list) and len(schemes) > _MOST_SCHEMES:
            raise ValueError(
                f"{len(schemes)} schemes; at most {_MOST_SCHEMES} are evaluated: make `tags` of one scheme of what overlaps, "
                "drop what nobody acts on"
            )
        return schemes

    @model_validator(mode="after")
    def _primary_is_one_of_several(self) -> Self:
        if self.schemes[0].tags is not None:
            raise ValueError("the first scheme is the primary one: expected `rules`, not `tags`")
        return self
