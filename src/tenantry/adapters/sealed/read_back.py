"""The vectors of a document that is searched, read back as they rest."""

from __future__ import annotations

from array import array
from typing import NamedTuple

import numpy as np

from tenantry.adapters.sealed.ranked import Opened
from tenantry.domain.ids import DocumentId

ROWS_AT_ONCE = 2_048  # of one visit, so that searches have their turn
_ROWS_OPEN = 256  # whose texts are in clear at once


class ReadBack(NamedTuple):
    rows: int  # that were looked at; less than `ROWS_AT_ONCE` at the document's end
    vectors: dict[str, array[float]]  # by text, of any length: cut anew they give the same planes


def read_back(
    group: Opened, document_id: DocumentId, texts: frozenset[str], first: int
) -> ReadBack:
    """Of a document's rows, from number `first` on, those of these texts. Reads frames."""
    found: dict[str, array[float]] = {}
    looked = 0
    for _, segment in group:
        if document_id not in segment.ids:
            continue  # its row names a segment that is another's
        number = segment.ids.index(document_id)
        rows = np.flatnonzero(segment.catalogue.documents == number)
        rows = rows[first : first + ROWS_AT_ONCE]
        looked += len(rows)
        for start in range(0, len(rows), _ROWS_OPEN):
            part = rows[start : start + _ROWS_OPEN]
            held = [text for _, _, text in segment.passages(part.tolist())]
            wanted = [place for place, text in enumerate(held) if text in texts]
            if wanted:
                vectors = segment.vectors(part[wanted])
                found |= zip((held[place] for place in wanted), vectors, strict=True)
    return ReadBack(looked, found)
