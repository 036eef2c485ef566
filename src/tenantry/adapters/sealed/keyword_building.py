"""Making a segment's keyword index: from texts, or from the indices of merged segments.

A posting is one number while it is sorted: its word, its row and how often the row holds the word.
So a large upload takes eight bytes a posting and no copy of its words.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from tenantry.adapters.sealed.kernel import Rows
from tenantry.adapters.sealed.keyword_words import fingerprint, words_of
from tenantry.adapters.sealed.keywords import Ints, Keywords, Prints, packed

BLOCK_ROWS = 1_024  # read into words at once
COUNT_MAX = 255
_WORD_AT, _ROW_AT = np.uint64(32), np.uint64(8)  # bits: 32 of a word, 24 of a row, 8 of a count
_ROWS_MAX = 2**24
_ROW, _COUNT = np.uint64(_ROWS_MAX - 1), np.uint64(COUNT_MAX)


def built(texts: Iterable[str]) -> Keywords:
    """The index of rows with these texts, in their order."""
    numbers: dict[str, int] = {}
    keys: list[Prints] = []
    lengths: list[int] = []
    for block in _blocks(texts):
        first = len(lengths)
        flat: list[int] = []
        for text in block:
            before = len(flat)
            flat.extend([numbers.setdefault(word, len(numbers)) for word in words_of(text)])
            lengths.append(len(flat) - before)
        rows = np.repeat(np.arange(first, len(lengths)), lengths[first:])
        places = (np.array(flat, dtype=np.uint64) << _WORD_AT) | (rows.astype(np.uint64) << _ROW_AT)
        # What is equal is one word in one row: counted in one sort.
        found, counts = np.unique(places, return_counts=True)
        found |= np.minimum(counts, COUNT_MAX).astype(np.uint64)
        keys.append(found)
    prints = np.array([fingerprint(word) for word in numbers], dtype=np.uint64)
    words, ranks = np.unique(prints, return_inverse=True)
    for part in keys:
        _renumber(part, ranks.astype(np.uint64))
    return _from_keys(words, keys, np.array(lengths, dtype=np.int64))


def merged(sources: Sequence[tuple[Keywords, Ints]], rows: int) -> Keywords:
    """One index of several, each with the new number of each of its rows; -1 leaves a row out.

    Every one of the `rows` new rows must come from exactly one old one.
    """
    words = np.unique(np.concatenate([source.words for source, _ in sources]))
    lengths = np.zeros(rows, dtype=np.int64)
    keys = []
    for source, new_rows in sources:
        assert len(new_rows) == source.rows, "every row needs a new number"
        numbers = np.searchsorted(words, source.words).astype(np.uint64)
        moved = new_rows[source.postings]
        kept = moved >= 0
        part = np.repeat(numbers << _WORD_AT, source.sizes())[kept]
        part |= moved[kept].astype(np.uint64) << _ROW_AT
        part |= source.counts[kept]
        keys.append(part)
        lives = new_rows >= 0
        lengths[new_rows[lives]] = source.lengths[lives]
    return _from_keys(words, keys, lengths)


def merged_rows(sources: Sequence[tuple[Keywords, Rows]], order: Rows) -> Keywords:
    """One index of chosen rows of several, which were put one after the other and then in order."""
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    moved, first = [], 0
    for source, rows in sources:
        new_rows = np.full(source.rows, -1, dtype=np.int64)
        new_rows[rows] = place[first : first + len(rows)]
        moved.append((source, new_rows))
        first += len(rows)
    return merged(moved, len(order))


def _blocks(texts: Iterable[str]) -> Iterator[list[str]]:
    waiting = iter(texts)
    while block := list(itertools.islice(waiting, BLOCK_ROWS)):
        yield block


def _renumber(keys: Prints, ranks: Prints) -> None:
    numbers = ranks[(keys >> _WORD_AT).astype(np.int64)]
    keys &= np.uint64(2**32 - 1)
    keys |= numbers << _WORD_AT


def _from_keys(words: Prints, keys: list[Prints], lengths: Ints) -> Keywords:
    """Of postings in any order. Words that no posting has are left out."""
    assert len(lengths) <= _ROWS_MAX, "a segment has more rows than a posting can number"
    every = np.concatenate(keys) if keys else np.zeros(0, dtype=np.uint64)
    keys.clear()
    every.sort()
    sizes = np.bincount((every >> _WORD_AT).astype(np.int64), minlength=len(words))
    held = sizes > 0
    counts = (every & _COUNT).astype(np.uint8)
    every >>= _ROW_AT
    every &= _ROW
    return packed(words[held], sizes[held], every.astype(np.uint32), counts, lengths)
