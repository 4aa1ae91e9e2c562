"""What the segmenter shows beside its loop."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge


class SegmenterMetrics:
    """How far a rollout has come."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._left = Gauge(
            "groundswell_segmenter_rollout_people", "People still to be evaluated by the definition in force.", registry=registry
        )

    def left_to_evaluate(self, people: int) -> None:
        """Show how many people are still to be evaluated by the definition in force."""
        self._left.set(people)
