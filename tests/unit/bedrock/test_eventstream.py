"""Our event-stream codec against botocore's parser, both ways, and against damage."""

import struct
from itertools import pairwise
from uuid import UUID
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given, settings
from hypothesis import strategies as st

from tenantry.domain import eventstream
from tenantry.domain.eventstream import Decoder, EventStreamError

names = st.text(min_size=1, max_size=20).filter(lambda text: len(text.encode()) <= 255)
values = st.one_of(
    st.text(max_size=40),
    st.binary(max_size=40),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.uuids(),
)
header_maps = st.dictionaries(names, values, max_size=6)
frames = st.lists(st.tuples(header_maps, st.binary(max_size=300)), min_size=1, max_size=6)


def as_botocore(headers):
    return {n: v.bytes if isinstance(v, UUID) else v for n, v in headers.items()}


def decode(data, cuts=()):
    decoder = Decoder()
    decoded = []
    positions = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in pairwise(positions):
        decoded += decoder.feed(data[start:end])
    decoder.close()
    return decoded


@given(frames)
def test_botocore_reads_what_we_write(items):
    buffer = EventStreamBuffer()
    buffer.add_data(b"".join(eventstream.encode(h, p) for h, p in items))
    assert [(m.headers, m.payload) for m in buffer] == [(as_botocore(h), p) for h, p in items]


@given(frames, st.lists(st.integers(0, 5_000), max_size=12))
def test_any_split_of_the_stream_gives_the_same_frames(items, cuts):
    data = b"".join(eventstream.encode(h, p) for h, p in items)
    decoded = decode(data, cuts)
    assert [(f.headers, f.payload) for f in decoded] == items
    assert b"".join(f.raw for f in decoded) == data


def raw_frame(encoded_headers, payload=b"{}"):
    lengths = struct.pack("!II", 16 + len(encoded_headers) + len(payload), len(encoded_headers))
    body = lengths + struct.pack("!I", crc32(lengths)) + encoded_headers + payload
    return body + struct.pack("!I", crc32(body))


def wire_header(name, kind, value):
    return bytes([len(name)]) + name + bytes([kind]) + value


def test_every_header_type_is_read_as_botocore_reads_it():
    block = b"".join(
        (
            wire_header(b"true", 0, b""),
            wire_header(b"false", 1, b""),
            wire_header(b"i8", 2, struct.pack("!b", -8)),
            wire_header(b"i16", 3, struct.pack("!h", -16_000)),
            wire_header(b"i32", 4, struct.pack("!i", -(2**30))),
            wire_header(b"i64", 5, struct.pack("!q", -(2**60))),
            wire_header(b"bytes", 6, b"\x00\x03abc"),
            wire_header(b"text", 7, b"\x00\x04\xf0\x9f\x98\x80"),
            wire_header(b"time", 8, struct.pack("!q", 1_795_000_000_000)),
            wire_header(b"uuid", 9, bytes(range(16))),
        )
    )
    (ours,) = decode(raw_frame(block))
    buffer = EventStreamBuffer()
    buffer.add_data(raw_frame(block))
    assert as_botocore(ours.headers) == next(iter(buffer)).headers


@given(frames, st.data())
@settings(max_examples=300)
def test_damage_is_an_error_and_never_a_wrong_frame(items, data):
    encoded = bytearray(b"".join(eventstream.encode(h, p) for h, p in items))
    position = data.draw(st.integers(0, len(encoded) - 1))
    encoded[position] ^= data.draw(st.integers(1, 255))
    decoder = Decoder()
    seen = []
    with pytest.raises(EventStreamError):
        seen += decoder.feed(bytes(encoded))
        decoder.close()
    assert [(f.headers, f.payload) for f in seen] == items[: len(seen)]
    assert len(seen) < len(items)
    with pytest.raises(EventStreamError):
        decoder.feed(eventstream.encode({}, b""))


@given(st.binary(max_size=200))
def test_rubbish_raises_only_its_own_error(data):
    decoder = Decoder()
    try:
        decoder.feed(data)
        decoder.close()
    except EventStreamError:
        return
    assert data == b""


@given(st.binary(max_size=60))
def test_rubbish_headers_raise_only_their_own_error(block):
    try:
        decode(raw_frame(block))
    except EventStreamError:
        return
    buffer = EventStreamBuffer()
    buffer.add_data(raw_frame(block))
    assert next(iter(buffer)).headers == as_botocore(eventstream.decode_headers(block))


def test_whole_frames_before_the_fault_are_not_lost():
    good = eventstream.encode_event("messageStart", b'{"role":"assistant"}')
    decoder = Decoder()
    (frame,) = decoder.feed(good + b"\x00" * 40)
    assert frame.event_type == "messageStart"
    with pytest.raises(eventstream.ChecksumMismatch):
        decoder.close()


def test_a_cut_stream_is_told():
    decoder = Decoder()
    assert decoder.feed(eventstream.encode_event("metadata", b"{}")[:-1]) == []
    with pytest.raises(eventstream.TruncatedStream):
        decoder.close()


def test_a_duplicate_header_is_refused():
    header = wire_header(b"name", 7, b"\x00\x01a")
    with pytest.raises(eventstream.DuplicateHeader):
        decode(raw_frame(header + header))


@pytest.mark.parametrize(
    "lengths",
    [
        (16 + 128 * 1024 + 1, 128 * 1024 + 1),
        (16 + 24 * 1024 * 1024 + 1, 0),
        (2**32 - 1, 0),
    ],
)
def test_oversized_frames_are_refused_before_they_come(lengths):
    packed = struct.pack("!II", *lengths)
    with pytest.raises(eventstream.FrameTooLarge):
        Decoder().feed(packed + struct.pack("!I", crc32(packed)))


@pytest.mark.parametrize("lengths", [(0, 0), (15, 0), (16, 1)])
def test_lengths_that_contradict_each_other_are_refused(lengths):
    packed = struct.pack("!II", *lengths)
    with pytest.raises(eventstream.MalformedFrame):
        Decoder().feed(packed + struct.pack("!I", crc32(packed)))


def test_a_large_payload_in_small_pieces():
    payload = bytes(range(256)) * 16_384  # 4 MiB
    encoded = eventstream.encode({":event-type": "chunk"}, payload)
    decoder = Decoder()
    decoded = []
    for start in range(0, len(encoded), 16_384):
        decoded += decoder.feed(encoded[start : start + 16_384])
    assert decoded[0].payload == payload


def test_what_does_not_fit_is_not_written():
    with pytest.raises(eventstream.FrameTooLarge):
        eventstream.encode({}, b"\x00" * (eventstream.PAYLOAD_BYTES_MAX + 1))
    with pytest.raises(eventstream.FrameTooLarge):
        eventstream.encode({str(n): "x" * 60_000 for n in range(3)}, b"")
    for headers in ({"n": 2**63}, {"n" * 256: ""}, {"n": "x" * 65_536}):
        with pytest.raises(eventstream.MalformedFrame):
            eventstream.encode(headers, b"")


def test_exception_frames():
    (frame,) = decode(eventstream.encode_exception("throttlingException", b'{"message":"m"}'))
    assert (frame.message_type, frame.exception_type) == ("exception", "throttlingException")
    assert frame.event_type is None
