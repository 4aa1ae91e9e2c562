"""What is missing from a definition for it to be of use to anybody, though it is valid."""

from __future__ import annotations

from collections.abc import Iterator

from services.segmenter.domain.definition import Definition, Scheme
from services.segmenter.domain.loading import NO

MANY_SEGMENTS = 12
"""More segments than that in one scheme: nobody acts differently on each."""


def purposeless(definition: Definition) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield scheme, segment and which of owner, goal and action it lacks; the `no` of a tag needs none."""
    for scheme in definition.schemes:
        for segment, texts in scheme.texts().items():
            if scheme.group is not None and segment == NO:
                continue
            missing = tuple(name for name in ("owner", "goal", "action") if not getattr(texts, name))
            if missing:
                yield scheme.name, segment, missing


def too_many(definition: Definition) -> Iterator[Scheme]:
    """Yield the schemes with more segments than anybody can act on."""
    for scheme in definition.schemes:
        if len(scheme.texts()) > MANY_SEGMENTS:
            yield scheme


def advice(definition: Definition) -> list[str]:
    """Return what is missing, a sentence each."""
    found = [f"{scheme}.{segment}: no {', no '.join(missing)}" for scheme, segment, missing in purposeless(definition)]
    return found + [f"{s.name}: {len(s.texts())} segments; more than {MANY_SEGMENTS} are hard to act on" for s in too_many(definition)]
