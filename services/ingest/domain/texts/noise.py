"""What asks for nothing: a bare "+1", thanks, praise; and what is not from a customer at all."""

from __future__ import annotations

import re
from collections.abc import Sequence

_LONGEST_PRAISE = 80
_SIGNS = "👍👌🙏🙌💯❤♥🎉🔥👏⬆✅🚀😍\N{HEAVY PLUS SIGN}"
_WORDS = re.compile(rf"\+ ?\d{{1,4}}\b|[^\W_]+(?:['\u2019][^\W_]+)?|[{_SIGNS}]")
_PHRASES = """
+1 | +1000 | +100 | +10 | +2 | this | same | same here | me too | same for me | same for us | same issue |
same problem | ditto | agreed | agree | i agree | we agree | totally agree | fully agree | completely agree | seconded |
second this | i second this | upvote | upvoted | bump | up | yes please | yes | please | pretty please | vote |
voting for this | count me in | i want this | i want this too | i want that too | we want this too | need this |
i need this | i need this too | we need this | we need this too | would love this | would love that |
i would love this | i'd love this | would be great | that would be great | this would be great | would be awesome |
that would be awesome | would be nice | that would be nice | from me | from me too | from us | from us too | for this |
for that | here | as well | too | also | indeed | exactly | absolutely | definitely | thanks | thank you | thx | ty |
tysm | thank you very much | thank you so much | thanks a lot | thanks so much | many thanks | thanks again |
much appreciated | appreciated | cheers | great | nice | cool | awesome | amazing | perfect | excellent | fantastic |
brilliant | wonderful | super | good | good job | great job | great work | nice work | well done | love it | love this |
i love it | i love this | love this app | great app | nice app | good app | best app | best app ever | great idea |
good idea | nice idea | ok | okay | got it | sounds good | done | all good | hi | hello | team | all | guys | everyone |
so much | danke | danke schön | vielen dank | besten dank | merci | merci beaucoup | gracias | muchas gracias | grazie |
obrigado | obrigada | bedankt | dank je | ich auch | wir auch | bitte | ja bitte | dito | genau | super idee |
gute idee | finde ich auch | sehr gut | toll | moi aussi | nous aussi | d'accord | yo también | anch'io | também quero
"""
_KNOWN = frozenset({tuple(phrase.split()) for phrase in _PHRASES.split("|")} | {(sign,) for sign in _SIGNS})
_LONGEST_PHRASE = max(map(len, _KNOWN))
_FILLERS = frozenset(
    {
        ("hi",),
        ("hello",),
        ("team",),
        ("all",),
        ("guys",),
        ("everyone",),
        ("here",),
        ("too",),
        ("also",),
        ("up",),
        ("please",),
        ("yes",),
        ("so", "much"),
    }
)
"""What only counts beside a phrase that says something."""

_LINK = re.compile(r"(?:https?://|www\.)\S{1,2048}", re.IGNORECASE)
_ADVERTS = re.compile(
    r"\b(?:backlinks?|seo (?:services?|experts?|agency|ranking)|guest post(?:ing)?|"
    r"(?:rank|ranking) (?:on|in) (?:the )?(?:first|page|google)|"
    r"casinos?|betting (?:site|odds)|sports? betting|viagra|cialis|payday loans?|"
    r"(?:crypto|bitcoin|forex) (?:investment|giveaway|trading|recovery|doubl\w+)|"
    r"double your (?:money|bitcoin|crypto)|make money (?:online|fast)|work from home|weight loss|escort|replica watches|"
    r"whatsapp (?:me|us)? ?(?:at|on)? ?\+?\d|telegram @\w+|click here to claim|you (?:have )?won|lottery winner|"
    r"buy (?:followers|likes|reviews|traffic)|web (?:design|development) (?:services|company|proposal))\b",
    re.IGNORECASE,
)
_ADVERTS_HOLD = (
    *("backlink", "seo ", "guest post", "rank", "casino", "betting", "viagra", "cialis", "payday", "crypto", "bitcoin", "forex"),
    *("double your", "make money", "work from home", "weight loss", "escort", "replica", "whatsapp", "telegram", "click here"),
    *("won", "lottery", "buy ", "web de"),
)
"""One of them is in each of the usual phrases; looking for them all takes a fifth of the time."""
_MOST_LINKS = 5


def is_praise(text: str) -> bool:
    """Tell whether *text* holds nothing but agreement, thanks or praise, which asks for nothing by itself."""
    if len(text) > _LONGEST_PRAISE:
        return False
    words = [word.replace(" ", "").replace("\u2019", "'") for word in _WORDS.findall(text.lower())]
    place, says = 0, False
    while place < len(words):
        for length in range(min(_LONGEST_PHRASE, len(words) - place), 0, -1):
            phrase = tuple(words[place : place + length])
            if phrase in _KNOWN:
                place, says = place + length, says or phrase not in _FILLERS
                break
        else:
            return False
    return says and "?" not in text


def is_spam(text: str, phrases: Sequence[str] = ()) -> bool:
    """Tell whether *text* is most likely an advert: several different ones of the usual phrases, one of them beside a link, or links
    and next to nothing else. *phrases* are the operator's own, of which each suffices.
    """
    lowered = text.lower()
    if any(phrase in lowered for phrase in phrases):
        return True
    links = _LINK.findall(text) if "http" in lowered or "www." in lowered else []
    adverts = {found.lower() for found in _ADVERTS.findall(text)} if _may_advertise(text, lowered) else ()
    if len(adverts) >= 2 or (adverts and links):
        return True
    return len(links) >= _MOST_LINKS and 2 * sum(map(len, links)) > len(text)


def _may_advertise(text: str, lowered: str) -> bool:
    """Tell whether it is worth looking for adverts. Beyond ASCII, letters may differ from what they are compared with (K, \u017f)."""
    if not text.isascii():
        return True
    for word in _ADVERTS_HOLD:  # noqa: SIM110 - ``any`` of a generator takes half as long again, for each text
        if word in lowered:
            return True
    return False
