"""Run a Faust agent as its guide shows it: ``async for``, ``await topic.send``, with an Avro codec."""

from __future__ import annotations

from typing import Any

import faust as framework
from faust.serializers.codecs import Codec as FaustCodec
from faust.serializers.codecs import register

from bench.worker_loops.meter import SESSION_MS, Job, Meter, read_job
from services.common.codec import Codec
from services.common.events import BoardEvent
from services.common.registry import open_schemas


def carry(job: Job, codec: Codec, meter: Meter) -> None:
    """Run a Faust agent as its guide shows it: ``async for``, ``await topic.send``, with an Avro codec."""

    decode = codec.frame_decoder(BoardEvent)

    class Avro(FaustCodec):  # type: ignore[misc]  # publishes no types
        def _loads(self, s: bytes) -> BoardEvent:
            return decode(s)

        def _dumps(self, obj: BoardEvent) -> bytes:
            return codec.encode(obj)

    register("board_event", Avro())
    app = framework.App(
        job.group,
        broker=f"kafka://{job.bootstrap}",
        value_serializer="board_event",
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=SESSION_MS / 1000,
        broker_heartbeat_interval=1.2,
    )
    source, target = app.topic(job.source), app.topic(job.target)

    @app.agent(source)  # type: ignore[untyped-decorator]
    async def republish(events: Any) -> None:
        async for event in events:
            meter.count()
            await target.send(value=event)
            if meter.complete:
                await app.producer.flush()
                await app.consumer.commit()
                meter.finish()

    framework.Worker(app, loglevel="ERROR", quiet=True, redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    job = read_job()
    carry(job, Codec(open_schemas(None)), Meter(job.events))
