"""The group's assignment: what a leader that cannot see a topic's partitions has to notice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from services.common.kafka_source import Assignor


@dataclass
class _Member:
    subscription: list[str]


@dataclass
class _Cluster:
    partitions: dict[str, set[int]]

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return self.partitions.get(topic)


@pytest.mark.parametrize(("known", "starved"), [({"a": {0, 1}, "b": {0}}, False), ({"a": {0, 1}}, True), ({}, True)])
def test_a_topic_without_partitions_is_noticed(known: dict[str, set[int]], starved: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Assignor, "starved", not starved)
    members: Any = {"m1": _Member(["a", "b"]), "m2": _Member(["a", "b"])}
    assert set(Assignor.assign(_Cluster(known), members)) == {"m1", "m2"}
    assert Assignor.starved is starved
