"""What nobody wrote: invisible characters, tracking in links, and the lines that mail systems and lawyers add."""

from __future__ import annotations

import re

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufff9-\ufffb\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)
"""All but the joiners inside emoji, U+200C and U+200D, which are kept between two other characters."""
_LINK = re.compile(r"https?://[^\s<>\"']{1,2048}", re.IGNORECASE)
_TRACKING = re.compile(
    r"(?<=[?&;])(?:utm_[a-z0-9_]{1,40}|gclid|gbraid|wbraid|dclid|fbclid|msclkid|twclid|ttclid|yclid|igshid|mc_cid|mc_eid|mkt_tok|_hsenc|_hsmi|"
    r"hsCtaTracking|vero_id|vero_conv|oly_anon_id|oly_enc_id|rb_clickid|s_cid|_ke|ref_src|ref_url)=[^&#\s]{0,2048}&?",
    re.IGNORECASE,
)
_BOILERPLATE = re.compile(
    r"(?:\[?(?:external(?: e-?mail)?|extern)\]?[:.!]?(?: (?:caution|warning|this (?:e-?mail|message)) .{0,300})?"
    r"|caution: (?:this (?:e-?mail|message)|external) .{0,300}"
    r"|view (?:this (?:e-?mail|message) )?in (?:your |a )?browser.{0,40}"
    r"|(?:to )?unsubscribe(?: here| from this list)?\W{0,5}(?:https?://\S{1,2048})?|click here to unsubscribe.{0,60}"
    r"|manage (?:your )?(?:e-?mail )?(?:preferences|notifications|subscriptions?).{0,60}"
    r"|##- please type your reply above this line -##"
    r"|please do not (?:reply to|answer) this (?:e-?mail|message).{0,100}"
    r"|you (?:are receiving|received) this (?:e-?mail|message|because) .{0,300})",
    re.IGNORECASE,
)
_DISCLAIMER = re.compile(
    r"(?:confidentiality notice|disclaimer|vertraulichkeitshinweis)\b"
    r"|(?:this|the (?:contents|information) (?:of|in) this) (?:e-?mail|message|communication)\b.{0,120}"
    r"\b(?:confidential|privileged|intended (?:only|solely)|sole use)"
    r"|diese (?:e-?mail|nachricht) .{0,80}(?:vertraulich|rechtlich geschützt)",
    re.IGNORECASE,
)
_WIDE = 400


def clean(text: str) -> str:
    """Return *text* without invisible characters, tracking parameters, and lines that a mail system or a legal department added.

    A legal notice is cut from its first line on, if something stands above it.
    """
    text = _INVISIBLE.sub(_kept, text) if not text.isascii() or not text.isprintable() else text
    if "://" in text:
        text = _LINK.sub(lambda found: _without_tracking(found[0]), text)
    if not _is_hinted(text.lower()):
        return text
    kept: list[str] = []
    for line in text.split("\n"):
        short = line.strip()
        if kept and _DISCLAIMER.match(short[:_WIDE]):
            break
        if len(short) > _WIDE or _BOILERPLATE.fullmatch(short) is None:
            kept.append(line)
    return "\n".join(kept).strip()


_HINTS = (
    "extern",
    "caution",
    "browser",
    "unsubscribe",
    "manage ",
    "this line",
    "please do not",
    "you ",
    "confidential",
    "disclaimer",
    "vertraulich",
    "intended",
    "privileged",
    "geschützt",
    "sole use",
)


def _is_hinted(lowered: str) -> bool:
    for word in _HINTS:  # noqa: SIM110 - ``any`` of a generator takes half as long again, for each text
        if word in lowered:
            return True
    return False


def _kept(found: re.Match[str]) -> str:
    if found[0] in "\u200c\u200d":
        text, start, end = found.string, found.start(), found.end()
        if start > 0 and end < len(text) and not text[start - 1].isspace() and not text[end].isspace():
            return found[0]
    return ""


def _without_tracking(link: str) -> str:
    shorter = _TRACKING.sub("", link)
    return link if shorter == link else shorter.rstrip("?&;").replace("?#", "#").replace("&#", "#")
