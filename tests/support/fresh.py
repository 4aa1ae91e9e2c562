"""An Apache Kafka made as good as new: no topics, no groups."""

from __future__ import annotations

import time

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

_PATIENCE_SECONDS = 120.0


def empty_kafka(bootstrap_servers: str) -> None:
    """Delete every topic and every group at *bootstrap_servers*, which must be a broker for tests; return when they are gone."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        groups = [group.group_id for group in admin.list_consumer_groups(request_timeout=10).result().valid]
        topics = [name for name in admin.list_topics(timeout=10).topics if not name.startswith("__")]
        if not groups and not topics:
            return
        assert time.monotonic() < deadline, f"still there: {groups}, {topics}"
        deletions = {
            **(admin.delete_consumer_groups(groups) if groups else {}),
            **(admin.delete_topics(topics) if topics else {}),
        }
        for deletion in deletions.values():
            try:
                deletion.result()
            except KafkaException:
                time.sleep(0.2)  # a group that is still being left, a topic that is being deleted: looked at again
