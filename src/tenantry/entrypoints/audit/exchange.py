"""One request of the audit and its reply, as bytes; and what is compared of two replies."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

# Of the reply itself, not of what it says: they differ between any two.
_INCIDENTAL: Final = frozenset(
    {
        "date", "content-length", "connection",
        "x-tenantry-request-id", "x-amzn-requestid", "x-tenantry-upstream-request-id",
    }
)  # fmt: skip
_SHOWN_CHARS: Final = 160


@dataclass(frozen=True, slots=True)
class Ask:
    """A request without credentials. `operation` is its line of the API description."""

    operation: str  # `GET /v1/documents/{id}`
    path: str  # raw, as it goes over the wire
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def method(self) -> str:
        return self.operation.partition(" ")[0]

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path

    def said(self) -> str:
        """All that the caller itself said, for telling an echo from a leak."""
        return "\n".join(
            (self.target, *self.headers.values(), self.body.decode("utf-8", "replace"))
        )


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def tenant(self) -> str | None:
        """Whom it was served and billed as."""
        return self.headers.get("x-tenantry-tenant")

    def json(self) -> Any:
        """The body as JSON; an empty object where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return {}

    def shown(self) -> str:
        """Status and kind of a refusal, for a report: never content."""
        told = self.json()
        code = told.get("code") if isinstance(told, dict) else None
        kind = code or self.headers.get("x-amzn-errortype") or ""
        return f"{self.status} {kind}".strip()[:_SHOWN_CHARS]

    def comparable(self, *own: str) -> tuple[int, tuple[tuple[str, str], ...], str]:
        """What may not differ between a thing of someone else and one that never was. `own` are
        the names that the caller itself used."""
        said = self.text
        request_id = self.headers.get("x-tenantry-request-id")
        for name in (request_id, *own):
            if name:
                said = said.replace(name, "…")
        kept = tuple(sorted(item for item in self.headers.items() if item[0] not in _INCIDENTAL))
        return self.status, kept, said


def ask(
    operation: str,
    path: Mapping[str, str] | None = None,
    *,
    query: Mapping[str, str] | None = None,
    body: Mapping[str, Any] | bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Ask:
    """A request by its line of the API description; path parameters are encoded whole."""
    template = operation.partition(" ")[2]
    given = path or {}
    filled = re.sub(r"\{(\w+)\}", lambda name: quote(given[name[1]], safe=""), template)
    sent = dict(headers or {})
    raw = body if isinstance(body, bytes) else b""
    if isinstance(body, Mapping):
        raw = json.dumps(body).encode()
        sent.setdefault("content-type", "application/json")
    return Ask(operation, filled, urlencode(query or {}), sent, raw)
