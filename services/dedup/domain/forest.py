"""Pointers from one id to another: merged ideas, joined persons. A tree's root is what its members count as."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class Forest:
    """Each id points at one other at most, never in a circle; ids without a pointer need not be known."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}
        self._children: dict[str, dict[str, None]] = {}

    def parent(self, node: str) -> str | None:
        """Return what *node* points at."""
        return self._parent.get(node)

    def pointers(self) -> Iterable[tuple[str, str]]:
        """Return each id that points at another, and that other, in the order in which they were joined."""
        return self._parent.items()

    def chain(self, node: str) -> Iterator[str]:
        """Yield *node*, what it points at, and so on to the root."""
        current: str | None = node
        while current is not None:
            yield current
            current = self._parent.get(current)

    def root(self, node: str) -> str:
        """Return where the pointers of *node* end."""
        while (parent := self._parent.get(node)) is not None:
            node = parent
        return node

    def is_alone(self, node: str) -> bool:
        """Tell whether *node* neither points nor is pointed at."""
        return node not in self._parent and not self._children.get(node)

    def below(self, node: str) -> Iterator[str]:
        """Yield *node* and all whose pointers lead to it."""
        waiting = [node]
        while waiting:
            current = waiting.pop()
            yield current
            waiting.extend(self._children.get(current, ()))

    def join(self, child: str, parent: str) -> None:
        """Point *child*, a root, at *parent*, which is of another tree."""
        self._parent[child] = parent
        self._children.setdefault(parent, {})[child] = None

    def cut(self, child: str) -> None:
        """Remove the pointer of *child*."""
        siblings = self._children[self._parent.pop(child)]
        del siblings[child]

    def between(self, one: str, other: str) -> list[str]:
        """Return the ids whose pointers hold *one* and *other* together, or will once the roots of their two trees are joined."""
        chain, others = list(self.chain(one)), list(self.chain(other))
        both = {*chain} & {*others}
        return [node for node in (*chain, *others) if node not in both]

    def edge_between(self, one: str, other: str) -> str | None:
        """Return the id whose pointer joins the side of *one* to the side of *other*; None where they are of two trees.

        After ``join(root(a), root(b))`` that is the former root of *a*, so that cutting it undoes the join.
        """
        others = list(self.chain(other))
        positions = {node: place for place, node in enumerate(others)}
        below = None
        for node in self.chain(one):
            place = positions.get(node)
            if place is not None:
                return below if below is not None else (others[place - 1] if place else None)
            below = node
        return None
