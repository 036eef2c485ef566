"""A whole request, as it came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Request:
    """`raw_path` and `raw_query` are still percent-encoded. `headers` has lower-case names with
    repeated ones joined by a comma; `header_items` has them one by one, for signatures."""

    method: str
    raw_path: str
    raw_query: str
    headers: Mapping[str, str]
    header_items: Sequence[tuple[str, str]]
    body: bytes
