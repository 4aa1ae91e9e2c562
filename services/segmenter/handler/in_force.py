"""The definition in force: the file's, as long as that can be used, else the one that was in force before."""

from __future__ import annotations

from pathlib import Path

from services.common.errors import ConfigurationError
from services.common.logs import get_logger
from services.segmenter.domain.definition import Definition
from services.segmenter.domain.loading import compiled_definition, definition_text
from services.segmenter.ports import Gauges, Said

log = get_logger(__name__)

_KEY = "definition"
_REMEDY = "groundswell segments check tells when it is right; then start again"


async def definition_in_force(said: Said, path: Path, gauges: Gauges) -> Definition:
    """Return what *path* defines, and keep it as what is in force.

    A file that cannot be used does not stop the segmenter: what was in force stays so, loudly. So does one that has other rules under the
    version in force: nobody would be evaluated again, and records of the same version would mean different things.

    Raises:
        ConfigurationError: The file cannot be used, and nothing was in force before.
        TransientError: The store does not answer.
    """
    kept = (await said.get([_KEY])).get(_KEY)
    before = None if kept is None else _compiled_again(kept.decode())
    try:
        text = definition_text(path)
        given = compiled_definition(path, text)
        _refuse_other_rules(path, text, given, before)
    except ConfigurationError as error:
        if before is None:
            raise
        log.error("definition_refused", error=str(error), in_force=before.version, remedy=_REMEDY)
        gauges.definition_refused(True)
        return before
    if kept is None or kept.decode() != text:
        await said.put({_KEY: text.encode()})
    log.info("definition_in_force", version=given.version, schemes=len(given.schemes))
    gauges.definition_refused(False)
    return given


def _compiled_again(text: str) -> Definition | None:
    """Return what was in force; None where this release cannot use it any more."""
    try:
        return compiled_definition(Path("the definition in force"), text)
    except ConfigurationError as error:
        log.warning("definition_lost", error=str(error))
        return None


def _refuse_other_rules(path: Path, text: str, given: Definition, before: Definition | None) -> None:
    if before is not None and before.version == given.version and before.rules != given.rules:
        line = next((number for number, row in enumerate(text.splitlines(), start=1) if row.startswith("version")), 1)
        raise ConfigurationError(
            f"{path}:{line}: version: {given.version!r} is in force with other rules; give these another version, "
            "so that everybody is evaluated again"
        )
