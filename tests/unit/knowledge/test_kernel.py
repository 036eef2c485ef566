"""What the kernels do to the interpreter that asks them."""

from __future__ import annotations

import sys

import numpy as np

from tenantry.adapters.sealed import kernel

CALLS = 5_000
OTHERS_MAX = 1_000  # what else the interpreter may do meanwhile


def test_no_call_gives_back_what_it_did_not_take() -> None:
    """A reference to None too many ends the process, some ten thousand searches later. Where it
    counts none, from Python 3.12 on, nothing can be given back."""
    rows = np.full((4, 64), 129, np.uint8)
    signed = kernel.unbiased(rows)
    row_offsets = kernel.offsets(rows)
    before = sys.getrefcount(None)
    for _ in range(CALLS):
        kernel.dots(signed[0], [rows], row_offsets)
        kernel.offsets(rows)
        kernel.crossed(signed, signed)
    assert abs(sys.getrefcount(None) - before) < OTHERS_MAX
