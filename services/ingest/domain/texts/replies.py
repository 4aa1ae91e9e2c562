"""The author's own words, out of what a mail program wraps around them.

Two libraries do this with regular expressions that take quadratic time on hostile mail, cut a list at its first hyphen and everything
after a line that begins with "Thanks,". A wish that is lost costs more than a greeting that stays: here each line is looked at once,
and only what is surely a quote or a signature goes.
"""

from __future__ import annotations

import re

_WRAPPED_LINES = 3
_CLOSING_LINES = 5
_CLOSING_WIDTH = 60
_ATTRIBUTION_WIDTH = 400

_ATTRIBUTIONS = (("On ", "wrote:"), ("Am ", ":"), ("Le ", "écrit :"), ("Le ", "écrit:"), ("El ", "escribió:"), ("Il ", "scritto:"))
_OPENINGS = tuple({start for start, _ in _ATTRIBUTIONS})
_GERMAN_VERB = " schrieb"
_SOMEONE_AT_SOME_TIME = re.compile(r"[^@]{0,300}\d{1,2}[:.]\d{2}[^@]{0,200}@[^@]{0,200}:")
"""An introduction in any language: a time of day and an address. Taken for one only where marked quotes follow."""
_SEPARATOR = re.compile(
    r"(?:_{20,}|-{2,} ?(?:Original Message|Original-Nachricht|Ursprüngliche Nachricht|Forwarded message) ?-{2,})", re.IGNORECASE
)
_FIRST_HEADER = re.compile(r"\*?(?:From|Von|De):\*? ", re.IGNORECASE)
_NEXT_HEADER = re.compile(r"\*?(?:Sent|Date|To|Subject|Gesendet|Datum|An|Betreff|Envoyé|Enviado|À|Para|Objet|Asunto):\*? ", re.IGNORECASE)
_DEVICE = re.compile(
    r"(?:Sent from my |Sent from (?:Outlook|Mail|Yahoo)|Get Outlook for |Von meinem .{1,40} gesendet|Gesendet von |Envoyé de mon )",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"(?:(?:best|kind|warm|many)? ?(?:regards|wishes|thanks)|best|thanks|thank you|cheers|sincerely|yours|"
    r"(?:viele|beste|liebe|freundliche|herzliche)n? grü(?:ß|ss)e|mit freundlichen grü(?:ß|ss)en|danke|vg|lg|mfg)[,.!]?",
    re.IGNORECASE,
)


def strip_quotes(text: str) -> str:
    """Return *text* without quoted replies, the lines that introduce them, and the signature."""
    lines = [line.strip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    kept: list[str] = []
    position = 0
    while position < len(lines):
        line = lines[position]
        introduction = _introduction(lines, position)
        if introduction:
            if not _is_quoted(lines, position + introduction):
                break  # everything below is someone else's, unmarked
            position += introduction
        elif line == "--" or _is_separator(lines, position) or _DEVICE.match(line):
            break
        else:
            if not line.startswith(">"):
                kept.append(line)
            position += 1
    return "\n".join(_without_closing(kept)).strip()


def _introduction(lines: list[str], position: int) -> int:
    """Return how many lines at *position* say that someone wrote what follows; 0 where none does. Mail programs wrap them."""
    joined = ""
    for count in range(1, _WRAPPED_LINES + 1):
        if position + count > len(lines) or not lines[position + count - 1] or len(joined) > _ATTRIBUTION_WIDTH:
            return 0
        joined = f"{joined} {lines[position + count - 1]}".strip()
        if joined.endswith(":") and _SOMEONE_AT_SOME_TIME.fullmatch(joined) and _is_quoted(lines, position + count):
            return count
        if count == 1 and not joined.startswith(_OPENINGS) and not joined[0].isdigit():
            return 0
        for start, end in _ATTRIBUTIONS:
            if joined.startswith(start) and joined.endswith(end) and (start != "Am " or _GERMAN_VERB in joined):
                return count
    return 0


def _is_quoted(lines: list[str], position: int) -> bool:
    below = next((line for line in lines[position : position + 3] if line), "")
    return below.startswith(">")


def _is_separator(lines: list[str], position: int) -> bool:
    line = lines[position]
    if _SEPARATOR.fullmatch(line):
        return True
    return _FIRST_HEADER.match(line) is not None and any(_NEXT_HEADER.match(below) for below in lines[position + 1 : position + 4])


def _without_closing(lines: list[str]) -> list[str]:
    """Cut "Best regards" and the few short lines below it, unless nothing stands above."""
    filled = [number for number, line in enumerate(lines) if line]
    for number in filled[-_CLOSING_LINES:]:
        if number > filled[0] and _CLOSING.fullmatch(lines[number]) and all(len(line) <= _CLOSING_WIDTH for line in lines[number:]):
            return lines[:number]
    return lines
