"""What the notifier needs of the outside."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from services.common.clock import Micros
from services.common.errors import PermanentError
from services.common.events import Alert
from services.notifier.domain.board import Want
from services.notifier.domain.entry import Entry
from services.notifier.domain.families import Union
from services.notifier.domain.ledger import Row
from services.notifier.domain.person import Person


class BoardStore(Protocol):
    """Keeps each board's log of decisions. *board* is its partition key (``services.common.ids.board_key``)."""

    async def entries(self, board: str) -> Sequence[Entry]:
        """Return the whole log, by sequence, without the quotes."""

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

    async def unread(self, board: str, sequences: Collection[int]) -> Sequence[Row]:
        """Return the rows that were published with a board's decisions and not been acted on, in the order in which they were made."""

    async def begin(self, rows: Sequence[Row]) -> None:
        """Mark *rows* as being tried; repeating the call changes nothing.

        Raises:
            Fenced: One of them is no longer pending at its attempt; the others are marked.
        """

    async def settle(self, changes: Sequence[tuple[Row, Row]]) -> None:
        """Replace each (old, new): state, attempt, due time, trying, failures, history; repeating the call changes nothing.

        A row is written if it is still pending at the old one's attempt and, where the new state is *suppressed*, if no decision has
        changed since whether it is wanted.

        Raises:
            Fenced: One of them was not; the others are written.
        """

    async def due(self, partitions: Collection[int], now: Micros, limit: int) -> Sequence[Row]:
        """Return at most *limit* rows of *partitions* that are due at *now*, longest due first."""

    async def take_up(self, changes: Sequence[tuple[Row, Row]]) -> None:
        """Write state, attempt and due time of each (old, new) whose state and attempt are still the old one's; others stay."""

    async def restore(self, changes: Sequence[tuple[Row, Row]]) -> None:
        """Write state, attempt, due time and history of each (old, new) whose state and attempt are still the old one's; others stay."""

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


class Store(BoardStore, LedgerStore, PersonStore, Protocol):
    """Everything that the notifier remembers."""

    async def prepare(self) -> None:
        """Make ready what the store needs before its first use; repeating the call changes nothing."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A message ready to be sent to one address."""

    recipient: str
    message_id: str
    body: bytes
    """RFC 5322, CRLF line ends."""


class Unrenderable(PermanentError):  # noqa: N818 - a state of the template, named as it is logged
    """A template cannot be filled in for this alert; the message names template and line and quotes nothing."""


class Composer(Protocol):
    """Writes mails."""

    def compose(self, alert: Alert, address: str) -> Mail:
        """Return the mail that tells *address* of *alert*: the same bytes each time.

        Raises:
            Unrenderable: A template cannot be filled in.
        """


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server took the mail."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The server will never take the mail. *reason* holds no address."""

    reason: str


@dataclass(frozen=True, slots=True)
class Postponed:
    """The server may take the mail later. *reason* holds no address; *tried* is False where nobody asked it."""

    reason: str
    tried: bool = True


Delivery: TypeAlias = Accepted | Refused | Postponed


class Mailer(Protocol):
    """Hands mails to a mail server."""

    async def send(self, mails: Sequence[Mail], deadline: float) -> Sequence[Delivery]:
        """Return what became of each of *mails*, in their order; after *deadline* (monotonic seconds) no more are tried."""


class OutcomeCounter(Protocol):
    """Counts what became of alerts."""

    def told(self, outcome: str) -> None:
        """Count one alert that ended, for now, as *outcome*."""
