"""The ground truth of this folder; `sources.json` names packages, licences and digests."""

from __future__ import annotations

import json
import lzma
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]

HERE = Path(__file__).resolve().parent
PASSAGES = HERE / "passages.jsonl.xz"
QUESTIONS = HERE / "questions.jsonl"
VECTORS = HERE / "vectors.npz"


@dataclass(frozen=True, slots=True)
class Passage:
    page: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """`split`: `choose` is for choosing a method, `report` for saying how good it is."""

    kind: str  # `question`, or `name` of a function, setting or code
    split: str
    words: str
    passages: frozenset[int]  # each of them answers it


@dataclass(frozen=True, slots=True)
class Vectors:
    """Unit rows, in the order of passages and questions."""

    passages: F32
    questions: F32


def read_passages() -> list[Passage]:
    with lzma.open(PASSAGES, "rt", encoding="utf-8") as lines:
        return [Passage(**json.loads(line)) for line in lines]


def read_questions() -> list[Question]:
    read = [json.loads(line) for line in QUESTIONS.read_text("utf-8").splitlines()]
    return [
        Question(item["kind"], item["split"], item["question"], frozenset(item["passages"]))
        for item in read
    ]


def read_vectors() -> Vectors:
    with np.load(VECTORS) as held:
        return Vectors(
            *(
                unit(held[name].astype(np.float32) * held[f"{name}_scale"])
                for name in ("passages", "questions")
            )
        )


def unit(rows: F32) -> F32:
    length: F32 = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / length
