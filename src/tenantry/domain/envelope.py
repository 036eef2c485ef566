"""How sealed bytes are laid out, without any cipher: associated data, headers, nonces.

Two layouts, both versioned by their first bytes (`docs/reference/sealed-format.md`):

    blob      magic, version, key version, salt | ciphertext and tag
    segment   magic, version, key version, plane table | frames, each with its tag

Integers are big-endian. Associated data is an injective encoding of its fields, so that no two
different bindings ever authenticate the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from tenantry.domain.errors import Corrupt

BLOB_MAGIC = b"TNB1"
SEGMENT_MAGIC = b"TNS1"
SALT_BYTES = 32
TAG_BYTES = 16  # AES-GCM, NIST SP 800-38D §5.2.1.2
FRAME_PLAIN_BYTES = 4 * 1024 * 1024
PLANES_MAX = 16
FRAMES_PER_PLANE_MAX = 65_536  # 256 GiB a plane
_BLOB_HEADER = struct.Struct(f">4sI{SALT_BYTES}s")
_SEGMENT_HEADER = struct.Struct(">4sIH")
_PLANE = struct.Struct(">HQ")

BLOB_HEADER_BYTES = _BLOB_HEADER.size


class Plane(IntEnum):
    """What a part of a segment holds. A later format adds planes, it never renumbers them."""

    VECTORS_F16 = 1  # rows × dimensions, little-endian IEEE 754 binary16, unit length
    CATALOGUE = 2  # msgpack: the documents and where each row begins and ends
    TEXTS = 3  # the passages, UTF-8, one after the other


@dataclass(frozen=True, slots=True)
class BlobHeader:
    key_version: int
    salt: bytes

    def pack(self) -> bytes:
        assert len(self.salt) == SALT_BYTES, "a blob's salt has 32 bytes"
        return _BLOB_HEADER.pack(BLOB_MAGIC, self.key_version, self.salt)


def unpack_blob(sealed: bytes) -> BlobHeader:
    """The header of a sealed blob; its ciphertext begins at `BLOB_HEADER_BYTES`. Else Corrupt."""
    if len(sealed) < BLOB_HEADER_BYTES + TAG_BYTES:
        raise Corrupt("A sealed blob is cut short.")
    magic, key_version, salt = _BLOB_HEADER.unpack_from(sealed)
    if magic != BLOB_MAGIC:
        raise Corrupt("Not a sealed blob of a known format.")
    return BlobHeader(key_version, salt)


@dataclass(frozen=True, slots=True)
class PlaneEntry:
    """One plane's place in a segment: its number and how many plaintext bytes its frames hold."""

    plane: int
    plain_bytes: int

    @property
    def frame_sizes(self) -> Sequence[int]:
        """Plaintext bytes of each frame: full ones, then the rest. An empty plane has none."""
        full, rest = divmod(self.plain_bytes, FRAME_PLAIN_BYTES)
        return [FRAME_PLAIN_BYTES] * full + ([rest] if rest else [])


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    key_version: int
    planes: tuple[PlaneEntry, ...]

    def pack(self) -> bytes:
        assert len(self.planes) <= PLANES_MAX, "too many planes for one segment"
        head = _SEGMENT_HEADER.pack(SEGMENT_MAGIC, self.key_version, len(self.planes))
        return head + b"".join(_PLANE.pack(item.plane, item.plain_bytes) for item in self.planes)


def unpack_segment(sealed: bytes) -> tuple[SegmentHeader, int]:
    """The header of a segment and the offset of its first frame. Else Corrupt.

    Checks that the file's length is exactly what its plane table promises.
    """
    if len(sealed) < _SEGMENT_HEADER.size:
        raise Corrupt("A sealed segment is cut short.")
    magic, key_version, count = _SEGMENT_HEADER.unpack_from(sealed)
    if magic != SEGMENT_MAGIC:
        raise Corrupt("Not a sealed segment of a known format.")
    offset = _SEGMENT_HEADER.size
    if count > PLANES_MAX or len(sealed) < offset + count * _PLANE.size:
        raise Corrupt("A sealed segment is cut short.")
    planes = []
    for _ in range(count):
        entry = PlaneEntry(*_PLANE.unpack_from(sealed, offset))
        if entry.plain_bytes > FRAMES_PER_PLANE_MAX * FRAME_PLAIN_BYTES:
            raise Corrupt("A sealed segment has an impossible size.")
        planes.append(entry)
        offset += _PLANE.size
    if len({entry.plane for entry in planes}) != count:
        raise Corrupt("A sealed segment names a plane twice.")
    body = sum(
        entry.plain_bytes + TAG_BYTES * -(-entry.plain_bytes // FRAME_PLAIN_BYTES)
        for entry in planes
    )
    if len(sealed) != offset + body:
        raise Corrupt("A sealed segment is not as long as its header says.")
    return SegmentHeader(key_version, tuple(planes)), offset


def frame_nonce(plane: int, frame: int) -> bytes:
    """The 96-bit nonce of a frame: a counter, unique under a segment's own key."""
    assert 0 <= frame < FRAMES_PER_PLANE_MAX, "frame number out of range"
    return struct.pack(">IQ", plane, frame)


def associated_data(*fields: str | bytes | int) -> bytes:
    """What a ciphertext is bound to: each field with its type and length, so nothing can shift."""
    parts = []
    for item in fields:
        if isinstance(item, str):
            tag, raw = b"s", item.encode()
        elif isinstance(item, bytes):
            tag, raw = b"b", item
        else:
            tag, raw = b"i", str(item).encode()
        parts += [tag, struct.pack(">I", len(raw)), raw]
    return b"".join(parts)
