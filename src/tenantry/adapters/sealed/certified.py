"""The exact top k of a partition, found by a scan of 8 of its 16 bits.

1. Scan: high plane times high part of the query. What either lacks is bounded by its length
   (Cauchy-Schwarz), so that each row's score is known within a bound of its own.
2. The best guesses are scored exactly; the k-th best of them is a score that k rows reach.
3. Whatever could still reach it, by its bound, is a candidate. Candidates are bounded again with
   the whole query, which costs no reading, and what is left is scored exactly.

Nothing outside the candidates can be among the top k, so the result equals brute force over the
stored values. What a query's words add to a row (`keyword_search.py`) is known before the scan and
is part of every score and bound, so the order by both is as exact. Only permitted rows of live
documents count in any step. A card is asked for where tags do not decide alone, once, and only
where a row of its document matters.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from tenantry.adapters.sealed.kernel import F32, F64, LARGEST, Rows, dots
from tenantry.adapters.sealed.open_segment import OpenSegment
from tenantry.adapters.sealed.sharing import Share, alone
from tenantry.domain.access import Permission
from tenantry.domain.document import Card
from tenantry.domain.ids import DocumentId
from tenantry.ports.vectors import Permitted

_SLACK = 1.0001  # rows and query have length 1 but for rounding
_ROUNDING = 4e-6  # of float32 sums and products near 1
_LOWEST = 4.0  # further down than any score and its bound
_BATCH_ROWS = 256  # scored before the bound is taken anew
_RUN_ROWS = 16_384
_FEW_ROWS = 256  # fewer are told apart faster one by one
_GATHER_ROWS = 4_096  # copied at once


class TakesLong(Exception):
    """More rows may be among the best than the caller has time for: they are as good as alike."""


Live = Sequence[tuple[OpenSegment, frozenset[DocumentId]]]
Added = Sequence[F64 | None]  # for each segment what is added to each row's cosine; None: nothing


@dataclass(frozen=True, slots=True)
class Hit:
    segment: int  # place in the sequence that was searched
    row: int
    score: float  # cosine over the stored values
    rank: float  # the same with what was added: what hits are ordered by
    document: int  # place in its segment
    card: Card


@dataclass(slots=True)
class _Looked:
    """A query, cut into the same two planes as rows are, and what the cuts leave of it."""

    whole: F32
    high: npt.NDArray[np.int8]
    low: npt.NDArray[np.int8]
    scale: float
    beyond_high: float  # length of the query without its high part
    beyond_both: float


@dataclass(frozen=True, slots=True)
class _Run:
    """Rows that lie together: their rough scores, and what bounds the error of each."""

    first: int
    rough: F32
    residual: F32

    def best(self, count: int) -> Rows:
        rows = len(self.rough)
        if count >= rows:
            return np.arange(self.first, self.first + rows)
        chosen: Rows = np.argpartition(self.rough, rows - count)[rows - count :] + self.first
        return chosen

    def over(self, least: float) -> Rows:
        rows: Rows = np.flatnonzero(self.rough > least) + self.first
        return rows

    def reaching(self, least: float, factor: np.float32) -> Rows:
        upper = self.residual * factor
        upper += self.rough
        rows: Rows = np.flatnonzero(upper >= least) + self.first
        return rows


@dataclass(slots=True)
class Scanned:
    """All rows of all segments, in one numbering."""

    live: Live
    looked: _Looked
    added: Added
    permitted: Permitted
    floor: float  # what is less is of no interest
    firsts: list[int]  # of each segment its first row
    first_documents: list[int]
    rough: F32  # -inf for rows of documents that are gone
    runs: list[_Run]
    verdicts: npt.NDArray[np.int8]  # of each document: 1 permitted, 0 not, -1 not asked yet
    scored: dict[int, float] = field(default_factory=dict)  # with what was added
    cosines: dict[int, float] = field(default_factory=dict)
    cards: dict[int, Card] = field(default_factory=dict)  # of permitted ones that were asked for

    def grouped(self, rows: Rows) -> list[tuple[int, Any, Rows]]:
        """Rows by segment: its place, which of the rows are its own, and their own numbers."""
        if len(self.live) == 1:
            return [(0, slice(None), rows)]
        places = np.searchsorted(self.firsts, rows, side="right") - 1
        groups = []
        for place in set(places.tolist()):
            mine = places == place
            groups.append((place, mine, rows[mine] - self.firsts[place]))
        return groups

    def documents(self, rows: Rows) -> Rows:
        """The document of each row, in one numbering of all segments' documents."""
        documents = np.empty(len(rows), np.intp)
        for place, mine, own in self.grouped(rows):
            catalogue = self.live[place][0].catalogue
            documents[mine] = catalogue.documents[own]
            documents[mine] += self.first_documents[place]
        return documents

    def allowed(self, documents: Rows) -> npt.NDArray[np.bool_]:
        """Which documents are permitted: each that is not known yet is asked for."""
        verdicts = self.verdicts[documents]
        if (verdicts < 0).any():
            for document in set(documents[verdicts < 0].tolist()):
                place = bisect_right(self.first_documents, document) - 1
                card = self.live[place][0].card(document - self.first_documents[place])
                self.verdicts[document] = allowed = self.permitted(card)
                if allowed:
                    self.cards[document] = card
            verdicts = self.verdicts[documents]
        permitted: npt.NDArray[np.bool_] = verdicts == 1
        return permitted


def best_of(found: Scanned, top_k: int, candidates_max: int | None = None) -> list[Hit]:
    """The exact top k of what was scanned, best first. Reads frames. What it learns stays: broken
    off by a read, it may be asked again. Raises `TakesLong` where more than `candidates_max` rows
    would have to be looked at closely.
    """
    if not found.live:
        return []
    leaders = _leaders(found, top_k)
    _score(found, leaders)
    candidates = _candidates(found, leaders, top_k, candidates_max)
    _score_in_turn(found, *candidates, top_k)
    first = sorted(found.scored.items(), key=lambda item: (-item[1], item[0]))[:top_k]
    return [_hit(found, row, rank) for row, rank in first]


def _hit(found: Scanned, row: int, rank: float) -> Hit:
    place = bisect_right(found.firsts, row) - 1
    own = row - found.firsts[place]
    document = int(found.live[place][0].catalogue.documents[own])
    card = found.cards.get(document + found.first_documents[place])
    if card is None:
        card = found.live[place][0].card(document)
    return Hit(place, own, found.cosines[row], rank, document, card)


def _looked(query: F32) -> _Looked:
    scale = float(max(query.max(), -query.min())) / LARGEST
    whole = np.rint(query.astype(np.float64) / scale).astype(np.int16)
    high = ((whole + np.int16(128)) >> 8).astype(np.int8)
    low = (whole & 255).astype(np.uint8).view(np.int8)
    beyond_both = _length(query.astype(np.float64) - whole.astype(np.float64) * scale)
    beyond_high = _length(low.astype(np.float64) * scale) + beyond_both
    return _Looked(query, high, low, scale, beyond_high, beyond_both)


def _length(vector: F64) -> float:
    return math.sqrt(float(vector @ vector))


def scanned(
    live: Live,
    query: F32,
    permitted: Permitted,
    floor: float = -np.inf,
    added: Added | None = None,
    share: Share = alone,
) -> Scanned:
    """Step 1: reads nothing. `query` has length 1; ranks under `floor` are left out, which enough
    rows elsewhere reach. `share` divides what a large partition costs among threads.
    """
    looked = _looked(query)
    added = added or [None] * len(live)
    firsts = [0, *accumulate(segment.rows for segment, _ in live)]
    first_documents = [0, *accumulate(len(segment.ids) for segment, _ in live)]
    rough = np.empty(firsts[-1], np.float32)
    places = list(_runs(firsts))
    runs: dict[int, _Run] = {}

    def scan(number: int) -> None:
        runs[number] = _scanned_run(live, looked, firsts, places[number], rough)

    share(scan, len(places))
    for (segment, names), more, first in zip(live, added, firsts, strict=False):
        if more is not None:
            rough[first : first + segment.rows] += more
        alive = segment.alive(names)
        if alive is not None:
            rough[first : first + segment.rows][~alive] = -np.inf
    return Scanned(
        live=live,
        looked=looked,
        added=added,
        permitted=permitted,
        floor=floor,
        firsts=firsts[:-1],
        first_documents=first_documents[:-1],
        rough=rough,
        runs=[runs[number] for number in range(len(places))],
        verdicts=_verdicts(live, permitted, first_documents[-1]),
    )


def _scanned_run(
    live: Live, looked: _Looked, firsts: Sequence[int], places: slice, rough: F32
) -> _Run:
    """Neighbouring segments: their rough scores into `rough`."""
    segments = [segment for segment, _ in live[places]]
    products = dots(
        looked.high,
        [segment.high for segment in segments],
        _joined([segment.offsets for segment in segments]),
    )
    products *= _joined([segment.catalogue.scale for segment in segments])
    rows = slice(firsts[places.start], firsts[places.stop])
    np.multiply(products, looked.scale * 65_536, out=rough[rows], casting="unsafe")
    residual = _joined([segment.catalogue.residual for segment in segments])
    return _Run(rows.start, rough[rows], residual)


def _verdicts(live: Live, permitted: Permitted, documents: int) -> npt.NDArray[np.int8]:
    """What is known of each document before any is asked for: all of them by their tags alone."""
    if not (isinstance(permitted, Permission) and permitted.where is None):
        return np.full(documents, -1, np.int8)
    return _joined([segment.permitted_documents(permitted) for segment, _ in live]).astype(np.int8)


def _runs(firsts: Sequence[int]) -> Iterator[slice]:
    """Neighbouring segments that are worked on together: arrays that stay in a core's cache."""
    start = 0
    for place in range(1, len(firsts)):
        if place == len(firsts) - 1 or firsts[place] - firsts[start] >= _RUN_ROWS:
            yield slice(start, place)
            start = place


def _joined(arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _leaders(found: Scanned, top_k: int) -> Rows:
    """The permitted rows that look best, some more than `top_k` where there are so many."""
    rough, rows = found.rough, len(found.rough)
    wanted = top_k + top_k // 2 + 4
    count = wanted
    while True:
        chosen = _best_rough(found, count)
        allowed: Rows = chosen[found.allowed(found.documents(chosen))]
        if len(allowed) >= top_k or count >= rows:
            break
        count *= 8
    if len(allowed) > wanted:
        allowed = allowed[np.argpartition(rough[allowed], -wanted)[-wanted:]]
    return allowed


def _best_rough(found: Scanned, count: int) -> Rows:
    """So many rows of the largest rough scores, in no order; fewer where fewer are alive."""
    rough = found.rough
    chosen: Rows = np.zeros(0, np.intp)
    for run in found.runs:
        full = len(chosen) == count
        more = run.over(rough[chosen].min()) if full else run.best(count)
        chosen = np.concatenate([chosen, more]) if len(chosen) else more
        if len(chosen) > count:
            chosen = chosen[np.argpartition(rough[chosen], -count)[-count:]]
    alive: Rows = chosen[rough[chosen] > -np.inf]
    return alive


def _candidates(
    found: Scanned, leaders: Rows, top_k: int, at_most: int | None = None
) -> tuple[Rows, F64]:
    """Permitted rows, but the leaders, that may reach the k-th best score, and the most that each
    can reach; the likeliest first.
    """
    floor = _kth(found, top_k)
    lost = found.looked.beyond_high
    least = max(floor - lost * _SLACK - _ROUNDING, -_LOWEST)  # no row that is gone gets in
    factor = np.float32((1 + lost) * _SLACK)
    rows = np.concatenate([run.reaching(least, factor) for run in found.runs])
    if at_most is not None and len(rows) > at_most:
        raise TakesLong
    if len(rows) < _FEW_ROWS:
        rows = rows[[row not in found.scored for row in rows.tolist()]]
    else:
        rows = rows[~np.isin(rows, leaders)]
    documents = found.documents(rows)
    unrefused = found.verdicts[documents] != 0
    rows, documents = rows[unrefused], documents[unrefused]
    starts = range(0, len(rows), _GATHER_ROWS)
    parts = [_bounded(found, rows[start : start + _GATHER_ROWS]) for start in starts]
    most = np.concatenate(parts) if parts else np.zeros(0)
    reaching = most >= floor
    rows, most = rows[reaching], most[reaching]
    allowed = found.allowed(documents[reaching])
    rows, most = rows[allowed], most[allowed]
    order = np.argsort(-most)
    return rows[order], most[order]


def _bounded(found: Scanned, rows: Rows) -> F64:
    """The most that rows can score, now that the whole query is known to the high plane."""
    looked = found.looked
    lost = looked.beyond_both
    upper = found.rough[rows].astype(np.float64)
    for place, mine, own in found.grouped(rows):
        segment = found.live[place][0]
        rest = dots(looked.low, [segment.high[own]], segment.offsets[own])
        upper[mine] += rest * segment.catalogue.scale[own] * (looked.scale * 256)
        upper[mine] += segment.catalogue.residual[own] * ((1 + lost) * _SLACK)
    return upper + (lost * _SLACK + _ROUNDING)


def _score_in_turn(found: Scanned, rows: Rows, most: F64, top_k: int) -> None:
    """Candidates in batches; the k-th best grows with each and may spare what follows."""
    for start in range(0, len(rows), _BATCH_ROWS):
        floor = _kth(found, top_k)
        if most[start] < floor:
            return
        batch = slice(start, start + _BATCH_ROWS)
        _score(found, rows[batch][most[batch] >= floor])


def _score(found: Scanned, rows: Rows) -> None:
    for place, mine, own in found.grouped(rows):
        cosines = found.live[place][0].scores(own, found.looked.whole)
        more = found.added[place]
        ranks = cosines if more is None else cosines + more[own]
        numbers = rows[mine].tolist()
        found.cosines.update(zip(numbers, cosines.tolist(), strict=True))
        found.scored.update(zip(numbers, ranks.tolist(), strict=True))


def _kth(found: Scanned, top_k: int) -> float:
    """A rank that `top_k` rows reach, or -inf where there are not so many yet."""
    scores = found.scored.values()
    kth = sorted(scores, reverse=True)[top_k - 1] if len(scores) >= top_k else -np.inf
    return max(kth, found.floor)
