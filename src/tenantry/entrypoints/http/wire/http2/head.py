"""From the fields of a stream to the head of a request (RFC 9113 §8)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from tenantry.entrypoints.http.wire.handover import Broken, body_bytes, too_large
from tenantry.entrypoints.http.wire.limits import WireLimits
from tenantry.entrypoints.http.wire.request import ONCE

NOT_HTTP2: Final = "The request is not valid HTTP/2."
_FIELD_BYTES: Final = 32  # what a field counts beside its name and value (RFC 9113 §6.5.2)
_PSEUDO: Final = frozenset({b":method", b":scheme", b":authority", b":path"})
OF_A_CONNECTION: Final = frozenset(
    {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}
)
_NAME: Final = re.compile(rb"[a-z0-9!#$%&'*+.^_`|~-]+")
_METHOD: Final = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,32}")
_SCHEME: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]{0,31}")
# Without blanks around it (§8.2.1): whoever passes it on as HTTP/1.1 would make another of it.
_VALUE: Final = re.compile(rb"(?![ \t])[^\x00-\x08\x0a-\x1f\x7f]*(?<![ \t])")
_TARGET: Final = re.compile(rb"/[^\x00-\x20\x7f#]*|\*")

Field = tuple[bytes, bytes]


@dataclass(slots=True)
class Head:
    """What is known of a request before its body. Of one that is refused, as much as was read."""

    method: str = ""
    raw_path: str = ""
    raw_query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    items: list[tuple[str, str]] = field(default_factory=list)
    length: int | None = None
    refusal: Broken | None = None


def size_of(fields: Iterable[Field]) -> int:
    """As SETTINGS_MAX_HEADER_LIST_SIZE counts."""
    return sum(len(name) + len(value) + _FIELD_BYTES for name, value in fields)


def are_fields(fields: Iterable[Field]) -> bool:
    """Whether a request may have all of these beside its pseudo-headers, or behind its body."""
    return all(_is_field(name, value) for name, value in fields)


def _is_field(name: bytes, value: bytes) -> bool:
    if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        return False
    key = name.decode("ascii")
    return key not in OF_A_CONNECTION and (key != "te" or value.lower() == b"trailers")


def read_head(fields: Sequence[Field], limits: WireLimits) -> Head:
    """Never raises: what cannot be served has its `refusal`."""
    head = Head()
    try:
        pseudo = _split(head, fields, limits)
        _name_host(head, pseudo.get(b":authority"))
        length = head.headers.get("content-length")
        if length is not None:
            if not (length.isascii() and length.isdigit()):
                raise Broken(400, NOT_HTTP2)
            head.length = body_bytes(length, limits)
            if head.length > limits.body_bytes:
                raise too_large(limits)
    except Broken as broken:
        head.refusal = broken
    return head


def _split(head: Head, fields: Sequence[Field], limits: WireLimits) -> dict[bytes, bytes]:
    pseudo: dict[bytes, bytes] = {}
    at = 0
    for name, value in fields:
        if name[:1] != b":":
            break
        if name not in _PSEUDO or name in pseudo:
            raise Broken(400, NOT_HTTP2)
        pseudo[name] = value
        at += 1
    _take_line(head, pseudo, limits)
    # The target has its own limit.
    total = sum(len(name) + len(value) for name, value in fields if name != b":path")
    if len(fields) - at > limits.header_count or total > limits.header_bytes:
        raise Broken(431, "The request headers are too large.")
    cookies = []
    for name, value in fields[at:]:
        if not _is_field(name, value):
            raise Broken(400, NOT_HTTP2)
        key, text = name.decode("ascii"), value.decode("latin-1")
        if key == "cookie":
            cookies.append(text)
        else:
            _add(head, key, text)
    if cookies:  # one header in as many fields as pack well (RFC 9113 §8.2.3)
        _add(head, "cookie", "; ".join(cookies))
    return pseudo


def _take_line(head: Head, pseudo: dict[bytes, bytes], limits: WireLimits) -> None:
    """What HTTP/1.1 has in its first line. The path first, which says in what shape to refuse."""
    target = pseudo.get(b":path", b"")
    if len(target) > limits.target_bytes:
        raise Broken(414, "The request target is too long.")
    if _TARGET.fullmatch(target):
        path, _, query = target.partition(b"?")
        head.raw_path, head.raw_query = path.decode("latin-1"), query.decode("latin-1")
    method = pseudo.get(b":method", b"")
    if method == b"CONNECT":
        raise Broken(400, "This is no proxy.")
    if (
        not head.raw_path
        or not _METHOD.fullmatch(method)
        or not _SCHEME.fullmatch(pseudo.get(b":scheme", b""))
    ):
        raise Broken(400, NOT_HTTP2)
    head.method = method.decode("ascii")


def _add(head: Head, key: str, text: str) -> None:
    head.items.append((key, text))
    known = head.headers.get(key)
    if known is None:
        head.headers[key] = text
    elif key in ONCE:
        raise Broken(400, f"The header {key} was sent twice.")
    else:
        head.headers[key] = f"{known},{text}"


def _name_host(head: Head, authority: bytes | None) -> None:
    """The header `host` is what `:authority` says. Signatures cover either."""
    given = head.headers.get("host")
    if authority is None:
        if given is None:
            raise Broken(400, "The header host is missing.")
        return
    if not _VALUE.fullmatch(authority):
        raise Broken(400, NOT_HTTP2)
    named = authority.decode("latin-1")
    head.items.append((":authority", named))
    if given is None:
        _add(head, "host", named)
    elif given != named:
        raise Broken(400, "The header host is not what :authority says.")
