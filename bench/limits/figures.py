"""What a limit's run found: figures, and bars that they must keep."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from bench.limits.rig import Rig
from services.common.records import Output


@dataclass(frozen=True, slots=True)
class Slice:
    """One stretch of equal work."""

    events: int
    seconds: float
    cpu_us: float
    """CPU microseconds an event, of all threads of the process."""
    rss_mib: float


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure that must not exceed *most*."""

    what: str
    value: float
    most: float

    @property
    def holds(self) -> bool:
        """Tell whether it is kept."""
        return self.value <= self.most


@dataclass(slots=True)
class Found:
    """What one limit's run found."""

    limit: str
    size: int
    figures: dict[str, float] = field(default_factory=dict)
    bars: list[Bar] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return it as text."""
        told = [f"{self.limit} (size {self.size:,})"]
        told += [f"  {name:74} {value:14,.1f}" for name, value in self.figures.items()]
        return told + [f"  {'kept' if bar.holds else 'MISSED'}: {bar.what}: {bar.value:,.2f}, at most {bar.most:,.2f}" for bar in self.bars]

    def plain(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return asdict(self) | {"holds": all(bar.holds for bar in self.bars)}

    def add_growth(self, service: str, slices: Sequence[Slice], most: float) -> None:
        """Add the cost of the second and of the last of *slices*, and the bar on their ratio; the first one warms up."""
        first, last = slices[1], slices[-1]
        self.figures |= {
            f"{service}: CPU us/event at the beginning": first.cpu_us,
            f"{service}: CPU us/event at the end": last.cpu_us,
            f"{service}: events/s at the beginning": first.events / first.seconds,
            f"{service}: events/s at the end": last.events / last.seconds,
            f"{service}: RSS MiB at the beginning": first.rss_mib,
            f"{service}: RSS MiB at the end": last.rss_mib,
        }
        self.bars.append(Bar(f"{service}: CPU an event, the end against the beginning", last.cpu_us / first.cpu_us, most))


async def in_slices(rig: Rig, name: str, work: Sequence[Sequence[Output]]) -> list[Slice]:
    """Feed each of *work* to the service and wait until it has acknowledged it; return what each cost."""
    slices = []
    service = rig.services[name]
    for outputs in work:
        before, started = service.usage(), time.monotonic()
        await rig.feed(outputs)
        await rig.drained(name)
        seconds, after = time.monotonic() - started, service.usage()
        cpu_us = (after.cpu_seconds - before.cpu_seconds) * 1e6 / max(len(outputs), 1)
        slices.append(Slice(len(outputs), seconds, cpu_us, after.rss_mib))
    return slices


def split(outputs: Sequence[Output], parts: int) -> list[Sequence[Output]]:
    """Return *outputs* in so many parts of equal length, but for the last."""
    length = max(len(outputs) // parts, 1)
    cut = [outputs[first : first + length] for first in range(0, length * parts, length)]
    cut[-1] = outputs[length * (parts - 1) :]
    return [part for part in cut if part]
