"""HTTP/1.1 as it may come: framing, limits, and what is done with a connection afterwards."""

import asyncio
import itertools
import ssl
from contextlib import suppress

import pytest
import trustme
from tests.support.held import held_of
from tests.support.wire_server import wire_server

from tenantry.adapters.bedrock import pool
from tenantry.adapters.bedrock.connection import (
    BUFFERED_BYTES_MAX,
    HEAD_BYTES_MAX,
    Connection,
    Waits,
)
from tenantry.ports.model import Attempt, Failure, FailureKind, Operation, Reply

pytestmark = pytest.mark.usefixtures("loop")

BODY = b'{"usage":{"inputTokens":1}}'
JSON = b"Content-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def outcomes(model, attempt, *answers, cut=False):
    """What comes of one attempt for each of these answers, and how many connections there were."""
    waiting = list(answers)

    async def handler(exchange):
        await exchange.send(waiting.pop(0))
        if cut:
            exchange.cut()

    async def run():
        async with wire_server(handler) as server, model() as bedrock:
            found = []
            for _ in answers:
                found.append(await bedrock.invoke(attempt(server.url)))
                await asyncio.sleep(0.02)  # what follows an answer may come after it
            return found, server.connections

    return asyncio.run(asyncio.wait_for(run(), 20))


def whole(*lines):
    return b"HTTP/1.1 200 OK\r\n" + JSON + b"".join(lines) + b"\r\n" + BODY


@pytest.mark.parametrize(
    "answer",
    [
        whole(LENGTH),
        b"HTTP/1.1 200 OK\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\n"
        b"5;name=value\r\n" + BODY[:5] + b"\r\n%x\r\n" % (len(BODY) - 5) + BODY[5:] + b"\r\n"
        b"0\r\nx-trailer: yes\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + whole(LENGTH),
        b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + whole(LENGTH),
    ],
    ids=["length", "chunks-and-trailer", "continue", "early-hints"],
)
def test_a_whole_answer_keeps_its_connection(model, attempt, answer):
    found, connections = outcomes(model, attempt, answer, answer)
    for reply in found:
        assert isinstance(reply, Reply), reply
        assert reply.body == BODY
        assert not {"link", "x-trailer"} & reply.headers.keys()
    assert connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        whole(LENGTH, b"Connection: close\r\n"),
        whole(LENGTH).replace(b"HTTP/1.1", b"HTTP/1.0"),
        whole(LENGTH) + b"HTTP/1.1 200 OK\r\n\r\n",  # nobody asked for a second one
        whole(LENGTH) + whole(LENGTH),
    ],
    ids=["close", "http10", "second-answer", "second-answer-with-a-body"],
)
def test_an_answer_that_ends_its_connection(model, attempt, answer):
    found, connections = outcomes(model, attempt, answer, answer)
    assert [reply.body for reply in found] == [BODY, BODY]
    assert connections == 2


def test_an_answer_that_ends_with_its_connection(model, attempt):
    found, _ = outcomes(model, attempt, whole(), cut=True)
    assert found[0].body == BODY


def test_equal_headers_are_joined(model, attempt):
    found, _ = outcomes(model, attempt, whole(LENGTH, b"x-a: 1\r\n", b"X-A: 2\r\n"))
    assert found[0].headers["x-a"] == "1, 2"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (whole(LENGTH, b"x: " + b"x" * HEAD_BYTES_MAX + b"\r\n"), None),  # at once: it is there
        (b"HTTP/1.1 200 OK\r\nx: " + b"x" * HEAD_BYTES_MAX * 2, FailureKind.RUBBISH),
        (CHUNKED + b"0\r\nx: " + b"x" * HEAD_BYTES_MAX * 10, FailureKind.RUBBISH),
        (CHUNKED + b"2;x=" + b"x" * HEAD_BYTES_MAX * 10, FailureKind.RUBBISH),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\n\r\n", FailureKind.BROKEN),
        (whole(LENGTH, b"Content-Length: 3\r\n"), FailureKind.BROKEN),
        (CHUNKED + b"zz\r\n", FailureKind.BROKEN),
    ],
    ids=[
        "large-head",
        "endless-head",
        "endless-trailer",
        "endless-extension",
        "upgrade",
        "two-lengths",
        "no-chunk",
    ],
)
def test_an_answer_that_breaks_the_rules(model, attempt, answer, kind):
    ((outcome,), _) = outcomes(model, attempt, answer, cut=True)
    if isinstance(outcome, Failure):
        assert (outcome.kind, outcome.maybe_billed) == (kind or FailureKind.RUBBISH, True)
    else:
        assert kind is None


def test_a_slow_reader_holds_the_sender_back(model, attempt):
    """What waits for a reader is bounded, however much the other side has to send."""
    sent = 0

    async def flood(exchange):
        nonlocal sent
        await exchange.begin({"Content-Type": "application/vnd.amazon.eventstream"})
        for _ in range(400):
            await exchange.chunk(b"x" * 65_536)
            sent += 65_536

    async def run():
        async with wire_server(flood) as server, model() as bedrock:
            reply = await bedrock.stream(attempt(server.url, Operation.CONVERSE_STREAM))
            before = -1
            while sent != before:  # until the sender waits
                before = sent
                await asyncio.sleep(0.1)
            await reply.aclose()
            return sent

    buffers_of_the_kernel = 8 * 1024 * 1024
    sent_in_all = asyncio.run(asyncio.wait_for(run(), 30))
    assert sent_in_all < BUFFERED_BYTES_MAX + buffers_of_the_kernel < 400 * 65_536


def test_idle_connections_are_given_up_before_the_other_side_does_it(model, attempt, monkeypatch):
    monkeypatch.setattr(pool, "IDLE_S_MAX", 0.0)

    async def handler(exchange):
        await exchange.send(whole(LENGTH))

    async def run():
        async with wire_server(handler) as server, model() as bedrock:
            call = attempt(server.url)
            await asyncio.gather(bedrock.invoke(call), bedrock.invoke(call))
            await asyncio.sleep(0.01)
            assert isinstance(await bedrock.invoke(call), Reply)
            return server.connections

    assert asyncio.run(run()) == 3


def test_a_broken_exchange_holds_nothing_of_what_was_sent(model, attempt):
    with held_of(Attempt) as held:
        ((failure,), _) = outcomes(model, attempt, whole(LENGTH)[:-3], cut=True)
        assert isinstance(failure, Failure)
        assert not held()


def tls():
    """What a server has to show, and what a client has to trust for it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context, authority.cert_pem.bytes()


@pytest.mark.parametrize("over_tls", [False, True], ids=["clear", "tls"])
@pytest.mark.parametrize("pieces", [1, 2, 3, 4])
def test_a_connection_is_kept_in_however_many_pieces_its_answers_come(
    model, attempt, pieces, over_tls
):
    context, pem = tls() if over_tls else (None, None)
    answer = whole(LENGTH)
    cuts = [len(answer) * number // pieces for number in range(pieces + 1)]

    async def handler(exchange):
        for begin, end in itertools.pairwise(cuts):
            await exchange.send(answer[begin:end])
            await asyncio.sleep(0.01)

    async def run():
        async with wire_server(handler, ssl=context) as server, model(ca_pem=pem) as bedrock:
            for _ in range(4):
                assert isinstance(await bedrock.invoke(attempt(server.url)), Reply)
            return server.connections

    assert asyncio.run(asyncio.wait_for(run(), 20)) == 1


@pytest.mark.parametrize("over_tls", [False, True], ids=["clear", "tls"])
def test_what_was_answered_before_it_was_sent_is_the_last_on_its_connection(
    model, attempt, over_tls
):
    """Who answers early may take the rest of a body for requests, and their answers are nobody's
    who asks next."""
    context, pem = tls() if over_tls else (None, None)
    connections = 0

    async def answers_early(reader, writer):
        nonlocal connections
        connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(whole(LENGTH))
                await asyncio.sleep(0)
        writer.close()

    async def run():
        server = await asyncio.start_server(answers_early, "127.0.0.1", 0, ssl=context)
        scheme = "https" if over_tls else "http"
        url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, model(ca_pem=pem) as bedrock:
            large = attempt(url, body=b"GET / HTTP/1.1\r\n\r\n" * 1_000_000)
            for _ in range(2):
                assert isinstance(await bedrock.invoke(large), Reply)
        return connections

    assert asyncio.run(asyncio.wait_for(run(), 20)) == 2


def test_what_comes_behind_an_answer_that_nobody_has_read_yet_is_not_kept():
    """As a head without end would be, for as long as a tenant is slow to take the answer."""

    async def goes_on(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(whole(LENGTH) + b"HTTP/1.1 200 OK\r\nx: ")
        with suppress(ConnectionError):
            while True:
                writer.write(b"x" * HEAD_BYTES_MAX)
                await writer.drain()
        ended.set()

    async def run():
        server = await asyncio.start_server(goes_on, "127.0.0.1", 0)
        async with server:
            loop = asyncio.get_running_loop()
            at = server.sockets[0].getsockname()[:2]
            _, connection = await loop.create_connection(Connection, *at)
            await connection.send(b"GET / HTTP/1.1\r\n\r\n", Waits(20, 20, 20))
            await asyncio.wait_for(ended.wait(), 5)
            assert await connection.read() == BODY
            assert await connection.read() is None
            assert not connection.release()

    ended = asyncio.Event()
    asyncio.run(asyncio.wait_for(run(), 20))
