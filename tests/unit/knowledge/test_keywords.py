"""The keyword index: words of any script, BM25 held against SQLite's, hostile queries, merging."""

from __future__ import annotations

import re
import sqlite3

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenantry.adapters.sealed import keyword_scores
from tenantry.adapters.sealed.keyword_building import built, merged
from tenantry.adapters.sealed.keyword_scores import bonuses
from tenantry.adapters.sealed.keyword_words import (
    QUERY_WORDS_MAX,
    WORD_CHARS_MAX,
    fingerprint,
    query_words,
    words_of,
)
from tenantry.adapters.sealed.keywords import Keywords
from tenantry.domain.errors import Corrupt
from tenantry.domain.fusion import (
    KEYWORD_WEIGHT,
    bonus,
    damping,
    rarity,
    word_score,
)

TEXTS = [
    "The write-ahead log is flushed before a commit returns.",
    "A commit record is written to the log; the log is kept.",
    "max_wal_size limits how far the log may grow between checkpoints",
    "Nothing here is about logs, it is about apples and pears.",
    "",
    "apples apples apples",
]


def prints(query: str) -> np.ndarray:
    return np.array([fingerprint(word) for word in query_words(query)], dtype=np.uint64)


def scores(index: Keywords, query: str, permitted: np.ndarray | None = None) -> np.ndarray:
    asked = prints(query)
    (found,) = bonuses([index.match(asked, permitted)], [index.rows], len(asked))
    return np.zeros(index.rows) if found is None else found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Crème CREME ｃｒｅｍｅ", ["creme", "creme", "creme"]),
        ("ＳＱＬｉｔｅ's log", ["sqlite", "s", "log"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("ORA-00942", ["ora", "00942", "ora-00942"]),
        ("asyncio.run() of work_mem", ["asyncio", "run", "of", "work_mem", "asyncio.run"]),
        ("数据库备份", ["数据", "据库", "库备", "备份"]),
        ("SQLiteは速い", ["sqlite", "は速", "速い"]),
        ("猫", ["猫"]),
        ("हिन्दी", ["हनद"]),  # marks are dropped, the word stays whole
        ("a\x00b 🙂 \u200b-- ;", ["a", "b"]),
        ("Donau\u00addampf\u200bschiff", ["donaudampfschiff"]),
        ("Auf\u200clage \u2060x\ufeffy", ["auflage", "xy"]),
        ("می\u200cخواهم", ["می", "خواهم"]),  # which others write with a space
        ("क्\u200dष", ["कष"]),
        ("foo\u200b.\u200bbar", ["foo", "bar", "foo.bar"]),
        ("🙂🙃", []),
        ("x" * 500, ["x" * WORD_CHARS_MAX]),
        ("\ud800 lone", ["lone"]),
    ],
)
def test_words_of_any_script(text: str, expected: list[str]) -> None:
    assert words_of(text) == expected


def test_a_query_has_a_bounded_number_of_words() -> None:
    words = query_words(" ".join(f"word{number}" for number in range(1_000)))
    assert len(words) == QUERY_WORDS_MAX
    assert query_words("again again Again") == ["again"]


HOSTILE = st.text(max_size=80) | st.sampled_from(
    [
        '" OR "1"="1',
        "log NEAR/5 commit",
        "log AND NOT apples",
        "title:secret",
        "lo*",
        "^log",
        "NOT",
        "{a b}: c",
        "'; DROP TABLE t; --",
        '"""',
        "(((((",
        "a\x00log",
        "-" * 5_000,
        "a." * 4_000,
        "\ud83d",
        "漢" * 3_000,
    ]
)


@given(HOSTILE)
def test_no_query_breaks_anything_or_becomes_an_operator(query: str) -> None:
    index = built(TEXTS)
    found = scores(index, query)
    assert np.isfinite(found).all()
    assert found.min() >= 0 and found.max() <= KEYWORD_WEIGHT + 1e-12
    for row, text in enumerate(TEXTS):
        shared = set(query_words(query)) & set(words_of(text))
        assert (found[row] > 0) == bool(shared), (query, text)


def test_operators_are_words() -> None:
    index = built([*TEXTS, "either or not, near and far"])
    assert scores(index, "OR NOT NEAR")[-1] == pytest.approx(KEYWORD_WEIGHT)
    assert scores(index, "log NOT commit")[1] > 0, "what is negated is still looked for"


def test_scores_are_those_of_the_domain_word_by_word() -> None:
    index, query = built(TEXTS), "apples log commit"
    lengths = [len(words_of(text)) for text in TEXTS]
    mean = sum(lengths) / len(lengths)
    expected = []
    for text, length in zip(TEXTS, lengths, strict=True):
        total = 0.0
        for word in query_words(query):
            count = words_of(text).count(word)
            worth = rarity(len(TEXTS), sum(word in words_of(other) for other in TEXTS))
            total += word_score(worth, count, damping(length / mean)) if count else 0.0
        expected.append(total)
    best = max(expected)
    assert scores(index, query) == pytest.approx([bonus(each, best) for each in expected])


WORDS = st.lists(st.sampled_from(["ant", "bee", "cat", "dog", "eel"]), max_size=12)


@given(st.lists(WORDS, min_size=8, max_size=40), st.sampled_from(["ant", "bee", "cat", "dog"]))
@settings(max_examples=40, deadline=None)
def test_one_rare_word_ranks_as_sqlites_bm25_does(rows: list[list[str]], word: str) -> None:
    """An independent witness. FTS5 has another, equally falling worth of a word, so that the order
    by a single word, which that worth only scales, must be the same.
    """
    base = sqlite3.connect(":memory:")
    base.execute("CREATE VIRTUAL TABLE t USING fts5(text, content='')")
    texts = [" ".join(row) for row in rows]
    base.executemany("INSERT INTO t(rowid, text) VALUES (?, ?)", list(enumerate(texts)))
    sql = "SELECT rowid, -bm25(t) FROM t WHERE t MATCH ?"
    theirs = dict(base.execute(sql, (f'"{word}"',)))
    base.close()
    ours = scores(built(texts), word)
    assert set(np.flatnonzero(ours).tolist()) == set(theirs)
    if theirs:
        best = max(theirs.values())
        for row, value in theirs.items():
            assert ours[row] / ours.max() == pytest.approx(value / best, rel=1e-6)


def test_what_is_not_permitted_moves_no_score() -> None:
    secret = ["apples log apples", "log " * 50, "pears"]
    visible = scores(built(TEXTS), "apples in the log of pears")
    permitted = np.array([True] * len(TEXTS) + [False] * len(secret))
    beside = scores(built([*TEXTS, *secret]), "apples in the log of pears", permitted)
    assert beside[: len(TEXTS)].tolist() == visible.tolist()
    assert not beside[len(TEXTS) :].any()


@given(st.lists(st.text(max_size=40), min_size=1, max_size=12), st.data())
def test_merging_equals_building_anew(texts: list[str], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(texts)))
    sources = [part for part in (texts[:cut], texts[cut:]) if part]
    keep = [data.draw(st.booleans()) for _ in texts]
    kept = [number for number, wanted in enumerate(keep) if wanted]
    order = data.draw(st.permutations(range(len(kept))))
    place = {number: order[position] for position, number in enumerate(kept)}
    result: list[str] = [""] * len(kept)
    for number, at in place.items():
        result[at] = texts[number]
    pairs, first = [], 0
    for part in sources:
        numbers = [place.get(first + row, -1) for row in range(len(part))]
        pairs.append((built(part), np.array(numbers, dtype=np.int64)))
        first += len(part)
    assert merged(pairs, len(kept)).plane() == built(result).plane()


def test_segments_together_score_as_one() -> None:
    query = "the log, and apples"
    whole = scores(built(TEXTS), query)
    parts = [built(TEXTS[:1]), built(TEXTS[1:4]), built(TEXTS[4:])]
    matches = [part.match(prints(query), None) for part in parts]
    found = bonuses(matches, [part.rows for part in parts], len(query_words(query)))
    assert np.concatenate(found).tolist() == whole.tolist()


@pytest.mark.parametrize("batch", [10, 10_000_000])
def test_many_rows_in_many_segments(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """More rows than 16 bits can number, weighed at once or segment by segment."""
    monkeypatch.setattr(keyword_scores, "BATCH_POSTINGS", batch)
    common = built(["ant"] * 40_000)
    last = built(["ant", "bee ant"])
    parts = [common, common, last]
    matches = [part.match(prints("ant bee"), None) for part in parts]
    found = bonuses(matches, [part.rows for part in parts], 2)
    assert [len(part) for part in found] == [40_000, 40_000, 2]
    assert found[2][1] == pytest.approx(KEYWORD_WEIGHT)
    assert set(found[0].tolist()) == set(found[1].tolist()) == {found[2][0]}
    assert 0 < found[2][0] < KEYWORD_WEIGHT / 100


def test_a_plane_that_does_not_fit_is_corrupt() -> None:
    plane = built(TEXTS).plane()
    assert Keywords(bytearray(plane), len(TEXTS)).plane() == plane
    for wrong in (b"", plane[:-1], plane + b"\0", plane[:15], b"\2" + plane[1:]):
        with pytest.raises(Corrupt):
            Keywords(bytearray(wrong), len(TEXTS))
    with pytest.raises(Corrupt):
        Keywords(bytearray(plane), len(TEXTS) + 1)


def test_wiped_it_holds_nothing() -> None:
    index = built(TEXTS)
    held = index.size_bytes
    index.wipe()
    assert index.plane() == bytes(held)
    assert not scores(index, "log").any()


def test_no_word_stands_in_the_plane() -> None:
    plane = built(["confidential acquisition of zebracorp"]).plane()
    assert not re.search(rb"zebracorp|confidential", plane)
