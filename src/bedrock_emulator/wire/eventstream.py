"""Encodes `application/vnd.amazon.eventstream` messages.

A message is `total length u32 | headers length u32 | CRC32 of these 8 bytes | headers | payload |
CRC32 of everything before`, big endian. Bedrock uses string headers (type 7) only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import lru_cache
from zlib import crc32

CONTENT_TYPE = "application/vnd.amazon.eventstream"
STRING_TYPE = 7  # header value type of a string: u16 length and UTF-8
PRELUDE_BYTES = 12
TRAILER_BYTES = 4
HEADERS_BYTES_MAX = 128 * 1024  # botocore refuses more
PAYLOAD_BYTES_MAX = 24 * 1024 * 1024  # botocore refuses more

_LENGTHS = struct.Struct(">II")
_U32 = struct.Struct(">I")


def encode_headers(headers: Iterable[tuple[str, str]]) -> bytes:
    """String headers, in order; a name has 1 to 255 bytes, a value up to 65,535."""
    parts = []
    for name, value in headers:
        name_bytes, value_bytes = name.encode(), value.encode()
        if not 0 < len(name_bytes) < 256 or len(value_bytes) > 0xFFFF:
            raise ValueError(f"header {name!r} does not fit an event-stream message")
        parts.append(bytes((len(name_bytes),)))
        parts.append(name_bytes)
        parts.append(struct.pack(">BH", STRING_TYPE, len(value_bytes)))
        parts.append(value_bytes)
    encoded = b"".join(parts)
    if len(encoded) > HEADERS_BYTES_MAX:
        raise ValueError("event-stream headers are larger than 128 KiB")
    return encoded


def encode_message(headers: bytes, payload: bytes) -> bytes:
    """One message from headers as `encode_headers` gave them and a payload."""
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise ValueError("event-stream payload is larger than 24 MiB")
    total = PRELUDE_BYTES + len(headers) + len(payload) + TRAILER_BYTES
    lengths = _LENGTHS.pack(total, len(headers))
    prelude = lengths + _U32.pack(crc32(lengths))
    content = b"".join((prelude, headers, payload))
    return content + _U32.pack(crc32(content))


@lru_cache(maxsize=64)
def _event_headers(event_type: str) -> bytes:
    return encode_headers(
        (
            (":event-type", event_type),
            (":content-type", "application/json"),
            (":message-type", "event"),
        )
    )


@lru_cache(maxsize=64)
def _exception_headers(exception_type: str) -> bytes:
    return encode_headers(
        (
            (":exception-type", exception_type),
            (":content-type", "application/json"),
            (":message-type", "exception"),
        )
    )


def event(event_type: str, payload: bytes) -> bytes:
    """A modelled event, its payload being JSON."""
    return encode_message(_event_headers(event_type), payload)


def exception(exception_type: str, payload: bytes) -> bytes:
    """A modelled exception inside a stream, such as `modelStreamErrorException`."""
    return encode_message(_exception_headers(exception_type), payload)


def error(code: str, message: str) -> bytes:
    """An unmodelled error inside a stream: it has headers and no payload."""
    headers = ((":error-code", code), (":error-message", message), (":message-type", "error"))
    return encode_message(encode_headers(headers), b"")
