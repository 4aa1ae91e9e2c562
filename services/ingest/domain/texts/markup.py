"""HTML and a chat's own mark-up into plain text that keeps its lines and its lists."""

from __future__ import annotations

import html
import re

import html_text
import lxml.html
from lxml import etree

from services.ingest.domain.faults import fault

_HIDDEN = re.compile(r"(?:display:none|visibility:hidden|font-size:0|max-height:0|opacity:0)(?![.\d])", re.IGNORECASE)
_INVISIBLE_TAGS = frozenset({"head", "script", "style", "title", "template", "noscript", "object", "svg", "iframe"})
_QUOTES = etree.XPath(
    "//blockquote[@type='cite'] | //*[contains(concat(' ', @class, ' '), ' gmail_quote ')"
    " or contains(concat(' ', @class, ' '), ' gmail_attr ')"
    " or contains(concat(' ', @class, ' '), ' yahoo_quoted ') or contains(concat(' ', @class, ' '), ' moz-cite-prefix ')"
    " or contains(concat(' ', @class, ' '), ' protonmail_quote ')]"
)
_BELOW_IS_QUOTED = etree.XPath("//*[@id='divRplyFwdMsg' or @id='appendonsend' or @id='mail-editor-reference-message-container']")
"""Where Outlook begins what it quotes, which lies beside the mark and not in it."""
_DEEPEST = "Excessive depth"
_UNFIT_FOR_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""A parser lets them through; a tree takes none back."""

_SLACK_TOKEN = re.compile(r"<([^<>|]{1,2048})(?:\|([^<>]{0,2048}))?>")
_SLACK_EMOJI = re.compile(r":(?:skin-tone-[2-6]|[a-z0-9_+'-]{1,100}):")
_VOTING_EMOJI = {
    ":+1:": "👍",
    ":thumbsup:": "👍",
    ":heavy_plus_sign:": "+1",
    ":100:": "💯",
    ":this:": "+1",
    ":raised_hands:": "🙌",
    ":pray:": "🙏",
}


def html_to_text(text: str) -> str:
    """Return what a reader of the HTML *text* sees; hidden elements, such as preheaders and trackers, are none of it.

    Raises:
        MalformedRecord: It is nested deeper than the parser goes, so that some of it would be lost.
    """
    return _seen(text, quotes=True)


def html_reply_to_text(text: str) -> str:
    """Like ``html_to_text``, without what mail programs mark as the message that is answered."""
    return _seen(text, quotes=False)


def slack_to_text(text: str) -> str:
    """Return what a reader of Slack's mrkdwn sees: names of links and channels, no ids, no emoji but those that say something."""
    if "<" in text:
        text = _SLACK_TOKEN.sub(_slack_token, text)
    if ":" in text:
        text = _SLACK_EMOJI.sub(lambda found: _VOTING_EMOJI.get(found[0], ""), text)
    return html.unescape(text) if "&" in text else text


def _slack_token(found: re.Match[str]) -> str:
    target, label = found[1], found[2]
    if target.startswith(("@", "!")):
        return f"@{label.lstrip('@')}" if label else ""
    if target.startswith("#"):
        return f"#{label}" if label else ""
    return label or target.removeprefix("mailto:").removeprefix("tel:")


def _seen(text: str, *, quotes: bool) -> str:
    text = text.strip().replace("\x00", "")
    if not text:
        return ""
    parser = lxml.html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        tree = lxml.html.document_fromstring(text.encode("utf-8", "replace"), parser=parser)
    except etree.ParserError:  # nothing in it
        return ""
    if any(_DEEPEST in entry.message for entry in parser.error_log):
        raise fault("too_deep", "text: HTML that is nested deeper than 256 levels")
    _prune(tree, quotes=quotes)
    return str(html_text.extract_text(tree, guess_layout=True))


def _prune(tree: lxml.html.HtmlElement, *, quotes: bool) -> None:
    if not quotes:
        for element in _QUOTES(tree):
            _drop(element)
        for element in _BELOW_IS_QUOTED(tree):
            for below in list(element.itersiblings()):
                _drop(below)
            _drop(element)
    for element in list(tree.iter(etree.Element)):
        if element.tag in _INVISIBLE_TAGS or element.get("hidden") is not None or _is_hidden(element.get("style")):
            _drop(element)
        elif element.tag == "li":
            element.text = f"- {_UNFIT_FOR_XML.sub('', element.text or '').lstrip()}"


def _is_hidden(style: str | None) -> bool:
    return style is not None and _HIDDEN.search("".join(style.split())) is not None


def _drop(element: lxml.html.HtmlElement) -> None:
    parent = element.getparent()
    if parent is not None:
        element.drop_tree()
