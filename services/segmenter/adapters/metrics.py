"""What the segmenter shows beside its loop."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class SegmenterMetrics:
    """How far a rollout has come, whether the definition's file can be used, and which traits are not what it declares."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._left = Gauge(
            "groundswell_segmenter_rollout_people", "People still to be evaluated by the definition in force.", registry=registry
        )

        self._refused = Gauge(
            "groundswell_segmenter_definition_refused",
            "1 while the definition's file cannot be used and an older one is in force.",
            registry=registry,
        )

        self._mistyped = Counter(
            "groundswell_segmenter_traits_mistyped_total",
            "Declared traits that arrived with a value of another type.",
            ["scope", "trait"],  # of those that the definition declares: a closed set
            registry=registry,
        )

    def left_to_evaluate(self, people: int) -> None:
        """Show how many people are still to be evaluated by the definition in force."""
        self._left.set(people)

    def trait_mistyped(self, scope: str, trait: str) -> None:
        """Count a trait of another type than declared."""
        self._mistyped.labels(scope, trait).inc()

    def definition_refused(self, refused: bool) -> None:
        """Show whether the file cannot be used."""
        self._refused.set(refused)
