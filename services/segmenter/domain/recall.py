"""What is known of a person from what was published, before any of the person's own events is read again."""

from __future__ import annotations

import orjson

from services.common.events import PersonSegments, SegmentTransition
from services.segmenter.domain.changes import World, reconcile
from services.segmenter.domain.person import PersonState, Said, Why


def recall_transition(state: PersonState, change: SegmentTransition) -> None:
    """Take in that *change* was published; the last one of a scheme holds."""
    said = _said(state)
    said.segments[change.scheme], said.since[change.scheme] = change.segment, change.evaluated_at
    said.last_transition = change.transition_id
    state.position += 1
    state.evaluated_at = max(state.evaluated_at, change.evaluated_at)


def recall_row(state: PersonState, row: PersonSegments | None, world: World, *, is_trimmed: bool) -> None:
    """Take in that *row* was published, or a tombstone; and whether transitions older than those that are left were removed."""
    said = _said(state)
    said.is_trimmed = is_trimmed
    if row is None:
        said.row, said.row_segments = None, {}
    else:
        said.row, said.row_segments = (row.account_id, row.definition_version), orjson.loads(row.segments_json)
        said.version = max(said.version, row.version)
    state.position += 1
    state.evaluated_at = at = max(state.evaluated_at, 0 if row is None else row.evaluated_at)
    if not state.together().boards:  # otherwise this was done before a crash, and boards know the person as it is
        reconcile(state, world, Why("attribute", None, at, at))


def _said(state: PersonState) -> Said:
    if state.said is None:
        state.said = Said()
    return state.said
