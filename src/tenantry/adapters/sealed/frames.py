"""Sealing a segment's planes in frames, under a key that only this segment ever has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tenantry.domain.document import Home
from tenantry.domain.envelope import (
    FRAME_PLAIN_BYTES,
    TAG_BYTES,
    PlaneEntry,
    SegmentHeader,
    associated_data,
    frame_nonce,
    unpack_segment,
)
from tenantry.domain.errors import Corrupt
from tenantry.domain.ids import SegmentId, TenantId
from tenantry.ports.keys import KeyStore, Purpose


@dataclass(frozen=True, slots=True)
class Binding:
    """What every frame of a segment is bound to, beside its plane, number and header."""

    tenant_id: TenantId
    segment_id: SegmentId
    generation: int

    def frame(self, header: bytes, plane: int, number: int) -> bytes:
        return associated_data(
            "tenantry/segment/v1",
            self.tenant_id,
            self.segment_id,
            self.generation,
            plane,
            number,
            header,
        )


async def segment_cipher(
    keys: KeyStore, home: Home, segment_id: SegmentId, key_version: int
) -> AESGCM:
    """The segment's own key: segment ids are random and never used twice, so neither is the key."""
    return AESGCM(await keys.subkey(home, key_version, Purpose.SEGMENT, segment_id.encode()))


def seal_planes(
    cipher: AESGCM, binding: Binding, key_version: int, planes: Mapping[int, bytes]
) -> bytes:
    """The whole sealed segment. Call it once for a segment id: its nonces are counters."""
    entries = tuple(PlaneEntry(int(plane), len(data)) for plane, data in planes.items())
    header = SegmentHeader(key_version, entries).pack()
    parts = [header]
    for plane, data in planes.items():
        view = memoryview(data)
        for number, start in enumerate(range(0, len(data), FRAME_PLAIN_BYTES)):
            frame = view[start : start + FRAME_PLAIN_BYTES]
            bound_to = binding.frame(header, int(plane), number)
            parts.append(cipher.encrypt(frame_nonce(int(plane), number), frame, bound_to))
    return b"".join(parts)


def open_planes(cipher: AESGCM, binding: Binding, sealed: bytes) -> dict[int, bytearray]:
    """Each plane in a buffer of its own, which the caller zeroes. Corrupt for any difference."""
    header, offset = unpack_segment(sealed)
    packed = sealed[:offset]
    view = memoryview(sealed)
    planes: dict[int, bytearray] = {}
    for entry in header.planes:
        plain = bytearray(entry.plain_bytes)
        target = memoryview(plain)
        start = 0
        for number, size in enumerate(entry.frame_sizes):
            bound_to = binding.frame(packed, entry.plane, number)
            frame = view[offset : offset + size + TAG_BYTES]
            try:
                cipher.decrypt_into(
                    frame_nonce(entry.plane, number), frame, bound_to, target[start : start + size]
                )
            except InvalidTag:
                raise Corrupt("A sealed segment does not open for this tenant.") from None
            offset += size + TAG_BYTES
            start += size
        target.release()
        planes[entry.plane] = plain
    return planes
