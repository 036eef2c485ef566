"""Our frames, read by botocore's own parser."""

from __future__ import annotations

import pytest
from botocore.eventstream import ChecksumMismatch, EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from bedrock_emulator.wire import eventstream

names = st.text(min_size=1, max_size=60).filter(lambda text: len(text.encode()) < 256)
values = st.text(max_size=300)
headers = st.dictionaries(names, values, max_size=12)


def parse(data: bytes) -> list:
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return list(buffer)


@given(st.lists(st.tuples(headers, st.binary(max_size=2_000)), min_size=1, max_size=5))
def test_botocore_reads_every_message_back(messages):
    data = b"".join(
        eventstream.encode_message(eventstream.encode_headers(head.items()), payload)
        for head, payload in messages
    )
    parsed = parse(data)
    assert [(message.headers, message.payload) for message in parsed] == messages


@given(st.binary(max_size=500), st.data())
def test_one_flipped_bit_is_seen(payload, data):
    frame = bytearray(eventstream.event("chunk", payload))
    # The first eight bytes are lengths: a wrong one may only make botocore wait for more.
    position = data.draw(st.integers(8, len(frame) - 1))
    frame[position] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(ChecksumMismatch):
        parse(bytes(frame))


@given(st.binary(max_size=500), st.integers(1, 40))
def test_frames_survive_any_split(payload, size):
    frame = eventstream.event("contentBlockDelta", payload)
    buffer = EventStreamBuffer()
    seen = []
    for start in range(0, len(frame), size):
        buffer.add_data(frame[start : start + size])
        seen += list(buffer)
    assert [message.payload for message in seen] == [payload]


def test_kinds_of_messages():
    event, failure, error = parse(
        eventstream.event("metadata", b"{}")
        + eventstream.exception("modelStreamErrorException", b"{}")
        + eventstream.error("InternalFailure", "gone")
    )
    assert event.headers == {
        ":event-type": "metadata",
        ":content-type": "application/json",
        ":message-type": "event",
    }
    assert failure.headers[":exception-type"] == "modelStreamErrorException"
    assert failure.headers[":message-type"] == "exception"
    assert error.headers == {
        ":error-code": "InternalFailure",
        ":error-message": "gone",
        ":message-type": "error",
    }


@pytest.mark.parametrize(
    ("headers", "payload"),
    [
        ([("", "empty name")], b""),
        ([("n" * 256, "long name")], b""),
        ([("name", "v" * 65_536)], b""),
        ([(f"n{i}", "v" * 60_000) for i in range(3)], b""),
        ([], b"x" * (24 * 1024 * 1024 + 1)),
    ],
)
def test_what_botocore_would_refuse_is_not_sent(headers, payload):
    with pytest.raises(ValueError, match=r"event-stream|header"):
        eventstream.encode_message(eventstream.encode_headers(headers), payload)
