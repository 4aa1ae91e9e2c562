"""The crash guard: the way out for everything that is neither transient nor permanent.

Nothing of the batch in hand is acknowledged; the supervisor (Kubernetes, the embedded stack) starts the process again.
"""

from __future__ import annotations

import logging
import os
import sys
from enum import IntEnum
from typing import NoReturn

from services.common.errors import ConfigurationError, TransientError
from services.common.logs import frames_of, get_logger

log = get_logger(__name__)


class Exit(IntEnum):
    """Why a worker process ended."""

    UNAVAILABLE = 69
    """A broker or store stayed away longer than the retry budget."""
    BUG = 70
    ENDED = 71
    """The loop ended by itself, which it never should."""
    CONFIGURATION = 78


def die(error: BaseException | None, *, messages: bool) -> NoReturn:
    """Log *error* and end the process at once; None means that the loop ended by itself."""
    match error:
        case None:
            code = Exit.ENDED
            log.critical("loop_ended")
        case ConfigurationError():
            code = Exit.CONFIGURATION
            log.critical("configuration", error=str(error))
        case TransientError():
            code = Exit.UNAVAILABLE
            log.critical("unavailable", error=str(error))
        case _:
            code = Exit.BUG
            log.critical("crash", exception=frames_of(error), **({"error": str(error)} if messages else {}))
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)
