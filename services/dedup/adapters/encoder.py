"""The sentence-transformers model, quantised, run by onnxruntime one text a call.

The int8 model's vector of a text depends on what else is in its batch, so there is never anything else. Its bits are those of
``SentenceTransformer(…, backend="onnx").encode([text], normalize_embeddings=True)`` (a test compares them), without torch in the
process: a fifth of a second to start instead of five, 110 MB instead of 900, and 1.7 times the texts a second.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from services.common.errors import ConfigurationError
from services.dedup.adapters.models import FACTS_FILE, ONNX_FILE, prepare_model
from services.dedup.adapters.remembering import RememberingEncoder
from services.dedup.ports import Vectors
from services.dedup.settings import DedupSettings

_CASCADE = 16
"""torch sums the rows of a long matrix in groups of so many, the groups' sums in groups again, on four levels."""
_LANES = 8
_TINY = np.float32(1e-12)


def open_encoder(settings: DedupSettings) -> RememberingEncoder:
    """Return the encoder that *settings* name, in this process; blocks, for some 15 s where the model has never been exported before.

    Raises:
        ConfigurationError: The model is missing, or of a kind that cannot be run.
    """
    folder = prepare_model(settings.model, settings.models_folder())
    return RememberingEncoder(OnnxEncoder(folder, threads=settings.encoder_threads), settings.remembered_texts)


class OnnxEncoder:
    """Encodes with an exported model.

    Raises:
        ConfigurationError: The model is of a kind that cannot be run.
    """

    def __init__(self, folder: Path, *, threads: int) -> None:
        facts = json.loads((folder / FACTS_FILE).read_text())
        self._tokenizer = _tokenizer(folder, facts["max_tokens"])
        self._pool = _pooling(facts["pooling"])
        self._prompt = facts.get("prompt", "")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(folder / ONNX_FILE), options, providers=["CPUExecutionProvider"])
        self._wants_types = any(given.name == "token_type_ids" for given in self._session.get_inputs())
        self._model = folder.name
        self._dimensions = int(self._session.get_outputs()[0].shape[-1])

    @property
    def model(self) -> str:
        """Identify the model, its weights and how it was quantised."""
        return self._model

    @property
    def dimensions(self) -> int:
        """How many components a vector has."""
        return self._dimensions

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one L2-normalised row a text; see ``services.dedup.ports.Encoder``."""
        rows = np.empty((len(texts), self._dimensions), np.float32)
        for place, text in enumerate(texts):
            rows[place] = self._encode(text)
        return rows

    def _encode(self, text: str) -> NDArray[np.float32]:
        tokens = np.array([self._tokenizer.encode(self._prompt + text).ids], np.int64)
        given = {"input_ids": tokens, "attention_mask": np.ones_like(tokens)}
        if self._wants_types:
            given["token_type_ids"] = np.zeros_like(tokens)
        pooled = self._pool(self._session.run(None, given)[0][0])
        return _normalised(_normalised(pooled))  # twice, as sentence-transformers does


def _tokenizer(folder: Path, max_tokens: int) -> Any:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(max_tokens)
    tokenizer.no_padding()
    return tokenizer


def _pooling(mode: str) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    if mode == "mean":
        return _mean
    if mode == "cls":
        return lambda states: states[0]
    raise ConfigurationError(f"GROUNDSWELL_MODEL: its pooling is {mode}; models that pool by mean or cls can be run")


def _mean(states: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of the rows of *states*, summed in torch's order (``multi_row_sum`` in its SumKernel.cpp)."""
    total = np.zeros(states.shape[1], np.float32)
    level = states
    for _ in range(3):
        full = len(level) // _CASCADE
        total = total + level[full * _CASCADE :].sum(axis=0)
        level = level[: full * _CASCADE].reshape(full, _CASCADE, states.shape[1]).sum(axis=1)
    total = total + level.sum(axis=0)
    mean: NDArray[np.float32] = total / np.float32(len(states))
    return mean


def _normalised(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return *vector* at length 1, its squares summed in torch's order: eight lanes, then one after another."""
    squares = np.zeros(-(-len(vector) // _LANES) * _LANES, np.float32)
    squares[: len(vector)] = vector * vector
    lanes = np.add.accumulate(squares.reshape(-1, _LANES), axis=0)[-1]
    length = np.sqrt(np.add.accumulate(lanes)[-1])
    normalised: NDArray[np.float32] = vector / np.maximum(length, _TINY)
    return normalised
