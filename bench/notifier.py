"""Alerts a second beside what the other side takes at most, and an idea that very many people asked for.

``python -m bench.notifier [--alerts 2000] [--people 200000] [--smtp] [--webhook] [--fan-out]``

*smtp*, *webhook*: the outbox's handler with its SQLite store and real channels sends to a sink in a process of its own; beside it, in
turns, a bare client of the same library hands ready messages over as many connections: the sink's own rate. The bar is half of it.
*fan-out*: so many people asked for one idea, and it ships; every one is told in the product. The bar is 512 MiB of resident memory.
The broker is left out (bench.worker measures it); records are decoded and outputs encoded. Exits with 1 below a bar.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientTimeout, TCPConnector, web
from aiosmtplib import SMTP

from bench.notifier_rig import running
from services.console.embedded.mail import MailSink
from services.notifier.ports import Message

_ALL = ("fan-out", "smtp", "webhook")
_SLICES = 10
_BAR = 0.5
_MEMORY_MIB = 512
_CONNECTIONS = 4


@dataclass(frozen=True, slots=True)
class Sink:
    """The other side, in a process of its own."""

    port: int


def _serve(kind: str) -> None:
    """Run a sink until it is killed; the first line of its output is its port."""
    if kind == "smtp":
        with MailSink(Path(tempfile.mkdtemp()) / "mail.jsonl") as sink:
            print(sink.port, flush=True)
            time.sleep(100_000)
    asyncio.run(_serve_webhook())


async def _serve_webhook() -> None:
    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/{tail:.*}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.sleep(100_000)


@contextlib.contextmanager
def sinking(kind: str) -> Iterator[Sink]:
    """Run a sink of *kind*."""
    process = subprocess.Popen([sys.executable, "-m", "bench.notifier", "--serve", kind], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Sink(int(process.stdout.readline()))
    finally:
        process.kill()
        process.wait()


async def _bare_smtp(port: int, messages: Sequence[Message]) -> None:
    queue = iter(messages)

    async def carry() -> None:
        client = SMTP(hostname="127.0.0.1", port=port)
        await client.connect()
        for message in queue:
            await client.sendmail("bench@groundswell.example", [message.recipient], message.body)
        await client.quit()

    await asyncio.gather(*(carry() for _ in range(_CONNECTIONS)))


async def _bare_webhook(port: int, messages: Sequence[Message]) -> None:
    queue = iter(messages)
    async with ClientSession(timeout=ClientTimeout(total=30), connector=TCPConnector(limit=_CONNECTIONS)) as session:

        async def carry() -> None:
            for message in queue:
                url = f"http://127.0.0.1:{port}/{message.message_id}"
                async with session.post(url, data=message.body, headers={"content-type": "application/json"}) as answer:
                    await answer.read()

        await asyncio.gather(*(carry() for _ in range(_CONNECTIONS)))


async def against(kind: str, alerts: int, port: int, bare: Callable[[int, Sequence[Message]], Coroutine[Any, Any, None]]) -> bool:
    """Measure *kind*; tell whether the bar is kept."""
    ours, theirs, cpu = 0.0, 0.0, 0.0
    async with running(kind, port) as rig:
        await rig.asked(alerts)
        await rig.ship()
        for _ in range(_SLICES):
            began, burnt = time.monotonic(), time.process_time()
            await rig.tell(alerts // _SLICES)
            ours += time.monotonic() - began
            cpu += time.process_time() - burnt
            ready = rig.messages(alerts // _SLICES)
            began = time.monotonic()
            await bare(port, ready)
            theirs += time.monotonic() - began
        told = await rig.told()
    ratio = theirs / ours
    print(
        f"{kind:8} {told / ours:8.0f} alerts/s  sink alone {alerts / theirs:8.0f}/s  ratio {ratio:.2f} (bar {_BAR})"
        f"  CPU {cpu / alerts * 1e6:.0f} us an alert  load {os.getloadavg()[0]:.0f}"
    )
    return told == alerts and ratio >= _BAR


async def fan_out(people: int) -> bool:
    """Tell *people* of one idea; tell whether memory stayed within its bar and all were told."""
    async with running("in_app", 0) as rig:
        await rig.asked(people)
        folded = _peak_mib()
        began = time.monotonic()
        await rig.ship()
        joined = time.monotonic() - began
        await rig.tell(people)
        seconds, told = time.monotonic() - began, await rig.told()
    peak = _peak_mib()
    print(
        f"fan-out  {told} of {people} told in {seconds:.0f} s ({joined:.0f} s until all have a row)  peak RSS {peak:.0f} MiB"
        f" (bar {_MEMORY_MIB}; {folded:.0f} before it shipped)  load {os.getloadavg()[0]:.0f}"
    )
    return told == people and peak <= _MEMORY_MIB


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def _measured(what: Sequence[str], alerts: int, people: int) -> bool:
    kept = []
    if "fan-out" in what:  # first: peaks of the others would count
        kept.append(await fan_out(people))
    for kind, bare in (("smtp", _bare_smtp), ("webhook", _bare_webhook)):
        if kind in what:
            with sinking(kind) as sink:
                kept.append(await against(kind, alerts, sink.port, bare))
    return all(kept)


def main() -> int:
    """Measure; return 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    for what in _ALL:
        parser.add_argument(f"--{what}", action="store_true", help="this alone, or with others that are named")
    parser.add_argument("--alerts", type=int, default=2_000)
    parser.add_argument("--people", type=int, default=200_000)
    parser.add_argument("--serve", choices=["smtp", "webhook"])
    arguments = parser.parse_args()
    if arguments.serve:
        _serve(arguments.serve)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)  # as a worker sets it
    wanted = [name for name in _ALL if getattr(arguments, name.replace("-", "_"))] or _ALL
    return 0 if asyncio.run(_measured(wanted, arguments.alerts, arguments.people)) else 1


if __name__ == "__main__":
    sys.exit(main())
