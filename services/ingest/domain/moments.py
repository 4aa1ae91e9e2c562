"""Moments as outsiders write them, into microseconds since the epoch, UTC."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeAlias

from services.common.clock import Micros

TimestampFormat: TypeAlias = Literal["iso", "epoch_s", "epoch_ms", "rfc2822"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
LATEST: Micros = 253_402_300_799_999_999
"""The last microsecond of the year 9999. A larger one is most likely a wrong unit."""
_DECIMAL = re.compile(r"(\d{1,17})(?:\.(\d{1,9}))?")


def _micros(moment: datetime) -> Micros:
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not text")
    return value


def _iso(value: Any) -> Micros:
    return _micros(datetime.fromisoformat(_text(value)))


def _rfc2822(value: Any) -> Micros:
    return _micros(parsedate_to_datetime(_text(value)))


def _epoch(value: Any, micros_per_unit: int) -> Micros:
    """Read a number, or the decimal text that chat tools send; text keeps every digit, as Slack's message ids need."""
    if isinstance(value, bool):
        raise TypeError("a boolean is no moment")
    if isinstance(value, int):
        return value * micros_per_unit
    if isinstance(value, float):
        return round(value * micros_per_unit)
    found = _DECIMAL.fullmatch(_text(value))
    if found is None:
        raise ValueError("not a decimal number")
    whole, fraction = found.groups(default="")
    return int(whole) * micros_per_unit + int(fraction.ljust(9, "0")) * micros_per_unit // 10**9


_PARSERS: Mapping[TimestampFormat, Callable[[Any], Micros]] = {
    "iso": _iso,
    "rfc2822": _rfc2822,
    "epoch_s": lambda value: _epoch(value, 1_000_000),
    "epoch_ms": lambda value: _epoch(value, 1_000),
}
_EXPECTED: Mapping[TimestampFormat, str] = {
    "iso": "ISO 8601, such as 2026-11-21T09:30:00Z (UTC where no offset is given)",
    "rfc2822": "a date of RFC 2822, such as Sat, 21 Nov 2026 09:30:00 +0000",
    "epoch_s": "seconds since 1970, as a number or decimal text",
    "epoch_ms": "milliseconds since 1970, as a number or decimal text",
}


def expected(form: TimestampFormat) -> str:
    """Return what *form* looks like, for humans."""
    return _EXPECTED[form]


def parse_moment(value: Any, form: TimestampFormat) -> Micros | None:
    """Return the moment that *value* writes in *form*, or None where it writes none between 1970 and 9999."""
    try:
        micros = _PARSERS[form](value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return micros if is_moment(micros) else None


def is_moment(micros: Micros) -> bool:
    """Tell whether *micros* lies between 1970 and 9999."""
    return 0 <= micros <= LATEST
