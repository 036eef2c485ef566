"""Memory for what is open: given back to the system when it is dropped, and in no core dump."""

from __future__ import annotations

import mmap
from contextlib import suppress

import numpy as np

_PAGED_BYTES = 256 * 1024  # smaller ones would waste their last page


def room(size: int) -> memoryview:
    """Writable zeroed memory of so many bytes. Large ones lie in pages of their own."""
    if size < _PAGED_BYTES:
        return memoryview(bytearray(size))
    # Private: shared memory has no huge pages, and its faults cost more than the decryption.
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    # Hints: a system that lacks one works the same, a little slower or with larger dumps.
    for advice in ("MADV_DONTDUMP", "MADV_HUGEPAGE"):
        with suppress(OSError, AttributeError):
            pages.madvise(getattr(mmap, advice))
    return memoryview(pages)


def zero(memory: memoryview) -> None:
    np.frombuffer(memory, np.uint8)[:] = 0
