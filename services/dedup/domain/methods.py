"""How decisions came about, where others have to know."""

from __future__ import annotations

UNDO = "undo"
"""Takes commands back."""
VOTE = "vote"
"""Links what says nothing of its own."""
