"""An alert as tests need one."""

from __future__ import annotations

from typing import Any

from services.common.events import Alert


def sample_alert(name: str = "aaaaaaaaaaaaaaaaaaaaaaaa", **changes: Any) -> Alert:
    """Return an alert whose id ends with *name*, with *changes* of its fields."""
    fields: dict[str, Any] = {
        "alert_id": f"lumora:alert:{name}",
        "workspace": "lumora",
        "board": "product",
        "person_id": "lumora:person:p",
        "idea_id": "lumora:idea:i",
        "root_id": "lumora:idea:r",
        "feedback_id": "lumora:feedback:f",
        "status": "shipped",
        "title": "Dark mode",
        "quote": "My eyes hurt at night.",
        "attempt": 1,
        "created_at": 1_700_000_000_000_000,
        "release_id": "2026.10",
        "release_name": "October release",
        "release_url": "https://lumora.example/releases/2026.10",
    }
    return Alert(**(fields | changes))
