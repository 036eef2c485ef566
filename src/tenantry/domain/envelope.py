"""How sealed bytes are laid out, without any cipher: associated data, headers, nonces.

Two layouts, both versioned by their first bytes (`docs/reference/sealed-format.md`):

    blob      magic, version, key version, salt | ciphertext and tag
    segment   magic, version, key version, plane table | planes in frames, each with its tag

Integers are big-endian. Associated data is an injective encoding of its fields, so that no two
different bindings ever authenticate the same bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from tenantry.domain.errors import Corrupt

BLOB_MAGIC = b"TNB1"
SEGMENT_MAGIC = b"TNS2"
RETIRED_SEGMENT_MAGICS = (b"TNS1",)  # one plane of 16-bit vectors; never released
SALT_BYTES = 32
TAG_BYTES = 16  # AES-GCM, NIST SP 800-38D §5.2.1.2
FRAME_BYTES_MAX = 4 * 1024 * 1024
PLANES_MAX = 16
FRAMES_PER_PLANE_MAX = 2**24  # of 16 KiB: 256 GiB a plane
_BLOB_HEADER = struct.Struct(f">4sI{SALT_BYTES}s")
_SEGMENT_HEADER = struct.Struct(">4sIH")
_PLANE = struct.Struct(">HIQ")

BLOB_HEADER_BYTES = _BLOB_HEADER.size
SEGMENT_START_BYTES = _SEGMENT_HEADER.size + PLANES_MAX * _PLANE.size  # holds any header


class Plane(IntEnum):
    """What a part of a segment holds. A later format adds planes, it never renumbers them."""

    # 1 and 3 were format 1's vectors and texts.
    CATALOGUE = 2  # msgpack: the documents' cards, and what a scan needs to know of each row
    VECTORS_HIGH = 4  # rows × dimensions, the upper 8 bits and 128: held open and scanned
    VECTORS_LOW = 5  # the same, the lower 8 bits, signed: opened for candidates alone
    PASSAGES = 6  # of each row: start, end (u4 each, little-endian), UTF-8 text
    KEYWORDS = 7  # an index of the words, where the segment has one


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
    """One plane's place in a segment: how many plaintext bytes it holds, in frames of what size."""

    plane: int
    plain_bytes: int
    frame_bytes: int  # plaintext of each frame but the last, which may be shorter

    @property
    def frames(self) -> int:
        return -(-self.plain_bytes // self.frame_bytes)

    @property
    def sealed_bytes(self) -> int:
        return self.plain_bytes + TAG_BYTES * self.frames

    def frame_plain(self, number: int) -> int:
        """Plaintext bytes of one frame."""
        return min(self.frame_bytes, self.plain_bytes - number * self.frame_bytes)


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    key_version: int
    planes: tuple[PlaneEntry, ...]

    @property
    def packed_bytes(self) -> int:
        return _SEGMENT_HEADER.size + len(self.planes) * _PLANE.size

    @property
    def sealed_bytes(self) -> int:
        """The length of the whole segment, exactly."""
        return self.packed_bytes + sum(entry.sealed_bytes for entry in self.planes)

    def pack(self) -> bytes:
        assert len(self.planes) <= PLANES_MAX, "too many planes for one segment"
        head = _SEGMENT_HEADER.pack(SEGMENT_MAGIC, self.key_version, len(self.planes))
        return head + b"".join(
            _PLANE.pack(item.plane, item.frame_bytes, item.plain_bytes) for item in self.planes
        )

    def offset(self, plane: int) -> tuple[PlaneEntry, int]:
        """A plane's entry, and where its first frame begins. Corrupt where there is none."""
        offset = self.packed_bytes
        for entry in self.planes:
            if entry.plane == plane:
                return entry, offset
            offset += entry.sealed_bytes
        raise Corrupt("A sealed segment lacks a plane.")


def unpack_segment(start: bytes, size_bytes: int) -> SegmentHeader:
    """The header of a segment of `size_bytes`, from its first bytes (`SEGMENT_START_BYTES` are
    enough for any). Corrupt where the whole is not exactly as long as its plane table promises;
    `is_retired` tells a format that is not read any more.
    """
    if len(start) < _SEGMENT_HEADER.size:
        raise Corrupt("A sealed segment is cut short.")
    magic, key_version, count = _SEGMENT_HEADER.unpack_from(start)
    if magic in RETIRED_SEGMENT_MAGICS:
        raise Corrupt(
            "The documents are indexed in a format that this version does not read any more: "
            "reindex them (`tenantry documents reindex --again`).",
            retired=True,
        )
    if magic != SEGMENT_MAGIC:
        raise Corrupt("Not a sealed segment of a known format.")
    if count > PLANES_MAX or len(start) < _SEGMENT_HEADER.size + count * _PLANE.size:
        raise Corrupt("A sealed segment is cut short.")
    planes = []
    for number in range(count):
        plane, frame_bytes, plain_bytes = _PLANE.unpack_from(
            start, _SEGMENT_HEADER.size + number * _PLANE.size
        )
        if not 0 < frame_bytes <= FRAME_BYTES_MAX:
            raise Corrupt("A sealed segment has an impossible size.")
        planes.append(PlaneEntry(plane, plain_bytes, frame_bytes))
        if planes[-1].frames > FRAMES_PER_PLANE_MAX:
            raise Corrupt("A sealed segment has an impossible size.")
    if len({entry.plane for entry in planes}) != count:
        raise Corrupt("A sealed segment names a plane twice.")
    header = SegmentHeader(key_version, tuple(planes))
    if header.sealed_bytes != size_bytes:
        raise Corrupt("A sealed segment is not as long as its header says.")
    return header


def is_retired(refusal: Corrupt) -> bool:
    """Whether what was refused is whole, but of a format that only a reindex leads out of."""
    return bool(refusal.details.get("retired"))


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
