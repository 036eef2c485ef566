"""A whole request, as it came."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from tenantry.domain.record import record

# Headers that must not come twice: two readers could believe two different ones.
ONCE: Final = frozenset(
    {
        "host", "authorization", "x-api-key", "content-length", "content-type", "idempotency-key",
        # Beside the application's own, one that its proxy let through from whoever asks it.
        "x-tenantry-user", "x-tenantry-groups", "x-tenantry-run",
    }
)  # fmt: skip
# What a value may have around it (RFC 9110 §5.6.3). Unicode knows more, among it bytes that make
# another value of it: `\xa0chunked` is no coding that anybody reads.
BLANKS: Final = " \t"
_ORIGIN: Final = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)


@record
class Request:
    """`raw_path` and `raw_query` are still percent-encoded. `headers` has lower-case names with
    repeated ones joined by a comma; `header_items` has them one by one, for signatures."""

    method: str
    raw_path: str
    raw_query: str
    headers: Mapping[str, str]
    header_items: Sequence[tuple[str, str]]
    body: bytes


def text_of(value: str) -> str:
    """A header's value as UTF-8, which is how people write names into it. Raises `ValueError`."""
    return value if value.isascii() else value.encode("latin-1").decode()


def origin_form(target: bytes) -> bytes:
    """Path and query of a request target, also where it is absolute as a proxy's client sends it
    (RFC 9112 §3.2.2). Its authority names nothing here: credentials alone name a tenant.
    """
    origin = _ORIGIN.match(target)
    if origin is None:
        return target
    rest = target[origin.end() :]
    return rest if rest.startswith(b"/") else b"/" + rest
