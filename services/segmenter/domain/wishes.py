"""What a board tells a person's worker of the person's wishes, where a rule of the definition asks for them."""

from __future__ import annotations

from collections.abc import Mapping

from services.common.events import EnrichedFeedback
from services.segmenter.domain.board import BoardState
from services.segmenter.domain.cards import PersonCard
from services.segmenter.domain.mentions import KEPT_MENTIONS, Asked, words_of


def wish(row: EnrichedFeedback) -> Asked:
    """Return what an enriched record asks for."""
    return Asked(row.occurred_at, row.idea_id, words_of(row.text))


def wishes_to_tell(state: BoardState, card: PersonCard) -> dict[str, int]:
    """Return, by feedback id, the log positions of the records of all that a person asked for, if the person's worker may not know.

    That is when the person was evaluated by a definition for the first time: as soon as there is a profile, or after a rollout.
    """
    if not state.definition.asks or not card.known or card.definition == state.card(card.person_id).definition:
        return {}
    mentions = {feedback_id: state.mentions[feedback_id] for feedback_id in state.wishes(card.person_id)}
    newest = sorted(mentions, key=lambda feedback_id: (mentions[feedback_id].ingested_at, feedback_id))[-KEPT_MENTIONS:]
    return {feedback_id: mentions[feedback_id].row for feedback_id in sorted(newest) if mentions[feedback_id].row}


def wishes_of(feedback_ids: Mapping[str, int], rows: Mapping[str, EnrichedFeedback]) -> dict[str, Asked | None]:
    """Return what *rows* ask for, those of *feedback_ids*."""
    return {feedback_id: wish(rows[feedback_id]) for feedback_id in feedback_ids if feedback_id in rows}
