"""``feedback.enriched``: who asked, and what they were at the first evaluation."""

from __future__ import annotations

from dataclasses import replace

import orjson

from services.common.clock import Micros
from services.common.events import Decision, EnrichedFeedback
from services.segmenter.domain.board import BoardState, Mention
from services.segmenter.domain.definition import UNKNOWN
from services.segmenter.domain.recency import DAY


def evaluated(state: BoardState, row: EnrichedFeedback, at: Micros) -> EnrichedFeedback:
    """Return *row* with the memberships and the account that its person has now, evaluated *at*."""
    card = state.card(state.human(row.person_id))
    definition = state.definition
    segments = definition.complete(card.segments) if card.known else definition.unknown()
    account = None if card.account is None else state.accounts.get(card.account.account_id, card.account)
    heard = account is not None and account.version > 0
    return replace(
        row,
        primary_segment=segments[definition.primary],
        segments_json=orjson.dumps(segments).decode(),
        definition_version=card.definition if card.known else definition.version,
        evaluated_at=at,
        account_id=None if account is None else account.account_id,
        account_name=None if account is None else account.name,
        plan=None if account is None else account.plan,
        mrr_cents=account.mrr_cents if account is not None and heard else None,
    )


def new_row(state: BoardState, decision: Decision, person_id: str, idea_id: str) -> EnrichedFeedback:
    """Return the record of a link without its memberships; the board's state has to hold the mention already."""
    return EnrichedFeedback(
        feedback_id=decision.feedback_id or "",
        revision=decision.revision,
        enrichment_version=state.mentions[decision.feedback_id or ""].enrichment_version + 1,
        workspace=decision.workspace,
        board=decision.board,
        event_id=decision.event_id,
        decision_id=decision.decision_id,
        source=decision.source or "",
        external_id=decision.external_id or "",
        idea_id=idea_id,
        root_id=state.root(idea_id),
        person_id=person_id,
        text=decision.text or "",
        retracted=False,
        primary_segment="",
        segments_json="",
        definition_version="",
        occurred_at=decision.occurred_at,
        ingested_at=decision.ingested_at,
        evaluated_at=decision.ingested_at,
        language=decision.language,
        url=decision.url,
        rating=decision.rating,
    )


def is_to_be_evaluated(state: BoardState, decision: Decision, last: EnrichedFeedback) -> bool:
    """Tell whether a revision gets memberships of its own: its author is another one, or got a first profile in time."""
    mention = state.mentions[last.feedback_id]
    return last.person_id != decision.person_id or (not mention.known and is_in_time(state, mention))


def as_first_evaluated(row: EnrichedFeedback, last: EnrichedFeedback) -> EnrichedFeedback:
    """Return *row* with the memberships and the account of the first evaluation, which *last* holds."""
    return replace(
        row,
        primary_segment=last.primary_segment,
        segments_json=last.segments_json,
        definition_version=last.definition_version,
        evaluated_at=last.evaluated_at,
        account_id=last.account_id,
        account_name=last.account_name,
        plan=last.plan,
        mrr_cents=last.mrr_cents,
    )


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
        retracted=True,
    )


def profiled(state: BoardState, mention: Mention, last: EnrichedFeedback) -> EnrichedFeedback:
    """Return the record of feedback whose author has got a first profile in time."""
    row = replace(last, enrichment_version=last.enrichment_version + 1, root_id=state.root(mention.idea_id or last.idea_id))
    return evaluated(state, row, max(last.evaluated_at, state.known_since(mention.person_id) or 0))
