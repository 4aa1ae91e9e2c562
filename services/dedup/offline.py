"""The service's own decisions without its broker and store, for ``groundswell try`` and for benches.

encoder = open_encoder(load_settings(DedupSettings))
found = cluster([("t1", "dark mode please"), ("t2", "please add a dark mode")], encoder=encoder)
found.labels   # [("t1", "local:idea:…"), ("t2", "local:idea:…")], in the order given
found.ideas    # the present state of each idea, oldest first
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from services.common import ids
from services.common.events import BoardEvent, Decision, Idea
from services.common.ids import board_key
from services.dedup.adapters.encoder import open_encoder
from services.dedup.answering import Adviser
from services.dedup.domain.board import Board
from services.dedup.domain.decide import decide, missing_fields
from services.dedup.domain.policy import PolicyOf, balanced
from services.dedup.ports import Encoder

__all__ = ["Clustering", "cluster", "cluster_events", "open_encoder"]


@dataclass(frozen=True, slots=True)
class Clustering:
    """What was found: everything that the service would have published, and what it adds up to."""

    labels: list[tuple[str, str]]
    """(external id, id of the root idea) of each text that is linked, in the order of its first event."""
    ideas: list[Idea]
    """The present state of each idea, in the order in which they were opened; merged ones point at their root."""
    decisions: list[Decision]
    """All decisions, each board's in its sequence."""


def cluster(texts: Iterable[tuple[str, str]], *, encoder: Encoder, workspace: str = "local", board: str = "file") -> Clustering:
    """Cluster (id, text) pairs in their order, as if each were the first revision of a person's own feedback.

    Blocks; about one encoder call a distinct text. Of two pairs with the same id the later one is dropped, as the service would.
    Idea ids differ from those of the service, because they are functions of event ids: ``cluster_events`` gives the same.
    """
    return cluster_events(_events(texts, workspace, board), encoder=encoder)


def cluster_events(
    events: Iterable[BoardEvent], *, encoder: Encoder, policy_of: PolicyOf = balanced, adviser: Adviser | None = None
) -> Clustering:
    """Take the decisions that the service takes for *events* of ``board.events``, in their order; ids and bytes are its own.

    After each event *adviser* may give commands.

    Raises:
        ValueError: An event lacks a field that its type needs; the service dead-letters it.
    """
    boards: dict[str, Board] = {}
    names: dict[str, tuple[str, str]] = {}
    ideas: dict[str, Idea] = {}
    decisions: list[Decision] = []
    for place, event in enumerate(events):
        lacking = missing_fields(event)
        if lacking:
            raise ValueError(f"event {place + 1}, {event.type}: lacks {', '.join(lacking)}")
        key = board_key(event.workspace, event.board)
        board = boards.get(key)
        if board is None:
            board = boards[key] = Board(event.workspace, event.board, encoder.dimensions, policy_of(event.workspace, event.board))
        if board.position_of(event.event_id) is not None:
            continue
        entry = decide(board, event, f"offline/0/{place}", lambda text: encoder.encode([text])[0])
        entries = [entry]
        for number, advice in enumerate(() if adviser is None else adviser(board, event)):
            entries.append(decide(board, advice, f"offline/1/{place}.{number}", lambda text: encoder.encode([text])[0]))
        for entry in entries:
            decisions.extend(entry.decisions)
            ideas.update((idea.idea_id, idea) for idea in entry.ideas)
        if event.feedback_id is not None and event.external_id is not None:
            names.setdefault(event.feedback_id, (key, event.external_id))
    labels = [
        (external, board.root_of(link))
        for feedback, (key, external) in names.items()
        if (board := boards[key]) is not None and (link := board.idea_of(feedback)) is not None
    ]
    return Clustering(labels, list(ideas.values()), decisions)


def _events(texts: Iterable[tuple[str, str]], workspace: str, board: str) -> Iterator[BoardEvent]:
    for place, (external, text) in enumerate(texts):
        feedback = ids.feedback_id(workspace, board, external)
        yield BoardEvent(
            event_id=ids.event_id(workspace, feedback, "0"),
            type="submitted",
            workspace=workspace,
            board=board,
            source="file",
            occurred_at=place,
            ingested_at=place,
            origin=f"file/0/{place}",
            feedback_id=feedback,
            external_id=external,
            person_id=ids.person_id(workspace, f"feedback:{feedback}"),
            text=text,
        )
