"""Run a Quix Streams dataframe from topic to topic, at least once, with the codec as its (de)serializers."""

from __future__ import annotations

from typing import Any

from quixstreams import Application
from quixstreams.models import Deserializer, Serializer

from bench.worker_loops.meter import SESSION_MS, Job, Meter, read_job
from services.common.codec import Codec
from services.common.events import BoardEvent
from services.common.registry import open_schemas


def carry(job: Job, codec: Codec, meter: Meter) -> None:
    """Run a Quix Streams dataframe from topic to topic, at least once, with the codec as its (de)serializers."""

    decode = codec.frame_decoder(BoardEvent)

    class FromAvro(Deserializer):  # type: ignore[misc]  # publishes no types
        def __call__(self, value: bytes, ctx: Any) -> BoardEvent:  # noqa: ARG002 - the base class's shape
            meter.count()
            return decode(value)

    class ToAvro(Serializer):  # type: ignore[misc]  # publishes no types
        def __call__(self, value: BoardEvent, ctx: Any) -> bytes:  # noqa: ARG002 - the base class's shape
            return codec.encode(value)

    app = Application(
        broker_address=job.bootstrap,
        consumer_group=job.group,
        auto_offset_reset="earliest",
        auto_create_topics=False,
        loglevel=None,
        consumer_extra_config={"session.timeout.ms": SESSION_MS},
        producer_extra_config={"acks": "all", "enable.idempotence": False},
    )
    source = app.topic(job.source, value_deserializer=FromAvro(), key_deserializer="bytes")
    target = app.topic(job.target, value_serializer=ToAvro(), key_serializer="bytes")
    app.dataframe(source).to_topic(target)
    app.run(count=job.events, collect=False)  # returns when all is flushed and committed
    meter.finish()


if __name__ == "__main__":
    job = read_job()
    carry(job, Codec(open_schemas(None)), Meter(job.events))
