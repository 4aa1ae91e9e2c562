"""What is known of a person from what was published, before any of the person's own events is read again."""

from __future__ import annotations

import orjson

from services.common.clock import Micros
from services.common.events import PersonSegments, SegmentTransition
from services.segmenter.domain.changes import World, reconcile
from services.segmenter.domain.person import PersonState, Said, Why


def recall_transition(state: PersonState, change: SegmentTransition, world: World) -> None:
    """Take in that *change* was published; the last one of a scheme holds."""
    said = _said(state)
    said.segments[change.scheme], said.since[change.scheme] = change.segment, change.evaluated_at
    said.last_transition = change.transition_id
    _take_in(state, change.evaluated_at, world)


def recall_row(state: PersonState, row: PersonSegments | None, world: World, *, is_trimmed: bool) -> None:
    """Take in that *row* was published, or a tombstone; and whether transitions older than those that are left were removed."""
    said = _said(state)
    said.is_trimmed = is_trimmed
    if row is None:
        said.row, said.row_segments = None, {}
    else:
        said.row, said.row_segments = (row.account_id, row.definition_version), orjson.loads(row.segments_json)
        said.version = max(said.version, row.version)
    _take_in(state, 0 if row is None else row.evaluated_at, world)


def _said(state: PersonState) -> Said:
    if state.said is None:
        state.said = Said()
    return state.said


def _take_in(state: PersonState, at: Micros, world: World) -> None:
    """Hold the person against it, unless boards know the person already: then this was done before a crash."""
    at = max(at, state.evaluated_at)
    state.position += 1
    if not state.together().boards:
        reconcile(state, world, Why("attribute", None, at, at))
