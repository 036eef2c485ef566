"""What one client of HTTP/2 may cost the others: floods, resets, windows, bodies."""

import time
from collections.abc import Callable, Iterator

import pytest
from hpack import Encoder
from tests.support.http2_client import BODY, CONVERSE, Client, fields, frame
from tests.support.http_edge import Edge
from tests.support.waiting import eventually

from tenantry.entrypoints.http.wire.limits import WireLimits

PROTOCOL, FLOW, FRAME_SIZE, REFUSED, COMPRESSION, CALM = 1, 3, 6, 7, 9, 11
LIMITS = WireLimits(
    body_bytes=100_000,
    discard_bytes=400_000,
    head_s=0.6,
    body_s=2.0,
    body_most_s=30,
    idle_s=1.5,
    stall_s=1.0,
    close_s=0.5,
    held_bytes=350_000,
    small_body_bytes=50_000,
    streams=8,
    frames=1_000,
    reader_bytes_per_s=100_000,
)


@pytest.fixture(scope="module")
def running_edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    with Edge(tmp_path_factory.mktemp("home"), LIMITS) as edge:
        yield edge


@pytest.fixture
def client(edge: Edge) -> Iterator[Client]:
    with Client(edge.port) as client:
        yield client


def served(edge: Edge) -> None:
    """The others are served still, and nothing is left of who was cut."""
    with Client(edge.port) as other:
        assert other.ask(fields(), BODY).status == 200
    eventually(lambda: not edge.data_server.tasks)
    eventually(lambda: edge.data_server.held_bytes == edge.data_server.unsent.bytes == 0)


def told(client: Client) -> int | None:
    """What a flood is answered, where the word arrives before the connection is reset."""
    client.socket.settimeout(20)
    client.read_all()
    return client.goaway


FLOODS: dict[str, Callable[[Client], bytes]] = {
    "ping": lambda _: frame(6, bytes(8)),
    "settings": lambda _: frame(4),
    "settings that move windows": lambda _: frame(4, b"\x00\x04\x00\x00\x10\x00"),
    "priority": lambda _: frame(2, b"\x00\x00\x00\x03\x10", stream_id=1),
    "window": lambda _: frame(8, b"\x00\x00\x00\x01"),
    "unknown": lambda _: frame(0x77, b"abc"),
    "acknowledged settings": lambda _: frame(4, flags=1),
    "reset of nothing": lambda _: frame(3, b"\x00\x00\x00\x08", stream_id=1),
    "empty data": lambda c: frame(0, b"", stream_id=_open(c)),
    "tiny data": lambda c: frame(0, b"x", stream_id=_open(c)),
    "padded data": lambda c: frame(0, b"\x3e" + bytes(62), flags=8, stream_id=_open(c)),
}


def _open(client: Client) -> int:
    return client.begin(fields())


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_is_told_to_be_calm(edge: Edge, client: Client, name: str) -> None:
    client.ask(fields(), BODY)
    one = FLOODS[name](client)
    for _ in range(40):
        client.raw(one * 50)
    assert told(client) in (CALM, None)
    assert client.closed
    served(edge)


@pytest.mark.parametrize("kind", [6, 4])
def test_who_does_not_read_is_not_answered_without_end(edge: Edge, kind: int) -> None:
    """Neither by pings, which are answered each, nor by settings."""
    one = frame(kind, bytes(8) if kind == 6 else b"")
    with Client(edge.port, receive_bytes=4_096) as client:
        before = sum(_buffered(edge))
        client.socket.settimeout(5)
        for _ in range(100):
            client.raw(one * 20)
        assert sum(_buffered(edge)) - before <= 2 * LIMITS.write_buffer_bytes
    served(edge)


def test_who_does_not_read_is_not_read_from(edge: Edge) -> None:
    """What it sends while an answer waits for it would pile up."""
    edge.services.inference.answer = {"text": "y" * 8_000_000}
    with Client(edge.port, receive_bytes=4_096) as client:
        client.h2.update_settings({4: 2**31 - 1})
        client.raw(client.h2.data_to_send() + frame(8, b"\x3f\xff\x00\x00"))
        client.send(fields(), BODY)
        eventually(lambda: sum(_buffered(edge)) > 0)
        client.socket.settimeout(0.3)
        for _ in range(100):
            client.raw(frame(0x77, bytes(16_384)) * 10)
        waiting = [each._frames.waiting_bytes for each in tuple(edge.data_server.connections)]
        assert max(waiting, default=0) < 600_000
    served(edge)


def _buffered(edge: Edge) -> list[int]:
    transports = [each._transport for each in tuple(edge.data_server.connections)]
    return [each.get_write_buffer_size() for each in transports if each is not None]


@pytest.mark.parametrize("flags", [0, 4])
def test_a_head_without_end(edge: Edge, client: Client, flags: int) -> None:
    """In CONTINUATION frames; and a bomb, which unpacks to far more than it is."""
    if flags:
        bomb = Encoder().encode([(b"a", b"b" * 3_500)] * 60)
        assert len(bomb) < 4_000
        client.raw(frame(1, bomb, flags=5, stream_id=1))
    else:
        client.raw(frame(1, b"\x82" * 100, stream_id=1))
        for _ in range(6):
            client.raw(frame(9, b"\x82" * 16_000, stream_id=1))
    assert told(client) == CALM
    served(edge)


@pytest.mark.parametrize("waits", [False, True])
def test_rapid_reset(edge: Edge, client: Client, waits: bool) -> None:
    """CVE-2023-44487: no more is at work than streams are allowed, whoever has reset them."""
    inference = edge.services.inference
    app, most = edge.data_server.application._inner, 0
    if waits:
        edge.call(inference.gate.clear)
    sent = 0
    client.h2.outbound_flow_control_window = 2**30  # the server says so too, and is not heard
    while not client.closed and sent < 2_000:
        stream_id = client.h2.get_next_available_stream_id()
        client.h2.send_headers(stream_id, fields(CONVERSE + "-stream"))
        client.h2.send_data(stream_id, BODY, end_stream=True)
        client.h2.reset_stream(stream_id, 8)
        client.raw(client.h2.data_to_send())
        most = max(most, app._running)
        sent += 1
    assert told(client) in (CALM, None) and client.closed
    assert most <= LIMITS.streams
    edge.call(inference.gate.set)
    served(edge)


def test_streams_are_as_many_as_was_said(edge: Edge) -> None:
    """One more is refused, and may be sent again; also before the client has heard of it."""
    inference = edge.services.inference
    edge.call(inference.gate.clear)
    with Client(edge.port) as client:
        sent = [client.send(fields(CONVERSE + "-stream"), BODY) for _ in range(LIMITS.streams + 2)]
        for stream_id in sent[LIMITS.streams :]:
            assert client.answer(stream_id).reset == REFUSED
        assert client.h2.remote_settings.max_concurrent_streams == LIMITS.streams
        # One that is reset counts on while its work goes on.
        edge.call(inference.gate.set)
        for stream_id in sent[: LIMITS.streams]:
            assert client.answer(stream_id).ended
        assert client.ask(fields(), BODY).status == 200
    served(edge)


WRONG: list[tuple[bytes, int]] = [
    (frame(0, b"x", stream_id=1), PROTOCOL),  # DATA of nothing
    (frame(1, b"\x82", flags=4, stream_id=2), PROTOCOL),
    (frame(9, b"\x82", flags=4, stream_id=1), PROTOCOL),
    (frame(5, b"\x00\x00\x00\x02\x82", flags=4, stream_id=1), PROTOCOL),
    (frame(1, b"\x82", stream_id=1) + frame(6, bytes(8)), PROTOCOL),
    (frame(1, b"\xff\xff\xff\xff\xff\x0f", flags=5, stream_id=1), COMPRESSION),
    (b"\x00\x40\x01\x00\x00\x00\x00\x00\x01", FRAME_SIZE),
    (b"\xff\xff\xff\x06\x00\x00\x00\x00\x00", FRAME_SIZE),
    (frame(8, b"\x7f\xff\xff\xff"), FLOW),
    (frame(4, b"\x00\x04\xff\xff\xff\xff"), FLOW),
]


@pytest.mark.parametrize(("sent", "code"), WRONG)
def test_who_breaks_the_protocol_is_told_how(
    edge: Edge, client: Client, sent: bytes, code: int
) -> None:
    client.until(lambda: client.h2.remote_settings.max_concurrent_streams == LIMITS.streams)
    client.raw(sent)
    assert told(client) == code
    served(edge)


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (frame(6, bytes(8)), PROTOCOL),
        (frame(4, flags=1), PROTOCOL),
        (b"GET / HTTP/1.1\r\n\r\n", FRAME_SIZE),
    ],
)
def test_settings_come_first(edge: Edge, first: bytes, code: int) -> None:
    with Client(edge.port, begins=False) as client:
        client.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + first)
        heard = b""
        while piece := client.socket.recv(4_096):
            heard += piece
    assert heard.endswith(frame(7, bytes(7) + bytes((code,))))


def test_our_table_of_headers_stays_small(edge: Edge, client: Client) -> None:
    """A client may ask for 4 GB; each answer would add to it and search it."""
    client.h2.update_settings({1: 2**31 - 1})
    client.flush()
    assert client.ask(fields(), BODY).status == 200
    (connection,) = edge.data_server.connections
    assert connection._h2.encoder.header_table_size == 4_096


@pytest.mark.parametrize("length", [True, False])
def test_a_body_over_the_limit_is_read_away_and_refused(client: Client, length: bool) -> None:
    body = b"x" * (LIMITS.body_bytes + 1)
    more = [("content-length", str(len(body)))] if length else []
    answer = client.ask(fields(CONVERSE, *more), body)
    assert answer.status == 413 and b"larger than" in answer.body
    assert answer.headers["x-amzn-errortype"] == "RequestEntityTooLargeException"
    far = client.ask(fields(), b"x" * 2 * LIMITS.discard_bytes)
    assert far.status == 413
    assert client.ask(fields(), BODY).status == 200


def test_small_bodies_of_one_connection_are_together_no_small_one(edge: Edge) -> None:
    server = edge.data_server
    small = LIMITS.small_body_bytes - 5_000
    with Client(edge.port) as other, Client(edge.port) as holder:
        assert other.ask(fields(), BODY).status == 200  # before the time of bodies runs
        for _ in range(LIMITS.streams):
            holder.body(holder.begin(fields()), b"x" * small, end=False)
        eventually(lambda: server.held_bytes > LIMITS.held_bytes // 2 - 45_000)  # all one may have
        assert other.ask(fields(), b"x" * 2 * LIMITS.small_body_bytes).status == 503
        assert other.ask(fields(), BODY).status == 200
    served(edge)


def test_a_body_that_stalls_is_told_and_the_others_go_on(edge: Edge, client: Client) -> None:
    stalls = client.begin(fields())
    client.body(stalls, BODY[:-3], end=False)
    assert client.ask(fields(), BODY).status == 200
    answer = client.answer(stalls)
    assert answer.status == 408 and answer.headers["x-amzn-errortype"] == "RequestTimeoutException"
    assert client.ask(fields(), BODY).status == 200


def test_who_asks_nothing_is_told_and_closed(edge: Edge, client: Client) -> None:
    client.read_all()
    assert client.goaway == 0
    with Client(edge.port) as other:
        assert other.ask(fields(), BODY).status == 200
        other.read_all()
        assert other.goaway == 0 and other.goaway_streams == [1]


@pytest.mark.parametrize("sent", [frame(1, b"\x82", stream_id=3), frame(6, bytes(8))[:-1], b"\x00"])
def test_half_a_frame_is_not_waited_for(edge: Edge, client: Client, sent: bytes) -> None:
    """Also while an answer is on its way, which keeps a connection from being idle."""
    edge.call(edge.services.inference.gate.clear)
    stream_id = client.send(fields(CONVERSE + "-stream"), BODY)
    client.until(lambda: b"messageStart" in client.answers[stream_id].body)
    client.raw(sent)
    client.read_all()
    assert client.goaway is None
    edge.call(edge.services.inference.gate.set)
    served(edge)


@pytest.mark.parametrize("stream", [True, False])
def test_who_opens_no_window_is_cut(edge: Edge, stream: bool) -> None:
    """Alone: a request beside it is answered."""
    many = [("contentBlockDelta", {"delta": {"text": "x" * 10_000}})] * 200
    edge.services.inference.events = lambda: many
    edge.services.inference.answer = {"text": "y" * 3_000_000}
    with Client(edge.port, windows=False) as client:
        held = client.send(fields(CONVERSE + "-stream" if stream else CONVERSE), BODY)
        client.until(lambda: len(client.answers[held].body) > 65_000)
        if not stream:
            eventually(lambda: edge.data_server.unsent.bytes > 3_000_000)
        answer = client.answer(held)
        assert answer.reset == 8 and len(answer.body) == 65_535
    served(edge)


def test_a_window_that_opens_by_drops_is_not_waited_for(edge: Edge) -> None:
    """Each piece is taken in time, and all of them far too slowly."""
    many = [("contentBlockDelta", {"delta": {"text": "x" * 60}})] * 20_000
    edge.services.inference.events = lambda: many
    with Client(edge.port, windows=False) as client:
        client.h2.update_settings({4: 300})
        held = client.send(fields(CONVERSE + "-stream"), BODY)
        answer, started = client.answers[held], time.monotonic()
        while not answer.over and time.monotonic() < started + 15:
            client.receive()
            if not answer.over:
                client.h2.increment_flow_control_window(300, held)
                client.flush()
            time.sleep(0.05)
        assert answer.reset == 8 and len(answer.body) < 60_000
    served(edge)


def test_who_takes_nothing_at_all_is_cut(edge: Edge) -> None:
    edge.services.inference.answer = {"text": "y" * 8_000_000}
    with Client(edge.port, receive_bytes=4_096) as client:
        client.h2.update_settings({4: 2**31 - 1})
        client.h2.increment_flow_control_window(2**30)
        client.raw(client.h2.data_to_send() + frame(8, b"\x3f\xff\x00\x00"))
        client.send(fields(), BODY)
        eventually(lambda: edge.data_server.unsent.bytes > 8_000_000)
        eventually(lambda: edge.data_server.unsent.bytes == 0)
    served(edge)


def test_a_slow_reader_that_takes_its_part_gets_the_whole(edge: Edge) -> None:
    edge.services.inference.answer = {"text": "y" * 4_000_000}
    with Client(edge.port, receive_bytes=65_536) as client:
        held = client.send(fields(), BODY)
        started = time.monotonic()
        while time.monotonic() < started + 2.5:  # longer than every deadline of this edge
            assert client.receive() and not client.answers[held].over
            time.sleep(0.06)
        assert client.answer(held).body.count(b"y") == 4_000_000
