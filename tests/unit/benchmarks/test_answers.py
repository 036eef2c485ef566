"""Passages are found as well as it is said: the product's own search over the ground truth."""

from __future__ import annotations

import asyncio
import hashlib
import json
import lzma
from pathlib import Path

import pytest
from benchmarks.ground_truth.data import (
    HERE,
    PASSAGES,
    QUESTIONS,
    read_passages,
    read_questions,
    read_vectors,
)
from benchmarks.ground_truth.scoring import score
from benchmarks.ground_truth.shipped import FLOORS, orders


def test_answers_are_found_as_well_as_the_docs_say(tmp_path: Path) -> None:
    """On the half of the questions that no choice has seen."""
    passages, questions, vectors = read_passages(), read_questions(), read_vectors()
    found = asyncio.run(orders(tmp_path, passages, questions, vectors, split="report"))
    for kind, (mrr, hit) in FLOORS.items():
        measured = score(found, questions, kind, "report")
        assert measured.mrr >= mrr, (kind, measured)
        assert measured.hit >= hit, (kind, measured)


def test_the_ground_truth_is_what_its_sources_say() -> None:
    sources = json.loads((HERE / "sources.json").read_text("utf-8"))
    lines = lzma.decompress(PASSAGES.read_bytes())
    assert hashlib.sha256(lines).hexdigest() == sources["passages_sha256"]
    asked = QUESTIONS.read_bytes()
    assert hashlib.sha256(asked).hexdigest() == sources["questions_sha256"]
    notices = (HERE / "LICENCES.txt").read_text("utf-8")
    for source in sources["packages"].values():
        assert f"{source['package']} {source['version']}" in notices


def test_every_question_has_an_answer_and_none_is_its_own() -> None:
    passages, questions = read_passages(), read_questions()
    kinds = [question.kind for question in questions]
    assert kinds.count("question") >= 300 and kinds.count("name") >= 100
    assert len(passages) >= 1_500
    for question in questions:
        assert question.passages and max(question.passages) < len(passages)
    asked = {question.words for question in questions if question.kind == "question"}
    headings = {line.strip("# ") for p in passages for line in p.text.splitlines() if "#" in line}
    assert not asked & headings, "a heading that asks was left in the text"


@pytest.mark.parametrize("kind", FLOORS)
def test_the_halves_are_apart(kind: str) -> None:
    halves = {"choose": set(), "report": set()}
    for question in read_questions():
        if question.kind == kind:
            halves[question.split].add(question.words)
    assert not halves["choose"] & halves["report"]
    assert all(len(half) >= 80 for half in halves.values())
