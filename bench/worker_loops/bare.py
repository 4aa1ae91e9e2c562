"""Run aiokafka by hand: getmany, one batch, send_batch, commit; nothing else that a service needs."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bench.worker_loops.meter import BATCH_RECORDS, SESSION_MS, Job, Meter, read_job
from services.common.codec import Codec
from services.common.events import BoardEvent
from services.common.registry import open_schemas


def carry(job: Job, codec: Codec, meter: Meter) -> None:
    """Run aiokafka by hand: getmany, one batch, send_batch, commit; nothing else that a service needs."""

    decode, encode = codec.frame_decoder(BoardEvent), codec.encode

    async def run() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=job.bootstrap, acks="all", max_batch_size=512 * 1024)
        consumer = AIOKafkaConsumer(
            job.source,
            bootstrap_servers=job.bootstrap,
            group_id=job.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=SESSION_MS // 5,
            max_partition_fetch_bytes=2 * 1024 * 1024,
        )
        await producer.start()
        await consumer.start()
        while not meter.complete:
            for place, records in (await consumer.getmany(timeout_ms=500, max_records=BATCH_RECORDS)).items():
                meter.count(len(records))
                batch = producer.create_batch()
                for record in records:
                    batch.append(key=record.key, value=encode(decode(record.value)), timestamp=None)
                await (await producer.send_batch(batch, job.target, partition=place.partition))
                await consumer.commit({place: records[-1].offset + 1})
        meter.finish()

    asyncio.run(run())


if __name__ == "__main__":
    job = read_job()
    carry(job, Codec(open_schemas(None)), Meter(job.events))
