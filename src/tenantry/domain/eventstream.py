"""Codec of `application/vnd.amazon.eventstream`, the frames in which Bedrock streams.

A frame is a prelude (total length and headers length, u32 big-endian, and the CRC-32 of those
8 bytes), the headers, the payload, and a CRC-32 of everything before it. A header is a u8 name
length, the name, a u8 type and a value; Bedrock itself uses only type 7 (string).

Invariants: a frame is returned only if both checksums hold and its headers parse to the last
byte; after the first error the decoder stays broken, because nothing behind it can be trusted;
a decoder never holds more than one incomplete frame.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias
from uuid import UUID
from zlib import crc32

CONTENT_TYPE: Final = "application/vnd.amazon.eventstream"
# The limits that botocore 1.44.5's eventstream.py sets.
HEADERS_BYTES_MAX: Final = 128 * 1024
PAYLOAD_BYTES_MAX: Final = 24 * 1024 * 1024
_PRELUDE_BYTES: Final = 12
_CRC_BYTES: Final = 4
_FRAME_BYTES_MIN: Final = _PRELUDE_BYTES + _CRC_BYTES
# A stream repeats a handful of header blocks of about 90 bytes, one per event type.
_CACHED_BLOCKS_MAX: Final = 64
_CACHED_BLOCK_BYTES_MAX: Final = 512

_PRELUDE = struct.Struct("!III")
_LENGTHS = struct.Struct("!II")
_U32 = struct.Struct("!I")
_U16 = struct.Struct("!H")
_I64 = struct.Struct("!q")
_TRUE, _FALSE, _BYTES, _STRING, _TIMESTAMP, _UUID = 0, 1, 6, 7, 8, 9
_INTEGERS: Final[Mapping[int, struct.Struct]] = {
    2: struct.Struct("!b"),
    3: struct.Struct("!h"),
    4: struct.Struct("!i"),
    5: _I64,
    _TIMESTAMP: _I64,  # milliseconds since the epoch
}

HeaderValue: TypeAlias = bool | int | bytes | str | UUID
Headers: TypeAlias = Mapping[str, HeaderValue]


class EventStreamError(ValueError):
    """The bytes are not an event stream."""


class ChecksumMismatch(EventStreamError):
    """A frame's prelude or content does not have the checksum it names."""


class FrameTooLarge(EventStreamError):
    """A frame's headers or payload are over the protocol's limit."""


class MalformedFrame(EventStreamError):
    """A frame's lengths or headers contradict each other."""


class DuplicateHeader(EventStreamError):
    """A frame names a header twice."""


class TruncatedStream(EventStreamError):
    """The stream ended within a frame."""


@dataclass(slots=True)
class Frame:
    """One frame. `raw` is the whole frame as it came, to be passed on without encoding anew."""

    message_type: str | None  # event | exception | error
    event_type: str | None
    exception_type: str | None
    headers: Headers
    payload: bytes
    raw: bytes

    @property
    def is_failure(self) -> bool:
        """An exception of the stream's model, or an error that it has none for."""
        return self.exception_type is not None or self.message_type == "error"


class Decoder:
    """Incremental decoder of one stream."""

    __slots__ = ("_blocks", "_buffer", "_error", "_needed_bytes")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._needed_bytes = _PRELUDE_BYTES  # of `_buffer` before it is worth a look
        self._error: EventStreamError | None = None
        self._blocks: dict[bytes, _Block] = {}

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next bytes, return the frames they complete.

        Raises EventStreamError. Frames that were whole before the fault are returned first; the
        error then comes with the next `feed` or `close`.
        """
        if self._error is not None:
            raise self._error
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._needed_bytes:
                return []
            data = bytes(self._buffer)
            self._buffer.clear()
        frames: list[Frame] = []
        position = 0
        try:
            while (end := self._frame_end(data, position)) is not None:
                frames.append(
                    self._frame(data[position:end] if position or end < len(data) else data)
                )
                position = end
        except EventStreamError as error:
            self._error = error
            if not frames:
                raise
            return frames
        if position < len(data):
            self._buffer += data[position:]
        return frames

    def close(self) -> None:
        """Say that the stream has ended; raises what is wrong with it, if anything is."""
        if self._error is not None:
            raise self._error
        if self._buffer:
            raise TruncatedStream(f"the stream ended {len(self._buffer)} bytes into a frame")

    def _frame_end(self, data: bytes, start: int) -> int | None:
        """Where the frame at `start` ends, or None until it is all there."""
        available_bytes = len(data) - start
        if available_bytes < _PRELUDE_BYTES:
            self._needed_bytes = _PRELUDE_BYTES
            return None
        total_bytes: int
        total_bytes, headers_bytes, prelude_crc = _PRELUDE.unpack_from(data, start)
        if crc32(data[start : start + 8]) != prelude_crc:
            raise ChecksumMismatch("the prelude's checksum does not match")
        payload_bytes = total_bytes - headers_bytes - _FRAME_BYTES_MIN
        if headers_bytes > HEADERS_BYTES_MAX or payload_bytes > PAYLOAD_BYTES_MAX:
            raise FrameTooLarge(f"{headers_bytes} header and {payload_bytes} payload bytes")
        if payload_bytes < 0:
            raise MalformedFrame("the headers do not fit into the frame")
        if available_bytes < total_bytes:
            self._needed_bytes = total_bytes
            return None
        return start + total_bytes

    def _frame(self, raw: bytes) -> Frame:
        (crc,) = _U32.unpack_from(raw, len(raw) - _CRC_BYTES)
        if crc32(raw[:-_CRC_BYTES]) != crc:
            raise ChecksumMismatch("the frame's checksum does not match")
        headers_end = _PRELUDE_BYTES + _LENGTHS.unpack_from(raw)[1]
        encoded = raw[_PRELUDE_BYTES:headers_end]
        block = self._blocks.get(encoded)
        if block is None:
            block = _Block(encoded)
            if len(self._blocks) < _CACHED_BLOCKS_MAX and len(encoded) <= _CACHED_BLOCK_BYTES_MAX:
                self._blocks[encoded] = block
        payload = raw[headers_end:-_CRC_BYTES]
        message_type, event_type, exception_type, headers = block.words
        return Frame(message_type, event_type, exception_type, headers, payload, raw)


class _Block:
    """The parsed headers of a frame; shared by all frames of a stream that have the same."""

    __slots__ = ("words",)

    def __init__(self, encoded: bytes) -> None:
        headers = decode_headers(encoded)
        self.words = (
            _text(headers, ":message-type"),
            _text(headers, ":event-type"),
            _text(headers, ":exception-type"),
            headers,
        )


def _text(headers: Headers, name: str) -> str | None:
    value = headers.get(name)
    return value if isinstance(value, str) else None


def decode_headers(encoded: bytes) -> dict[str, HeaderValue]:
    """Parse a header block. Raises MalformedFrame, DuplicateHeader."""
    headers: dict[str, HeaderValue] = {}
    position = 0
    try:
        while position < len(encoded):
            name_end = position + 1 + encoded[position]
            name = _exactly(encoded, position + 1, name_end).decode()
            value, position = _decode_value(encoded, name_end)
            if name in headers:
                raise DuplicateHeader(f"duplicate header {name!r}")
            headers[name] = value
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise MalformedFrame("a header does not parse") from error
    return headers


def _decode_value(encoded: bytes, position: int) -> tuple[HeaderValue, int]:
    """The value whose type byte is at `position`, and where it ends."""
    kind = encoded[position]
    start = position + 1
    if kind in (_STRING, _BYTES):
        end = start + 2 + _U16.unpack_from(encoded, start)[0]
        value = _exactly(encoded, start + 2, end)
        return (value.decode() if kind == _STRING else value), end
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, start
    if kind == _UUID:
        return UUID(bytes=_exactly(encoded, start, start + 16)), start + 16
    form = _INTEGERS.get(kind)
    if form is None:
        raise MalformedFrame(f"unknown header type {kind}")
    number: int = form.unpack_from(encoded, start)[0]
    return number, start + form.size


def _exactly(encoded: bytes, start: int, end: int) -> bytes:
    if end > len(encoded):
        raise MalformedFrame("a header runs past its block")
    return encoded[start:end]


def encode(headers: Headers, payload: bytes) -> bytes:
    """One frame. Integers go out as 64-bit; raises FrameTooLarge, MalformedFrame."""
    encoded = b"".join(_encode_header(name, value) for name, value in headers.items())
    if len(encoded) > HEADERS_BYTES_MAX or len(payload) > PAYLOAD_BYTES_MAX:
        raise FrameTooLarge(f"{len(encoded)} header and {len(payload)} payload bytes")
    lengths = _LENGTHS.pack(_FRAME_BYTES_MIN + len(encoded) + len(payload), len(encoded))
    body = b"".join((lengths, _U32.pack(crc32(lengths)), encoded, payload))
    return body + _U32.pack(crc32(body))


def encode_event(event_type: str, payload: bytes, more: Headers | None = None) -> bytes:
    """A JSON event as Bedrock sends it; `more` are further headers."""
    headers: dict[str, HeaderValue] = {
        ":event-type": event_type,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    if more:
        headers.update(more)
    return encode(headers, payload)


def encode_exception(exception_type: str, payload: bytes) -> bytes:
    """A modelled error within a stream, such as `throttlingException` with `{"message": …}`."""
    headers: Headers = {
        ":exception-type": exception_type,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return encode(headers, payload)


def _encode_header(name: str, value: HeaderValue) -> bytes:
    encoded_name = name.encode()
    if len(encoded_name) > 255:
        raise MalformedFrame(f"a header's name has {len(encoded_name)} bytes, at most 255 fit")
    return bytes((len(encoded_name),)) + encoded_name + _encode_value(value)


def _encode_value(value: HeaderValue) -> bytes:
    if isinstance(value, bool):
        return bytes((_TRUE if value else _FALSE,))
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise MalformedFrame("a header's integer does not fit into 64 bits")
        return b"\x05" + _I64.pack(value)
    if isinstance(value, UUID):
        return b"\x09" + value.bytes
    kind, content = (b"\x06", value) if isinstance(value, bytes) else (b"\x07", value.encode())
    if len(content) > 0xFFFF:
        raise MalformedFrame(f"a header's value has {len(content)} bytes, at most 65,535 fit")
    return kind + _U16.pack(len(content)) + content
