"""Sealing a segment's planes in frames, under a key that only this segment ever has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tenantry.domain.document import Home
from tenantry.domain.envelope import (
    SEGMENT_START_BYTES,
    TAG_BYTES,
    Plane,
    PlaneEntry,
    SegmentHeader,
    associated_data,
    frame_nonce,
    unpack_segment,
)
from tenantry.domain.errors import Corrupt
from tenantry.domain.ids import SegmentId, TenantId
from tenantry.ports.keys import KeyStore, Purpose
from tenantry.ports.objects import Range

SMALL_FRAME_BYTES = 16 * 1024  # of planes that are read for a few rows
LARGE_FRAME_BYTES = 1024 * 1024  # of planes that are read whole
READ_BYTES_MAX = 4 * 1024 * 1024  # sealed bytes in memory at once, where a plane is read whole

ReadRanges = Callable[[Sequence[Range]], Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class Binding:
    """What every frame of a segment is bound to, beside its plane, number and header."""

    tenant_id: TenantId
    segment_id: SegmentId
    generation: int

    def frame(self, header: bytes, plane: int, number: int) -> bytes:
        return self._start() + associated_data(plane, number, header)

    def frames(self, header: bytes, plane: int) -> Callable[[int], bytes]:
        """The same for many frames of a plane: what they share is encoded once."""
        start = self._start() + associated_data(plane)
        end = associated_data(header)
        return lambda number: start + associated_data(number) + end

    def _start(self) -> bytes:
        return associated_data(
            "tenantry/segment/v2", self.tenant_id, self.segment_id, self.generation
        )


def frame_bytes_of(plane: int, dimensions: int) -> int:
    """How much of a plane one frame holds: of the low plane whole rows, so that none straddles."""
    if plane == Plane.VECTORS_LOW:
        return max(1, SMALL_FRAME_BYTES // dimensions) * dimensions
    return SMALL_FRAME_BYTES if plane == Plane.PASSAGES else LARGE_FRAME_BYTES


async def segment_cipher(
    keys: KeyStore, home: Home, segment_id: SegmentId, key_version: int
) -> AESGCM:
    """The segment's own key: segment ids are random and never used twice, so neither is the key."""
    return AESGCM(await keys.subkey(home, key_version, Purpose.SEGMENT, segment_id.encode()))


def seal_planes(
    cipher: AESGCM,
    binding: Binding,
    key_version: int,
    planes: Mapping[int, bytes | memoryview],
    frame_bytes: Callable[[int], int],
) -> bytes:
    """The whole sealed segment. Call it once for a segment id: its nonces are counters."""
    entries = tuple(
        PlaneEntry(int(plane), len(data), frame_bytes(plane)) for plane, data in planes.items()
    )
    header = SegmentHeader(key_version, entries).pack()
    parts = [header]
    for entry, data in zip(entries, planes.values(), strict=True):
        view = memoryview(data)
        bound_to = binding.frames(header, entry.plane)
        for number in range(entry.frames):
            start = number * entry.frame_bytes
            frame = view[start : start + entry.frame_bytes]
            nonce = frame_nonce(entry.plane, number)
            parts.append(cipher.encrypt(nonce, frame, bound_to(number)))
    return b"".join(parts)


def read_header(read: ReadRanges, size_bytes: int) -> SegmentHeader:
    """The header of a segment that should have so many bytes. Corrupt where it has not."""
    # One byte more than there should be: what was appended is seen as well.
    start, end = read([Range(0, SEGMENT_START_BYTES), Range(max(0, size_bytes - 1), 2)])
    if len(end) != 1:
        raise Corrupt("A sealed segment is not as long as the manifest says.")
    return unpack_segment(start, size_bytes)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a plane lies, and what its frames are bound to."""

    entry: PlaneEntry
    offset: int
    bound_to: Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class OpenFrames:
    """Some frames of a plane, one after the other: all but a plane's last are of full size."""

    frame_bytes: int
    places: Mapping[int, int]  # of each frame's number, in `memory`
    memory: memoryview

    def at(self, start: int, end: int) -> memoryview:
        """Bytes of the plane; all frames that they lie in must be here."""
        first = start // self.frame_bytes
        begin = self.places[first] * self.frame_bytes + start % self.frame_bytes
        return self.memory[begin : begin + end - start]


class SealedPlanes:
    """The planes of one segment at rest: frames are read and opened as they are asked for.

    All methods block, and raise Corrupt for any difference, NotFound where the object is gone.
    """

    __slots__ = ("_cipher", "_planes", "_read", "header")

    def __init__(
        self, cipher: AESGCM, binding: Binding, header: SegmentHeader, read: ReadRanges
    ) -> None:
        self.header = header
        self._cipher = cipher
        self._read = read
        packed = header.pack()
        self._planes = {
            entry.plane: _Place(
                entry, header.offset(entry.plane)[1], binding.frames(packed, entry.plane)
            )
            for entry in header.planes
        }

    def entry(self, plane: int) -> PlaneEntry:
        return self._place(plane).entry

    def _place(self, plane: int) -> _Place:
        found = self._planes.get(plane)
        if found is None:
            raise Corrupt("A sealed segment lacks a plane.")
        return found

    def whole(self, plane: int, make: Callable[[int], memoryview] | None = None) -> memoryview:
        """All of a plane, in memory that `make` gives or in a new bytearray."""
        place = self._place(plane)
        entry, size = place.entry, place.entry.plain_bytes
        target = memoryview(bytearray(size)) if make is None else make(size)
        step = max(1, READ_BYTES_MAX // (entry.frame_bytes + TAG_BYTES))
        for first in range(0, entry.frames, step):
            last = min(first + step, entry.frames)
            self._open(place, [(first, last)], target[first * entry.frame_bytes :])
        return target

    def some(self, plane: int, frames: Iterable[int]) -> OpenFrames:
        """Chosen frames of a plane; neighbours are read at once."""
        place = self._place(plane)
        entry = place.entry
        numbers = sorted(set(frames))
        if numbers and not 0 <= numbers[0] <= numbers[-1] < entry.frames:
            raise Corrupt("A segment's catalogue points beyond its planes.")
        runs: list[tuple[int, int]] = []
        for number in numbers:
            if runs and runs[-1][1] == number:
                runs[-1] = (runs[-1][0], number + 1)
            else:
                runs.append((number, number + 1))
        memory = memoryview(bytearray(sum(entry.frame_plain(number) for number in numbers)))
        self._open(place, runs, memory)
        places = {number: at for at, number in enumerate(numbers)}
        return OpenFrames(entry.frame_bytes, places, memory)

    def _open(self, place: _Place, runs: Sequence[tuple[int, int]], target: memoryview) -> None:
        """Runs of frames into memory, one after the other."""
        entry, offset, bound_to = place.entry, place.offset, place.bound_to
        sealed_frame = entry.frame_bytes + TAG_BYTES
        whole = entry.sealed_bytes
        bounds = [(first * sealed_frame, min(last * sealed_frame, whole)) for first, last in runs]
        ranges = [Range(offset + start, end - start) for start, end in bounds]
        position = 0
        for (first, last), wanted, sealed in zip(runs, ranges, self._read(ranges), strict=True):
            if len(sealed) != wanted.length:
                raise Corrupt("A sealed segment is cut short.")
            view = memoryview(sealed)
            for number in range(first, last):
                size = entry.frame_plain(number)
                start = (number - first) * sealed_frame
                try:
                    self._cipher.decrypt_into(
                        frame_nonce(entry.plane, number),
                        view[start : start + size + TAG_BYTES],
                        bound_to(number),
                        target[position : position + size],
                    )
                except InvalidTag:
                    raise Corrupt("A sealed segment does not open for this tenant.") from None
                position += size
