"""What the intake counts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Seconds."""


class IntakeMetrics:
    """Requests by endpoint and outcome, and how long they took."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "groundswell_intake_requests_total", "Requests to the intake, by outcome.", ("endpoint", "outcome"), registry=registry
        )
        self._seconds = Histogram(
            "groundswell_intake_seconds", "One request to the intake.", ("endpoint",), buckets=_BUCKETS, registry=registry
        )

    def answered(self, endpoint: str, outcome: str, seconds: float) -> None:
        """Count one request to *endpoint*, which took so many *seconds*."""
        self._requests.labels(endpoint, outcome).inc()
        self._seconds.labels(endpoint).observe(seconds)
