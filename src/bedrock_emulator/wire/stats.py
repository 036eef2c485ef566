"""Counts for tests and benches: requests by route and by client invocation, open streams."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

INVOCATION_IDS_MAX = 10_000  # the latest are kept


class Stats:
    def __init__(self) -> None:
        self.by_route: Counter[str] = Counter()
        self.by_status: Counter[str] = Counter()
        self.by_invocation_id: OrderedDict[str, int] = OrderedDict()
        self.open_streams = 0

    def count(self, route: str, invocation_id: str | None) -> None:
        self.by_route[route] += 1
        if invocation_id is not None:
            seen = self.by_invocation_id
            seen[invocation_id] = seen.pop(invocation_id, 0) + 1
            if len(seen) > INVOCATION_IDS_MAX:
                seen.popitem(last=False)

    @contextmanager
    def open_stream(self) -> Iterator[None]:
        self.open_streams += 1
        try:
            yield
        finally:
            self.open_streams -= 1

    def to_document(self) -> dict[str, Any]:
        return {
            "requests": dict(self.by_route),
            "refusals": dict(self.by_status),
            "invocation_ids": dict(self.by_invocation_id),
            "open_streams": self.open_streams,
        }
