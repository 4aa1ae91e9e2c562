"""What a loading coordinator says is not taken for "nothing was acknowledged yet"."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import GroupAuthorizationFailedError, GroupLoadInProgressError, NotCoordinatorForGroupError
from aiokafka.protocol.commit import OffsetFetchResponse_v3

from services.common.kafka_coordinator import heed_group_errors

_PLACE = TopicPartition("accounts.raw", 0)
_KNOWN = OffsetFetchResponse_v3(0, [("accounts.raw", [(0, 7, "", 0)])], 0)


class Answering(GroupCoordinator):  # type: ignore[misc]  # publishes no types
    """aiokafka's coordinator, the broker's answers given."""

    def __init__(self, *answers: Any) -> None:
        self.group_id = "groundswell-ingest"
        self.died = 0
        self._retry_backoff_ms = 1
        self._answers = list(answers)

    async def ensure_coordinator_known(self) -> None:
        """Do as if it were."""

    def coordinator_dead(self) -> None:
        """Count."""
        self.died += 1

    async def _send_req(self, _request: Any) -> Any:
        return self._answers.pop(0)


def _failed(error: type[Any]) -> OffsetFetchResponse_v3:
    return OffsetFetchResponse_v3(0, [], error.errno)


async def test_aiokafka_takes_an_error_for_nothing_acknowledged() -> None:
    """Once this fails, ``heed_group_errors`` has had its time."""
    assert await Answering(_failed(GroupLoadInProgressError)).fetch_committed_offsets([_PLACE]) == {}


@pytest.mark.parametrize("error", [GroupLoadInProgressError, NotCoordinatorForGroupError])
async def test_a_coordinator_that_is_not_ready_is_asked_again(error: type[Any]) -> None:
    coordinator = Answering(_failed(error), _failed(error), _KNOWN)
    heed_group_errors(coordinator)

    found = await coordinator.fetch_committed_offsets([_PLACE])

    assert found[_PLACE].offset == 7
    assert coordinator.died == (2 if error is NotCoordinatorForGroupError else 0)


async def test_what_will_not_pass_is_raised() -> None:
    coordinator = Answering(_failed(GroupAuthorizationFailedError))
    heed_group_errors(coordinator)

    with pytest.raises(GroupAuthorizationFailedError, match="groundswell-ingest"):
        await coordinator.fetch_committed_offsets([_PLACE])
