"""A file clustered without a broker: ingest's own reading and deciding, then dedup's, in the file's order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from services.common.clock import SystemClock
from services.common.errors import MalformedRecord
from services.common.events import BoardEvent, Idea
from services.common.outcome import Reject
from services.common.records import Record
from services.common.settings import load_settings
from services.console.context import codec
from services.console.failures import CommandFailed, ExitCode
from services.console.rows import canonical_feedback, read_rows
from services.dedup.answering import Adviser, Answer, by_labels, by_pairs
from services.dedup.definition import load_boards
from services.dedup.offline import cluster_events, open_encoder
from services.dedup.settings import DedupSettings
from services.ingest.channels import CANONICAL_TOPIC, load_channels
from services.ingest.decoding import Decode, decoders
from services.ingest.domain.deciding import decide
from services.ingest.domain.inputs import Arrival
from services.ingest.offline import empty_ledger
from services.ingest.settings import IngestSettings

_SAME = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in a file."""

    labels: list[tuple[str, str]]
    """(id, idea's id) of each text, in the file's order."""
    ideas: list[Idea]
    refused: list[str]
    """``FILE:LINE: why`` of each row that the service would dead-letter."""

    def ranked(self) -> list[Idea]:
        """Return the roots, most people first, then in the order in which they were opened."""
        roots = [idea for idea in self.ideas if idea.root_id == idea.idea_id and idea.mentions > 0]
        return sorted(roots, key=lambda idea: (-idea.people, -idea.mentions))


def cluster_file(path: Path, workspace: str, board: str, answers: Path | None = None, asked: int = 0) -> Found:
    """Cluster the texts of *path* as if ``groundswell publish`` had sent it to ``feedback.raw``: the same ids, the same ideas.

    *answers* holds a moderator's: see ``read_answers``.

    Raises:
        CommandFailed: The file is missing, or a row is no row.
        ConfigurationError: The model cannot be loaded.
    """
    events, refused = board_events(path, workspace, board)
    adviser = None if answers is None else read_answers(answers, asked=asked, texts=max(len(events), 1))
    settings = load_settings(DedupSettings)
    clustering = cluster_events(
        events, encoder=open_encoder(settings), policy_of=load_boards(settings.boards_file).policies(), adviser=adviser
    )
    return Found(clustering.labels, clustering.ideas, refused)


def read_answers(path: Path, *, asked: int, texts: int) -> Adviser:
    """Return the moderator whose answers *path* holds, as CSV or JSONL.

    Either rows with ``id``, ``other_id`` and ``same``, each given as soon as both texts are there; or rows with ``id`` and ``label``,
    from which the board's own questions are answered, *asked* of them, evenly spread over so many *texts*.

    Raises:
        CommandFailed: The file is missing, or a row is neither.
    """
    rows = read_rows(path)
    if rows and all({"id", "label"} <= row.fields.keys() for row in rows):
        return by_labels({str(row.fields["id"]): str(row.fields["label"]) for row in rows}, asked=asked, texts=texts)
    pairs = []
    for row in rows:
        same = _SAME.get(str(row.fields.get("same")).lower())
        if same is None or not {"id", "other_id"} <= row.fields.keys():
            raise CommandFailed(f"{path}:{row.line}: an answer needs id, other_id and same (yes or no), or id and label", ExitCode.USAGE)
        pairs.append(Answer(str(row.fields["id"]), str(row.fields["other_id"]), same))
    return by_pairs(pairs)


def board_events(path: Path, workspace: str, board: str) -> tuple[list[BoardEvent], list[str]]:
    """Return the board's events that ingest would make of *path*, and ``FILE:LINE: why`` of each row that it would dead-letter."""
    ledger = empty_ledger()
    decode = _decoder()
    now = SystemClock().now() // 1000
    events: list[BoardEvent] = []
    refused: list[str] = []
    for number, row in enumerate(read_rows(path)):
        record = Record(CANONICAL_TOPIC, 0, number, now, None, canonical_feedback(path, row, workspace, board))
        try:
            [verdict] = decide(ledger, [(decode(record), Arrival.of(record))])
        except MalformedRecord as error:
            refused.append(f"{path}:{row.line}: {error.detail}")
            continue
        if isinstance(verdict, Reject):
            refused.append(f"{path}:{row.line}: {verdict.detail}")
        elif isinstance(verdict, tuple):
            events += [event for event in verdict if isinstance(event, BoardEvent)]
    return events, refused


def _decoder() -> Decode:
    settings = load_settings(IngestSettings)
    return decoders(load_channels(settings.channels_file), codec().schemas, settings.text_limit)[CANONICAL_TOPIC]
