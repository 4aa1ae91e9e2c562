"""A text's vector is a function of the text and the model, bit for bit: sentence-transformers' own bits."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from services.common.errors import ConfigurationError
from services.common.paths import ROOT
from services.dedup.adapters import export, models
from services.dedup.adapters.encoder import OnnxEncoder
from services.dedup.adapters.models import FACTS_FILE, ONNX_FILE, prepare_model
from services.dedup.adapters.remembering import RememberingEncoder
from services.dedup.domain.index import in_units
from tests.fakes_dedup import models_folder

_TEXTS = [
    "Please add a dark mode",
    "",
    " ",
    "a",
    "Größe ändern geht nicht",
    "日本語のフィードバック 🎉",
    "\x00 control \u2028 characters",
    *(" ".join(["word"] * length) for length in (10, 13, 14, 15, 29, 30, 31, 45, 100, 239, 253, 254, 255, 256, 300, 2000)),
    *(f"the board with {n} frames crashes when I export it to PDF on version {n}.{n % 7}" for n in range(40)),
]


@pytest.fixture(scope="module")
def folder() -> Path:
    """The packaged model, exported."""
    return prepare_model(None, models_folder())


def _encoder(folder: Path, *, threads: int = 1, remembered: int = 1) -> RememberingEncoder:
    return RememberingEncoder(OnnxEncoder(folder, threads=threads), remembered)


@pytest.mark.model
def test_batches_order_threads_and_memory_change_no_bit(folder: Path) -> None:
    expected = dict(zip(_TEXTS, _encoder(folder).encode(_TEXTS), strict=True))
    shuffled = random.Random(5).sample(_TEXTS, len(_TEXTS))

    for encoder in (_encoder(folder), _encoder(folder, threads=2), _encoder(folder, remembered=1000)):
        for size in (1, 7):
            for start in range(0, len(shuffled), size):
                texts = shuffled[start : start + size]
                for text, vector in zip(texts, encoder.encode(texts), strict=True):
                    assert expected[text].tobytes() == vector.tobytes()


@pytest.mark.model
def test_vectors_are_of_length_one(folder: Path) -> None:
    vectors = _encoder(folder).encode(_TEXTS)

    assert vectors.dtype == np.float32
    assert vectors.shape == (len(_TEXTS), 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    for vector in vectors:
        in_units(vector)


@pytest.mark.model
@pytest.mark.timeout(300)
def test_bits_are_those_of_sentence_transformers(folder: Path, tmp_path: Path) -> None:
    """In a process of its own: torch shall not be loaded beside the other tests."""
    program = f"""
import sys, json, shutil
import numpy as np
from sentence_transformers import SentenceTransformer
from tests.unit.dedup_encoder_test import _TEXTS
folder, out = sys.argv[1:]
shutil.copytree(folder, out + "/model")
model = SentenceTransformer(out + "/model", backend="onnx", model_kwargs={{"file_name": "{ONNX_FILE}"}}, device="cpu")
np.save(out + "/vectors.npy", np.stack([model.encode([text], normalize_embeddings=True)[0] for text in _TEXTS]))
"""
    ours = _encoder(folder).encode(_TEXTS)

    subprocess.run([sys.executable, "-W", "ignore", "-c", program, str(folder), str(tmp_path)], cwd=ROOT, check=True, timeout=280)

    theirs = np.load(tmp_path / "vectors.npy")
    assert [text for text, one, other in zip(_TEXTS, ours, theirs, strict=True) if one.tobytes() != other.tobytes()] == []


@pytest.mark.model
def test_torch_is_not_loaded(folder: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from services.dedup.adapters.encoder import OnnxEncoder\n"
        f"OnnxEncoder(Path({str(folder)!r}), threads=1).encode(['x'])\n"
        "print(sorted({'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=100)

    assert done.stdout == "[]\n"


class Exports:
    """Counts exports; writes something of their shape."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, source: Path, made: Path) -> None:
        self.count += 1
        made.mkdir()
        weights = models.onnx_of(source) or source / "model.safetensors"
        (made / ONNX_FILE).write_bytes(weights.read_bytes() * 2)


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch) -> Exports:
    """Exports that take no time."""
    counted = Exports()
    monkeypatch.setattr(models, "_run_export", counted)
    return counted


def _source(folder: Path, weights: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def test_a_model_is_exported_once_a_version_of_its_weights(tmp_path: Path, exports: Exports) -> None:
    source = _source(tmp_path / "my model", b"one")
    first = prepare_model(str(source), tmp_path / "cache")

    assert first == prepare_model(str(source), tmp_path / "cache")
    assert exports.count == 1
    assert first.name == "my-model-7692c3ad3540bb80-qint8"
    _source(source, b"two")
    assert first != prepare_model(str(source), tmp_path / "cache")
    assert sorted(path.name for path in (tmp_path / "cache").iterdir() if path.name.startswith(".")) == []


def test_what_a_killed_export_left_behind_goes_with_the_next(tmp_path: Path, exports: Exports) -> None:
    left = tmp_path / "cache" / ".export-killed" / "model"
    left.mkdir(parents=True)

    prepare_model(str(_source(tmp_path / "model", b"one")), tmp_path / "cache")

    assert exports.count == 1
    assert not left.parent.exists()


def test_an_export_ends_when_nobody_waits_for_it_any_more(tmp_path: Path) -> None:
    command = [sys.executable, "-m", export.__name__, str(tmp_path / "nothing"), str(tmp_path / "made")]

    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=100)

    assert done.returncode == export.ABANDONED


@pytest.mark.parametrize("damage", ["cut", "gone", "unsigned"])
def test_a_damaged_export_is_made_again(tmp_path: Path, exports: Exports, damage: str) -> None:
    source = _source(tmp_path / "model", b"one")
    made = prepare_model(str(source), tmp_path / "cache")
    match damage:
        case "cut":
            (made / ONNX_FILE).write_bytes(b"on")
        case "gone":
            (made / ONNX_FILE).unlink()
        case _:
            (made / "SHA256").unlink()

    assert made == prepare_model(str(source), tmp_path / "cache")

    assert (made / ONNX_FILE).read_bytes() == b"oneone"
    assert exports.count == 2


def test_two_at_once_export_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, inner, begun = _source(tmp_path / "model", b"one"), Exports(), Event()

    def slower(source: Path, made: Path) -> None:
        begun.set()
        inner(source, made)

    monkeypatch.setattr(models, "_run_export", slower)

    with ThreadPoolExecutor() as threads:
        first = threads.submit(prepare_model, str(source), tmp_path / "cache")
        begun.wait()
        second = threads.submit(prepare_model, str(source), tmp_path / "cache")

    assert (first.result() / ONNX_FILE).read_bytes() == b"oneone"
    assert second.result() == first.result()
    assert inner.count == 1


@pytest.mark.model
def test_a_cache_that_is_named_relative_to_the_working_directory_is_filled_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    made = prepare_model(None, Path("models"))

    assert (tmp_path / made / ONNX_FILE).is_file()


@pytest.mark.parametrize("name", ["onnx/model.onnx", "model.onnx"])
def test_a_model_may_bring_onnx_weights_alone(tmp_path: Path, exports: Exports, name: str) -> None:
    source = tmp_path / "model"
    (source / name).parent.mkdir(parents=True)
    (source / name).write_bytes(b"one")
    assert models.onnx_of(source) == source / name

    assert prepare_model(str(source), tmp_path / "cache").name == "model-7692c3ad3540bb80-qint8"

    (source / "model.safetensors").write_bytes(b"two")
    assert models.onnx_of(source) is None
    assert prepare_model(str(source), tmp_path / "cache").name != "model-7692c3ad3540bb80-qint8"
    assert exports.count == 2


@pytest.mark.model
@pytest.mark.timeout(300)
def test_onnx_weights_are_run_with_the_pooling_and_the_prompt_of_their_folder(folder: Path, tmp_path: Path) -> None:
    """The packaged export stands for a model of this kind: it is quantised already, so quantising it changes nothing."""
    source = tmp_path / "model"
    shutil.copytree(folder, source, ignore=shutil.ignore_patterns("*.onnx", "SHA256", FACTS_FILE))
    (source / "onnx").mkdir()
    shutil.copy(folder / ONNX_FILE, source / "onnx" / "model.onnx")
    (source / "config_sentence_transformers.json").write_text('{"prompts": {"query": "query: "}, "default_prompt_name": "query"}')

    made = prepare_model(str(source), tmp_path / "cache")

    expected = _encoder(folder).encode([f"query: {text}" for text in _TEXTS[:9]])
    assert expected.tobytes() == _encoder(made).encode(_TEXTS[:9]).tobytes()


def test_a_folder_without_weights_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"GROUNDSWELL_MODEL: .* holds neither model.safetensors nor .* nor onnx/model.onnx nor model.onnx"
    ):
        prepare_model(str(tmp_path), tmp_path / "cache")


@pytest.mark.parametrize("name", ["nobody/nothing", "no such/fo/lder", "../x"])
def test_an_unknown_model_is_named(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"is no folder, and not in this machine's Hugging Face cache"):
        prepare_model(name, tmp_path / "cache")


@pytest.mark.model
def test_an_export_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"GROUNDSWELL_MODEL: the export of .* failed: "):
        prepare_model(str(_source(tmp_path / "model", b"no weights")), tmp_path / "cache")
