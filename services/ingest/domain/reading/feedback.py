"""Feedback in its canonical form."""

from __future__ import annotations

from dataclasses import dataclass

from services.common import ids
from services.ingest.domain.aliases import PROVISIONAL, Author, read_author
from services.ingest.domain.faults import fault
from services.ingest.domain.fields import Fields
from services.ingest.domain.inputs import Feedback, digest_of
from services.ingest.domain.reading.common import LANGUAGE_LIMIT, URL_LIMIT


@dataclass(frozen=True, slots=True)
class Place:
    """Where a channel's feedback belongs. None leaves it to each record."""

    channel: str
    workspace: str | None = None
    board: str | None = None
    named: frozenset[str] | None = None
    """The channels that records may name as their own; None takes any."""


def read_feedback(fields: Fields, place: Place, text_limit: int) -> Feedback:
    """Return the feedback that *fields*, in the canonical form, hold."""
    workspace = _workspace(fields, place)
    board = fields.required("board", fields.slug("board") or place.board)
    channel = _channel(fields, place)
    external_id = fields.required("id", fields.identifier("id"))
    feedback_id = ids.feedback_id(workspace, channel, external_id)
    revision = fields.whole("revision") or 0
    deleted = fields.flag("deleted") or False
    rating = fields.number("rating")
    text = None if deleted else fields.long_text("text", limit=text_limit, may_be_empty=rating is not None)
    if rating is None and not deleted:
        fields.required("text", text)
    inner = fields.inner("author")
    author = Author() if inner is None else read_author(inner)
    if not author.aliases:
        author = Author((f"{PROVISIONAL}{feedback_id}",), None, author.name)
    occurred_at = fields.moment("occurred_at")
    url = fields.text("url", limit=URL_LIMIT)
    language = fields.text("language", limit=LANGUAGE_LIMIT)
    return Feedback(
        workspace=workspace,
        source=channel,
        subject=feedback_id,
        order=revision,
        digest=digest_of(board, deleted, text, author.aliases, occurred_at, rating, url, language),
        board=board,
        external_id=external_id,
        deleted=deleted,
        author=author,
        text=text,
        occurred_at=occurred_at,
        rating=rating,
        url=url,
        language=language,
    )


def _workspace(fields: Fields, place: Place) -> str:
    named = fields.slug("workspace")
    if place.workspace is None:
        return str(fields.required("workspace", named))
    if named is not None and named != place.workspace:
        raise fault("workspace_mismatch", f"workspace: channel {place.channel} belongs to {place.workspace}, the record names another one")
    return place.workspace


def _channel(fields: Fields, place: Place) -> str:
    named = fields.slug("channel")
    if named is None:
        return place.channel
    if place.named is not None and named != place.channel and named not in place.named:
        raise fault(
            "unknown_channel", f"channel: not one of those that channels.yaml allows under {place.channel}; add it to `named` there"
        )
    return named
