"""``notifications.yaml``: what is told, and to whom. Where things are comes from the environment instead."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from services.common.definition import read_definition
from services.common.hours import read_hours, read_minute, zone_of
from services.common.ids import is_slug
from services.notifier.domain.manners import Digest, Manners, Quiet
from services.notifier.domain.pace import Limits

Weekday: TypeAlias = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)


def _slug(name: str) -> str:
    if not is_slug(name):
        raise ValueError("expected 1-63 of a-z 0-9 . _ -, a letter or digit first")
    return name


def _minute(text: str) -> str:
    read_minute(text)
    return text


def _hours(text: str) -> str:
    read_hours(text)
    return text


def _zone(name: str) -> str:
    if zone_of(name) is None:
        raise ValueError("expected a name of the IANA time zone database, such as Europe/Berlin")
    return name


class Notifications(BaseModel):
    """The content of ``notifications.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = Field(ge=1)
    product: str = Field(min_length=1, max_length=80)
    """As people know it; templates get it as ``product``."""
    statuses: list[Annotated[str, AfterValidator(_slug)]] = Field(default_factory=lambda: ["shipped"], min_length=1)
    """The statuses that people are told of."""
    tell_again: bool = False
    """Whether those who were told of an idea hear of its further releases too."""
    channels: list[Annotated[str, AfterValidator(_slug)]] = Field(default_factory=lambda: ["email"], min_length=1)
    """What people are told by, in the order in which it is tried, unless they say otherwise."""
    offered: list[Annotated[str, AfterValidator(_slug)]] = Field(default_factory=list)
    """What people may choose to be told by besides."""
    digest: Digest = "off"
    """``daily`` or ``weekly``: all that a person is to be told goes into one message."""
    digest_at: Annotated[str, AfterValidator(_minute)] = "09:00"
    """When a digest leaves, in the person's time zone."""
    digest_on: Weekday = "monday"
    """The day of weekly digests."""
    quiet_hours: Annotated[str, AfterValidator(_hours)] = "off"
    """Hours of the person's day in which nothing is sent: ``22:00-08:00``."""
    time_zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """Of people whose own is not known."""
    messages_a_week: int | None = Field(default=None, ge=1)
    """So many messages a person gets within seven days at most; the rest waits and goes together."""
    messages_a_minute: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """By channel: so many leave at most, over all workers."""
    messages_a_minute_and_domain: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """By domain of the address, ``*`` for all others."""
    late_contact_days: float = Field(default=30.0, ge=0)
    """An alert that reached nobody is sent after all when the person's address becomes known within so many days."""

    def manners(self) -> Manners:
        """Return how people are told who say nothing of it."""
        start, end = read_hours(self.quiet_hours)
        return Manners(
            channels=tuple(self.channels),
            digest=self.digest,
            digest_minute=read_minute(self.digest_at),
            digest_weekday=WEEKDAYS.index(self.digest_on),
            quiet=None if start == end else Quiet(start, end),
            zone=self.time_zone,
            cap=self.messages_a_week,
        )

    def limits(self) -> Limits:
        """Return how fast messages may leave."""
        return Limits(self.messages_a_minute, {name.lower(): rate for name, rate in self.messages_a_minute_and_domain.items()})


def load_notifications(path: Path) -> Notifications:
    """Return the definition in *path*.

    Raises:
        ConfigurationError: Names the file, and line and field of everything that is wrong.
    """
    return read_definition(path, Notifications, "GROUNDSWELL_NOTIFICATIONS_FILE")
