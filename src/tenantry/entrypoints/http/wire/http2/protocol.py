"""The state of h2 for one connection, with the settings that we tell."""

from __future__ import annotations

import re
from typing import Any, Final

from h2.config import H2Configuration
from h2.connection import AllowedStreamIDs, H2Connection
from h2.settings import SettingCodes, Settings
from h2.stream import H2Stream
from hpack import Decoder, Encoder, HPACKDecodingError

from tenantry.entrypoints.http.wire.limits import WireLimits

PREFACE_END: Final = b"SM\r\n\r\n"
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\n" + PREFACE_END
_WINDOW_BYTES: Final = 65_535  # of a connection that has just begun (RFC 9113 §6.9.2)
_FIELD_BYTES: Final = 32
_PACKED_FOR_BYTES_MAX: Final = 4_096  # of a client's table of headers, which it may ask to be 4 GB
_STREAMS_MAX: Final = 2**31 - 1
# At the beginning of a head two sizes of the table have a meaning (RFC 7541 §4.2).
_RESIZED_OFTEN: Final = re.compile(rb"(?:[\x20-\x3e]|\x3f[\x80-\xff]*[\x00-\x7f]){9}")


class _Encoder(Encoder):
    """Without Huffman's code, which takes 35 µs of an answer for 50 bytes less."""

    def encode(self, headers: Any, huffman: bool = False) -> bytes:
        return super().encode(headers, huffman=False)


class _Decoder(Decoder):
    """Bounded in what it does for nothing: 85,000 sizes of its table would take 140 ms."""

    def decode(self, data: bytes, raw: bool = False) -> Any:
        if _RESIZED_OFTEN.match(data):
            raise HPACKDecodingError("The table of headers is resized too often.")
        return super().decode(data, raw)


class _Stream(H2Stream):
    """Of whatever length. h2 would end the connection for one that is not as was said, and with it
    the streams of all other callers whom a proxy sends on it."""

    def _initialize_content_length(self, headers: Any) -> None: ...

    def _track_content_length(self, length: int, end_stream: bool) -> None: ...


class _H2(H2Connection):
    MAX_CLOSED_STREAMS = 1_024  # how many are remembered, for frames that are late

    def _begin_new_stream(self, stream_id: int, allowed_ids: AllowedStreamIDs) -> H2Stream:
        stream = super()._begin_new_stream(stream_id, allowed_ids)
        stream.__class__ = _Stream
        return stream


def begun(limits: WireLimits) -> H2Connection:
    """After the client's preface, with our own to be sent. Fields are judged by who reads them:
    h2 would end the connection for a stream's."""
    h2 = _H2(
        H2Configuration(
            client_side=False,
            header_encoding=None,
            validate_inbound_headers=False,
            normalize_inbound_headers=False,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
    )
    h2.encoder, h2.decoder = _Encoder(), _Decoder()
    told = {
        SettingCodes.MAX_CONCURRENT_STREAMS: limits.streams,
        SettingCodes.MAX_HEADER_LIST_SIZE: list_bytes_max(limits),
        SettingCodes.INITIAL_WINDOW_SIZE: limits.window_bytes,
    }
    h2.local_settings = Settings(client=False, initial_values=told)
    h2.initiate_connection()
    if limits.window_bytes > _WINDOW_BYTES:
        h2.increment_flow_control_window(limits.window_bytes - _WINDOW_BYTES)
    h2.receive_data(PREFACE)
    # One stream too many is refused by us alone; h2 would end the connection.
    held = {**told, SettingCodes.MAX_CONCURRENT_STREAMS: _STREAMS_MAX}
    h2.local_settings = Settings(client=False, initial_values=held)
    # A head up to twice as large is still told what it is too large for.
    h2.decoder.max_header_list_size = 2 * list_bytes_max(limits)
    return h2


def list_bytes_max(limits: WireLimits) -> int:
    """All fields of a request, as SETTINGS_MAX_HEADER_LIST_SIZE counts them."""
    return limits.header_bytes + limits.target_bytes + _FIELD_BYTES * limits.header_count


def keep_packing_small(h2: H2Connection) -> None:
    """After the client's settings: what is told apart by our table of its headers costs memory and
    a search for each of an answer's."""
    if h2.encoder.header_table_size > _PACKED_FOR_BYTES_MAX:
        h2.encoder.header_table_size = _PACKED_FOR_BYTES_MAX
