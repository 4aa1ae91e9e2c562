"""A customer's e-mail that somebody passes on: who wrote it, and its words. Each line is looked at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parseaddr

_MARK = re.compile(
    r"-{2,} ?(?:forwarded message|weitergeleitete nachricht|message transféré|mensaje reenviado|messaggio inoltrato|doorgestuurd bericht)"
    r" ?-{2,}"
    r"|(?:begin forwarded message|anfang der weitergeleiteten nachricht|début du message réexpédié|inicio del mensaje reenviado) ?:",
    re.IGNORECASE,
)
_SUBJECT = re.compile(r"(?:fwd?|wg|tr|rv|i) ?:", re.IGNORECASE)
_FROM = re.compile(r"\*?(?:from|von|de|da|van) ?:\*? ?(.{3,400})", re.IGNORECASE)
_HEADER = re.compile(r"\*?[A-Za-zÀ-ÿ][A-Za-zÀ-ÿ -]{1,20} ?:\*? ?.*")
_MOST_HEADERS = 12
_LONGEST_LINE = 1_000


@dataclass(frozen=True, slots=True)
class Forwarded:
    """What was passed on."""

    address: str
    name: str
    text: str


def forwarded(subject: str | None, text: str) -> Forwarded | None:
    """Return the e-mail that *text* passes on, where it says nothing of its own above it; None where it passes none on.

    It begins behind a mark of the mail program, or at once where *subject* says that it is a forward, with lines like headers, one of them
    its sender.
    """
    lines = [line.strip().removeprefix(">").lstrip() for line in text.split("\n")]
    place = _filled(lines, 0)
    if place < len(lines) and _MARK.fullmatch(lines[place][:_LONGEST_LINE]):
        place = _filled(lines, place + 1)
    elif subject is None or _SUBJECT.match(subject) is None:
        return None
    sender = None
    for _ in range(_MOST_HEADERS):
        if place == len(lines) or not lines[place] or _HEADER.fullmatch(lines[place][:_LONGEST_LINE]) is None:
            break
        found = _FROM.fullmatch(lines[place][:_LONGEST_LINE])
        sender = sender or (found and found[1])
        place += 1
    name, address = parseaddr(sender.replace("[mailto:", "<").replace("]", ">")) if sender else ("", "")
    body = "\n".join(lines[place:]).strip()
    return Forwarded(address, name, body) if "@" in address and body else None


def _filled(lines: list[str], place: int) -> int:
    """Return the first line from *place* on with anything on it."""
    return next((number for number in range(place, len(lines)) if lines[number]), len(lines))
