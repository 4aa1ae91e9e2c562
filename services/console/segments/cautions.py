"""The seven qualities of a segmentation, what is amiss with each, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from services.segmenter.domain.definition import UNKNOWN, Definition
from services.segmenter.domain.loading import NO
from services.segmenter.domain.purpose import purposeless, too_many

if TYPE_CHECKING:
    from services.console.segments.quality import Quality, SchemeQuality, SegmentSize

QualityName: TypeAlias = Literal["measurable", "substantial", "accessible", "differentiable", "actionable", "stable", "comprehensive"]
QUALITIES: tuple[QualityName, ...] = get_args(QualityName)
ASKS: Mapping[QualityName, str] = {
    "measurable": "Is it known who belongs where?",
    "substantial": "Is each segment large enough, and none of everybody?",
    "accessible": "Can its people be reached?",
    "differentiable": "Do segments differ in anything that matters?",
    "actionable": "Does somebody own each, with a goal and an action?",
    "stable": "Are people still there when one acts?",
    "comprehensive": "Is there a segment for most people?",
}
_MOSTLY_UNKNOWN = 0.4
_MOSTLY_LACKING = 0.4
_NEARLY_ALL = 0.9
_FEW_REACHED = 0.5
_FEW_STAY = 0.6
_MANY_FLAPS = 10.0
_FEW_COVERED = 0.5


@dataclass(frozen=True, slots=True)
class Caution:
    """One thing to look at."""

    scheme: str
    quality: QualityName
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """One quality of one scheme."""

    quality: QualityName
    is_good: bool | None
    """None where there is too little to tell."""
    figure: str
    """What it is judged by, in a few words."""


def cautions(found: Quality, definition: Definition, least: int) -> list[Caution]:
    """Return all that is to be looked at; segments of fewer than *least* people are too small."""
    told = [caution for scheme in found.schemes for caution in _of_scheme(scheme, least)]
    for (one, name), (other, _), index in found.identical():
        told.append(Caution(name, "differentiable", f"{one} and {other} hold nearly the same people ({index:.0%}): one says nothing new"))
    for name, segment, missing in purposeless(definition):
        told.append(Caution(name, "actionable", f"{name}.{segment}: no {', no '.join(missing)}: nobody will act on it"))
    many = ((scheme.name, len(scheme.texts())) for scheme in too_many(definition))
    return [*told, *(Caution(name, "actionable", f"{name}: {count} segments are hard to act on") for name, count in many)]


def verdicts(scheme: SchemeQuality, told: Sequence[Caution]) -> list[Verdict]:
    """Return the seven verdicts on *scheme*, by what there is to be looked at in it."""
    amiss = {caution.quality for caution in told if caution.scheme == scheme.scheme}
    figures = _figures(scheme)
    return [
        Verdict(name, None if figures[name] is None else name not in amiss, figures[name] or "too little to tell") for name in QUALITIES
    ]


def _figures(scheme: SchemeQuality) -> dict[QualityName, str | None]:
    sizes = [size.people for size in scheme.sizes if _counts(scheme, size)]
    reached = [size.reachable for size in scheme.sizes if size.reachable is not None and size.segment not in (UNKNOWN, NO)]
    effects = {name: effect for name, effect in scheme.effects.items() if effect is not None}
    most = max(effects, key=lambda name: effects[name].size / effects[name].small, default=None)
    return {
        "measurable": f"{1 - scheme.unknown:.0%} known",
        "substantial": f"{min(sizes, default=0):,}-{max(sizes, default=0):,} people" if any(sizes) else None,
        "accessible": f"{min(reached):.0%}+ reached" if reached else None,
        "differentiable": f"{most} {effects[most].size:.2f}" if most else None,
        "actionable": f"{scheme.purposeful:.0%} purposeful",
        "stable": None if scheme.stayed is None else f"{scheme.stayed:.0%} stayed",
        "comprehensive": f"{scheme.covered:.0%} covered",
    }


def _of_scheme(scheme: SchemeQuality, least: int) -> Iterator[Caution]:
    for text in _measured(scheme):
        yield Caution(scheme.scheme, "measurable", text)
    for size in scheme.sizes:
        where = f"{scheme.scheme}.{size.segment}"
        if _counts(scheme, size) and size.people < least:
            yield Caution(scheme.scheme, "substantial", f"{where}: {size.people} people; below {least} its numbers are chance")
        if size.segment != NO and size.share >= _NEARLY_ALL:
            text = f"{where}: {size.share:.0%} of all people; a segment of nearly everybody tells nothing"
            yield Caution(scheme.scheme, "substantial", text)
        if size.segment not in (UNKNOWN, NO) and size.reachable is not None and size.reachable < _FEW_REACHED:
            text = f"{where}: only {size.reachable:.0%} can be told anything (an address, and no opting out)"
            yield Caution(scheme.scheme, "accessible", text)
    if scheme.differs() is False:
        text = f"{scheme.scheme}: no difference between its segments in wishes, revenue, activity or rating that chance does not explain"
        yield Caution(scheme.scheme, "differentiable", text)
    for text in _stability(scheme):
        yield Caution(scheme.scheme, "stable", text)
    if not scheme.is_tag and scheme.covered < _FEW_COVERED:
        text = f"{scheme.scheme}: only {scheme.covered:.0%} are in a segment; all others are unknown or in the default"
        yield Caution(scheme.scheme, "comprehensive", text)


def _counts(scheme: SchemeQuality, size: SegmentSize) -> bool:
    """Tell whether a segment has to be of some size; a default that takes nobody is as it should be."""
    return size.segment not in (UNKNOWN, NO) and (size.segment != scheme.default or size.people > 0)


def _measured(scheme: SchemeQuality) -> Iterator[str]:
    if scheme.unknown >= _MOSTLY_UNKNOWN:
        yield f"{scheme.scheme}: {scheme.unknown:.0%} of people are unknown"
    for path, share in scheme.missing.items():
        if share >= _MOSTLY_LACKING:
            yield f"{scheme.scheme}: {share:.0%} of people lack {path}, which its rules look at"


def _stability(scheme: SchemeQuality) -> Iterator[str]:
    if scheme.stayed is not None and scheme.stayed < _FEW_STAY:
        yield f"{scheme.scheme}: only {scheme.stayed:.0%} are where they were; what is done for a segment reaches others"
    if scheme.flaps > _MANY_FLAPS:
        yield f"{scheme.scheme}: {scheme.flaps:.0f} returns within a week per 100 people; give rules a `stay` or the scheme a `dwell`"
