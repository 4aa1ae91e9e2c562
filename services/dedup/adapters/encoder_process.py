"""The encoder in a process of its own: beside decisions in one interpreter each text waits for its turn, a fifth of the time in all."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from services.common.errors import ConfigurationError, TransientError
from services.common.logs import get_logger
from services.dedup.adapters.models import prepare_model
from services.dedup.ports import Vectors
from services.dedup.settings import DedupSettings

log = get_logger(__name__)

DONE, FAILED = b"+", b"-"
"""What an answer begins with: the rows follow, or the type of what was raised; its message may hold the text."""
_ROOT = Path(__file__).resolve().parents[3]
_MOST_DEATHS = 3
"""In a row: then it is what is asked that kills, and the worker must end, so that it finds out which record does."""


def start_encoder(settings: DedupSettings) -> EncoderProcess:
    """Return the encoder that *settings* name, ready; blocks, for some 15 s where the model has never been exported before.

    Raises:
        ConfigurationError: The model is missing, or of a kind that cannot be run.
        TransientError: The process died before it was ready.
    """
    return EncoderProcess(prepare_model(settings.model, settings.models_folder()), threads=settings.encoder_threads)


@dataclass(frozen=True, slots=True)
class _Running:
    process: subprocess.Popen[bytes]
    asking: Connection


class EncoderProcess:
    """Encodes in another process, which is started again when it dies; that ends with this one, however this one ends."""

    def __init__(self, folder: Path, *, threads: int) -> None:
        """Start it with the exported model in *folder*; blocks until it is ready.

        Raises:
            ConfigurationError: The model is of a kind that cannot be run.
            TransientError: It died before it was ready.
        """
        self._folder = folder
        self._threads = threads
        self._is_closed = False
        self._deaths = 0
        self._dimensions = 0
        self._running: _Running | None = None
        self._start()

    @property
    def model(self) -> str:
        """Identify the model, its weights and how it was quantised."""
        return self._folder.name

    @property
    def dimensions(self) -> int:
        """How many components a vector has."""
        return self._dimensions

    @property
    def pid(self) -> int | None:
        """The process; None where it died and is not asked again yet."""
        return None if self._running is None else self._running.process.pid

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one L2-normalised row a text; see ``services.dedup.ports.Encoder``.

        Raises:
            TransientError: The process died; the next call starts it again.
            RuntimeError: It raised something, or died several times in a row.
        """
        running = self._running or self._start()
        answer = self._answer(running, json.dumps(texts).encode())
        self._deaths = 0
        if not answer.startswith(DONE):
            raise RuntimeError(f"the encoder raised {answer[1:].decode()}")
        rows: Vectors = np.frombuffer(answer[1:], np.float32).reshape(len(texts), self._dimensions)
        return rows

    def close(self) -> None:
        """End the process, from any thread: whoever waits for an answer hears that there is none. Repeating the call changes nothing."""
        self._is_closed = True
        if self._running is not None:
            self._running.process.kill()
            self._running.process.wait()

    def _start(self) -> _Running:
        if self._is_closed:
            raise RuntimeError("the encoder is closed")
        ours, its = Pipe()
        with its:
            self._running = _Running(self._spawned(its.fileno()), ours)
        said = self._answer(self._running, None)
        if not said.startswith(DONE):
            self._end()
            raise ConfigurationError(said[1:].decode())
        self._dimensions = int(said[1:])
        return self._running

    def _spawned(self, socket: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "services.dedup.adapters.encoding", str(self._folder.resolve()), str(self._threads), str(socket)]
        try:
            return subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.DEVNULL, pass_fds=(socket,))  # noqa: S603 - ourselves
        except OSError as error:
            raise TransientError(f"the encoder's process cannot be started: {error}") from error

    def _answer(self, running: _Running, question: bytes | None) -> bytes:
        try:
            if question is not None:
                running.asking.send_bytes(question)
            return running.asking.recv_bytes()
        except (EOFError, OSError) as error:
            if self._is_closed:
                raise RuntimeError("the encoder is closed") from error
            status = self._end()
            self._deaths += 1
            log.warning("encoder_died", status=status, deaths=self._deaths)
            told = f"the encoder's process ended with {status}; where there is no message above, look whether memory is short"
            raise (RuntimeError if self._deaths >= _MOST_DEATHS else TransientError)(told) from error

    def _end(self) -> int | None:
        """End the process where it runs; return its exit status. What it was asked is asked again, so nothing is lost."""
        running, self._running = self._running, None
        if running is None:
            return None
        running.process.kill()
        status = running.process.wait()
        running.asking.close()
        return status
