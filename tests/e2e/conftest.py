"""One stack for all end-to-end tests of a run: each test works in a workspace of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.harness import StackProcess


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackProcess]:
    with StackProcess(tmp_path_factory.mktemp("e2e") / "stack") as running:
        yield running
