"""The check on the checker: a service that lacks one of its safeguards breaks the invariant that the safeguard is there for."""

from __future__ import annotations

import pytest

from tests.faults.campaign import run

pytestmark = [pytest.mark.stack, pytest.mark.model, pytest.mark.timeout(900)]

LACKING = {
    "no_guard": ("dedup", {"I1", "I6"}),
    "no_awaited_delivery": ("ingest", {"I2"}),
    "no_unique_ledger": ("notifier", {"I4"}),
    "no_pointers": ("notifier", {"I4"}),
}
"""What is taken away → from which service, and what must be found broken then."""


@pytest.mark.parametrize("patch", LACKING)
async def test_the_suite_fails_without(patch: str) -> None:
    service, expected = LACKING[patch]
    report = await run(
        "embedded",
        7,
        20.0,
        print,
        only=(),
        patches={service: patch},
        deadly=patch == "no_guard",
        least_enriched=400,
        told=lambda _: True,  # where somebody is told twice, or never, that would be waited for in vain
    )
    assert expected <= report.broken.keys(), report.text()
