"""Which language a text is in. The same answer for the same text, on any worker."""

from __future__ import annotations

import functools
import re
from typing import Any, cast

from py3langid.langid import MODEL_FILE, LanguageIdentifier

_LETTERS = re.compile(r"[^\W\d_]")
_FEWEST_LETTERS = 12
_ENOUGH = 400
"""Characters that are looked at."""
_SURE = 0.5


def detect_language(text: str) -> str | None:
    """Return the language of *text* (ISO 639-1); None where it is too short, or too mixed, to be sure of one."""
    sample = text[:_ENOUGH]
    if len(_LETTERS.findall(sample)) < _FEWEST_LETTERS:
        return None
    language, probability = _identifier().classify(sample)
    return str(language) if probability >= _SURE else None


@functools.cache
def _identifier() -> Any:
    return cast("Any", LanguageIdentifier).from_model_file(MODEL_FILE, norm_probs=True)
