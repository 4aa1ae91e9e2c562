"""What the notifier publishes: alerts to be sent, and what became of each; and what it is told of that later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from services.common.clock import Micros


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One message to one person about one idea's release, for the worker that owns the person to send."""

    TOPIC: ClassVar[str] = "notifications.outbox"

    alert_id: str
    workspace: str
    board: str
    person_id: str
    idea_id: str
    """The idea that the person's feedback was linked to."""
    root_id: str
    """Where that idea's pointers ended when the alert was made."""
    feedback_id: str
    status: str
    title: str
    quote: str
    """The person's own words."""
    attempt: int
    """1 first; a retry of a due row is the next."""
    created_at: Micros
    release_id: str
    release_name: str | None = None
    release_url: str | None = None
    status_reason: str | None = None
    """Why the idea has this status, as the roadmap tool says it."""

    def key(self) -> str:
        """Return the alert's id."""
        return self.alert_id

    def partition_key(self) -> str:
        """Return the person's id."""
        return self.person_id


@dataclass(frozen=True, slots=True, kw_only=True)
class InAppMessage:
    """One alert to be shown to one person inside the product."""

    TOPIC: ClassVar[str] = "notifications.in_app"

    alert_id: str
    workspace: str
    board: str
    person_id: str
    idea_id: str
    """The idea that the person's feedback was linked to."""
    root_id: str
    feedback_id: str
    status: str
    title: str
    quote: str
    """The person's own words."""
    created_at: Micros
    """When the alert was made."""
    release_id: str
    release_name: str | None = None
    release_url: str | None = None

    def key(self) -> str:
        """Return the alert's id."""
        return self.alert_id

    def partition_key(self) -> str:
        """Return the person's id."""
        return self.person_id


OutcomeType: TypeAlias = Literal[
    "unknown",
    "pending",
    "sent",
    "deferred",
    "failed",
    "opted_out",
    "unreachable",
    "already_told",
    "suppressed",
    "delivered",
    "bounced",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationOutcome:
    """What became of an alert, silence included. The last one of an alert is its present state."""

    TOPIC: ClassVar[str] = "notifications.log"

    outcome_id: str
    alert_id: str
    workspace: str
    board: str
    person_id: str
    idea_id: str
    root_id: str
    release_id: str
    outcome: OutcomeType
    reason: str
    """For people: why nothing was sent, or what the server said, without addresses."""
    attempt: int
    occurred_at: Micros
    channel: str | None = None
    message_id: str | None = None
    contact_person_id: str | None = None
    """Whose address was written to."""
    address_gone: bool = False
    """The address turned out not to exist; nothing is sent there until the person gives one anew."""
    may_have_arrived: bool = False
    """Whether a message may have reached them although no answer to it ever came: no other channel is tried then, and no other alert."""

    def key(self) -> str:
        """Return the alert's id."""
        return self.alert_id

    def partition_key(self) -> str:
        """Return the person's id."""
        return self.person_id


ReportType: TypeAlias = Literal["unknown", "delivered", "bounced"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReport:
    """What became of a message after the other side had taken it, as a bounce or a provider says it."""

    TOPIC: ClassVar[str] = "notifications.reports"

    report_id: str
    letter: str
    """The message: 24 characters, in a mail what stands before the @ of its Message-ID."""
    channel: str
    outcome: ReportType
    reason: str
    """For people, without addresses."""
    occurred_at: Micros
    address_gone: bool = False
    """bounced: the address does not exist; nothing is sent there until the person gives one anew."""

    def key(self) -> str:
        """Return the report's id."""
        return self.report_id

    def partition_key(self) -> str:
        """Return the message's id: reports of one message keep their order."""
        return self.letter


NoticeType: TypeAlias = Literal["unknown", "summary", "owner_copy"]
NoticeState: TypeAlias = Literal["unknown", "told", "overdue"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamNotice:
    """One message about a release to the team: a summary of it, or a copy to the owner of an account whose people were told."""

    TOPIC: ClassVar[str] = "notifications.summaries"

    notice_id: str
    """A function of release, state, recipient and account: who has it gets it once."""
    type: NoticeType
    workspace: str
    release_id: str
    state: NoticeState
    """told: nobody waits any more; overdue: a day later somebody still does."""
    asked: int
    reached: int
    waiting: int
    bounced: int
    failed: int
    opted_out: int
    unreachable: int
    channel: str
    reason: str
    """What the other side said of the message, without addresses."""
    occurred_at: Micros
    account_id: str | None = None
    """owner_copy: whose people were told; the numbers are theirs."""

    def key(self) -> str:
        """Return the notice's id."""
        return self.notice_id

    def partition_key(self) -> str:
        """Return the workspace."""
        return self.workspace
