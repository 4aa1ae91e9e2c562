"""The environment of dedup."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from services.common.paths import EXAMPLES
from services.common.settings import Settings


class DedupSettings(Settings):
    """``GROUNDSWELL_*``: what dedup needs beside what all services share."""

    model: str | None = None
    """A sentence-transformers model: a folder, or a name in this machine's Hugging Face cache; without it the packaged
    all-MiniLM-L6-v2."""
    model_cache: Path | None = None
    """Where exported models are kept; without it ``models`` in ``data_dir``. May be shared by processes, and mounted read-only once
    it holds the model."""
    boards_file: Path = EXAMPLES / "boards.yaml"
    """What boards may do by themselves: ``services.dedup.definition``."""
    encoder_threads: int = Field(default=1, ge=1)
    """Of onnxruntime. Vectors are the same for any number."""
    remembered_texts: int = Field(default=10_000, ge=1)
    """The vectors of so many texts are kept (1.5 KB each). Fewer than two batches hold would have the next batch's encoded twice."""
    boards_in_memory: int = Field(default=10_000, ge=1)
    """Boards beyond these are let go of, least recently used first, and folded from the store when they are needed again."""
    texts_in_memory: int = Field(default=500_000, ge=1)
    """The same for the texts of all boards together (2 KB each and the text); the boards of one batch are kept whatever their size."""

    def models_folder(self) -> Path:
        """Return where exported models are kept."""
        return self.data_dir / "models" if self.model_cache is None else self.model_cache
