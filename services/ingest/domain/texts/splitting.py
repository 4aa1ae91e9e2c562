"""One message, several requests. Only what its author set apart is split: the items of a list, or paragraphs."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

Split: TypeAlias = Literal["none", "lists", "paragraphs"]

_ITEM = re.compile(r"[ \t]{0,8}(?:[-*•‣◦\u2013+]|\(?\d{1,2}[.)]|\(?[a-z][.)])[ \t]{1,8}(?=\S)")
_SHORTEST_WORDS = 3
MOST_PARTS = 20
"""What goes beyond stays with the last part."""


def split_requests(text: str, how: Split) -> list[str]:
    """Return the requests in *text*, in its order, at least one: all of it where its author set nothing apart.

    A short line, or one that ends with a colon, asks for nothing: it introduces what follows it, or goes with what it follows. Only
    such introductions are in no part.
    """
    parts = _items(text) if how == "lists" else _paragraphs(text) if how == "paragraphs" else []
    if len(parts) < 2:
        return [text]
    if len(parts) > MOST_PARTS:
        parts = [*parts[: MOST_PARTS - 1], "\n\n".join(parts[MOST_PARTS - 1 :])]
    return parts


def _paragraphs(text: str) -> list[str]:
    parts: list[str] = []
    for block in re.split(r"\n[ \t]*\n", text):
        paragraph = block.strip()
        if not paragraph or paragraph.endswith(":"):
            continue
        if len(paragraph.split()) >= _SHORTEST_WORDS:
            parts.append(paragraph)
        elif parts:
            parts[-1] = f"{parts[-1]}\n\n{paragraph}"
    return parts


def _items(text: str) -> list[str]:
    lines = text.split("\n")
    marks = [_ITEM.match(line) for line in lines]
    if sum(mark is not None and len(line[mark.end() :].split()) >= 2 for line, mark in zip(lines, marks, strict=True)) < 2:
        return []
    blocks: list[tuple[bool, list[str]]] = []
    for line, mark in zip(lines, marks, strict=True):
        if mark is not None:
            blocks.append((True, [line[mark.end() :]]))
        elif not line.strip():
            blocks.append((False, []))
        elif blocks and (blocks[-1][1] or blocks[-1][0]):
            blocks[-1][1].append(line)
        else:
            blocks.append((False, [line]))
    return _requests([(is_item, "\n".join(block).strip()) for is_item, block in blocks])


def _requests(blocks: list[tuple[bool, str]]) -> list[str]:
    parts: list[str] = []
    for is_item, block in blocks:
        if not block or (not is_item and block.endswith(":")):
            continue
        if is_item or len(block.split()) > _SHORTEST_WORDS:
            parts.append(block)
        elif parts:
            parts[-1] = f"{parts[-1]}\n{block}"
    return parts
