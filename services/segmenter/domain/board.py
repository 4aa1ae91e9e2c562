"""A board as the segmenter sees it: who asked for what, what is known of them, and the demand that this adds up to.

The state is a fold of the board's log: operations that were decided once, and are applied the same way when they are decided and
when the log is read again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from services.common.clock import Micros
from services.segmenter.domain.cards import AccountBrief, PersonCard, person_card
from services.segmenter.domain.definition import Definition
from services.segmenter.domain.pointers import below, end, path
from services.segmenter.domain.tally import Tally, View, empty_tally

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
        """The moment of the last input; 0 where the log is older than this field."""
        self.mentions: dict[str, Mention] = {}
        self.cards: dict[str, PersonCard] = {}
        self.accounts: dict[str, AccountBrief] = {}
        self.parents: dict[str, str] = {}
        self._children: defaultdict[str, set[str]] = defaultdict(set)
        self._followers: defaultdict[str, set[str]] = defaultdict(set)
        self._in_account: defaultdict[str, set[str]] = defaultdict(set)
        self._by_idea: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._by_person: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._waiting: defaultdict[str, set[str]] = defaultdict(set)
        self._wishes: defaultdict[str, set[str]] = defaultdict(set)
        self._tallies: dict[str, Tally] = {}

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
        name, *operands = operation
        getattr(self, f"_{name}")(*operands)

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
        return end(idea_id, self.parents.get)

    def human(self, person_id: str) -> str:
        """Return the person whom *person_id* was joined into, or itself."""
        return end(person_id, self._pointer)

    def card(self, person_id: str) -> PersonCard:
        """Return what is known of exactly this person, of version 0 where nothing is."""
        return self.cards.get(person_id) or PersonCard(person_id)

    def has_asked(self, person_id: str) -> bool:
        """Tell whether the person ever asked for anything here."""
        return person_id in self._by_person

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
        for name in sorted(self.family(person_id)):
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
        return {self.root(idea_id) for name in self.family(person_id) for idea_id in self._by_person.get(name, ())}

    def roots_of_account(self, account_id: str) -> set[str]:
        """Return the root ideas that the people of an account asked for."""
        return {root for name in self._in_account.get(account_id, ()) for root in self.roots_of_person(name)}

    def is_news_of_account(self, account: AccountBrief) -> bool:
        """Tell whether *account* is newer than what the board knows."""
        known = self.accounts.get(account.account_id)
        return account.version > (0 if known is None else known.version)

    def tally(self, idea_id: str) -> Tally:
        """Return the demand behind an idea: its family's, or nothing where it was merged away."""
        return self._tallies.get(idea_id) or empty_tally(len(self.definition.schemes))

    def roots(self) -> Iterator[str]:
        """Yield every root idea that anybody asks for."""
        yield from self._tallies

    def _as_of(self, at: Micros) -> None:
        self.at = at

    def _decided(self, sequence: int) -> None:
        self.sequence = max(self.sequence, sequence)

    def _link(self, feedback_id: str, person_id: str, idea_id: str, ingested_at: Micros) -> None:
        mention = self.mentions.get(feedback_id)
        if mention is None:
            mention = self.mentions[feedback_id] = Mention(person_id, ingested_at)
        self._wait(feedback_id, mention, waits=False)
        mention.person_id, mention.ingested_at, mention.idea_id = person_id, ingested_at, idea_id
        self._wishes[person_id].add(feedback_id)
        self._count(person_id, idea_id, 1)

    def _unlink(self, feedback_id: str) -> None:
        mention = self.mentions[feedback_id]
        if mention.idea_id is not None:
            self._count(mention.person_id, mention.idea_id, -1)
            self._wishes[mention.person_id].discard(feedback_id)
            mention.idea_id = None
        self._wait(feedback_id, mention, waits=False)

    def _enriched(self, feedback_id: str, known: bool, version: int | None = None) -> None:
        mention = self.mentions[feedback_id]
        mention.enrichment_version = mention.enrichment_version + 1 if version is None else version
        mention.row = self.position + 1
        mention.known = known
        self._wait(feedback_id, mention, waits=not known and mention.idea_id is not None)

    def _wait(self, feedback_id: str, mention: Mention, *, waits: bool) -> None:
        if waits:
            self._waiting[mention.person_id].add(feedback_id)
        else:
            self._waiting[mention.person_id].discard(feedback_id)

    def _merge(self, idea_id: str, into: str) -> None:
        old_roots = {self.root(idea_id), self.root(into)}
        self._drop_parent(idea_id)
        self.parents[idea_id] = into
        self._children[into].add(idea_id)
        self._recount(old_roots | {self.root(idea_id)})

    def _unmerge(self, idea_id: str) -> None:
        old_root = self.root(idea_id)
        self._drop_parent(idea_id)
        self._recount({old_root, self.root(old_root), self.root(idea_id)})

    def _drop_parent(self, idea_id: str) -> None:
        parent = self.parents.pop(idea_id, None)
        if parent is not None:
            self._children[parent].discard(idea_id)

    def _recount(self, ideas: set[str]) -> None:
        """Count the families of *ideas* anew: a merge may cost what the ideas are worth."""
        for idea_id in ideas:
            self._tallies.pop(idea_id, None)
        for idea_id in ideas:
            if self.root(idea_id) == idea_id:
                for member in self.members(idea_id):
                    for person_id, count in self._by_idea.get(member, {}).items():
                        self._tally_of(idea_id).mention(*self._counted(person_id), self._mrr, count)

    def _person(self, raw: dict[str, Any]) -> None:
        """Take in a newer card of a person: its family is counted out as it was and in as it is."""
        card = person_card(raw)
        person_id = card.person_id
        if card.account is not None:
            self._account(card.account)
        family = self.family(person_id)
        self._count_family(family, -1)
        old = self.cards.get(person_id)
        if old is not None and old.pointer is not None:
            self._followers[old.pointer].discard(person_id)
        if old is not None and old.account is not None:
            self._in_account[old.account.account_id].discard(person_id)
        self.cards[person_id] = card
        if card.pointer is not None:
            self._followers[card.pointer].add(person_id)
        if card.account is not None:
            self._in_account[card.account.account_id].add(person_id)
        self._count_family(family, 1)

    def _account(self, account: AccountBrief) -> None:
        if not self.is_news_of_account(account):
            return
        difference = account.mrr_cents - self._mrr(account.account_id)
        for root in self.roots_of_account(account.account_id):
            self._tally_of(root).revalue(account.account_id, difference)
        self.accounts[account.account_id] = account

    def _count_family(self, family: set[str], sign: int) -> None:
        for name in family:
            for idea_id, count in self._by_person.get(name, {}).items():
                self._tally_root(idea_id).mention(*self._counted(name), self._mrr, sign * count)

    def _count(self, person_id: str, idea_id: str, count: int) -> None:
        for index, key, other in ((self._by_idea, idea_id, person_id), (self._by_person, person_id, idea_id)):
            after = index[key].get(other, 0) + count
            if after:
                index[key][other] = after
            else:
                del index[key][other]
        self._tally_root(idea_id).mention(*self._counted(person_id), self._mrr, count)

    def _counted(self, person_id: str) -> tuple[str, View]:
        human = self.human(person_id)
        card = self.card(human)
        segments = self.definition.complete(card.segments if card.known else {})
        return human, View(tuple(segments.values()), None if card.account is None else card.account.account_id)

    def _mrr(self, account_id: str) -> int:
        account = self.accounts.get(account_id)
        return 0 if account is None else account.mrr_cents

    def _tally_root(self, idea_id: str) -> Tally:
        return self._tally_of(self.root(idea_id))

    def _tally_of(self, root: str) -> Tally:
        tally = self._tallies.get(root)
        if tally is None:
            tally = self._tallies[root] = empty_tally(len(self.definition.schemes))
        return tally

    def _pointer(self, person_id: str) -> str | None:
        card = self.cards.get(person_id)
        return None if card is None else card.pointer
