"""A board as the segmenter sees it: who asked for what, what is known of them, and the demand that this adds up to.

The state is a fold of the board's log: operations that were decided once, and are applied the same way when they are decided and
when the log is read again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from services.common.clock import Micros
from services.segmenter.domain.cards import AccountBrief, PersonCard, person_card
from services.segmenter.domain.counts import Counts
from services.segmenter.domain.definition import Definition
from services.segmenter.domain.pointers import below, end, path
from services.segmenter.domain.quotes import Quote, Rank, quote
from services.segmenter.domain.recency import DAY
from services.segmenter.domain.requests import Request
from services.segmenter.domain.tally import Tally, View

Operation = Sequence[Any]
"""Its name and its operands, all of JSON."""


@dataclass(slots=True)
class Mention:
    """A piece of feedback."""

    person_id: str
    ingested_at: Micros
    idea_id: str | None = None
    """Absent once it was retracted, or while it is being revised."""
    enrichment_version: int = 0
    row: int = 0
    """The position in the log of its last enriched record."""
    known: bool = False
    """Whether anybody had a profile of the human when it was last enriched."""
    day: int = 0
    """The UTC day on which it was written."""
    quote: Quote | None = None


class BoardState:
    """The working state of one board, in memory."""

    def __init__(self, definition: Definition, said: int = 0) -> None:
        self.definition = definition
        self.position = 0
        self._said = said
        """The highest version of a demand that was published out of a store that is lost."""
        self.sequence = 0
        """Of the last decision that was taken in."""
        self.at: Micros = 0
        """The newest moment of an input; 0 where the log is older than this field."""
        self.mentions: dict[str, Mention] = {}
        self.cards: dict[str, PersonCard] = {}
        self.accounts: dict[str, AccountBrief] = {}
        self.parents: dict[str, str] = {}
        self._children: defaultdict[str, set[str]] = defaultdict(set)
        self._followers: defaultdict[str, set[str]] = defaultdict(set)
        self._in_account: defaultdict[str, set[str]] = defaultdict(set)
        self._waiting: dict[str, set[str]] = {}
        """By person the feedback that was enriched while nobody had a profile; nobody of whom there is none."""
        self._wishes: defaultdict[str, set[str]] = defaultdict(set)
        self._views: dict[str, View] = {}
        self.counts = Counts(len(definition.schemes), self.root, self.counted, self._mrr)
        self._performs: dict[str, Callable[..., None]] = {
            "as_of": self._as_of, "decided": self._decided, "link": self._link, "unlink": self._unlink, "forget": self._forget,
            "enriched": self._enriched, "merge": self._merge, "unmerge": self._unmerge, "person": self._person,
        }  # fmt: skip
        """What applies each operation, by its name."""

    @property
    def is_recalled(self) -> bool:
        """Tell whether anything was published of this board out of a store that is lost."""
        return self._said > 0

    @property
    def version(self) -> int:
        """That of a demand which changed by the last entry."""
        return self._said + self.position

    def perform(self, operation: Operation) -> None:
        """Apply one operation of the entry at the next position."""
        self._performs[operation[0]](*operation[1:])

    def finish(self) -> None:
        """Close the entry at the next position: all that followed from one input has been applied."""
        self.position += 1

    def replay(self, operations: Iterable[Operation]) -> None:
        """Apply one entry of the log."""
        for operation in operations:
            self.perform(operation)
        self.finish()

    def root(self, idea_id: str) -> str:
        """Return where the pointers of an idea end; of a circle, its smallest id."""
        return end(idea_id, self.parents.get) if idea_id in self.parents else idea_id

    def human(self, person_id: str) -> str:
        """Return the person whom *person_id* was joined into, or itself."""
        card = self.cards.get(person_id)
        return person_id if card is None or card.pointer is None else end(person_id, self._pointer)

    def card(self, person_id: str) -> PersonCard:
        """Return what is known of exactly this person, of version 0 where nothing is."""
        return self.cards.get(person_id) or PersonCard(person_id)

    def has_asked(self, person_id: str) -> bool:
        """Tell whether the person ever asked for anything here."""
        return self.counts.has_asked(person_id)

    def wishes(self, person_id: str) -> set[str]:
        """Return the feedback of exactly this person that is linked to an idea."""
        return self._wishes.get(person_id, set())

    def known_since(self, person_id: str) -> Micros | None:
        """Return when the first profile of whoever *person_id* is reached that person; None while there is none."""
        moments: list[Micros] = []
        for name in path(person_id, self._pointer):
            card = self.card(name)
            if card.pointer_since is not None and card.pointer is not None:
                moments.append(card.pointer_since)
        last = self.card(self.human(person_id))
        return max([*moments, last.known_since or 0]) if last.known else None

    def waiting(self, person_id: str) -> Iterator[tuple[str, Mention]]:
        """Yield the feedback, of the person and of all who follow it, that was enriched while nobody had a profile."""
        for name in sorted(self.family(person_id)) if self._waiting else ():
            for feedback_id in sorted(self._waiting.get(name, ())):
                yield feedback_id, self.mentions[feedback_id]

    def family(self, person_id: str) -> set[str]:
        """Return the person and all who follow it, directly or through others."""
        return below(person_id, self._followers)

    def members(self, idea_id: str) -> set[str]:
        """Return the idea and all that point at it, directly or through others."""
        return below(idea_id, self._children)

    def roots_of_person(self, person_id: str) -> set[str]:
        """Return the root ideas that the person, and all who follow it, asked for."""
        return {self.root(idea_id) for name in self.family(person_id) for idea_id in self.counts.ideas_of(name)}

    def roots_of_account(self, account_id: str) -> set[str]:
        """Return the root ideas that the people of an account asked for."""
        return {root for name in self._in_account.get(account_id, ()) for root in self.roots_of_person(name)}

    def is_news_of_account(self, account: AccountBrief) -> bool:
        """Tell whether *account* is newer than what the board knows."""
        known = self.accounts.get(account.account_id)
        return account.version > (0 if known is None else known.version)

    def counted(self, person_id: str) -> tuple[str, View]:
        """Return as whom a person counts, and how."""
        human = self.human(person_id)
        view = self._views.get(human)
        if view is None:
            card = self.card(human)
            segments = self.definition.complete(card.segments if card.known else {})
            view = self._views[human] = View(tuple(segments.values()), None if card.account is None else card.account.account_id)
        return human, view

    def speaker(self, rank: Rank, tally: Tally) -> View | None:
        """Return how whoever said the quote of *rank* counts; None where it is not, or not any more, one of *tally*."""
        mention = self.mentions[rank[2]]
        if mention.idea_id is None or self.counts.tally(self.root(mention.idea_id)) is not tally:
            return None
        request = self.counts.request(mention.person_id, mention.idea_id)
        if request is None or request.quote is None or request.quote.rank != rank:
            return None
        return self.counted(mention.person_id)[1]

    def _as_of(self, at: Micros) -> None:
        self.at = max(self.at, at)

    def _decided(self, sequence: int) -> None:
        self.sequence = max(self.sequence, sequence)

    def _link(self, feedback_id: str, person_id: str, idea_id: str, ingested_at: Micros, said: Sequence[Any] | None = None) -> None:
        """Link feedback; *said* is when it was written, its excerpt and its source, None where they stay what they were."""
        mention = self.mentions.get(feedback_id)
        if mention is None:
            mention = self.mentions[feedback_id] = Mention(person_id, ingested_at, day=ingested_at // DAY)
        else:
            self._wait(feedback_id, mention, waits=False)
        mention.person_id, mention.ingested_at, mention.idea_id = person_id, ingested_at, idea_id
        if said is not None:
            mention.day, mention.quote = said[0] // DAY, quote(feedback_id, *said)
        self._wishes[person_id].add(feedback_id)
        self.counts.change(person_id, idea_id, mention.day, 1, mention.quote)

    def _unlink(self, feedback_id: str) -> None:
        mention = self.mentions[feedback_id]
        if mention.idea_id is not None:
            idea_id, mention.idea_id = mention.idea_id, None
            self._wishes[mention.person_id].discard(feedback_id)
            request = self.counts.change(mention.person_id, idea_id, mention.day, -1)
            if request.quote is not None and request.quote is mention.quote:
                self._quote_another(request)
        self._wait(feedback_id, mention, waits=False)

    def _forget(self, feedback_id: str) -> None:
        """Let feedback have said nothing."""
        mention = self.mentions[feedback_id]
        quoted, mention.quote = mention.quote, None
        request = None if mention.idea_id is None else self.counts.request(mention.person_id, mention.idea_id)
        if request is not None and request.quote is not None and request.quote is quoted:
            self._quote_another(request)

    def _quote_another(self, request: Request) -> None:
        others = [self.mentions[name] for name in self._wishes[request.person_id]]
        quotes = [other.quote for other in others if other.idea_id == request.idea_id and other.quote is not None]
        self.counts.quote(request, min(quotes, key=lambda known: known.rank, default=None))

    def _enriched(self, feedback_id: str, known: bool, version: int | None = None) -> None:
        mention = self.mentions[feedback_id]
        mention.enrichment_version = mention.enrichment_version + 1 if version is None else version
        mention.row = self.position + 1
        mention.known = known
        if not known or self._waiting:
            self._wait(feedback_id, mention, waits=not known and mention.idea_id is not None)

    def _wait(self, feedback_id: str, mention: Mention, *, waits: bool) -> None:
        waiting = self._waiting.get(mention.person_id)
        if waits:
            self._waiting.setdefault(mention.person_id, set()).add(feedback_id)
        elif waiting is not None:
            waiting.discard(feedback_id)
            if not waiting:
                del self._waiting[mention.person_id]

    def _merge(self, idea_id: str, into: str) -> None:
        old, root = self.root(idea_id), self.root(into)
        families = self.members(root), self.members(idea_id)
        self._drop_parent(idea_id)
        self.parents[idea_id] = into
        self._children[into].add(idea_id)
        if old == idea_id != root == self.root(idea_id):
            self.counts.join(root, families[0], idea_id, families[1])
        else:  # a circle, or an idea that pointed elsewhere
            self.counts.recount({old, root, self.root(idea_id)}, self.members)

    def _unmerge(self, idea_id: str) -> None:
        old = self.root(idea_id)
        self._drop_parent(idea_id)
        if self.root(old) == old != idea_id == self.root(idea_id):
            self.counts.part(old, self.members(old), idea_id, self.members(idea_id))
        else:  # it was a circle
            self.counts.recount({old, self.root(old), self.root(idea_id)}, self.members)

    def _drop_parent(self, idea_id: str) -> None:
        parent = self.parents.pop(idea_id, None)
        if parent is not None:
            self._children[parent].discard(idea_id)

    def _person(self, raw: dict[str, Any]) -> None:
        """Take in a newer card of a person: its family is counted out as it was and in as it is, if it counts otherwise by that."""
        card = person_card(raw)
        if card.account is not None:
            self._account(card.account)
        old = self.cards.get(card.person_id)
        if old is not None and card.counts_as(old):
            self.cards[card.person_id] = card
            return
        family = self.family(card.person_id)
        self.counts.leave(family)
        if old is not None and old.pointer is not None:
            self._followers[old.pointer].discard(card.person_id)
        if old is not None and old.account is not None:
            self._in_account[old.account.account_id].discard(card.person_id)
        self.cards[card.person_id] = card
        self._views.pop(card.person_id, None)
        if card.pointer is not None:
            self._followers[card.pointer].add(card.person_id)
        if card.account is not None:
            self._in_account[card.account.account_id].add(card.person_id)
        self.counts.enter(family)

    def _account(self, account: AccountBrief) -> None:
        if not self.is_news_of_account(account):
            return
        difference = account.mrr_cents - self._mrr(account.account_id)
        for root in self.roots_of_account(account.account_id):
            self.counts.revalue(root, account.account_id, difference)
        self.accounts[account.account_id] = account

    def _mrr(self, account_id: str) -> int:
        account = self.accounts.get(account_id)
        return 0 if account is None else account.mrr_cents

    def _pointer(self, person_id: str) -> str | None:
        card = self.cards.get(person_id)
        return None if card is None else card.pointer
