"""What the notifier needs of the outside."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from services.common.clock import Micros
from services.common.errors import PermanentError
from services.common.records import Output
from services.notifier.domain.board import Want
from services.notifier.domain.entry import Entry
from services.notifier.domain.families import Union
from services.notifier.domain.letter import Letter
from services.notifier.domain.person import Person
from services.notifier.domain.row import Row


@dataclass(frozen=True, slots=True)
class Join:
    """Rows of *board* that decisions from *sequence* on made are still being written, piece by piece."""

    board: str
    """Its partition key."""
    sequence: int
    workspace: str
    name: str
    """The board's."""
    partition: int
    """Of ``board.decisions``."""


class BoardStore(Protocol):
    """Keeps each board's log of decisions. *board* is its partition key (``services.common.ids.board_key``)."""

    async def entries(self, board: str, after: int, limit: int) -> Sequence[Entry]:
        """Return the first *limit* entries of the log whose sequence is above *after*, by sequence, without the quotes."""

    async def origins(self, board: str, sequences: Collection[int]) -> Mapping[int, str]:
        """Return the origin of each entry of *sequences* that exists."""

    async def quotes(self, board: str, sequences: Collection[int]) -> Mapping[int, str]:
        """Return the words that each entry of *sequences* holds; those without any are left out."""

    async def append(self, board: str, entries: Sequence[Entry]) -> None:
        """Write *entries*; repeating the call changes nothing.

        Raises:
            Fenced: Another origin holds one of these sequences: another worker has written it.
        """

    async def collect(self, entries: Mapping[str, Sequence[Entry]]) -> None:
        """Write those of *entries* (by board) whose places are free; the others stay as they are."""

    async def unite(self, unions: Sequence[Union]) -> None:
        """Remember *unions*; repeating the call changes nothing."""

    async def begin_joins(self, joins: Sequence[Join]) -> None:
        """Remember *joins*, each unless an earlier one of its board is remembered; repeating the call changes nothing."""

    async def joins(self, boards: Collection[str] | None = None) -> Sequence[Join]:
        """Return the joins of *boards*, or of all, whose rows may not all be there."""

    async def end_join(self, board: str) -> None:
        """Forget the join of *board*: all of its rows are there. Repeating the call changes nothing."""

    async def unions(self, ideas: Collection[str]) -> Mapping[str, str]:
        """Return, of *ideas*, those that were absorbed, each with the idea that stands for it since."""


@dataclass(frozen=True, slots=True)
class Wake:
    """The unreachable rows of *person_ids* that were made since *made_since* become due at *due_at*."""

    person_ids: Collection[str]
    made_since: Micros
    due_at: Micros


class LedgerStore(Protocol):
    """Keeps one row an alert."""

    async def add(self, rows: Sequence[Row]) -> None:
        """Insert those of *rows* that do not exist; the others stay as they are."""

    async def want(self, wants: Sequence[Want]) -> None:
        """Write whether alerts are wanted, unless a later decision already has; suppressed rows that are wanted again become due.

        Repeating the call changes nothing.
        """

    async def rows(self, alert_ids: Collection[str]) -> Mapping[str, Row]:
        """Return the rows of *alert_ids* that exist."""

    async def rows_of(self, person_ids: Collection[str]) -> Sequence[Row]:
        """Return all rows of *person_ids*."""

    async def made_with(self, board: str, sequences: Collection[int]) -> Sequence[Row]:
        """Return the rows that were published with a board's decisions, in the order in which they were made."""

    async def begin(self, rows: Sequence[Row]) -> None:
        """Mark *rows* as being tried, by the channel and in the letter that they name; repeating the call changes nothing.

        Raises:
            Fenced: One of them is no longer pending at its attempt; the others are marked.
        """

    async def settle(self, changes: Sequence[tuple[Row, Row]]) -> None:
        """Replace each (old, new): all that ``post`` and ``outbox`` decide of a row; repeating the call changes nothing.

        A row is written if it is still pending at the old one's attempt and, where the new state is *suppressed*, if no decision has
        changed since whether it is wanted.

        Raises:
            Fenced: One of them was not; the others are written.
        """

    async def lanes(self, partitions: Collection[int], now: Micros) -> Sequence[str]:
        """Return the lanes (``Row.lane``) that have rows of *partitions* due at *now*; may return others too."""

    async def due(self, partitions: Collection[int], now: Micros, lane: str, limit: int) -> Sequence[Row]:
        """Return at most *limit* rows of *partitions* in *lane* that are due at *now*, longest due first."""

    async def under_way(self, partitions: Collection[int], lane: str, now: Micros, leased_until: Micros, limit: int) -> int:
        """Return how many rows of *partitions* in *lane*, *limit* at most, are pending and due after *now*, by *leased_until*."""

    async def take_up(self, changes: Sequence[tuple[Row, Row]]) -> None:
        """Write state, attempt and due time of each (old, new) whose state and attempt are still the old one's; others stay."""

    async def restore(self, changes: Sequence[tuple[Row, Row]]) -> None:
        """Write what is rebuilt of each (old, new) whose state and attempt are still the old one's; others stay."""

    async def told_in(self, letters: Collection[str]) -> Sequence[Row]:
        """Return the rows whose last message was one of *letters*."""

    async def report(self, changes: Sequence[tuple[Row, Row]]) -> None:
        """Replace each (old, new) as ``settle`` does, of rows that are over; repeating the call changes nothing.

        Raises:
            Fenced: One of them has another state or attempt by now; the others are written.
        """

    async def expire(self, partitions: Collection[int], leased_until: Micros, due_at: Micros) -> None:
        """Make due at *due_at* those rows of *partitions* that are held, and the pending ones that would be due later, by *leased_until*.

        Repeating the call changes nothing.
        """

    async def wake(self, wakes: Sequence[Wake]) -> None:
        """Make unreachable rows due; repeating the call changes nothing."""


class PersonStore(Protocol):
    """Keeps what is known of persons."""

    async def persons(self, person_ids: Collection[str]) -> Mapping[str, Person]:
        """Return those of *person_ids* of whom anything is known."""

    async def followers(self, person_ids: Collection[str]) -> Sequence[Person]:
        """Return everyone whose pointer names one of *person_ids*."""

    async def put(self, changes: Sequence[tuple[Person, Person]]) -> None:
        """Replace each (old, new); an old one of version 0 was unknown.

        Raises:
            Fenced: One of them has another version in the store; the others may be written.
        """


class WordStore(Protocol):
    """Lets go of what persons said who were erased. Repeating a call changes nothing."""

    async def forget_words(self, board: str, quotes: Collection[int], titles: Collection[int]) -> Collection[str]:
        """Let the entries at *quotes* hold no quote, those at *titles* no title; return the titles that they held."""

    async def forget_quotes(self, person_ids: Collection[str]) -> None:
        """Let no row of *person_ids* quote them."""

    async def retitle(self, board: str, former: Collection[str], title: str) -> None:
        """Let the rows of *board* whose idea has one of the *former* titles say *title*."""


class Store(BoardStore, LedgerStore, PersonStore, WordStore, Protocol):
    """Everything that the notifier remembers."""

    async def prepare(self) -> None:
        """Make ready what the store needs before its first use; repeating the call changes nothing."""


@dataclass(frozen=True, slots=True)
class Message:
    """What one person is sent by one channel, ready to leave."""

    recipient: str
    """The channel's own address of the person: a mailbox, a URL; the person's id where the channel needs none."""
    message_id: str
    """The same with every attempt: what the other side recognizes a repetition by."""
    body: bytes
    """As the channel's wire wants it: RFC 5322 with CRLF line ends, or JSON."""


class Unrenderable(PermanentError):  # noqa: N818 - a state of the template, named as it is logged
    """A template cannot be filled in for this letter; the message names template and line and quotes nothing."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The other side took the message."""

    reason: str = ""
    """What the row says of it; empty: that the channel accepted it."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The other side will never take this message. *reason* holds no address."""

    reason: str


@dataclass(frozen=True, slots=True)
class Disabled:
    """The address is gone for good: nothing is to be sent there again until the person gives it anew. *reason* holds no address."""

    reason: str


@dataclass(frozen=True, slots=True)
class Postponed:
    """The other side may take the message later. *reason* holds no address."""

    reason: str
    tried: bool = True
    """False where nobody was asked: that counts as no failure."""
    until: Micros | None = None
    """Not before this moment, where the other side named one; None leaves it to the schedule."""
    unknown: bool = False
    """Whether it may have been taken all the same: it was handed over, and no answer came."""


Delivery: TypeAlias = Accepted | Refused | Disabled | Postponed


class Channel(Protocol):
    """One way to reach people. Which one is used for whom, in what order and when, is decided by ``domain``, never here."""

    @property
    def name(self) -> str:
        """Return what contacts, preferences and the ledger call it: ``email``, ``webhook``, ``slack``, ``in_app``."""

    @property
    def needs_address(self) -> bool:
        """Tell whether people must have given an address; without one the person's id is the address."""

    def usable(self, address: str) -> bool:
        """Tell whether *address* can be written to at all."""

    def compose(self, letter: Letter) -> Message:
        """Return *letter* ready to be sent: the same bytes each time.

        Raises:
            Unrenderable: A template cannot be filled in.
        """

    async def send(self, messages: Sequence[Message], deadline: float) -> Sequence[Delivery]:
        """Return what became of each of *messages*, in their order; after *deadline* (monotonic seconds) no more are tried.

        Raises nothing for what the other side does or does not do. A message may come again after a crash, under its id.
        """

    def outputs(self, message: Message, letter: Letter) -> Sequence[Output]:
        """Return what is published together with the word that *message* was taken; empty for a channel with a wire of its own.

        A pure function: a redelivery publishes the same bytes again.
        """


class OutcomeCounter(Protocol):
    """Counts what became of alerts."""

    def told(self, outcome: str) -> None:
        """Count one alert that ended, for now, as *outcome*."""
