"""The demo from start to end."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from services.common.events import Decision, PersonEvent
from services.common.records import Record
from services.console.board import decoded
from services.console.cluster import Cluster, Tail
from services.console.commanding import command, set_status
from services.console.context import codec
from services.console.demo.choosing import closest_miss, mailable
from services.console.demo.conservation import Check, checks, told_check
from services.console.demo.report import print_report
from services.console.demo.sample import BOARD, WORKSPACE, Sample, bundled, from_file, opt_out
from services.console.embedded.stack import Engines, Stack
from services.console.failures import CommandFailed, ExitCode
from services.console.ideas import BoardView
from services.console.lag import measure_from
from services.console.publishing import chunks
from services.console.show import clipped
from services.console.topics import feedback_topics, wanted_topics

_STALLED_SECONDS = 90.0
"""So long nothing may move while something is behind."""
_ANSWER_SECONDS = 60.0
_STEP_SECONDS = 0.25


async def run_demo(out: Console, source: Path | None, engines: Engines) -> bool:
    """Run the demo on *source*, by default the bundled sample, and on *engines*; tell whether everything was conserved.

    Raises:
        CommandFailed: The file cannot be used, or the stack stalled; its logs are kept then.
        TransientError: The stack did not start.
    """
    began = time.monotonic()
    sample = bundled() if source is None else from_file(source)
    folder = Path(tempfile.mkdtemp(prefix="groundswell-demo-"))
    conserved = False
    try:
        out.print(f"[bold]Groundswell[/bold]: {sample.title}; broker, mail sink and four services start on this machine …")
        async with Stack(folder, lambda line: out.print(line, markup=False), engines=engines) as stack:
            out.print(f"ready after {time.monotonic() - began:.1f} s")
            async with Cluster(stack.kafka) as cluster, await cluster.tail(sorted(wanted_topics())) as tail:
                conserved = await Demo(out, stack, cluster, tail, sample).run()
        out.print(f"\n{time.monotonic() - began:.0f} s in all; nothing is left running")
    finally:
        if conserved:
            shutil.rmtree(folder)
        else:
            out.print(f"logs and stores are kept under {folder}", markup=False)
    return conserved


class _Bars:
    """One bar a topic: how many records it holds, of the *total* that were published."""

    def __init__(self, progress: Progress, total: int, names: Mapping[str, str]) -> None:
        self._progress = progress
        self._tasks = {topic: progress.add_task(name, total=total) for topic, name in names.items()}

    def show(self, records: Mapping[str, list[Record]], *, over: bool) -> None:
        """Show what *records* hold; at the end the bars are full, although repeats and dead letters never came so far."""
        for topic, task in self._tasks.items():
            count = len(records[topic])
            self._progress.update(task, completed=count, total=count if over else None)


class Demo:
    """One run over a stack that is ready."""

    def __init__(self, out: Console, stack: Stack, cluster: Cluster, tail: Tail, sample: Sample) -> None:
        self._out = out
        self._stack = stack
        self._cluster = cluster
        self._tail = tail
        self._sample = sample
        self._codec = codec()
        self._watching = asyncio.create_task(stack.watch())

    async def run(self) -> bool:
        """Publish, ship, merge, wait and report; tell whether everything was conserved."""
        try:
            with self._progress() as progress:
                await self._feed(progress)
            shipped, merged = await self._ship_and_merge()
            found = self._checks()
            print_report(self._out, self._codec, self._tail.records, shipped=shipped, merged=merged, checks=found, sample=self._sample)
            return all(check.wrong == 0 for check in found)
        finally:
            self._watching.cancel()

    def _progress(self) -> Progress:
        columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        return Progress(*columns, console=self._out)

    async def _feed(self, progress: Progress) -> None:
        if self._sample.background:
            task = progress.add_task("people and accounts", total=len(self._sample.background))
            for chunk in chunks(self._sample.background):
                await self._cluster.publish(chunk)
                progress.advance(task, len(chunk))
            await self._quiet()
        total = len(self._sample.feedback)
        published = progress.add_task("feedback published", total=total)
        bars = _Bars(progress, total, {"board.events": "in the board's order", "feedback.enriched": "clustered and enriched"})
        await asyncio.gather(self._publish_paced(progress, published), self._quiet(bars, at_least=total))

    async def _publish_paced(self, progress: Progress, task: TaskID) -> None:
        rate = self._sample.per_second
        if rate is None:
            for chunk in chunks(self._sample.feedback):
                await self._cluster.publish(chunk)
                progress.advance(task, len(chunk))
            return
        began = time.monotonic()
        for place, output in enumerate(self._sample.feedback):
            await asyncio.sleep(max(began + place / rate - time.monotonic(), 0))
            await self._cluster.publish([output])
            progress.advance(task)

    async def _quiet(self, bars: _Bars | None = None, *, at_least: int = 0) -> None:
        """Wait until every service has acknowledged all that it reads, of *at_least* so many feedback records, and no mail is due.

        Raises:
            CommandFailed: Nothing moved for a minute and a half.
            ConfigurationError: A service refused its settings.
        """
        moved, before = time.monotonic(), None
        while True:
            if self._watching.done():
                self._watching.result()
            behind = sum(entry.lag for entry in await measure_from(self._cluster, self._tail))
            fed = sum(len(self._tail.records[topic]) for topic in feedback_topics())
            over = behind == 0 and fed >= at_least and not self._mails_due()
            if bars is not None:
                bars.show(self._tail.records, over=over)
            if over:
                return
            state = (behind, fed, sum(map(len, self._tail.records.values())))
            if state != before:
                moved, before = time.monotonic(), state
            if time.monotonic() - moved > _STALLED_SECONDS:
                what = f"{behind} records are behind and nothing has moved for {_STALLED_SECONDS:.0f} s"
                raise CommandFailed(f"{what}; see {self._stack.logs}", ExitCode.FAILED)
            await asyncio.sleep(_STEP_SECONDS)

    async def _ship_and_merge(self) -> tuple[str | None, Decision | None]:
        """Ship the idea that most people ask for and several can be told of, one of whom opts out before.

        Then merge its closest miss into it; return both.
        """
        view = self._view()
        ranked = view.ranked()
        if not ranked:
            return None, None
        aliases = mailable(decoded(self._codec, PersonEvent, self._tail.records["people.events"]))
        shipped = next((idea for idea in ranked if len(view.askers(idea) & aliases.keys()) > 1), ranked[0])
        title = clipped(view.ideas[shipped].title)
        await self._opt_out(sorted(view.askers(shipped) & aliases.keys()), aliases)
        self._out.print(f"shipping “{title}”, which {view.ideas[shipped].people} people ask for …", markup=False)
        release = {"release_id": "demo", "release_name": "Demo release"}
        await set_status(self._cluster, WORKSPACE, BOARD, idea_id=shipped, status="shipped", wait=_ANSWER_SECONDS, **release)
        miss = closest_miss(view, shipped)
        if miss is not None and miss.idea_id is not None:
            self._out.print(f"merging “{clipped(view.ideas[miss.idea_id].title)}” into it: its people are to be told, too …", markup=False)
            await command(self._cluster, WORKSPACE, BOARD, "merge", idea_id=miss.idea_id, other_idea_id=shipped, wait=_ANSWER_SECONDS)
        await self._quiet()
        return shipped, miss

    async def _opt_out(self, reachable: Sequence[str], aliases: Mapping[str, str]) -> None:
        """Let one of several who could be mailed say that they do not want to be."""
        if len(reachable) > 1:
            self._out.print("one of those who asked opts out of being told …")
            await self._cluster.publish([opt_out(WORKSPACE, aliases[reachable[0]])])
            await self._quiet()

    def _view(self) -> BoardView:
        return BoardView.of(self._codec, self._tail.records, WORKSPACE, BOARD)

    def _mails_due(self) -> bool:
        """Tell whether somebody who asked for what shipped has not heard, nor been found not to be told."""
        return told_check(self._codec, self._tail.records).wrong > 0

    def _checks(self) -> list[Check]:
        raw = [topic for topic, contract in wanted_topics().items() if contract.partition_by == "producer"]
        mails = [json.loads(line) for line in self._stack.mail_log.read_text().splitlines()]
        return checks(self._codec, self._tail.records, raw, mails)
