"""Every metric that the loop keeps, in one place. Labels are closed sets; no identifier is ever one."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_HANDLE_BUCKETS = (0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60)
_END_TO_END_BUCKETS = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14400, 86400)


class LoopMetrics:
    """What a worker loop counts and times."""

    def __init__(self, service: str, registry: CollectorRegistry) -> None:
        self._service = service
        self._records = Counter(
            "groundswell_records_total", "Records decided, by outcome.", ("service", "topic", "outcome"), registry=registry
        )
        self._dead_letters = Counter(
            "groundswell_dead_letters_total", "Records dead-lettered.", ("service", "topic", "reason"), registry=registry
        )
        self._outputs = Counter("groundswell_outputs_total", "Records published and confirmed.", ("service", "topic"), registry=registry)
        self._handle = Histogram(
            "groundswell_handle_seconds", "One batch in its handler.", ("service", "topic"), buckets=_HANDLE_BUCKETS, registry=registry
        )
        self._delay = Histogram(
            "groundswell_record_age_seconds",
            "Age of a batch's oldest record when it was acknowledged.",
            ("service", "topic"),
            buckets=_END_TO_END_BUCKETS,
            registry=registry,
        )
        self._retries = Counter("groundswell_retries_total", "Retries of transient trouble.", ("service", "what"), registry=registry)
        self._partitions = Gauge("groundswell_assigned_partitions", "Partitions that this worker owns.", ("service",), registry=registry)

    def decided(self, topic: str, outcome: str, count: int) -> None:
        """Count *count* records of *topic* that ended as *outcome* (emitted, dropped, rejected)."""
        if count:
            self._records.labels(self._service, topic, outcome).inc(count)

    def dead_lettered(self, topic: str, reason: str) -> None:
        """Count one dead letter."""
        self._dead_letters.labels(self._service, topic, reason).inc()

    def published(self, topic: str, count: int) -> None:
        """Count *count* confirmed outputs."""
        self._outputs.labels(self._service, topic).inc(count)

    def handled(self, topic: str, seconds: float) -> None:
        """Time one call of a handler."""
        self._handle.labels(self._service, topic).observe(seconds)

    def acknowledged(self, topic: str, age_seconds: float) -> None:
        """Time a batch from its oldest record's timestamp to its commit."""
        self._delay.labels(self._service, topic).observe(max(age_seconds, 0.0))

    def retried(self, what: str) -> None:
        """Count one retry of *what* (handle, publish, commit)."""
        self._retries.labels(self._service, what).inc()

    def assigned(self, partitions: int) -> None:
        """Set how many partitions this worker owns."""
        self._partitions.labels(self._service).set(partitions)
