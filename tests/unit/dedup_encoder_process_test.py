"""The encoder in a process of its own: the same bits, and whatever ends ends what hangs on it and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from services.common.errors import ConfigurationError, TransientError
from services.common.paths import ROOT
from services.dedup.adapters.encoder import OnnxEncoder
from services.dedup.adapters.encoder_process import EncoderProcess
from services.dedup.adapters.models import FACTS_FILE, prepare_model
from services.dedup.adapters.remembering import RememberingEncoder
from tests.fakes_dedup import FakeEncoder, models_folder

_TEXTS = ["Please add a dark mode", "", "日本語のフィードバック 🎉", "\x00 control \u2028 characters", "word " * 300]
_PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def folder() -> Path:
    """The packaged model, exported."""
    return prepare_model(None, models_folder())


@pytest.fixture
def encoder(folder: Path) -> Iterator[EncoderProcess]:
    """One that runs."""
    running = EncoderProcess(folder, threads=1)
    yield running
    running.close()


def _kill(encoder: EncoderProcess) -> int:
    assert encoder.pid is not None
    os.kill(encoder.pid, signal.SIGKILL)
    return encoder.pid


def _wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, f"process {pid} goes on"
        time.sleep(0.05)


@pytest.mark.model
def test_its_vectors_are_those_of_the_encoder_itself(folder: Path, encoder: EncoderProcess) -> None:
    itself = OnnxEncoder(folder, threads=1)

    assert (encoder.model, encoder.dimensions) == (itself.model, itself.dimensions)
    assert encoder.encode(_TEXTS).tobytes() == itself.encode(_TEXTS).tobytes()
    assert encoder.encode([]).shape == (0, itself.dimensions)


@pytest.mark.model
def test_one_that_dies_is_started_again_with_the_next_call(folder: Path, encoder: EncoderProcess) -> None:
    first = _kill(encoder)

    with pytest.raises(TransientError, match="ended with -9"):
        encoder.encode(_TEXTS)

    assert encoder.pid is None
    assert encoder.encode(_TEXTS).tobytes() == OnnxEncoder(folder, threads=1).encode(_TEXTS).tobytes()
    assert encoder.pid not in (None, first)


@pytest.mark.model
def test_what_kills_it_again_and_again_is_no_passing_trouble(encoder: EncoderProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop finds out which record ends a worker; it would call again for ever for what passes."""
    start = encoder._start

    def start_and_kill() -> object:
        running = start()
        _kill(encoder)
        return running

    monkeypatch.setattr(encoder, "_start", start_and_kill)
    _kill(encoder)
    raised = []
    for _ in range(3):
        with pytest.raises((TransientError, RuntimeError)) as told:
            encoder.encode(["x"])
        raised.append(told.type)

    assert raised == [TransientError, TransientError, RuntimeError]
    monkeypatch.undo()
    assert len(encoder.encode(["x"])) == 1


@pytest.mark.model
def test_what_it_raises_is_raised_without_the_text(encoder: EncoderProcess) -> None:
    with pytest.raises(RuntimeError) as told:
        encoder.encode(["fine", "Ann Example \ud800"])

    assert "Ann" not in str(told.value)
    assert "Error" in str(told.value)
    assert len(encoder.encode(["fine"])) == 1


@pytest.mark.model
def test_a_signal_to_both_is_for_the_worker(encoder: EncoderProcess) -> None:
    assert encoder.pid is not None
    for sent in (signal.SIGINT, signal.SIGTERM):
        os.kill(encoder.pid, sent)

    assert len(encoder.encode(["x"])) == 1


@pytest.mark.model
def test_it_ends_when_it_is_closed(encoder: EncoderProcess) -> None:
    pid = encoder.pid
    assert pid is not None

    encoder.close()
    encoder.close()

    _wait_for_end(pid)
    with pytest.raises(RuntimeError, match="closed"):
        encoder.encode(["x"])


@pytest.mark.model
def test_it_ends_with_a_worker_that_is_killed(folder: Path) -> None:
    """And the worker has not loaded what runs the model."""
    program = (
        "import os, signal, sys; from pathlib import Path; from services.dedup.adapters.encoder_process import EncoderProcess\n"
        f"encoder = EncoderProcess(Path({str(folder)!r}), threads=1)\n"
        "print(encoder.pid, sorted({'onnxruntime', 'tokenizers'} & set(sys.modules)), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)

    pid, loaded = done.stdout.split(maxsplit=1)
    assert (done.returncode, loaded) == (-signal.SIGKILL, "[]\n")
    _wait_for_end(int(pid))


@pytest.mark.model
def test_a_model_that_cannot_be_run_is_told_of(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    facts = json.loads((copy / FACTS_FILE).read_text())
    (copy / FACTS_FILE).write_text(json.dumps({**facts, "pooling": "max"}))

    with pytest.raises(ConfigurationError, match="its pooling is max"):
        EncoderProcess(copy, threads=1)


def test_what_is_remembered_is_not_asked_again() -> None:
    inner = FakeEncoder()
    encoder = RememberingEncoder(inner, 3)

    first = encoder.encode(["a", "b", "a", "c"])
    assert inner.encoded == ["a", "b", "c"]
    assert np.array_equal(encoder.encode(["b", "a", "d"]), [*first[1::-1], *FakeEncoder().encode(["d"])])
    assert inner.encoded == ["a", "b", "c", "d"]

    encoder.encode(["a", "c"])  # c was the one that was asked for longest ago

    assert inner.encoded == ["a", "b", "c", "d", "c"]


def test_more_than_is_remembered_is_answered_all_the_same() -> None:
    texts = [f"wish {n % 5}" for n in range(12)]

    assert np.array_equal(RememberingEncoder(FakeEncoder(), 1).encode(texts), FakeEncoder().encode(texts))
