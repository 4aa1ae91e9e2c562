"""Hours of a person's day and time zones, as preferences and definitions write them: what ingest lets in, the notifier understands."""

from __future__ import annotations

from functools import lru_cache
from zoneinfo import ZoneInfo


def read_minute(text: str) -> int:
    """Return the minute of the day of ``09:30``.

    Raises:
        ValueError: It is not a time of day.
    """
    hours, colon, minutes = text.strip().partition(":")
    digits = hours.isascii() and hours.isdecimal() and minutes.isascii() and minutes.isdecimal() and len(hours) <= 2 == len(minutes)
    if not (colon and digits and int(hours) < 24 and int(minutes) < 60):
        raise ValueError("expected a time of day such as 09:30")
    return int(hours) * 60 + int(minutes)


def read_hours(text: str) -> tuple[int, int]:
    """Return the first minute of the day of ``22:00-08:00``, and the first one after it; equal ones, as of ``off``, are no time at all.

    Raises:
        ValueError: It is neither hours nor ``off``.
    """
    if text == "off":
        return 0, 0
    start, dash, end = text.partition("-")
    if not dash:
        raise ValueError("expected off, or hours such as 22:00-08:00")
    return read_minute(start), read_minute(end)


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo | None:
    """Return the time zone that the IANA database calls *name* (``Europe/Berlin``), or None."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not found; no name at all; a folder of the database
        return None
