"""Which searches are done on the event loop: those that are over sooner than threads take turns.

A thread that scans gives up the interpreter's lock at every array operation and has to wait for it
again: with four searches at once the change of threads cost more than the scan of 10,000 rows
(decision 0027). Whatever may make a search longer has a bound here, for documents and queries are
written by people who may want the worker to stand still: what is over one goes to a thread, as do
filters, which are asked of each document, and the first search of a segment, which decodes cards.
"""

from __future__ import annotations

from tenantry.adapters.sealed.keyword_search import Heard
from tenantry.adapters.sealed.ranked import Opened
from tenantry.domain.access import Permission
from tenantry.ports.vectors import Permitted

SCAN_BYTES_MAX = 16 * 2**20  # of high planes: about 1.5 ms, 16,384 rows of 1,024
POSTINGS_MAX = 65_536  # of the query's words: 1.6 ms
CANDIDATES_MAX = 256  # rows to be opened and scored exactly: 3 ms; a search has some 30
DOCUMENTS_MAX = 8_192  # looked through after each change of what is live: 1 ms
TAG_SETS_MAX = 256  # different ones: 1 ms
SEGMENTS_MAX = 16  # more stand side by side only until they are merged


def is_short(group: Opened, permitted: Permitted, heard: Heard) -> bool:
    """Whether a search of these open segments takes a few milliseconds at most, but for rows that
    are alike: those show later."""
    if not (isinstance(permitted, Permission) and permitted.where is None):
        return False
    segments = [segment for _, segment in group]
    return (
        len(segments) <= SEGMENTS_MAX
        and sum(one.rows * one.dimensions for one in segments) <= SCAN_BYTES_MAX
        and sum(len(one.ids) for one in segments) <= DOCUMENTS_MAX
        and all(one.tags_known for one in segments)
        and sum(len(one.tags()[0]) for one in segments) <= TAG_SETS_MAX
        and heard.postings(group) <= POSTINGS_MAX
    )
