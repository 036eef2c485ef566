"""Vectors of any asked dimension, from the small model's 384 or from a hash alone.

Lifting multiplies by a fixed matrix with orthonormal rows: rows of a Hadamard matrix, tiled and
signed. No random generator is involved, so the vectors are the same on every machine and release,
and for multiples of 512 cosines and lengths stay exactly as they were. Below 384 dimensions it is
a projection, and cosines are near, not equal.
"""

from __future__ import annotations

import hashlib
import math
import sys
from array import array
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Vector = np.ndarray[Any, np.dtype[np.float32]]

_ORDER = 512  # the smallest Hadamard matrix with 384 rows


def fixed_vector(text: str, dimensions: int) -> list[float]:
    """A unit vector that depends on the text alone; unrelated texts are nearly orthogonal."""
    data = hashlib.shake_128(text.encode("utf-8", "surrogatepass")).digest(2 * dimensions)
    numbers = array("h", data)
    if sys.byteorder == "big":
        numbers.byteswap()
    scale = 1.0 / math.sqrt(sum(number * number for number in numbers) or 1.0)
    return [number * scale for number in numbers]


def lift(vector: Vector, dimensions: int) -> Vector:
    """The vector in `dimensions`; the identity where it has them already."""
    if dimensions == len(vector):
        return vector
    return vector @ _matrix(len(vector), dimensions)


@cache
def _matrix(rows: int, columns: int) -> Vector:
    import numpy as np

    hadamard = np.ones((1, 1), dtype=np.float32)
    while len(hadamard) < _ORDER:
        hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]])
    bits = np.unpackbits(np.frombuffer(hashlib.shake_128(b"lift").digest(columns), np.uint8))
    signs = np.where(bits[:columns] == 1, np.float32(1), np.float32(-1))
    tiled = np.take(hadamard[:rows], np.arange(columns) % _ORDER, axis=1)
    return (tiled * signs / np.float32(math.sqrt(columns))).astype(np.float32)
