"""Tells operators of traits that arrive with another type than the definition declares; nothing is refused for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeAlias, TypeVar

from services.common.events import Account, PersonEvent
from services.common.logs import get_logger
from services.common.outcome import Outcome
from services.common.records import Received
from services.segmenter.domain.traits import Mistyped, Traits
from services.segmenter.ports import Gauges

log = get_logger(__name__)
T = TypeVar("T")

Handle: TypeAlias = Callable[[Sequence[Received[T]]], Awaitable[Sequence[Outcome]]]

_REMEDY = "rules that look at it do not match: mend what sends it, or declare the other type"


class TraitWatch:
    """Counts every trait of another type, and says each once for as long as this worker runs; never the value."""

    def __init__(self, traits: Traits, gauges: Gauges) -> None:
        self._traits = traits
        self._gauges = gauges
        self._said: set[tuple[str, str, str]] = set()

    def people(self, handle: Handle[PersonEvent | None]) -> Handle[PersonEvent | None]:
        """Return *handle*, after a look at the profiles of its batch."""

        async def watched(batch: Sequence[Received[PersonEvent | None]]) -> Sequence[Outcome]:
            events = (r.event for r in batch if r.event is not None and r.event.type == "profile")
            self._note(strange for event in events for strange in self._traits.mistyped("person", event.traits_json))
            return await handle(batch)

        return watched if "person" in self._traits.scopes else handle

    def accounts(self, handle: Handle[Account | None]) -> Handle[Account | None]:
        """Return *handle*, after a look at the accounts of its batch."""

        async def watched(batch: Sequence[Received[Account | None]]) -> Sequence[Outcome]:
            states = (r.event for r in batch if r.event is not None)
            self._note(strange for state in states for strange in self._traits.mistyped("account", state.traits_json))
            return await handle(batch)

        return watched if "account" in self._traits.scopes else handle

    def _note(self, found: Iterable[Mistyped]) -> None:
        for strange in found:
            self._gauges.trait_mistyped(strange.scope, strange.name)
            what = (strange.scope, strange.name, strange.found)
            if what not in self._said:
                self._said.add(what)
                log.warning(
                    "trait_of_another_type", trait=f"{strange.scope}.traits.{strange.name}", declared=strange.declared.type,
                    found=strange.found, place=f"{self._traits.file}:{strange.declared.line}", remedy=_REMEDY,
                )  # fmt: skip
