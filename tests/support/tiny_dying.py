"""The tiny service with a fate: it kills or freezes itself right before or after a named method of a client was awaited for the Nth time.

``TINY_FATE`` is ``<client>.<method>:before|after:<N>:<signal>``, the client being ``producer`` or ``consumer``.
"""

from __future__ import annotations

import os
import runpy
import signal
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

FATE = "TINY_FATE"
_CLIENTS = {"producer": AIOKafkaProducer, "consumer": AIOKafkaConsumer}


def meet(fate: str) -> None:
    """Patch the client so that *fate* comes true."""
    where, moment, times, name = fate.split(":")
    client, method = where.split(".")
    original, count = getattr(_CLIENTS[client], method), 0

    async def fated(self: Any, *given: Any, **named: Any) -> Any:
        nonlocal count
        count += 1
        is_time = count == int(times)
        if is_time and moment == "before":
            os.kill(os.getpid(), signal.Signals[name])
        answer = await original(self, *given, **named)
        if is_time and moment == "after":
            os.kill(os.getpid(), signal.Signals[name])
        return answer

    setattr(_CLIENTS[client], method, fated)


if __name__ == "__main__":
    if FATE in os.environ:
        meet(os.environ[FATE])
    runpy.run_module("tests.support.tiny_service", run_name="__main__", alter_sys=True)
