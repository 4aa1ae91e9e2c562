"""What the segmenter keeps: documents of persons and of accounts, and a log a board."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.common.clock import Micros


@dataclass(frozen=True, slots=True)
class Entry:
    """One input that was applied, and the facts that followed from it."""

    input_id: str
    origin: str
    """``topic/partition/offset`` of the record that brought it."""
    position: int
    """Its place among the inputs of its document: 1, 2, 3, …; an account's own numbers may leave gaps."""
    facts: bytes


@dataclass(frozen=True, slots=True)
class Document:
    """The present state of one person or account."""

    id: str
    position: int
    """That of the last input that was applied."""
    state: bytes
    card: bytes
    """The part that others may read."""
    partition: int
    """The partition number that owns it."""
    due_at: Micros | None = None
    """When time alone could change it."""
    definition: str = ""
    """The version by which it was evaluated last."""
    recent: tuple[Entry, ...] = ()
    """For an adapter's own use: entries that only the document holds yet."""


@dataclass(frozen=True, slots=True)
class Change:
    """A document's next state with the entries that led to it, in their order."""

    before: Document | None
    """As it was loaded; None where there was none."""
    after: Document
    entries: Sequence[Entry]


class Documents(Protocol):
    """Documents with the inputs that they have seen, so that a repeated input is known for ever."""

    async def load(self, ids: Iterable[str]) -> Mapping[str, Document]:
        """Return those of *ids* that exist."""

    async def cards(self, ids: Iterable[str]) -> Mapping[str, bytes]:
        """Return the cards of those of *ids* that exist, whoever owns them; as new as the last ``save`` anywhere."""

    async def find(self, inputs: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], Entry]:
        """Return the entries of those (document id, input id) that have been applied."""

    async def inputs(self, id: str, prefix: str, before: int) -> Sequence[str]:  # noqa: A002 - the document's id
        """Return the ids, sorted, that begin with *prefix*, of the inputs that were applied before position *before*."""

    async def save(self, changes: Sequence[Change]) -> None:
        """Put each document's next state, with its entries, in place of exactly the one before; atomic a document.

        Repeating the call after it succeeded raises ``Fenced``.

        Raises:
            Fenced: A document is no longer as it was loaded: another worker has written it. Others may have been saved.
        """

    async def history(self, id: str) -> Sequence[Entry]:  # noqa: A002 - the document's id
        """Return all inputs that a document has seen, by position."""

    async def rewrite(self, id: str, entries: Sequence[Entry]) -> None:  # noqa: A002
        """Put the facts of *entries* in place of those that a document has of their inputs, of which nothing is left. Safe to repeat."""

    async def due(self, partitions: frozenset[int], now: Micros, definition: str, limit: int) -> Sequence[str]:
        """Return at most *limit* ids, owned by *partitions*, that are due by *now* or were evaluated by another definition.

        Who is due comes first; what it costs does not grow with how many there are beyond *limit*.
        """

    async def outdated(self, partitions: frozenset[int], definition: str) -> int:
        """Return how many, owned by *partitions*, were evaluated by another definition; more where one store has a single worker."""


@dataclass(frozen=True, slots=True)
class BoardEntry:
    """One input of a board: the operations that its state is folded from, and the facts that were published."""

    board: str
    """The board's key."""
    position: int
    """1, 2, 3, … without a gap."""
    input_id: str
    origin: str
    operations: bytes
    facts: bytes


class BoardLog(Protocol):
    """An append-only log a board, written by the one worker that owns the board."""

    async def read(self, board: str, after: int, limit: int) -> Sequence[bytes]:
        """Return the operations of at most *limit* entries after position *after*, in their order."""

    async def find(self, board: str, input_ids: Iterable[str]) -> Mapping[str, BoardEntry]:
        """Return the entries of those inputs that the log holds; their operations may be left empty."""

    async def facts(self, board: str, positions: Iterable[int]) -> Mapping[int, bytes]:
        """Return the facts of the entries at *positions*."""

    async def page(self, board: str, after: int, limit: int) -> Sequence[BoardEntry]:
        """Return at most *limit* whole entries after position *after*, in their order."""

    async def rewrite(self, entries: Sequence[BoardEntry]) -> None:
        """Put operations and facts of *entries* in place of those at their positions, of which nothing is left. Safe to repeat."""

    async def append(self, entries: Sequence[BoardEntry]) -> None:
        """Append *entries*, of any boards, each board's in the order of their positions; atomic an entry, in that order.

        Raises:
            Fenced: A position is taken: another worker has written this board. A part may have been appended.
        """


class Said(Protocol):
    """The definition in force; and what was published out of a store that is lost, as far as it is not kept elsewhere."""

    async def get(self, keys: Iterable[str]) -> Mapping[str, bytes]:
        """Return the values of those of *keys* that exist."""

    async def put(self, values: Mapping[str, bytes]) -> None:
        """Keep each value, in place of any before; repeating the call changes nothing."""

    async def drop(self, keys: Iterable[str]) -> None:
        """Let go of *keys*, whether or not they exist."""


class Gauges(Protocol):
    """What the segmenter shows of itself beside its loop."""

    def left_to_evaluate(self, people: int) -> None:
        """Show how many people are still to be evaluated by the definition in force."""

    def trait_mistyped(self, scope: str, trait: str) -> None:
        """Count a trait that arrived with a value of another type than the definition declares."""

    def definition_refused(self, refused: bool) -> None:
        """Show whether the file cannot be used, so that what was in force before still is."""


@dataclass(frozen=True, slots=True)
class Stores:
    """All that the segmenter keeps."""

    people: Documents
    accounts: Documents
    boards: BoardLog
    said: Said
    prepare: Callable[[], Awaitable[None]]
    """Makes what the store needs beforehand; repeating the call changes nothing. Raises ``TransientError`` while it does not answer."""
