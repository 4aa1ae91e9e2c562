"""The purchases of CDNOW's customers of early 1997 (Fader and Hardie's sample of one in ten), as the package ``lifetimes`` ships them.

Their own table says of each customer what repeated, how recently and since when, after the first 39 weeks: an answer that is known.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib.metadata import files
from pathlib import Path

from services.common.clock import Micros
from services.common.events import PersonEvent
from services.segmenter.domain.recency import DAY

WORKSPACE = "cdnow"
CALIBRATION_END = date(1997, 9, 30)
LAST_DAY = date(1998, 6, 30)
_NOON: Micros = DAY // 2


@dataclass(frozen=True, slots=True)
class Purchase:
    """One line of the log."""

    customer: int
    """1 to 2,357."""
    day: date
    dollars: float


@dataclass(frozen=True, slots=True)
class Published:
    """What the authors' table says of a customer after 39 weeks."""

    repeats: int
    """Days with a purchase after the first such day."""
    recency_weeks: float
    """From the first to the last of them."""
    observed_weeks: float
    """From the first to the end."""
    mean_dollars: float
    """Of the repeats, 0 without any."""


def purchases() -> list[Purchase]:
    """Return all purchases of 78 weeks, in the file's order."""
    rows = (line.split() for line in _file("CDNOW_sample.txt").read_text().splitlines())
    return [Purchase(int(row[1]), datetime.strptime(row[2], "%Y%m%d").replace(tzinfo=UTC).date(), float(row[4])) for row in rows if row]


def published() -> dict[int, Published]:
    """Return the authors' table, by customer."""
    with _file("cdnow_customers_summary_with_transactions.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {int(r["ID"]): Published(int(r["x"]), float(r["t_x"]), float(r["T"]), float(r["zbar"])) for r in rows}


def noon(day: date) -> Micros:
    """Return a day's noon in UTC: the log tells days only."""
    return (day - date(1970, 1, 1)).days * DAY + _NOON


def person(customer: int) -> str:
    """Return a customer's id."""
    return f"{WORKSPACE}:person:{customer:04}"


def events(bought: list[Purchase]) -> Iterator[PersonEvent]:
    """Yield a profile of each customer, and an activity for each purchase, as ingest would tell them."""
    for customer, first in sorted({p.customer: p for p in reversed(bought)}.items()):
        yield _event(f"c{customer}", "profile", customer, noon(first.day))
    for number, purchase in enumerate(bought):
        yield _event(f"b{number}", "activity", purchase.customer, noon(purchase.day), purchase.dollars)


def _event(name: str, kind: str, customer: int, at: Micros, dollars: float | None = None) -> PersonEvent:
    return PersonEvent(
        event_id=f"{WORKSPACE}:event:{name}", type=kind, workspace=WORKSPACE, person_id=person(customer), source="cdnow", occurred_at=at,  # type: ignore[arg-type]
        ingested_at=at, origin=f"activity.raw/0/{name}", name="purchase" if kind == "activity" else None, amount=dollars,
    )  # fmt: skip


def _file(name: str) -> Path:
    found = [path for path in files("lifetimes") or () if path.name == name]
    return Path(str(found[0].locate()))
