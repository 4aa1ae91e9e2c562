"""From the text that a channel gave to what is said downstream: masked, bounded, cut into requests, and told what it is."""

from __future__ import annotations

from dataclasses import dataclass

from services.ingest.domain.faults import fault
from services.ingest.domain.texts.masking import Mask, mask
from services.ingest.domain.texts.noise import is_praise, is_spam
from services.ingest.domain.texts.splitting import Split, split_requests


@dataclass(frozen=True, slots=True)
class TextRules:
    """What is done to a channel's texts."""

    limit: int
    """Characters of a request; what is longer is cut, and the original kept."""
    masks: tuple[Mask, ...] = ()
    phone_region: str | None = None
    split: Split = "none"
    detect_language: bool = True
    praise: bool = True
    """Whether a bare "+1" or "thanks!" is told from a request."""
    refuse_spam: bool = True
    spam_phrases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refined:
    """What is said downstream."""

    text: str
    further: tuple[str, ...] = ()
    """The second request and those after it."""
    original: str | None = None
    """The whole, where it is more than *text*."""
    is_language_open: bool = False
    """Whether its language is to be detected."""
    is_praise: bool = False


def refine(text: str, rules: TextRules, language: str | None = None) -> Refined:
    """Return *text*, trimmed and not empty, as *rules* have it; *language* is what the channel says.

    Raises:
        MalformedRecord: It is an advert.
    """
    if rules.refuse_spam and is_spam(text, rules.spam_phrases):
        raise fault("spam", "text: an advert by its phrases and links; `text: {spam: keep}` in channels.yaml takes such texts")
    if rules.masks:
        text = mask(text, rules.masks, rules.phone_region)
    if rules.praise and is_praise(text):
        return Refined(text, is_praise=True)
    is_open = language is None and rules.detect_language
    if rules.split == "none" and len(text) <= rules.limit:
        return Refined(text, is_language_open=is_open)
    parts = [_bounded(part, rules.limit) for part in split_requests(text, rules.split)]
    return Refined(parts[0], tuple(parts[1:]), None if parts == [text] else text, is_open)


def _bounded(text: str, limit: int) -> str:
    """Cut at the last white space, if there is one in the last tenth."""
    if len(text) <= limit:
        return text
    cut = text[:limit]
    place = max(cut.rfind(" ", limit - limit // 10), cut.rfind("\n", limit - limit // 10))
    return cut[:place].rstrip() if place > 0 else cut
