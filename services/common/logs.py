"""JSON logs on standard error: never a payload, never a personal datum."""

from __future__ import annotations

import logging
import sys
import traceback

import structlog


def configure_logs(service: str, level: str) -> None:
    """Send structlog's and the standard library's records to standard error, one JSON object a line."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.PositionalArgumentsFormatter(), _without_traceback],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("aiokafka", "faust", "mode", "pymongo", "sentence_transformers", "optimum", "transformers"):
        logging.getLogger(noisy).setLevel("WARNING")
    structlog.contextvars.bind_contextvars(service=service)


def _without_traceback(_logger: object, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Keep where a library's exception came from, drop what it says: messages quote payloads."""
    error = event.pop("exc_info", None)
    if isinstance(error, tuple) and error[1] is not None:
        event["exception"] = frames_of(error[1])
    return event


def frames_of(error: BaseException) -> list[str]:
    """Return *error*'s type and the places that it passed, without its message."""
    places = traceback.extract_tb(error.__traceback__)[-8:]
    return [type(error).__name__, *(f"{place.filename}:{place.lineno} {place.name}" for place in places)]


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module; keywords become fields of the line."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
