"""Which searches are done on the event loop: those that are over sooner than threads take turns.

A thread that scans gives up the interpreter's lock at every array operation and has to wait for it
again: with four searches at once the change of threads cost more than the scan of 10,000 rows
(decision 0027). What may take longer than `SCAN_BYTES_MAX` lets it goes to a thread all the same:
a filter, which is asked of each document, and the first search of a segment, which decodes its
documents' cards.
"""

from __future__ import annotations

from tenantry.adapters.sealed.ranked import Opened
from tenantry.domain.access import Permission
from tenantry.ports.vectors import Permitted

SCAN_BYTES_MAX = 16 * 2**20  # of high planes: about 1.5 ms of the loop, 16,384 rows of 1,024
SEGMENTS_MAX = 16  # more stand side by side only until they are merged


def is_short(group: Opened, permitted: Permitted) -> bool:
    """Whether a search of these open segments takes a millisecond or two."""
    if not (isinstance(permitted, Permission) and permitted.where is None):
        return False
    if len(group) > SEGMENTS_MAX:
        return False
    scanned = sum(segment.rows * segment.dimensions for _, segment in group)
    return scanned <= SCAN_BYTES_MAX and all(segment.tags_known for _, segment in group)
