"""How well passages are found: `make bench-answers`, about four minutes (`RERANK=0`: one).

Orders the passages of `ground_truth/` for each of its questions in every way there is, chooses on
one half of the questions and reports on the other, and measures what the keyword index costs.
`EMBED=1` makes all vectors anew, instead of reading the kept ones.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ground_truth import methods
from benchmarks.ground_truth.data import (
    F32,
    Passage,
    Question,
    Vectors,
    read_passages,
    read_questions,
    read_vectors,
)
from benchmarks.ground_truth.reranking import closeness, reranked
from benchmarks.ground_truth.scoring import Score, score
from benchmarks.ground_truth.shipped import FLOORS, orders
from benchmarks.result import Bar, result_line
from tenantry.adapters.sealed.keyword_building import built
from tenantry.adapters.sealed.keyword_scores import bonuses
from tenantry.adapters.sealed.keyword_words import fingerprint, query_words
from tenantry.adapters.sealed.keywords import Keywords
from tenantry.domain.fusion import KEYWORD_WEIGHT

KINDS = ("question", "name")
COST_ROWS = 10_000
RERANKED = 20  # best passages that are read again
Orders = list[list[int]]


def main() -> None:
    passages, questions = read_passages(), read_questions()
    vectors = _fresh(passages, questions) if os.environ.get("EMBED") == "1" else read_vectors()
    index = built(passage.text for passage in passages)
    cosines: F32 = vectors.questions @ vectors.passages.T
    keywords = np.stack([_keyword_scores(index, question) for question in questions])
    found = methods.everything(methods.compared(), cosines, keywords)
    with tempfile.TemporaryDirectory() as folder:
        shipped = asyncio.run(orders(Path(folder), passages, questions, vectors))
    chosen = _chosen(found, questions)
    if os.environ.get("RERANK") != "0":
        found |= _reranked(passages, questions, cosines, keywords)
    _table("to choose by", "choose", found, questions)
    print(f"\nchosen: a weight of {chosen:g}; shipped: {KEYWORD_WEIGHT:g}\n")
    _table("to report", "report", found | {"as shipped": shipped}, questions)
    reported = {kind: score(shipped, questions, kind, "report") for kind in KINDS}
    figures: dict[str, Any] = {
        "passages": len(passages),
        "questions": len(questions),
        "chosen_weight": chosen,
        **_figures("vectors", found["vectors alone"], questions),
        **_figures("words", found["words alone (BM25)"], questions),
        **_figures("shipped", shipped, questions),
        **_cost(passages, questions),
    }
    print(result_line("answers", figures, _bars(reported)))


def _keyword_scores(index: Keywords, question: Question) -> F32:
    (found,) = _bonuses(index, question)
    return np.zeros(index.rows, np.float32) if found is None else found.astype(np.float32)


def _bonuses(index: Keywords, question: Question) -> list[Any]:
    words = query_words(question.words)
    prints = np.array([fingerprint(word) for word in words], dtype=np.uint64)
    return bonuses([index.match(prints, None)], [index.rows], len(words))


def _chosen(found: Mapping[str, Orders], questions: Sequence[Question]) -> float:
    """The weight with the best MRR of questions, of those to choose by. Names gain from any."""

    def worth(weight: float) -> float:
        return score(found[f"part of the best, {weight:g}"], questions, "question", "choose").mrr

    return max(methods.WEIGHTS, key=worth)


def _reranked(
    passages: Sequence[Passage], questions: Sequence[Question], cosines: F32, keywords: F32
) -> dict[str, Orders]:
    fused = cosines + KEYWORD_WEIGHT * keywords / np.maximum(
        keywords.max(axis=1, keepdims=True), 1e-9
    )
    first = np.argsort(-fused, axis=1, kind="stable")[:, :RERANKED]
    scores = np.take_along_axis(fused, first, axis=1).tolist()
    close = closeness(questions, passages, first.tolist())
    return {
        f"reranked by MaxSim, {name}": reranked(first.tolist(), scores, close, weight)
        for name, weight in (("alone", np.inf), ("added", 1.0), ("half of it added", 0.5))
    }


def _table(
    title: str, split: str, found: Mapping[str, Orders], questions: Sequence[Question]
) -> None:
    print(f"| {title} | questions: MRR@10 | hit@5 | names: MRR@10 | hit@5 |")
    print("|---|---|---|---|---|")
    for name, tried in found.items():
        both = [score(tried, questions, kind, split) for kind in KINDS]
        print(f"| {name} | {both[0]} | {both[1]} |")


def _figures(name: str, tried: Orders, questions: Sequence[Question]) -> dict[str, float]:
    figures = {}
    for kind in KINDS:
        found = score(tried, questions, kind, "report")
        figures[f"{name}_mrr_{kind}"] = round(found.mrr, 3)
        figures[f"{name}_hit5_{kind}"] = round(found.hit, 3)
    return figures


def _bars(reported: Mapping[str, Score]) -> dict[str, Bar]:
    bars = {}
    for kind, (mrr, hit) in FLOORS.items():
        bars[f"mrr_{kind}"] = Bar(round(reported[kind].mrr, 3), mrr, "at least")
        bars[f"hit5_{kind}"] = Bar(round(reported[kind].hit, 3), hit, "at least")
    return bars


def _cost(passages: Sequence[Passage], questions: Sequence[Question]) -> dict[str, float]:
    """Of 10,000 passages: CPU a query beside SQLite's FTS5 in memory, and sizes."""
    texts = [passages[number % len(passages)].text for number in range(COST_ROWS)]
    asked = [question for question in questions if question.kind == "question"]
    start = time.thread_time()
    index = built(texts)
    build_s = time.thread_time() - start
    base = sqlite3.connect(":memory:")
    base.execute("CREATE VIRTUAL TABLE t USING fts5(text, content='')")
    rows = ((number, text) for number, text in enumerate(texts, start=1))
    base.executemany("INSERT INTO t(rowid, text) VALUES (?, ?)", rows)
    base.execute("INSERT INTO t(t) VALUES ('optimize')")

    def ours(question: Question) -> None:
        _bonuses(index, question)

    def sqlite(question: Question) -> None:
        quoted = (word.replace('"', '""') for word in query_words(question.words))
        words = " OR ".join(f'"{word}"' for word in quoted)
        sql = "SELECT rowid, rank FROM t WHERE t MATCH ? ORDER BY rank LIMIT 50"
        base.execute(sql, (words,)).fetchall()

    return {
        "keywords_cpu_ms_p50_10k": _p50_ms(ours, asked),
        "fts5_cpu_ms_p50_10k": _p50_ms(sqlite, asked),
        "keywords_mb_10k": round(index.size_bytes / 1e6, 2),
        "fts5_mb_10k": round(len(base.serialize()) / 1e6, 2),
        "keywords_built_per_cpu_s": round(COST_ROWS / build_s),
    }


def _p50_ms(search: Callable[[Question], None], asked: Sequence[Question]) -> float:
    taken = []
    for question in asked:
        start = time.thread_time()
        search(question)
        taken.append(time.thread_time() - start)
    return round(statistics.median(taken) * 1e3, 2)


def _fresh(passages: Sequence[Passage], questions: Sequence[Question]) -> Vectors:
    from tools.ground_truth.embed import vectors_of

    from bedrock_emulator.engine.models.minilm import MiniLm

    minilm = MiniLm()
    sys.stderr.write("embedding\n")
    return Vectors(
        vectors_of(minilm, [passage.text for passage in passages]),
        vectors_of(minilm, [question.words for question in questions]),
    )


if __name__ == "__main__":
    main()
