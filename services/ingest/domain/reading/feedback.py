"""Feedback in its canonical form."""

from __future__ import annotations

from dataclasses import dataclass

from services.common import ids
from services.common.values import maker
from services.ingest.domain.aliases import PROVISIONAL, Author, read_author
from services.ingest.domain.faults import fault
from services.ingest.domain.fields import Fields
from services.ingest.domain.inputs import Feedback, Ignored, digest_of
from services.ingest.domain.reading.common import LANGUAGE_LIMIT, URL_LIMIT
from services.ingest.domain.texts.refining import Refined, TextRules, refine

ORIGINAL_LIMIT = 200_000
"""Characters of a whole text. One that is longer is no feedback."""
_NOTHING = Refined("")
_FEEDBACK = maker(Feedback)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a channel's feedback belongs. None leaves it to each record."""

    channel: str
    workspace: str | None = None
    board: str | None = None
    named: frozenset[str] | None = None
    """The channels that records may name as their own; None takes any."""


def read_feedback(fields: Fields, place: Place, rules: TextRules) -> Feedback | Ignored:
    """Return the feedback that *fields*, in the canonical form, hold; *rules* say what is done to its text."""
    if fields.flag("ignore"):
        return Ignored(workspace=place.workspace or "", source=place.channel, subject=f"ignored:{place.channel}", order=0, digest="")
    workspace = _workspace(fields, place)
    board = fields.required("board", fields.slug("board") or place.board)
    channel = _channel(fields, place)
    external_id = fields.required("id", fields.identifier("id"))
    feedback_id = ids.feedback_id(workspace, channel, external_id)
    deleted = fields.flag("deleted") or False
    rating = fields.number("rating")
    text = None if deleted else fields.long_text("text", limit=ORIGINAL_LIMIT, may_be_empty=rating is not None)
    if rating is None and not deleted:
        fields.required("text", text)
    author = _author(fields, feedback_id)
    occurred_at, url = fields.moment("occurred_at"), fields.text("url", limit=URL_LIMIT)
    language = fields.text("language", limit=LANGUAGE_LIMIT)
    thread = fields.identifier("thread")
    parent_id = None if thread is None or thread == external_id else ids.feedback_id(workspace, channel, thread)
    if fields.flag("spam") and not deleted:
        raise fault("spam", f"spam: channel {channel} says that it is")
    agent = _agent(fields, workspace)
    if agent is not None and agent in {ids.person_id(workspace, alias) for alias in author.aliases}:
        agent = None  # who asked wrote it, as most do
    answers = tuple(name for name in (parent_id, agent) if name is not None)
    said = _NOTHING if text is None else refine(text, rules, language)
    return _FEEDBACK(
        workspace=workspace,
        source=channel,
        subject=feedback_id,
        order=fields.whole("revision") or 0,
        digest=digest_of(board, deleted, text, author.aliases, occurred_at, rating, url, language, *answers),
        board=board,
        external_id=external_id,
        deleted=deleted,
        author=author,
        agent=agent,
        text=None if text is None else said.text,
        occurred_at=occurred_at,
        rating=rating,
        url=url,
        language=language,
        is_language_open=said.is_language_open,
        parent_id=parent_id,
        further=said.further,
        original=said.original,
        is_praise=said.is_praise,
    )


def _author(fields: Fields, feedback_id: str) -> Author:
    inner = fields.inner("author")
    author = Author() if inner is None else read_author(inner)
    return author if author.aliases else Author((f"{PROVISIONAL}{feedback_id}",), None, author.name)


def _agent(fields: Fields, workspace: str) -> str | None:
    """Return who wrote for the author: a vote is the author's, whoever types."""
    inner = fields.inner("agent")
    first = None if inner is None else read_author(inner).first_alias
    return None if first is None else ids.person_id(workspace, first)


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
