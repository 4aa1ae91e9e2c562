"""Run FastStream with ``@subscriber`` and ``@publisher`` as its guide shows them."""

from __future__ import annotations

import asyncio
from typing import Any

from faststream import FastStream
from faststream.kafka import KafkaBroker, KafkaMessage

from bench.worker_loops.meter import SESSION_MS, Job, Meter, read_job
from services.common.codec import Codec
from services.common.events import BoardEvent
from services.common.registry import open_schemas


def carry(job: Job, codec: Codec, meter: Meter) -> None:
    """Run FastStream with ``@subscriber`` and ``@publisher`` as its guide shows them."""

    decode = codec.frame_decoder(BoardEvent)
    broker = KafkaBroker(job.bootstrap, logger=None)

    async def decoder(message: KafkaMessage) -> BoardEvent:
        return decode(message.body)

    @broker.subscriber(  # type: ignore[untyped-decorator]
        job.source,
        group_id=job.group,
        auto_offset_reset="earliest",
        decoder=decoder,
        session_timeout_ms=SESSION_MS,
        heartbeat_interval_ms=SESSION_MS // 5,
    )
    @broker.publisher(job.target)  # type: ignore[untyped-decorator]
    async def republish(event: Any) -> bytes:
        meter.count()
        if meter.complete:  # its own publication is not awaited any more: one record in its favour
            meter.finish()
        return codec.encode(event)

    asyncio.run(FastStream(broker, logger=None).run())


if __name__ == "__main__":
    job = read_job()
    carry(job, Codec(open_schemas(None)), Meter(job.events))
