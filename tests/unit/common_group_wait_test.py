"""A worker to which the group assigns nothing says so."""

from __future__ import annotations

from structlog.testing import capture_logs

from services.common.kafka_waiting import GroupWait


def test_a_worker_without_an_assignment_says_so_again_and_again() -> None:
    now = 1_000.0
    wait = GroupWait("some-group", lambda: now)

    def told(after: float) -> list[object]:
        nonlocal now
        now += after
        with capture_logs() as logs:
            wait.tell()
        return [(entry["event"], entry["group"], entry["seconds"]) for entry in logs]

    assert told(100.0) == []  # it has not asked yet
    wait.begin()
    assert told(29.0) == []
    assert told(2.0) == [("no_assignment_yet", "some-group", 31)]
    assert told(2.0) == []
    assert told(30.0) == [("no_assignment_yet", "some-group", 63)]
    wait.begin()  # another rebalance
    assert told(29.0) == []
    wait.end()
    assert told(100.0) == []
