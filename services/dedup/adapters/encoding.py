"""``python -m services.dedup.adapters.encoding FOLDER THREADS SOCKET``: encode for another process, which holds the socket's other end.

Ends when that one does: a killed worker leaves no process behind. Signals are for whoever asks: a Ctrl-C reaches both.
"""

from __future__ import annotations

import json
import signal
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from services.common.errors import ConfigurationError
from services.dedup.adapters.encoder import OnnxEncoder
from services.dedup.adapters.encoder_process import DONE, FAILED


def main() -> None:
    """Say how many components a vector has, then answer each list of texts with its vectors."""
    for unheard in (signal.SIGINT, signal.SIGTERM):
        signal.signal(unheard, signal.SIG_IGN)
    folder, threads, socket = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    with Connection(socket) as asked:
        try:
            encoder = OnnxEncoder(folder, threads=threads)
        except ConfigurationError as error:
            asked.send_bytes(FAILED + str(error).encode())
            return
        with suppress(EOFError, OSError):  # nobody waits any more
            asked.send_bytes(DONE + str(encoder.dimensions).encode())
            while True:
                asked.send_bytes(_answer(encoder, asked.recv_bytes()))


def _answer(encoder: OnnxEncoder, texts: bytes) -> bytes:
    try:
        return DONE + encoder.encode(json.loads(texts)).tobytes()
    except Exception as error:  # noqa: BLE001 - whoever asks raises it
        return FAILED + type(error).__name__.encode()


if __name__ == "__main__":
    main()
