"""How long a worker has waited for its group: one that stands still must not look like one that has nothing to do."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from services.common.logs import get_logger

log = get_logger(__name__)

PATIENCE_SECONDS = 30.0
"""A group settles within some sessions, or when its slowest worker has finished its batch; whoever waits longer says so."""


class GroupWait:
    """Says in the log that no assignment has come, once that is overdue."""

    def __init__(self, group: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._group = group
        self._clock = clock
        self._since = 0.0
        self._tell_at = math.inf

    def begin(self) -> None:
        """Wait from now on."""
        self._since = self._clock()
        self._tell_at = self._since + PATIENCE_SECONDS

    def end(self) -> None:
        """Wait no longer: an assignment has come."""
        self._tell_at = math.inf

    def tell(self) -> None:
        """Log how long it has been, if it is overdue and was not said just now."""
        now = self._clock()
        if now >= self._tell_at:
            self._tell_at = now + PATIENCE_SECONDS
            log.warning("no_assignment_yet", group=self._group, seconds=round(now - self._since))
