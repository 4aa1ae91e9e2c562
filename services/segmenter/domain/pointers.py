"""Pointers between persons, and between ideas: where they end, and what leads to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

Follow: TypeAlias = Callable[[str], str | None]


def path(start: str, follow: Follow) -> list[str]:
    """Return *start* and all that *follow* leads to, until it ends or comes round."""
    names = [start]
    while (following := follow(names[-1])) is not None and following not in names:
        names.append(following)
    return names


def end(start: str, follow: Follow) -> str:
    """Return where *follow* leads in the end; of a circle, its smallest name."""
    if follow(start) is None:
        return start
    names = path(start, follow)
    back = follow(names[-1])
    return names[-1] if back is None else min(names[names.index(back) :])


def below(top: str, children: Mapping[str, set[str]]) -> set[str]:
    """Return *top* and everything below it; never creates an entry of *children*."""
    found = {top}
    open_ends = [top]
    while open_ends:
        for child in children.get(open_ends.pop(), ()):
            if child not in found:
                found.add(child)
                open_ends.append(child)
    return found
