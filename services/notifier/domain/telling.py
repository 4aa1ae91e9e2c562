"""Whether a person is told now, later or not at all; and when a failed attempt is made again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from services.common.clock import Micros
from services.notifier.domain.ledger import HELD, Row, State, told_before, told_first
from services.notifier.domain.person import EMAIL, Audience, usable

SECOND: Micros = 1_000_000
_WAIT_FOR_THE_OTHER: Micros = 2 * SECOND


@dataclass(frozen=True, slots=True)
class Send:
    """Mail to *address*."""

    address: str


@dataclass(frozen=True, slots=True)
class Silence:
    """Say nothing, and say why."""

    outcome: State
    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Another row of the same human is on its way: look again at *until*."""

    until: Micros
    reason: str


Step: TypeAlias = Send | Silence | Wait


def decide(row: Row, audience: Audience, others: Sequence[Row], now: Micros) -> Step:
    """Return what is done about *row*.

    Args:
        row: Pending.
        audience: Everyone who turned out to be the row's person.
        others: Their rows about the same family of ideas, and the same release where each one is told.
        now: The present moment.
    """
    silence = _settled_silence(row, audience, others)
    if silence is not None:
        return silence
    address = audience.address(EMAIL, row.alert.person_id)
    if address is None:
        return Silence("unreachable", "no e-mail address is known")
    if not usable(address):
        return Silence("unreachable", "the e-mail address on file is not one that can be written to")
    first = None if row.trying else told_first(row, others)
    if first is not None:
        tried_at = first.due_at if first.state == "deferred" and first.due_at not in (None, HELD) else now
        return Wait(max(tried_at, now) + _WAIT_FOR_THE_OTHER, "another message to them about it is on its way")
    return Send(address)


def _settled_silence(row: Row, audience: Audience, others: Sequence[Row]) -> Silence | None:
    """Return why nothing is said, whatever the address, or None."""
    if audience.erased:
        return Silence("suppressed", "the person was erased")
    if row.trying:
        return None
    if not row.wanted:
        return Silence("suppressed", "the request was taken back, or its idea is no longer part of what shipped")
    if told_before(others) is not None:
        return Silence("already_told", "told through another of their requests")
    opted_out = audience.opted_out(EMAIL, (row.alert.idea_id, row.alert.root_id))
    return None if opted_out is None else Silence("opted_out", opted_out)


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
