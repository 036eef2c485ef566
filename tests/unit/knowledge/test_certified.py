"""Certified search equals brute force over the stored values, whatever the vectors are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.segments import opened_of, segment_of
from tests.support.vectors import values

from tenantry.adapters.sealed import certified, kernel
from tenantry.adapters.sealed.certified import Hit, Live, best_of, scanned
from tenantry.adapters.sealed.kernel import F32
from tenantry.adapters.sealed.layout import nearby_order
from tenantry.adapters.sealed.open_segment import OpenSegment
from tenantry.adapters.sealed.ranked import unit
from tenantry.adapters.sealed.segment import Segment, merged
from tenantry.adapters.sealed.sharing import Share, alone, together
from tenantry.domain.document import Card
from tenantry.ports.vectors import Permitted

SHAPES = (
    "spread",
    "near",
    "equal",
    "few values",
    "one large number",
    "wide range",
    "denormal",
    "huge",
    "sparse",
)


def best(
    live: Live,
    query: F32,
    top_k: int,
    permitted: Permitted,
    floor: float = -np.inf,
    share: Share = alone,
) -> list[Hit]:
    return best_of(scanned(live, query, permitted, floor, share=share), top_k)


@pytest.fixture(scope="module")
def pool() -> Iterator[Executor]:
    with ThreadPoolExecutor(3) as made:
        yield made


def vectors_of(draw: np.random.Generator, shape: str, rows: int, dimensions: int) -> np.ndarray:
    plain = draw.standard_normal((rows, dimensions))
    made = {
        "spread": lambda: plain,
        "near": lambda: draw.standard_normal(dimensions) + 10.0 ** draw.integers(-7, 0) * plain,
        "equal": lambda: np.repeat(plain[:1], rows, axis=0),
        "few values": lambda: draw.integers(-2, 3, (rows, dimensions)).astype(float),
        "one large number": lambda: plain + 1e6 * np.eye(dimensions)[draw.integers(dimensions)],
        "wide range": lambda: plain * 10.0 ** draw.integers(-30, 30, (rows, dimensions)),
        "denormal": lambda: plain * 1e-41,
        "huge": lambda: np.clip(plain * 1e38, -3e38, 3e38),
        "sparse": lambda: plain * (draw.random((rows, dimensions)) < 0.1),
    }[shape]()
    made = made.astype(np.float32)
    made[~made.any(axis=1), 0] = 1.0  # no row of zeros
    return made


@st.composite
def partitions(draw: st.DrawFn) -> tuple[list[Segment], np.random.Generator, int]:
    seed = draw(st.integers(0, 2**32))
    dimensions = draw(st.sampled_from([1, 2, 3, 17, 48, 130]))
    numbers = np.random.default_rng(seed)
    segments = []
    for place in range(draw(st.integers(1, 4))):
        shape = draw(st.sampled_from(SHAPES))
        rows = draw(st.sampled_from([1, 2, 9, 60, 260]))
        documents = numbers.integers(0, max(1, rows // 5), rows)
        vectors = vectors_of(numbers, shape, rows, dimensions)
        segments.append(segment_of(vectors, [f"doc_{place}_{n}" for n in documents]))
    return segments, numbers, dimensions


def truth(
    segments: list[Segment], query: np.ndarray, allowed: set[str]
) -> dict[tuple[int, int], float]:
    """The score of every row of these documents, by brute force."""
    found = {}
    for place, segment in enumerate(segments):
        scores = values(segment.vectors) @ query.astype(np.float64)
        for row, document in enumerate(segment.catalogue.documents):
            if segment.ids[document] in allowed:
                found[place, row] = float(scores[row])
    return found


@pytest.mark.parametrize(
    ("library", "run_rows", "shared"),
    [(True, 1, True), (False, 300, False), (True, 16_384, False)],
)
@given(partitions(), st.integers(1, 60), st.booleans(), st.sampled_from([1.0, 0.6, 0.1]))
def test_search_equals_brute_force(
    pool: Executor,
    library: bool,
    run_rows: int,
    shared: bool,
    made: tuple[list[Segment], np.random.Generator, int],
    top_k: int,
    near: bool,
    part: float,
) -> None:
    segments, numbers, dimensions = made
    names = sorted({name for segment in segments for name in segment.ids})
    live = {name for name in names if numbers.random() <= max(part, 0.5)}
    permitted = {name for name in names if numbers.random() <= part}
    start = segments[0].vectors.high[0] if near else numbers.standard_normal(dimensions)
    query = unit((start + 1e-3 * numbers.standard_normal(dimensions)).tolist())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certified, "_RUN_ROWS", run_rows)
        if not library:
            patch.setattr(kernel, "_cdist", None)
        opened = [(opened_of(segment), frozenset(live)) for segment in segments]
        share = partial(together, pool) if shared else alone
        hits = best(opened, query, top_k, lambda card: card.title in permitted, share=share)
    scores = truth(segments, query, live & permitted)
    expected = sorted(scores.values(), reverse=True)[:top_k]
    assert [hit.score for hit in hits] == pytest.approx(expected, abs=1e-12)
    assert len({(hit.segment, hit.row) for hit in hits}) == len(hits)
    for hit in hits:
        assert scores[hit.segment, hit.row] == pytest.approx(hit.score, abs=1e-12)


@given(partitions())
def test_no_row_scores_more_than_it_is_said_to_be_able_to(
    made: tuple[list[Segment], np.random.Generator, int],
) -> None:
    segments, numbers, dimensions = made
    query = unit(numbers.standard_normal(dimensions).tolist())
    live = [(opened_of(segment), frozenset(segment.ids)) for segment in segments]
    found = certified.scanned(live, query, lambda card: True)
    looked = found.looked
    rows = np.arange(len(found.rough))
    scores = np.concatenate([values(s.vectors) @ query.astype(np.float64) for s in segments])
    residual = np.concatenate([segment.vectors.residual for segment in segments])
    bound = looked.beyond_high * certified._SLACK * (1 + residual) + certified._ROUNDING + residual
    assert np.all(np.abs(scores - found.rough) <= bound * certified._SLACK)
    assert np.all(scores <= certified._bounded(found, rows))
    for top_k in (1, 5):
        leaders = numbers.permutation(len(scores))[: top_k + 2]  # however bad the guesses are
        found.scored = {int(row): float(scores[row]) for row in leaders}
        kth = certified._kth(found, top_k)
        candidates, _ = certified._candidates(found, leaders, top_k)
        assert set(np.flatnonzero(scores >= kth)) <= {*candidates.tolist(), *found.scored}
        assert not {*candidates.tolist()} & {*found.scored}


def test_a_card_is_asked_for_once_and_few_are() -> None:
    numbers = np.random.default_rng(5)
    centres = numbers.standard_normal((40, 64))
    label = np.repeat(np.arange(40), 100)
    vectors = centres[label] + 0.2 * numbers.standard_normal((4_000, 64))
    segment = segment_of(vectors, [f"doc_{row // 10}" for row in range(4_000)])
    asked: Counter[str] = Counter()

    def permitted(card: Card) -> bool:
        asked[card.title] += 1
        return True

    def never(card: Card) -> bool:
        asked[card.title] += 1
        return False

    live = [(opened_of(segment), frozenset(segment.ids))]
    query = unit(vectors[7].tolist())
    assert len(best(live, query, 5, permitted)) == 5
    assert set(asked.values()) == {1} and len(asked) < 40
    asked.clear()
    assert best(live, query, 5, never) == []
    assert set(asked.values()) == {1} and len(asked) == 400


def test_what_another_group_has_found_spares_frames() -> None:
    numbers = np.random.default_rng(6)
    segment = segment_of(numbers.standard_normal((500, 64)), ["doc_1"] * 500)
    opened = opened_of(segment)
    live = [(opened, frozenset({"doc_1"}))]
    query = unit(numbers.standard_normal(64).tolist())
    hits = best(live, query, 5, lambda card: True)
    again = best(live, query, 5, lambda card: True, floor=hits[1].score)
    assert again[:2] == hits[:2]


def test_a_merge_moves_rows_and_keeps_every_stored_value() -> None:
    numbers = np.random.default_rng(7)
    centres = numbers.standard_normal((9, 32))
    vectors = centres[numbers.integers(0, 9, 700)] + 0.1 * numbers.standard_normal((700, 32))
    parts = [
        segment_of(vectors[:400], [f"doc_{row % 7}" for row in range(400)]),
        segment_of(vectors[400:], [f"doc_{7 + row % 5}" for row in range(300)]),
    ]
    one = merged([(part, frozenset(part.ids) - {"doc_3", "doc_9"}) for part in parts], seed=3)
    kept = {
        part.text(row): values(part.vectors)[row].tolist()
        for part in parts
        for row in range(part.rows)
        if part.ids[part.catalogue.documents[row]] not in {"doc_3", "doc_9"}
    }
    found = {one.text(row): values(one.vectors)[row].tolist() for row in range(one.rows)}
    assert found == kept
    assert set(one.ids) == {f"doc_{n}" for n in range(12)} - {"doc_3", "doc_9"}


def test_the_order_is_a_permutation_that_brings_clusters_together() -> None:
    numbers = np.random.default_rng(8)
    centres = numbers.standard_normal((30, 64))
    label = numbers.integers(0, 30, 5_000)
    planes = kernel.split(centres[label] + 0.2 * numbers.standard_normal((5_000, 64)))
    order = nearby_order(planes.high, planes.scale, 11)
    assert sorted(order.tolist()) == list(range(5_000))
    assert order.tolist() == nearby_order(planes.high, planes.scale, 11).tolist()
    borders = np.count_nonzero(np.diff(label[order]))
    assert borders < 5_000 / 8  # by chance 29 of 30 neighbours differ


@pytest.mark.parametrize("rows", [1, 2, 127, 128, 300])
def test_equal_rows_have_an_order_too(rows: int) -> None:
    planes = kernel.split(np.ones((rows, 8)))
    order = nearby_order(planes.high, planes.scale, 1)
    assert sorted(order.tolist()) == list(range(rows))


@pytest.mark.parametrize("bad", [[[0.0, 0.0]], [[float("nan"), 1.0]], [[float("inf"), 1.0]], [[]]])
def test_unusable_vectors_are_refused(bad: list) -> None:
    with pytest.raises(ValueError):
        kernel.split(bad)


@given(st.sampled_from(SHAPES), st.integers(1, 300), st.integers(0, 2**32))
def test_stored_rows_are_near_what_was_given(shape: str, dimensions: int, seed: int) -> None:
    given_rows = vectors_of(np.random.default_rng(seed), shape, 8, dimensions).astype(np.float64)
    given_rows /= np.abs(given_rows).max(axis=1, keepdims=True)
    exact = given_rows / np.linalg.norm(given_rows, axis=1, keepdims=True)
    planes = kernel.split(vectors_of(np.random.default_rng(seed), shape, 8, dimensions))
    stored = values(planes)
    assert np.linalg.norm(stored, axis=1) == pytest.approx(np.ones(8), abs=1e-6)
    off = np.linalg.norm(stored - exact, axis=1)
    assert np.all(off <= np.sqrt(dimensions) / kernel.LARGEST + 1e-6)
    rest = planes.low.astype(np.float64) * planes.scale.astype(np.float64)[:, None]
    assert np.all(np.linalg.norm(rest, axis=1) <= planes.residual)


def test_products_are_whole_numbers_to_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = np.random.default_rng(9)
    for dimensions in (1, 31, 64, 1_024, 4_096):
        rows = numbers.integers(-128, 128, (50, dimensions), dtype=np.int8)
        rows[0], rows[1] = -128, 127
        for query in rows[:3]:
            expected = rows.astype(np.int64) @ query.astype(np.int64)
            open_rows = kernel.biased(rows)
            assert kernel.unbiased(open_rows).tolist() == rows.tolist()
            sums = kernel.offsets(open_rows)
            parts = [open_rows[:7], open_rows[7:8], open_rows[8:]]
            assert kernel.dots(query, parts, sums).tolist() == expected.tolist()
            with monkeypatch.context() as patch:
                patch.setattr(kernel, "_cdist", None)
                assert kernel.offsets(open_rows).tolist() == sums.tolist()
                assert kernel.dots(query, parts, sums).tolist() == expected.tolist()


def test_an_open_segment_reads_frames_of_candidates_alone() -> None:
    numbers = np.random.default_rng(10)
    centres = numbers.standard_normal((60, 256))
    label = np.repeat(np.arange(60), 64)
    vectors = centres[label] + 0.3 * numbers.standard_normal((3_840, 256))
    opened: OpenSegment = opened_of(segment_of(vectors, ["doc_1"] * 3_840))
    read: list[int] = []
    some = type(opened.sealed).some

    def counted(self: object, plane: int, frames: list[int]) -> object:
        found = some(self, plane, frames)  # type: ignore[arg-type]
        read.append(len(found.places))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(opened.sealed), "some", counted)
        query = unit((vectors[5] + 0.3 * numbers.standard_normal(256)).tolist())
        assert len(best([(opened, frozenset({"doc_1"}))], query, 5, lambda card: True)) == 5
    assert sum(read) < 12  # of 60 frames
