"""What dedup counts beside its loop."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge


class DedupMetrics:
    """Decisions by type, and what is in memory."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._decisions = Counter("groundswell_dedup_decisions_total", "Decisions stored.", ("type",), registry=registry)
        self._boards = Gauge("groundswell_dedup_boards", "Boards in memory.", registry=registry)
        self._texts = Gauge("groundswell_dedup_texts", "Distinct texts of all boards in memory.", registry=registry)

    def decided(self, types: Iterable[str]) -> None:
        """Count newly stored decisions by their types."""
        for kind, count in Counts(types).items():
            self._decisions.labels(kind).inc(count)

    def holding(self, boards: int, texts: int) -> None:
        """Set how many boards, and texts of all of them, are in memory."""
        self._boards.set(boards)
        self._texts.set(texts)
