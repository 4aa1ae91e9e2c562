"""Every value that we publish, as frozen dataclasses; a contract test holds them against ``schemas/avro``.

Field order, names and types are those of the Avro records. Moments are ``Micros``; columns that end in ``_json`` hold one JSON
document, because readers of tables stumble over nested values. Optional fields are the ones that an event's ``type`` leaves out.
"""

from __future__ import annotations

from services.common.events.base import Event
from services.common.events.board import BoardEvent, BoardEventType
from services.common.events.decisions import Decision, DecisionType, Idea
from services.common.events.demand import EnrichedFeedback, IdeaDemand, PersonSegments, SegmentTransition, TransitionCause
from services.common.events.notifications import (
    Alert,
    DeliveryReport,
    InAppMessage,
    NoticeState,
    NoticeType,
    NotificationOutcome,
    OutcomeType,
    ReportType,
    TeamNotice,
)
from services.common.events.people import Account, PersonEvent, PersonEventType
from services.common.events.work import SegmenterWork, SegmenterWorkType

ALL_EVENTS: tuple[type[Event], ...] = (
    BoardEvent,
    PersonEvent,
    Account,
    Decision,
    Idea,
    EnrichedFeedback,
    PersonSegments,
    SegmentTransition,
    IdeaDemand,
    Alert,
    NotificationOutcome,
    DeliveryReport,
    InAppMessage,
    TeamNotice,
    SegmenterWork,
)

__all__ = [
    "ALL_EVENTS",
    "Account",
    "Alert",
    "BoardEvent",
    "BoardEventType",
    "Decision",
    "DecisionType",
    "DeliveryReport",
    "EnrichedFeedback",
    "Event",
    "Idea",
    "IdeaDemand",
    "InAppMessage",
    "NoticeState",
    "NoticeType",
    "NotificationOutcome",
    "OutcomeType",
    "PersonEvent",
    "PersonEventType",
    "PersonSegments",
    "ReportType",
    "SegmentTransition",
    "SegmenterWork",
    "SegmenterWorkType",
    "TeamNotice",
    "TransitionCause",
]
