"""``feedback.enriched``: who asked, and what they were at the first evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import orjson

from services.common.clock import Micros
from services.common.events import Decision, EnrichedFeedback
from services.common.values import maker
from services.segmenter.domain.board import BoardState, Mention
from services.segmenter.domain.definition import UNKNOWN
from services.segmenter.domain.recency import DAY
from services.segmenter.domain.sentiment import sentiment

_enriched = maker(EnrichedFeedback)
_MEMBERSHIPS = ("primary_segment", "segments_json", "definition_version", "evaluated_at", "account_id", "account_name", "plan", "mrr_cents")
"""What the first evaluation gave, and what comes after keeps."""


def memberships(state: BoardState, person_id: str, at: Micros) -> dict[str, Any]:
    """Return the memberships and the account that a person has now, evaluated *at*."""
    human, view = state.counted(person_id)
    card = state.card(human)
    account = None if card.account is None else state.accounts.get(card.account.account_id, card.account)
    heard = account is not None and account.version > 0
    return {
        "primary_segment": view.segments[0],
        "segments_json": segments_json(state.definition.names, view.segments),
        "definition_version": card.definition if card.known else state.definition.version,
        "evaluated_at": at,
        "account_id": None if account is None else account.account_id,
        "account_name": None if account is None else account.name,
        "plan": None if account is None else account.plan,
        "mrr_cents": account.mrr_cents if account is not None and heard else None,
    }


@lru_cache(maxsize=4096)
def segments_json(names: tuple[str, ...], segments: tuple[str, ...]) -> str:
    """Return the JSON of *segments* by the *names* of their schemes."""
    return orjson.dumps(dict(zip(names, segments, strict=True))).decode()


def new_row(state: BoardState, decision: Decision, last: EnrichedFeedback | None, *, as_then: bool = False) -> EnrichedFeedback:
    """Return the record of a link that the board's state holds already; *last* is the one before it of the same feedback.

    With *as_then* it keeps the memberships of its first evaluation, as *last* holds them; else it gets those of now.
    """
    feedback_id, person_id, idea_id = decision.feedback_id or "", decision.person_id or "", decision.idea_id or ""
    root_id = state.root(idea_id)
    then = last if as_then else None
    kept = memberships(state, person_id, decision.ingested_at) if then is None else {name: getattr(then, name) for name in _MEMBERSHIPS}
    return _enriched(
        feedback_id=feedback_id,
        revision=decision.revision,
        enrichment_version=state.mentions[feedback_id].enrichment_version + 1,
        workspace=decision.workspace,
        board=decision.board,
        event_id=decision.event_id,
        decision_id=decision.decision_id,
        source=decision.source or "",
        external_id=decision.external_id or "",
        idea_id=idea_id,
        root_id=root_id,
        person_id=person_id,
        text=decision.text or "",
        retracted=False,
        occurred_at=decision.occurred_at,
        ingested_at=decision.ingested_at,
        language=decision.language,
        url=decision.url,
        rating=decision.rating,
        sentiment=sentiment(decision.text or "", decision.language),
        first_idea_id=idea_id if last is None else last.first_idea_id or last.idea_id,
        first_root_id=root_id if last is None else last.first_root_id or last.root_id,
        **kept,
    )


def is_to_be_evaluated(state: BoardState, decision: Decision, last: EnrichedFeedback) -> bool:
    """Tell whether a revision gets memberships of its own: its author is another one, or got a first profile in time."""
    mention = state.mentions[last.feedback_id]
    return last.person_id != decision.person_id or (not mention.known and is_in_time(state, mention))


def is_of_somebody_known(row: EnrichedFeedback) -> bool:
    """Tell whether anybody had a profile of the person when *row* was evaluated."""
    return row.account_id is not None or any(segment != UNKNOWN for segment in orjson.loads(row.segments_json).values())


def is_in_time(state: BoardState, mention: Mention) -> bool:
    """Tell whether a mention's person has a profile, and the first one came within a day of the feedback (by their own times)."""
    since = state.known_since(mention.person_id)
    return since is not None and since - mention.ingested_at <= DAY


def moved(state: BoardState, decision: Decision, idea_id: str, last: EnrichedFeedback) -> EnrichedFeedback:
    """Return the record of feedback that was re-pointed to another idea."""
    return replace(
        last,
        enrichment_version=last.enrichment_version + 1,
        event_id=decision.event_id,
        decision_id=decision.decision_id,
        idea_id=idea_id,
        root_id=state.root(idea_id),
    )


def retracted(decision: Decision, last: EnrichedFeedback) -> EnrichedFeedback:
    """Return the record of feedback that its author took back, without its words."""
    return replace(
        last,
        revision=max(last.revision, decision.revision),
        enrichment_version=last.enrichment_version + 1,
        event_id=decision.event_id,
        decision_id=decision.decision_id,
        text="",
        url=None,
        sentiment=None,
        retracted=True,
    )


ERASED: Mapping[str, Any] = {
    "text": "",
    "external_id": "",
    "language": None,
    "url": None,
    "sentiment": None,
    "account_id": None,
    "account_name": None,
    "plan": None,
    "mrr_cents": None,
}
"""What the record of feedback says whose author was erased: nothing that the author said, or that leads to the author."""


def erased(last: EnrichedFeedback) -> EnrichedFeedback:
    """Return the record of feedback whose author was erased; *last* itself where it is so already."""
    without = replace(last, **ERASED)
    return last if without == last else replace(without, enrichment_version=last.enrichment_version + 1)


def profiled(state: BoardState, mention: Mention, last: EnrichedFeedback) -> EnrichedFeedback:
    """Return the record of feedback whose author has got a first profile in time."""
    at = max(last.evaluated_at, state.known_since(mention.person_id) or 0)
    version, root = last.enrichment_version + 1, state.root(mention.idea_id or last.idea_id)
    return replace(last, enrichment_version=version, root_id=root, **memberships(state, last.person_id, at))
