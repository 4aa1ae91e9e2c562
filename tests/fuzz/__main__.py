"""Throws bytes at every adapter of ingest, led by the code that they reach: each becomes an event, a drop or a dead letter with a reason.

    pip install 'groundswell[fuzz]'
    python -m tests.fuzz --minutes 60 [--seed 1] [--corpus DIR]

Ends with 0 after so long, with another code at the first crash, hang (60 s for one input, whatever else the machine does) or growth of
memory; the input is left in the corpus' folder.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import atheris
import orjson

with atheris.instrument_imports(include=["services.ingest", "email", "jmespath", "html_text", "stdnum"]):
    from services.common.outcome import Drop, Emit, Reject
    from services.common.paths import EXAMPLES
    from services.ingest.channels import Channels, TextSpec, load_channels
    from services.ingest.domain.faults import FAULTS

from tests.fakes_ingest import FakeMemory, Front, raw
from tests.ingest_samples import GOOD
from tests.payloads import payloads

_HANG_SECONDS = 60
_GROWTH_MIB = 200
_BLIND = 0.2
"""The share of JSON inputs whose bytes are changed blindly."""
_SETTLED = 20_000
"""Inputs after which memory has to stay as it is."""
_EVERYTHING = TextSpec(mask=["email", "phone", "card", "iban", "ip"], phone_region="DE", split="lists")


class Target:
    """All adapters behind one function: the first byte of an input chooses the adapter."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        self._memory = FakeMemory()
        self._front = _front(self._memory)
        self.topics = self._front.topics
        self.outcomes: Counter[str] = Counter()
        self._resident = 0

    def __call__(self, data: bytes) -> None:
        """Take one input."""
        if time.monotonic() > self._ends:
            self._report()
            os._exit(0)  # the fuzzer takes an exit for a crash
        if not data:
            return
        topic = self.topics[data[0] % len(self.topics)]
        count = self.outcomes.total()
        outcome = self._front.outcome(raw(topic, count, data[1:]))
        if not isinstance(outcome, Emit | Drop | Reject) or (isinstance(outcome, Reject) and outcome.reason not in FAULTS):
            raise AssertionError(outcome)
        self.outcomes[type(outcome).__name__ if not isinstance(outcome, Reject) else outcome.reason] += 1
        if count % 5_000 == 0:
            self._watch(count)

    def _watch(self, count: int) -> None:
        """Begin with an empty memory, as that of an endless store would grow by itself, and look at the process's own."""
        self._memory.forget()
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 2**20
        if count <= _SETTLED:
            self._resident = resident
        elif resident > self._resident + _GROWTH_MIB:
            raise AssertionError(f"memory grew from {self._resident} to {resident} MiB")

    def _report(self) -> None:
        shown = ", ".join(f"{name} {count:,}" for name, count in self.outcomes.most_common())
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 2**20
        sys.stdout.write(
            f"{self.outcomes.total():,} inputs: {shown}; {self._resident} MiB after {_SETTLED:,} inputs, {resident} at the end\n"
        )
        sys.stdout.flush()


def _front(memory: FakeMemory) -> Front:
    vendors = load_channels(EXAMPLES / "vendors.yaml").channels
    told = [channel.model_copy(update={"text": _EVERYTHING}) for channel in vendors]
    demo = load_channels(EXAMPLES / "channels.yaml").channels
    return Front(memory, channels=Channels(version=1, channels=[*demo, *told]))


def mutated(data: bytes, most: int, seed: int) -> bytes:
    """Return *data* with one text or number in it changed, where it holds JSON; else, and now and then, with any of its bytes changed.

    What is no JSON any more is refused before much of an adapter has seen it.
    """
    dice = random.Random(seed)
    try:
        value = orjson.loads(data[1:])
    except orjson.JSONDecodeError:
        value = None
    places = list(_leaves(value))
    if not places or dice.random() < _BLIND:
        return bytes(atheris.Mutate(data, most))
    inside, key = dice.choice(places)
    leaf = inside[key]
    if isinstance(leaf, str):
        inside[key] = atheris.Mutate(leaf.encode(), len(leaf) + 64).decode("utf-8", "replace")
    else:
        inside[key] = dice.choice((None, True, -1, 2**53, 0.5, [], {}, "", [leaf], {"text": leaf}))
    made = data[:1] + orjson.dumps(value)
    return made if len(made) <= most else bytes(atheris.Mutate(data, most))


def _leaves(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (object or array, name or place) of everything in *value* that holds nothing else."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if isinstance(inner, dict | list) and inner:
            yield from _leaves(inner)
        else:
            yield value, key


def seed(folder: Path, topics: list[str]) -> None:
    """Lay one good input of every adapter into *folder*."""
    examples: list[tuple[str, Any]] = [(f"feedback.raw.{name}", value) for name, value in payloads()] + list(GOOD)
    for number, (topic, value) in enumerate(examples):
        (folder / f"seed-{number}").write_bytes(bytes([topics.index(topic)]) + (raw(topic, 0, value).value or b""))


def main() -> None:
    """Fuzz for as long as asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, default=None)
    given = parser.parse_args()
    corpus = given.corpus or Path(tempfile.mkdtemp(prefix="groundswell-fuzz-"))
    corpus.mkdir(parents=True, exist_ok=True)
    target = Target(given.minutes * 60)
    seed(corpus, target.topics)
    options = [f"-seed={given.seed}", f"-timeout={_HANG_SECONDS}", "-max_len=8192", "-rss_limit_mb=2048", "-print_final_stats=1"]
    sys.stderr.write(f"corpus in {corpus}\n")
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={corpus}/", str(corpus)], target, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
