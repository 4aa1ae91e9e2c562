"""Where things are: the environment, read once at the composition root. What things mean lies in versioned YAML files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.common.errors import ConfigurationError


class KafkaSettings(BaseSettings):
    """``GROUNDSWELL_KAFKA_*``: the broker and how to talk to it."""

    model_config = SettingsConfigDict(env_prefix="GROUNDSWELL_KAFKA_", extra="ignore")

    bootstrap_servers: str = "127.0.0.1:9092"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None
    idempotence: bool = True
    """Off for brokers without it (Tansu)."""
    transactions: bool = False
    """Outputs and offsets in one transaction: a ``read_committed`` reader sees no repeat after a crash. Costs latency; not on Tansu."""
    session_timeout_ms: int = Field(default=20_000, ge=1_000)
    """Without a heartbeat for so long, a worker counts as dead. The heartbeat is a fifth of it."""
    max_poll_interval_ms: int = Field(default=600_000, ge=10_000)
    """A worker whose batch takes longer is evicted; must exceed ``GROUNDSWELL_RETRY_SECONDS``."""
    request_timeout_ms: int = Field(default=30_000, ge=1_000)

    @field_validator("transactions")
    @classmethod
    def _needs_idempotence(cls, transactions: bool, given: ValidationInfo) -> bool:
        if transactions and not given.data.get("idempotence", True):
            raise ValueError("needs GROUNDSWELL_KAFKA_IDEMPOTENCE=true")
        return transactions


class Settings(BaseSettings):
    """``GROUNDSWELL_*``: what all services share."""

    model_config = SettingsConfigDict(env_prefix="GROUNDSWELL_", extra="ignore")

    store_url: str | None = None
    """``sqlite:PATH`` or ``mongodb://…/DATABASE``; without it a SQLite file of the service's own in ``data_dir``."""
    store_tls_ca_file: Path | None = None
    """For MongoDB over TLS with a private authority; the URL's own ``tls=true`` switches TLS on."""
    data_dir: Path = Path(".groundswell")
    schema_registry_url: str | None = None
    topic_partitions: int | None = Field(default=None, ge=1)
    """Overrides the partition count of ``schemas/topics``, for small stacks."""
    topic_replication: int | None = Field(default=None, ge=1)
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=0, ge=0, le=65_535)
    """Serves /metrics, /healthz and /readyz; 0 takes a free one and logs it."""
    batch_records: int = Field(default=500, ge=1)
    batch_bytes: int = Field(default=8 * 1024 * 1024, ge=1024)
    max_record_bytes: int = Field(default=1024 * 1024, ge=1024)
    """The largest record that a source topic takes; dead letters may be 64 KiB larger."""
    tick_seconds: float = Field(default=1.0, gt=0)
    retry_seconds: float = Field(default=300.0, gt=0)
    """For so long transient trouble is retried in place; then the process exits with 69, unacknowledged."""
    startup_seconds: float = Field(default=60.0, ge=0)
    """For so long an unreachable broker or store is waited for at start; then the process exits with 69."""
    liveness_seconds: float = Field(default=60.0, gt=0)
    """/healthz fails when the loop has shown no sign of life for so long."""
    stop_seconds: float = Field(default=20.0, gt=0)
    """After SIGTERM the batch in hand may take so long; then it is dropped, unacknowledged."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_exception_messages: bool = False
    """Log what a bug's exception says; off, because it may quote a payload."""


S = TypeVar("S", bound=BaseSettings)


def load_settings(kind: type[S]) -> S:
    """Read *kind* from the environment.

    Raises:
        ConfigurationError: Names each variable that is wrong and says why.
    """
    try:
        return kind()
    except ValidationError as error:
        prefix = str(kind.model_config.get("env_prefix", ""))
        faults = "; ".join(f"{prefix}{'_'.join(str(part) for part in e['loc']).upper()}: {e['msg']}" for e in error.errors())
        raise ConfigurationError(f"environment: {faults}") from None
