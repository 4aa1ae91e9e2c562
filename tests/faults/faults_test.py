"""A short run by seed on the embedded engines; a long one is ``python -m tests.faults``."""

from __future__ import annotations

import os

import pytest

from tests.faults.campaign import run
from tests.faults.surroundings import BOOTSTRAP, MONGO_URL

pytestmark = [pytest.mark.stack, pytest.mark.model, pytest.mark.timeout(900)]

SEED = int(os.environ.get("GROUNDSWELL_FAULTS_SEED", "20261121"))
SECONDS = 60.0
REAL = {BOOTSTRAP, MONGO_URL} <= os.environ.keys()


async def test_every_invariant_holds_through_a_short_run() -> None:
    report = await run("real" if REAL else "embedded", SEED, SECONDS, print)
    assert report.broken == {}, report.text()
    assert sum(report.deaths.values()) >= 5, "nothing was hurt: " + report.text()
