"""Families: ideas that ever shared a root. They only grow; an unmerge does not make people forget what they were told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Union:
    """The family that *absorbed* stood for belongs to the one that *into* stands for, from now on."""

    absorbed: str
    into: str


class Families:
    """A union-find over ideas; a family is named by one of its ideas, the larger side's when two unite."""

    def __init__(self) -> None:
        self._into: dict[str, str] = {}
        self._sizes: dict[str, int] = {}

    def of(self, idea: str) -> str:
        """Return the idea that stands for *idea*'s family."""
        return family_of(idea, self._into)

    def unite(self, one: str, other: str) -> Union | None:
        """Make one family of two ideas'; None where they are one already. Unions nest at most log₂(ideas) deep."""
        absorbed, into = self.of(one), self.of(other)
        if absorbed == into:
            return None
        if self._sizes.get(absorbed, 1) > self._sizes.get(into, 1):
            absorbed, into = into, absorbed
        self._into[absorbed] = into
        self._sizes[into] = self._sizes.get(into, 1) + self._sizes.pop(absorbed, 1)
        return Union(absorbed, into)


def family_of(idea: str, into: Mapping[str, str]) -> str:
    """Follow the unions in *into* from *idea* to the idea that stands for its family."""
    while (further := into.get(idea)) is not None:
        idea = further
    return idea
