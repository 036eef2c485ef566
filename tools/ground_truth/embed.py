"""`python -m tools.ground_truth.embed`: the vectors of passages and questions, by all-MiniLM-L6-v2.

Kept as 8 bits a number with a scale a row, which moves a cosine by under .003: half the size of 16
bits, and a test need not load the model. `benchmarks.answers --embed` measures with fresh ones.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from benchmarks.ground_truth.data import F32, VECTORS, read_passages, read_questions

from bedrock_emulator.engine.models.minilm import MiniLm


def main() -> None:
    minilm = MiniLm()
    texts = [passage.text for passage in read_passages()]
    asked = [question.words for question in read_questions()]
    arrays = {}
    for name, chosen in (("passages", texts), ("questions", asked)):
        vectors = vectors_of(minilm, chosen)
        scale = np.abs(vectors).max(axis=1, keepdims=True) / 127
        arrays[name] = np.rint(vectors / scale).astype(np.int8)
        arrays[f"{name}_scale"] = scale.astype(np.float32)
    np.savez_compressed(VECTORS, **arrays)


def vectors_of(minilm: MiniLm, texts: Sequence[str]) -> F32:
    rows = []
    for number, text in enumerate(texts):
        rows.append(np.array(minilm.vector(text), dtype=np.float32))
        if number % 500 == 499:
            sys.stderr.write(f"{number + 1} of {len(texts)}\n")
    return np.stack(rows)


if __name__ == "__main__":
    main()
