"""One person with very many events; one idea that very many people asked for."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from bench.limits.figures import Bar, Found, in_slices, split
from bench.limits.made import WORKSPACE, Decided, activity, contact, person, profile
from bench.limits.rig import Rig, Service
from services.common.records import Output

_SLICES = 10
_GROWTH = 1.5
_FAN_OUT_MIB = 1_024
_MAILING_SECONDS = 60.0
_WATCH_SECONDS = 0.2


async def busy_person(folder: Path, size: int) -> Found:
    """One person with *size* activities (segmenter, ingest) and *size* pieces of feedback (ingest)."""
    found = Found("one person: segmenter and ingest", size)
    async with Rig(folder) as rig:
        await rig.start("segmenter")
        outputs = rig.outputs([profile(0), *(activity(0, at) for at in range(1, size))])
        found.add_growth("segmenter, activities", await in_slices(rig, "segmenter", split(outputs, _SLICES)), _GROWTH)
        rig.services["segmenter"].stop()
        await rig.start("ingest")
        found.add_growth("ingest, activities", await in_slices(rig, "ingest", split(_raw_activities(size), _SLICES)), _GROWTH)
        found.add_growth("ingest, feedback", await in_slices(rig, "ingest", split(_raw_feedback(size), _SLICES)), _GROWTH)
        found.bars.append(Bar("dead letters", await rig.letters(), 0))
    return found


async def first_profile(folder: Path, size: int) -> Found:
    """One person without a profile writes *size* times within a day; then the first profile comes and all of it is enriched again."""
    found = Found("one person's first profile: segmenter", size)
    async with Rig(folder) as rig:
        decided = Decided("hot")
        service = await rig.start("segmenter")
        await rig.feed(rig.outputs([decided.opened(0), *(decided.linked(n, person(0), 0) for n in range(size))]))
        await rig.drained("segmenter")
        before = await _ends(rig, "feedback.enriched")
        service.forget_peak()
        started = time.monotonic()
        await rig.feed(rig.outputs([profile(0)]))
        await rig.drained("segmenter")
        found.figures["segmenter: seconds until all is enriched again"] = time.monotonic() - started
        found.figures["segmenter: enriched again"] = await _ends(rig, "feedback.enriched") - before
        found.figures["segmenter: RSS MiB, peak"] = service.usage().peak_mib
        found.bars.append(Bar("segmenter: RSS MiB, peak", service.usage().peak_mib, _FAN_OUT_MIB))
        found.bars.append(Bar("dead letters", await rig.letters(), 0))
    return found


async def wanted_idea(folder: Path, size: int) -> Found:
    """*size* people ask for one idea, and it ships: the segmenter's demand, the notifier's fan-out, mails a second."""
    found = Found("one idea: segmenter and notifier", size)
    async with Rig(folder) as rig:
        decided = Decided("hot")
        outputs = rig.outputs([decided.opened(0), *(decided.linked(n, person(n), 0) for n in range(size))])
        await rig.start("segmenter")
        found.add_growth("segmenter", await in_slices(rig, "segmenter", split(outputs, _SLICES)), _GROWTH)
        rig.services["segmenter"].stop()
        port, log = rig.start_mail_sink()
        service = await rig.start("notifier", GROUNDSWELL_SMTP_HOST="127.0.0.1", GROUNDSWELL_SMTP_PORT=str(port))
        await rig.feed(rig.outputs(contact(n) for n in range(size)))
        await rig.drained("notifier")
        found.figures["notifier: RSS MiB before it ships"] = service.usage().rss_mib
        service.forget_peak()
        await _ship(rig, found, decided)
        await _mail(found, service, log, size)
        found.figures["notifier: RSS MiB, peak"] = service.usage().peak_mib
        found.bars.append(Bar("notifier: RSS MiB, peak of the fan-out", service.usage().peak_mib, _FAN_OUT_MIB))
        found.bars.append(Bar("dead letters", await rig.letters(), 0))
    return found


async def _ship(rig: Rig, found: Found, decided: Decided) -> None:
    cpu, started = rig.services["notifier"].usage().cpu_seconds, time.monotonic()
    await rig.feed(rig.outputs([decided.shipped(0)]))
    while await rig.acknowledged("notifier", "board.decisions") < rig.fed["board.decisions"]:
        rig.services["notifier"].check()
        await asyncio.sleep(_WATCH_SECONDS)
    found.figures["notifier: seconds until the ledger holds a row for each of them"] = time.monotonic() - started
    found.figures["notifier: CPU seconds of that"] = rig.services["notifier"].usage().cpu_seconds - cpu


async def _mail(found: Found, service: Service, log: Path, size: int) -> None:
    """Watch the mails go out for a minute, or until all are out; each person must get one."""
    started, cpu = time.monotonic(), service.usage().cpu_seconds
    first = mails = _lines(log)
    while mails < size and time.monotonic() - started < _MAILING_SECONDS:
        service.check()
        await asyncio.sleep(_WATCH_SECONDS)
        mails = _lines(log)
    seconds = time.monotonic() - started
    rate = (mails - first) / seconds if mails > first else float(size)
    told = _recipients(log)
    found.figures["notifier: mails/s, one worker and one mail sink on this machine"] = rate
    found.figures["notifier: CPU us/mail"] = (service.usage().cpu_seconds - cpu) * 1e6 / max(mails - first, 1)
    found.figures["notifier: mails that were watched"] = mails
    found.figures["notifier: minutes until all are out, at that rate"] = size / rate / 60
    found.bars.append(Bar("people who were told twice", len(told) - len(set(told)), 0))


def _lines(log: Path) -> int:
    return log.read_bytes().count(b"\n") if log.exists() else 0


def _recipients(log: Path) -> list[str]:
    """Return whom each mail was for; a line that is being written is left out."""
    return [str(json.loads(line)["to"][0]) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]


async def _ends(rig: Rig, topic: str) -> int:
    return sum((await rig.cluster.ends([topic])).values())


def _raw_activities(size: int) -> list[Output]:
    names = ("board_opened", "login", "export")
    return [
        _raw("activity.raw", {"id": f"a{n}", "workspace": WORKSPACE, "person": {"email": "ann@example.com"}, "name": names[n % 3]})
        for n in range(size)
    ]


def _raw_feedback(size: int) -> list[Output]:
    author = {"email": "ann@example.com"}
    return [
        _raw("feedback.raw", {"id": f"f{n}", "workspace": WORKSPACE, "board": "hot", "text": f"Ticket {n}", "author": author})
        for n in range(size)
    ]


def _raw(topic: str, value: dict[str, object]) -> Output:
    return Output(topic, b"k", json.dumps(value).encode(), b"k")
