"""Rows in an order that makes neighbours of what is alike, so that a search opens few frames.

Spherical k-means over the high plane, with bounded rounds on a sample; then clusters in a chain
from each to its nearest, and a cluster's rows by the cluster that comes second for them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tenantry.adapters.sealed.kernel import F32, I8, Planes, crossed, split

ROWS_A_CLUSTER = 64  # four frames of the low plane at 1,024 dimensions
CLUSTERS_MAX = 256
SAMPLE_ROWS = 4_096
ROUNDS = 4
_BLOCK_ROWS = 1_024

Order = npt.NDArray[np.intp]


def nearby_order(high: I8, scale: F32, seed: int) -> Order:
    """A permutation of the rows; the same for the same rows and seed."""
    rows = len(high)
    clusters = min(CLUSTERS_MAX, rows // ROWS_A_CLUSTER)
    if clusters < 2:
        return np.arange(rows)
    draw = np.random.default_rng(seed)
    sample = draw.permutation(rows)[:SAMPLE_ROWS]
    centres = _centres(high[sample], scale[sample], clusters)
    first, second = np.empty(rows, np.intp), np.empty(rows, np.intp)
    for start in range(0, rows, _BLOCK_ROWS):
        at = slice(start, start + _BLOCK_ROWS)
        near = crossed(high[at], centres.high) * centres.scale
        every = np.arange(len(near))
        first[at] = near.argmax(axis=1)
        near[every, first[at]] = -np.inf
        second[at] = near.argmax(axis=1)
    place = _chain(centres)
    return np.lexsort((place[second], place[first]))


def _centres(sample: I8, scale: F32, clusters: int) -> Planes:
    centres = split(sample[:clusters].astype(np.float32) + np.float32(1e-3))
    for _ in range(ROUNDS):
        labels = (crossed(sample, centres.high) * centres.scale).argmax(axis=1)
        order = np.argsort(labels, kind="stable")
        used, starts = np.unique(labels[order], return_index=True)
        weighed = sample[order].astype(np.float32) * scale[order][:, None]
        sums = np.add.reduceat(weighed, starts, axis=0)
        moved = sums.any(axis=1)  # rows that cancel out have no centre: the old one stays
        fresh = split(sums[moved])
        centres.high[used[moved]] = fresh.high
        centres.scale[used[moved]] = fresh.scale
    return centres


def _chain(centres: Planes) -> Order:
    """Of each cluster its place, each one next to the nearest that has no place yet."""
    near = crossed(centres.high, centres.high) * centres.scale
    place = np.empty(centres.rows, np.intp)
    at = 0
    for number in range(centres.rows):
        place[at] = number
        near[:, at] = -np.inf
        at = int(near[at].argmax())
    return place
