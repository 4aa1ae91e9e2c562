"""What the notifier counts beside the loop's own metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter


class PrometheusOutcomes:
    """``groundswell_notifications_total{outcome}``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._outcomes = Counter(
            "groundswell_notifications_total", "Alerts decided, by what became of them.", ("outcome",), registry=registry
        )

    def told(self, outcome: str) -> None:
        """Count one alert that ended, for now, as *outcome*."""
        self._outcomes.labels(outcome).inc()
