"""Identifiers: what each looks like and how it is made from time and randomness passed in.

Ids of things are `<prefix>_<26 characters>` (Crockford base 32 of a UUIDv7, RFC 9562 §5.7), so they
sort by time and say nothing of their owner. A request id is the UUIDv7 itself.
"""

from __future__ import annotations

import re
import uuid
from typing import NewType

from tenantry.domain.errors import BadRequest

TenantId = NewType("TenantId", str)  # tnt_
ApiKeyId = NewType("ApiKeyId", str)  # key_
DocumentId = NewType("DocumentId", str)  # doc_
SegmentId = NewType("SegmentId", str)  # seg_; where it rests in another engine, its name
ReindexId = NewType("ReindexId", str)  # rdx_
RequestId = NewType("RequestId", uuid.UUID)

_FORM = re.compile("[a-z]+_[0-9a-z]{26}")
_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def uuid7(unix_ms: int, randomness: bytes) -> uuid.UUID:
    """UUIDv7 of a time in milliseconds and 10 random bytes."""
    assert len(randomness) == 10, "a UUIDv7 takes 74 random bits out of 10 bytes"
    value = (unix_ms & 0xFFFFFFFFFFFF) << 80 | int.from_bytes(randomness, "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)


def prefixed(prefix: str, value: uuid.UUID) -> str:
    """`tnt_01h…`: the id of a thing, from a UUIDv7."""
    number = value.int
    text = "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))
    return f"{prefix}_{text}"


def is_id(prefix: str, text: str) -> bool:
    """Whether a text from outside has the form that `prefixed` gives."""
    return _FORM.fullmatch(text) is not None and prefix_of(text) == prefix


def check_cursor(prefix: str, cursor: str | None) -> None:
    """Of a list by id. Raises `BadRequest`: a page that begins nowhere would look like the last."""
    if cursor is not None and not is_id(prefix, cursor):
        raise BadRequest("`cursor` is not one that this list returned.")


def prefix_of(name: str) -> str:
    """`tnt` of `tnt_01h…`."""
    return name.rpartition("_")[0]


def unix_ms_of(name: str) -> int:
    """When an id that `prefixed` made was made, by the clock of its maker."""
    number = 0
    for char in name.rpartition("_")[2]:
        number = number << 5 | _CROCKFORD.index(char)
    return number >> 80
