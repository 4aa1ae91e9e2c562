"""The examples of every vendor's payloads, as the bytes of records."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator

from services.common.paths import EXAMPLES


def payloads() -> Iterator[tuple[str, bytes]]:
    """Yield (channel, value) for each example of ``examples/payloads``, in the files' order."""
    for path in sorted((EXAMPLES / "payloads").iterdir()):
        if path.suffix == ".csv":
            for row in csv.DictReader(path.read_text().splitlines()):
                yield path.stem, json.dumps({name: value for name, value in row.items() if value}).encode()
        elif path.suffix == ".jsonl":
            for line in path.read_bytes().splitlines():
                yield path.stem, line
        else:
            yield path.stem, path.read_bytes()
