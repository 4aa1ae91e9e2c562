"""What the segmenter shows beside its loop."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge


class SegmenterMetrics:
    """How far a rollout has come, and whether the definition's file can be used."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._left = Gauge(
            "groundswell_segmenter_rollout_people", "People still to be evaluated by the definition in force.", registry=registry
        )

        self._refused = Gauge(
            "groundswell_segmenter_definition_refused",
            "1 while the definition's file cannot be used and an older one is in force.",
            registry=registry,
        )

    def left_to_evaluate(self, people: int) -> None:
        """Show how many people are still to be evaluated by the definition in force."""
        self._left.set(people)

    def definition_refused(self, refused: bool) -> None:
        """Show whether the file cannot be used."""
        self._refused.set(refused)
