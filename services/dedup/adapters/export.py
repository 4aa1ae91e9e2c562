"""``python -m services.dedup.adapters.export SOURCE TARGET``: export a model to ONNX and quantise it, once.

Ends with its standard input, which whoever wants the export holds open: a killed worker leaves no process behind that burns a core.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from threading import Thread

from services.dedup.adapters.models import FACTS_FILE, ONNX_FILE, onnx_of

_RECIPE = "avx512_vnni"
"""Signed 8-bit weights, per tensor, activations quantised as they come; runs on every CPU, fastest where it has VNNI."""
ABANDONED = 3
"""The exit status where nobody waits for the export any more."""


def export(source: Path, target: Path) -> None:
    """Write the quantised model of *source*, its tokenizer and its pooling to *target*, a folder that is created.

    A source that holds an ONNX file and no weights of torch's is quantised as it is.
    """
    # Imported here, because torch and transformers must load in no other process.
    from sentence_transformers import SentenceTransformer, export_dynamic_quantized_onnx_model  # noqa: PLC0415

    given = onnx_of(source)
    how = {"export": True} if given is None else {"file_name": given.relative_to(source).as_posix()}
    model = SentenceTransformer(str(source), backend="onnx", model_kwargs=how, device="cpu")
    model.save_pretrained(str(target), create_model_card=False)
    prompt = model.prompts.get(model.default_prompt_name) or ""
    facts = {"max_tokens": model.max_seq_length, "pooling": model[1].get_config_dict()["pooling_mode"], "prompt": prompt}
    (target / FACTS_FILE).write_text(json.dumps(facts))
    with tempfile.TemporaryDirectory(dir=target) as scratch:
        export_dynamic_quantized_onnx_model(model, _RECIPE, scratch)
        made = next(Path(scratch).rglob(f"*{_RECIPE}.onnx"))
        made.rename(target / ONNX_FILE)
    shutil.rmtree(target / "onnx")  # the unquantised one


def _end_with_input() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(ABANDONED)


if __name__ == "__main__":
    Thread(target=_end_with_input, daemon=True).start()
    export(Path(sys.argv[1]), Path(sys.argv[2]))
