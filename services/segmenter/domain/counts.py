"""A board's requests, by person and by idea, and what they add up to behind each root idea."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count

from services.segmenter.domain.quotes import Quote
from services.segmenter.domain.requests import Request
from services.segmenter.domain.tally import Crowd, Part, Tally, View, empty_crowd, empty_tally

_NONE: Mapping[str, Request] = {}


class Counts:
    """Who asks for what, counted as the human and under the root that *counted* and *root* give at that moment."""

    def __init__(
        self, schemes: int, root: Callable[[str], str], counted: Callable[[str], tuple[str, View]], mrr_of: Callable[[str], int]
    ) -> None:
        self._schemes = schemes
        self._root = root
        self._counted = counted
        self._mrr_of = mrr_of
        self._by_idea: defaultdict[str, dict[str, Request]] = defaultdict(dict)
        self._by_person: defaultdict[str, dict[str, Request]] = defaultdict(dict)
        self._tallies: dict[str, Tally] = {}
        self.crowd: Crowd = empty_crowd(schemes)
        self._turns = count(1)

    def has_asked(self, person_id: str) -> bool:
        """Tell whether the person ever asked for anything."""
        return person_id in self._by_person

    def ideas_of(self, person_id: str) -> Iterable[str]:
        """Return the ideas that exactly this person asks for."""
        return self._by_person.get(person_id, _NONE)

    def request(self, person_id: str, idea_id: str) -> Request | None:
        """Return what the person asks of the idea; None where it asks nothing."""
        return self._by_person.get(person_id, _NONE).get(idea_id)

    def roots(self) -> Iterator[str]:
        """Yield every root idea that anybody asks for."""
        return iter(self._tallies)

    def comparisons(self) -> int:
        """Return how many pairs of a root idea and a segment could be held against chance."""
        return len(self._tallies) * self.crowd.groups()

    def tally(self, idea_id: str) -> Tally:
        """Return the demand behind an idea: its family's, or nothing where it was merged away."""
        return self._tallies.get(idea_id) or empty_tally(self._schemes)

    def change(self, person_id: str, idea_id: str, day: int, mentions: int, quote: Quote | None = None) -> Request:
        """Let *mentions* (negative: out) of a day in, with what they say; return the request, which may have none left."""
        asked = self._by_person[person_id]
        request = asked.get(idea_id)
        if request is None:
            request = asked[idea_id] = self._by_idea[idea_id][person_id] = Request(person_id, idea_id)
        request.add(day, mentions)
        if not request.mentions:
            del asked[idea_id], self._by_idea[idea_id][person_id]
        tally, view = self._take(request, Part(mentions, ((day, mentions),)))
        if quote is not None and (request.quote is None or quote.rank < request.quote.rank):
            request.quote = quote
            tally.quote(view, quote.rank)
        return request

    def quote(self, request: Request, quote: Quote | None) -> None:
        """Let *quote* stand for a request."""
        request.quote = quote
        if quote is not None and request.mentions:
            _, view = self._counted(request.person_id)
            self._tally_of(self._root(request.idea_id)).quote(view, quote.rank)

    def leave(self, people: Iterable[str]) -> None:
        """Count *people* out, as they count now."""
        for request in self._requests(people):
            self._take(request, Part(-request.mentions, [(day, -times) for day, times in request.days.items()]))

    def enter(self, people: Iterable[str]) -> None:
        """Count *people* in, as they count now."""
        for request in self._requests(people):
            self._take(request, Part(request.mentions, list(request.days.items())))
            self.quote(request, request.quote)

    def join(self, root: str, family: Iterable[str], other: str, other_family: Iterable[str]) -> None:
        """Count both families under *root*, which the root *other* points at from now on; the smaller one is what that costs."""
        tallies = [self._tallies.pop(name, None) for name in (root, other)]
        sizes = [0 if tally is None else len(tally.mentions) for tally in tallies]
        keeps = 0 if sizes[0] >= sizes[1] else 1
        if (kept := tallies[keeps]) is not None:
            self._tallies[root] = kept
            self._count_in(root, other_family if keeps == 0 else family)

    def part(self, root: str, family: Iterable[str], other: str, other_family: Iterable[str]) -> None:
        """Count both families under roots of their own, where all was counted under *root*; the smaller one is what that costs."""
        whole = self._tallies.pop(root, None)
        if whole is None:
            return
        sides = sorted(
            ((root, list(family)), (other, list(other_family))),
            key=lambda side: sum(len(self._by_idea.get(name, _NONE)) for name in side[1]),
        )
        (small, leaving), (large, _) = sides
        self._tallies[large] = whole
        whole.turn = next(self._turns)
        for request in self._asking_for(leaving):
            human, view = self._counted(request.person_id)
            whole.count(human, view, self._mrr_of, Part(-request.mentions, [(day, -times) for day, times in request.days.items()]))
        if not whole.mentions:
            del self._tallies[large]
        self._count_in(small, leaving)

    def recount(self, ideas: Iterable[str], members: Callable[[str], Iterable[str]]) -> None:
        """Count the families of *ideas* anew."""
        roots = list(ideas)
        for idea_id in roots:
            self._tallies.pop(idea_id, None)
        for root in roots:
            if self._root(root) == root:
                self._count_in(root, members(root))

    def revalue(self, root: str, account_id: str, difference: int) -> None:
        """Take in that the revenue of an account changed by *difference* cents."""
        if difference:
            self._turned(root).revalue(account_id, difference)

    def _count_in(self, root: str, ideas: Iterable[str]) -> None:
        for request in self._asking_for(ideas):
            human, view = self._counted(request.person_id)
            tally = self._turned(root)
            tally.count(human, view, self._mrr_of, Part(request.mentions, list(request.days.items())))
            if request.quote is not None:
                tally.quote(view, request.quote.rank)

    def _asking_for(self, ideas: Iterable[str]) -> list[Request]:
        return [request for idea_id in ideas for request in self._by_idea.get(idea_id, _NONE).values()]

    def _requests(self, people: Iterable[str]) -> list[Request]:
        return [request for name in people for request in self._by_person.get(name, _NONE).values()]

    def _take(self, request: Request, part: Part) -> tuple[Tally, View]:
        human, view = self._counted(request.person_id)
        root = self._root(request.idea_id)
        tally = self._turned(root)
        tally.count(human, view, self._mrr_of, part)
        if not tally.mentions:
            del self._tallies[root]
        self.crowd.count(human, view, part.mentions)
        return tally, view

    def _turned(self, root: str) -> Tally:
        """Return the tally of a root, about to change."""
        tally = self._tally_of(root)
        tally.turn = next(self._turns)
        return tally

    def _tally_of(self, root: str) -> Tally:
        tally = self._tallies.get(root)
        if tally is None:
            tally = self._tallies[root] = empty_tally(self._schemes)
        return tally
