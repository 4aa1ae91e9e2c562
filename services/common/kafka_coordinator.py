"""A consumer that believes its group's coordinator: aiokafka passes over an error that is about the whole group.

A coordinator that is loading what was acknowledged (after a broker's restart, for some hundred milliseconds) answers with that error and
names no partition. aiokafka reads "nothing was acknowledged yet", and would begin with the first record that there is.
"""

from __future__ import annotations

from typing import Any

from aiokafka import errors
from aiokafka.protocol.commit import OffsetFetchRequest


def heed_group_errors(coordinator: Any) -> None:
    """Let *coordinator*, that of a started consumer, raise what its broker says of the whole group, so that it asks again."""
    send = coordinator._send_req  # noqa: SLF001 - aiokafka offers no other way

    async def heeding(request: Any) -> Any:
        answer = await send(request)
        error = errors.for_code(getattr(answer, "error_code", 0))
        if isinstance(request, OffsetFetchRequest) and error is not errors.NoError:
            if error is errors.NotCoordinatorForGroupError:
                coordinator.coordinator_dead()
            raise error(f"of the group {coordinator.group_id}")
        return answer

    coordinator._send_req = heeding  # noqa: SLF001
