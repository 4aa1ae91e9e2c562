"""Whether a person is told now, later or not at all; and when a failed attempt is made again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

from services.common.clock import Micros
from services.notifier.domain.audience import Audience, Reach
from services.notifier.domain.ledger import addresses_gone, letters_told, told_before, told_first
from services.notifier.domain.manners import Manners, Past, hold
from services.notifier.domain.person import EMAIL
from services.notifier.domain.row import HELD, Row, State

SECOND: Micros = 1_000_000
_WAIT_FOR_THE_OTHER: Micros = 2 * SECOND


@dataclass(frozen=True, slots=True)
class Send:
    """Tell them by *channel*, at *address*."""

    channel: str
    address: str
    contact_of: str | None
    """Whose contact *address* is; None where the channel needs none."""
    contact_at: Micros | None = None
    """When they gave it."""
    gathers: bool = False
    """Take along whatever else may be told to them by the same channel now."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Say nothing, and say why."""

    outcome: State
    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again at *until*."""

    until: Micros
    reason: str


Step: TypeAlias = Send | Silence | Wait


@dataclass(frozen=True, slots=True)
class Means:
    """By what, and in what manner, anybody can be told."""

    channels: Mapping[str, Reach]
    manners: Manners


@dataclass(frozen=True, slots=True)
class Human:
    """One human: who they turned out to be, and all their rows of the ledger."""

    audience: Audience
    rows: Sequence[Row]


def decide(row: Row, human: Human, others: Sequence[Row], means: Means, now: Micros) -> Step:
    """Return what is done about *row*.

    Args:
        row: Pending, or waiting to be taken along.
        human: Who is told.
        others: Their rows about the same family of ideas, and the same release where each one is told.
        means: What there is to tell them by.
        now: The present moment.
    """
    if row.trying and not human.audience.erased:
        return _once_more(row, human, means)
    road = _moot(row, human, others) or _road(row, human, means)
    if isinstance(road, Silence):
        return road
    first = None if row.doubted else told_first(row, others)
    if first is not None:
        tried_at = first.due_at if first.state == "deferred" and first.due_at not in (None, HELD) else now
        return Wait(max(tried_at, now) + _WAIT_FOR_THE_OTHER, "another message to them about it is on its way")
    return _in_good_manners(row, road, human, means, now)


def about_the_same(row: Row, human: Human, families: Mapping[str, str], *, tell_again: bool) -> list[Row]:
    """Return the other rows by which *human* hears of the same thing as by *row*.

    Args:
        row: One of theirs.
        human: All of whose rows are looked at.
        families: The family of each of their ideas.
        tell_again: Whether each release of a status is told of, so that another one is another thing.
    """
    if len(human.rows) == 1:  # as nearly always
        return []
    mine = row.alert
    return [
        other
        for other in human.rows
        if other.alert_id != row.alert_id
        and other.alert.status == mine.status
        and (other.alert.release_id == mine.release_id or not tell_again)
        and families[other.alert.idea_id] == families[mine.idea_id]
    ]


def _moot(row: Row, human: Human, others: Sequence[Row]) -> Silence | None:
    """Return why nothing is said, whatever the channel, or None."""
    if human.audience.erased:
        return Silence("suppressed", "the person was erased")
    if not row.wanted and not row.doubted:  # what may have been said is said to the end
        return Silence("suppressed", "the request was taken back, or its idea is no longer part of what shipped")
    told = told_before(others)
    if told is None:
        return None
    if told.doubted:
        return Silence("already_told", f"a message about it by {told.channel} may have reached them: no answer to it came")
    return Silence("already_told", "told through another of their requests")


def given_anew(row: Row, human: Human, road: Reach) -> bool:
    """Tell whether whoever was written to gave another address of *road* since it failed *row*, for which all is over.

    What may have arrived is left alone, and so is what failed at somebody else's address whom they turned out not to be.
    """
    if row.doubted or row.state not in ("bounced", "failed"):
        return False
    tried = next((word for word in reversed(row.history) if word.channel == road.name and word.contact_of is not None), None)
    found = human.audience.contact(road.name, row.alert.person_id, road, addresses_gone(human.rows, road.name))
    if tried is None or found is None or found[0] != tried.contact_of or not road.usable(found[1].address or ""):
        return False
    return found[1].stamp[1] > (tried.at if tried.contact_at is None else tried.contact_at)


def has_another_road(row: Row, human: Human, means: Means) -> bool:
    """Tell whether there is a channel that has not failed *row* yet."""
    return isinstance(_road(row, human, means), Send)


def _once_more(row: Row, human: Human, means: Means) -> Step:
    """Return how an attempt that a dead process had begun is made again: by the same channel, so that it is recognized."""
    name = row.channel or EMAIL
    channel = means.channels.get(name)
    if channel is None:
        return Silence("failed", f"{name} is not set up any more; a message by it may have gone out before a process died")
    return _reached(channel, row, human)


def _road(row: Row, human: Human, means: Means) -> Send | Silence:
    """Return the first of their channels that is open to them, or why none is; after a doubt, the one that it is about."""
    ideas = (row.alert.idea_id, row.alert.root_id)
    silences: list[Silence] = []
    for name in human.audience.manners(means.manners).channels if not row.doubted else (row.channel or EMAIL,):
        channel = means.channels.get(name)
        if channel is None or name in row.failed_channels:
            continue
        opted_out = human.audience.opted_out(name, ideas)
        road = Silence("opted_out", opted_out) if opted_out is not None else _reached(channel, row, human)
        if isinstance(road, Send):
            return road
        silences.append(road)
    if row.failed_channels:
        return Silence("failed", row.history[-1].reason if row.history else "no channel is left")
    opted = next((silence for silence in silences if silence.outcome == "opted_out"), None)
    return opted or next(iter(silences), Silence("unreachable", "none of the channels that they chose is set up"))


def _reached(channel: Reach, row: Row, human: Human) -> Send | Silence:
    if not channel.needs_address:
        return Send(channel.name, human.audience.root, None)
    what = "e-mail address" if channel.name == EMAIL else f"{channel.name} address"
    gone = addresses_gone(human.rows, channel.name)
    found = human.audience.contact(channel.name, row.alert.person_id, channel, gone)
    if found is None:
        return Silence("unreachable", f"the {what} on file does not exist any more" if gone else f"no {what} is known")
    whose, contact = found
    if not channel.usable(contact.address or ""):
        return Silence("unreachable", f"the {what} on file is not one that can be written to")
    return Send(channel.name, contact.address or "", whose, contact.stamp[1])


def _in_good_manners(row: Row, road: Send, human: Human, means: Means, now: Micros) -> Step:
    """Return *road*, or until when it has to wait. What interrupts nobody, a channel that needs no address, never has to."""
    if not means.channels[road.channel].needs_address:
        return road
    manners = human.audience.manners(means.manners, road.channel)
    if not manners.gathers:
        return road
    since = row.looked_at
    held = hold(manners, Past(now if since is None else since, letters_told(human.rows) if manners.cap is not None else ()), now)
    return replace(road, gathers=True) if held is None else Wait(held.until, held.reason)


class Retries(Protocol):
    """When failed attempts of a channel are made again."""

    def next(self, failures: int, first_failed_at: Micros, now: Micros, chance: float) -> Micros | None:
        """Return when to try again after *failures* (1 first), or None to give up; *chance*, uniform in [0, 1), spreads the load."""


@dataclass(frozen=True, slots=True)
class Steps:
    """After each failure the next pause, up to a fifth longer; after the last one it is given up."""

    seconds: Sequence[float]

    def next(self, failures: int, first_failed_at: Micros, now: Micros, chance: float) -> Micros | None:  # noqa: ARG002 - the port's shape
        """Return when to try again after *failures*, or None to give up."""
        if failures > len(self.seconds):
            return None
        return now + int(self.seconds[failures - 1] * (1 + chance / 5) * SECOND)


WEBHOOK_STEPS = Steps((5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400))
"""As the Standard Webhooks recommend."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a failed attempt is made again: after ``random(0, min(longest, base·2ⁿ))`` seconds, n failures so far less one."""

    base_seconds: float
    longest_seconds: float
    attempts: int
    """So many failures end it."""
    hours: float
    """So long after the first failure it ends."""

    def next(self, failures: int, first_failed_at: Micros, now: Micros, chance: float) -> Micros | None:
        """Return when to try again after *failures* (1 first), or None to give up.

        Args:
            failures: This one included.
            first_failed_at: When the first of them happened.
            now: The present moment.
            chance: Uniform in [0, 1): the full jitter.
        """
        if failures >= self.attempts or now - first_failed_at >= self.hours * 3600 * SECOND:
            return None
        longest = min(self.longest_seconds, self.base_seconds * 2.0 ** min(failures - 1, 60))
        return now + int(chance * longest * SECOND)
