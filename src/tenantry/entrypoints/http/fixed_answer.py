"""Answers that stay the same for as long as a worker runs."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tenantry.entrypoints.http.response import Response

_NOT_AT_ALL: Final = re.compile(r"\s*q\s*=\s*0(\.0{0,3})?\s*")
_TAG_CHARS: Final = 32  # of the hexadecimal digest
_NOT_MODIFIED: Final = 304


@dataclass(frozen=True, slots=True)
class _Form:
    """Bytes, and what is said of them: how they are coded, and what who has them is told too."""

    body: bytes
    coding: Mapping[str, str]
    cached: Mapping[str, str]


class FixedAnswer:
    """One, kept as it is and compressed: who has it already is told so, by a tag of the bytes (RFC
    9110 §8.8.3, §13.1.2), and who takes gzip gets that."""

    def __init__(self, body: bytes, headers: Mapping[str, str]) -> None:
        digest = hashlib.sha256(body).hexdigest()[:_TAG_CHARS]
        cached = {"vary": "accept-encoding", "cache-control": "no-cache"}
        self._plain = _Form(body, {}, {**cached, "etag": f'"{digest}"'})
        coding = {"content-encoding": "gzip"}
        packed = gzip.compress(body, mtime=0)
        self._packed = _Form(packed, coding, {**cached, "etag": f'"{digest}-gzip"'})
        self._headers = {**headers, "x-content-type-options": "nosniff"}

    def to(self, asked: Mapping[str, str]) -> Response:
        """For a request with these headers."""
        form = self._packed if _takes_gzip(asked.get("accept-encoding", "")) else self._plain
        if _names(asked.get("if-none-match", ""), form.cached["etag"]):
            return Response(_NOT_MODIFIED, b"", dict(form.cached))
        return Response(200, form.body, {**self._headers, **form.coding, **form.cached})


def _takes_gzip(accepted: str) -> bool:
    """By `accept-encoding`."""
    for one in accepted.lower().split(","):
        coding, _, weight = one.partition(";")
        if coding.strip() == "gzip":
            return _NOT_AT_ALL.fullmatch(weight) is None
    return False


def _names(known: str, tag: str) -> bool:
    """Whether `if-none-match` names the tag, weak or strong, or any (`*`)."""
    named = (one.strip().removeprefix("W/") for one in known.split(","))
    return any(one in (tag, "*") for one in named)
