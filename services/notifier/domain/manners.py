"""When a person may be written to: quiet hours, digests, a cap a week; in the person's own time zone.

Pure functions of the moment, of what the person asked for and of what the ledger says they got. Nothing is remembered beside it: a row
that is put off is due again, and is judged anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from services.common.clock import Micros
from services.common.hours import zone_of

Digest: TypeAlias = Literal["off", "daily", "weekly"]
DIGESTS: tuple[Digest, ...] = ("off", "daily", "weekly")

_SECOND: Micros = 1_000_000
WEEK: Micros = 7 * 86_400 * _SECOND
_DAY_MINUTES = 1_440


@dataclass(frozen=True, slots=True)
class Quiet:
    """From one minute of the local day up to another, over midnight where *start* is later than *end*."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person asked for; None where they said nothing of it."""

    digest: Digest | None = None
    quiet: Quiet | None = None
    zone: str | None = None
    channels: tuple[str, ...] = ()
    """In the order in which they are tried; no others are. Empty: as everybody's."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How people are told where they say nothing themselves."""

    channels: tuple[str, ...] = ("email",)
    """In the order in which they are tried."""
    digest: Digest = "off"
    digest_minute: int = 9 * 60
    """Of the person's day."""
    digest_weekday: int = 0
    """0 is Monday."""
    quiet: Quiet | None = None
    zone: str = "UTC"
    cap: int | None = None
    """So many messages a person and week."""

    def wished(self, wishes: Iterable[Wishes]) -> Manners:
        """Return these with *wishes*, the weightiest last."""
        found = self
        for wish in wishes:
            found = replace(
                found,
                channels=wish.channels or found.channels,
                digest=wish.digest or found.digest,
                quiet=found.quiet if wish.quiet is None else wish.quiet,
                zone=wish.zone or found.zone,
            )
        return found

    @property
    def gathers(self) -> bool:
        """Tell whether a message takes along whatever else waits for the person."""
        return self.digest != "off" or self.cap is not None or self.quiet is not None


@dataclass(frozen=True, slots=True)
class Hold:
    """Not before *until*."""

    until: Micros
    reason: str


@dataclass(frozen=True, slots=True)
class Past:
    """What a person's rows say of the past."""

    since: Micros
    """When the row was first looked at."""
    told_at: Sequence[Micros] = field(default=())
    """When each of the person's messages left."""


def hold(manners: Manners, past: Past, now: Micros) -> Hold | None:
    """Return until when a message must wait, and why; None where it may leave *now*."""
    if manners.digest != "off":
        moment = digest_moment(past.since, manners)
        if now < moment:
            return Hold(moment, f"kept for their {manners.digest} digest")
    if manners.cap is not None:
        recent = sorted(at for at in past.told_at if at > now - WEEK)
        if len(recent) >= manners.cap:
            return Hold(recent[-manners.cap] + WEEK, f"they have had {manners.cap} messages within seven days, the most that is sent")
    quiet_end = None if manners.quiet is None else _quiet_until(now, manners.quiet, manners.zone)
    return None if quiet_end is None else Hold(quiet_end, "these are their quiet hours")


def digest_moment(since: Micros, manners: Manners) -> Micros:
    """Return the first moment after *since* at which a digest leaves."""
    zone = _zone(manners.zone)
    day = _local(since, zone).date()
    at = time(manners.digest_minute // 60, manners.digest_minute % 60)
    while True:
        if manners.digest == "daily" or day.weekday() == manners.digest_weekday:
            moment = _micros(datetime.combine(day, at, zone))
            if moment > since:
                return moment
        day += timedelta(days=1)


def _quiet_until(now: Micros, quiet: Quiet, zone_name: str) -> Micros | None:
    """Return when the quiet hours that *now* lies in end, or None."""
    zone = _zone(zone_name)
    local = _local(now, zone)
    minute = local.hour * 60 + local.minute
    length = (quiet.end - quiet.start) % _DAY_MINUTES
    if (minute - quiet.start) % _DAY_MINUTES >= length:
        return None
    day = local.date() + timedelta(days=0 if minute < quiet.end else 1)
    end = _micros(datetime.combine(day, time(quiet.end // 60, quiet.end % 60), zone))
    return max(end, now + 60 * _SECOND)  # where the clocks are put back, the hour repeats


def _zone(name: str) -> ZoneInfo:
    return zone_of(name) or ZoneInfo("UTC")


def _local(at: Micros, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(at // _SECOND, UTC).astimezone(zone)


def _micros(moment: datetime) -> Micros:
    return int(moment.timestamp()) * _SECOND
