"""What all tests share: no model hub, bounded threads, one broker a run, and skips that say why."""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import pytest

from services.console.embedded.broker import EmbeddedBroker

MONGO_URL = "GROUNDSWELL_TEST_MONGO_URL"
"""A server that speaks MongoDB's protocol, for example ``mongodb://127.0.0.1:27017``; tests use databases of their own on it."""

BOOTSTRAP = "GROUNDSWELL_TEST_BOOTSTRAP_SERVERS"
"""A Kafka for tests; they use topics and groups of their own, or delete whatever is there first."""

# Read by libraries when they are imported, by tests and by the processes that tests start.
os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(pool, "1")

# Neither an example's run nor its making is held against the clock: a busy machine is no fault of the law's.
_UNTIMED = [hypothesis.HealthCheck.too_slow]
hypothesis.settings.register_profile("groundswell", deadline=None, print_blob=True, suppress_health_check=_UNTIMED)
hypothesis.settings.load_profile("groundswell")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this machine cannot run, with the reason and the remedy; keep what shares a stack on one test process.

    An erasure takes facts away, so it comes after those who count them.
    """
    items.sort(key=lambda item: item.path.stem == "stack_erasing_test")
    for item in items:
        if item.path.parent.name == "e2e":
            item.add_marker(pytest.mark.xdist_group("e2e"))
        elif item.path.parent.name == "integration":
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    if MONGO_URL not in os.environ:
        skip = pytest.mark.skip(reason=f"needs a MongoDB: set {MONGO_URL}")
        for item in items:
            if item.get_closest_marker("mongo") is not None:
                item.add_marker(skip)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    """The embedded broker, one for the whole run: use topics of your own names."""
    with EmbeddedBroker(tmp_path_factory.mktemp("broker") / "broker.log") as running:
        yield running


@pytest.fixture(scope="session")
def bootstrap(request: pytest.FixtureRequest) -> str:
    """Where a broker is for tests that any Kafka will do for: the one that the environment names, else the embedded one."""
    return os.environ.get(BOOTSTRAP) or str(request.getfixturevalue("broker").bootstrap_servers)
