"""Rows that a decision makes too many of to be written at once: they wait here, in their order, and are written piece by piece."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from services.common.values import altered
from services.notifier.domain.board import Effects, NewAlert, Want
from services.notifier.domain.row import Row, is_direct


@dataclass(slots=True)
class Waiting:
    """The alerts of one board whose rows are not written yet."""

    alerts: dict[str, NewAlert] = field(default_factory=dict)
    wants: dict[str, Want] = field(default_factory=dict)
    """What later decisions said of them, the last word of each."""
    marked: bool = False
    """Whether the store knows that some are not."""
    again: bool = False
    """Whether some of the rows may be there: a process died among them."""

    def take(self, effects: Effects) -> list[Want]:
        """Let those of *effects* wait that do; return the wants that concern none of them, the last word of each alert."""
        for alert in effects.alerts:
            if not is_direct(alert.ordinal):
                self.alerts[alert.alert_id] = alert
        others: dict[str, Want] = {}
        for want in effects.wants:
            (self.wants if want.alert_id in self.alerts else others)[want.alert_id] = want
        return list(others.values())

    def first(self, count: int) -> Sequence[NewAlert]:
        """Return the first *count* that wait."""
        return list(islice(self.alerts.values(), count))

    def wanted(self, row: Row) -> Row:
        """Return *row*, about to be written, with what was said of it since it was made."""
        want = self.wants.get(row.alert_id)
        return row if want is None else altered(row, wanted=want.wanted, wanted_sequence=want.sequence)

    def said_of(self, alert_ids: Iterable[str]) -> list[Want]:
        """Return what was said of *alert_ids* since they were made."""
        return [self.wants[alert_id] for alert_id in alert_ids if alert_id in self.wants]

    def drop(self, alert_ids: Iterable[str]) -> None:
        """Let go of *alert_ids*, whose rows are written."""
        for alert_id in alert_ids:
            del self.alerts[alert_id]
            self.wants.pop(alert_id, None)
