"""``python -m services.dedup.reembed``: gives the store of a stopped dedup the vectors of the model that ``GROUNDSWELL_MODEL`` names."""

from __future__ import annotations

import asyncio
import sys

from services.common.errors import ConfigurationError, TransientError
from services.common.service import refuse
from services.common.settings import load_settings
from services.common.store import open_store
from services.dedup.adapters.encoder import open_encoder
from services.dedup.adapters.sqlite import SCHEMA
from services.dedup.app import NAME, mongo_logs, sqlite_logs
from services.dedup.reembedding import Reembedding
from services.dedup.settings import DedupSettings

_BAR = 30
_UNAVAILABLE, _INTERRUPTED = 69, 130


def main() -> None:
    """Run the job to its end; Ctrl-C stops it, and the next call goes on there."""
    try:
        settings = load_settings(DedupSettings)
        made = asyncio.run(_run(settings))
    except (ConfigurationError, ValueError) as error:
        refuse(NAME, ConfigurationError(str(error)))
    except TransientError as error:
        sys.stderr.write(f"\nthe store does not answer: {error}; call again to go on\n")
        sys.exit(_UNAVAILABLE)
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped; call again to go on\n")
        sys.exit(_INTERRUPTED)
    sys.stderr.write(f"\n{made:,} vectors made\n")


async def _run(settings: DedupSettings) -> int:
    encoder = open_encoder(settings)
    async with open_store(settings, NAME, schema=SCHEMA, sqlite=sqlite_logs, mongo=mongo_logs) as store:
        return await Reembedding(store.port.boards, encoder, _show).run()


def _show(board: str, done: int, entries: int) -> None:
    filled = _BAR * done // max(entries, 1)
    start, end = ("\r", "") if sys.stderr.isatty() else ("", "\n")
    sys.stderr.write(f"{start}[{'#' * filled}{'.' * (_BAR - filled)}] {board}: {done:,} of {entries:,} events{end}")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
