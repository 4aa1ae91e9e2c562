"""The author's own words: out of mark-up, without what was quoted or added, cut into requests, and without personal data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.utils import parseaddr
from typing import Literal, TypeAlias

from services.ingest.domain.texts.cleaning import clean
from services.ingest.domain.texts.markdown import markdown_to_text
from services.ingest.domain.texts.markup import html_reply_to_text, html_to_text, slack_to_text
from services.ingest.domain.texts.replies import strip_quotes

Step: TypeAlias = Literal["strip_quotes", "address", "display_name", "html", "html_reply", "markdown", "slack", "clean", "lower"]

_LONGEST_HEADER = 998  # RFC 5322, 2.1.1

STEPS: Mapping[Step, Callable[[str], str]] = {
    "strip_quotes": strip_quotes,
    "html": html_to_text,
    "html_reply": html_reply_to_text,
    "markdown": markdown_to_text,
    "slack": slack_to_text,
    "clean": clean,
    "lower": str.lower,
    "address": lambda header: parseaddr(header[:_LONGEST_HEADER])[1],
    "display_name": lambda header: parseaddr(header[:_LONGEST_HEADER])[0],
}
"""What a mapping may do to the text that it found."""

__all__ = ["STEPS", "Step", "strip_quotes"]
