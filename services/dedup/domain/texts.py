"""When two texts are the same text, and what an idea is called before a human names it."""

from __future__ import annotations

import hashlib
from functools import lru_cache

ERASED_TITLE = "(erased)"
"""What an idea is called of whose texts none is left."""
_TITLE_CHARACTERS = 120
_NO_KEY = hashlib.blake2b(digest_size=16)


@lru_cache(maxsize=4096)
def text_key(text: str) -> bytes:
    """Return 16 bytes that are equal for texts that differ in case and white space only."""
    key = _NO_KEY.copy()
    key.update(" ".join(text.casefold().split()).encode("utf-8", "surrogatepass"))
    return key.digest()


def title_of(text: str) -> str:
    """Return *text* on one line of at most 120 characters, cut between words where one ends in its second half."""
    return cut(text, _TITLE_CHARACTERS)


def cut(text: str, characters: int) -> str:
    """Return *text* on one line of at most so many *characters*, cut between words where one ends in its second half."""
    line = " ".join(text.split())
    if len(line) <= characters:
        return text if line == text else line  # one string in memory where two would say the same
    start = line[: characters - 1]
    words = start.rpartition(" ")[0]
    return f"{words if len(words) > characters // 2 else start}…"
