"""What the operator is told of attempts: each is counted once by what came of it, and what is wrong
with an endpoint is a line that names it, the account and the reason, and nothing that was sent."""

import asyncio
import socket
import ssl

import pytest
import trustme
from tests.support.wire_server import wire_server

from tenantry.adapters.bedrock import pool
from tenantry.domain import eventstream
from tenantry.ports.model import Operation

pytestmark = pytest.mark.usefixtures("loop")

JSON = {"Content-Type": "application/json"}
STREAM = {"Content-Type": eventstream.CONTENT_TYPE}
METADATA = eventstream.encode_event("metadata", b'{"usage":{"inputTokens":1,"outputTokens":2}}')
DELTA = eventstream.encode_event("contentBlockDelta", b'{"delta":{"text":"hi"}}')
MODEL = "us.amazon.nova-lite-v1:0"
SECRETS = ("pool-secret", "AKIAPOOL", "sent by a tenant", "said by a model")
BODY = b'{"messages":["sent by a tenant"]}'

NO_CACHING = b'{"message":"your request did not allow prompt caching"}'


def answers(status, error_type=None, body=b'{"message":"said by a model"}'):
    async def handler(exchange):
        named = {} if error_type is None else {"x-amzn-errortype": error_type}
        await exchange.respond(status, {**JSON, **named}, body)

    return handler


async def hangs(exchange):
    await exchange.peer_left()


async def cuts(exchange):
    exchange.cut()


def streams(*pieces, finish=True):
    async def handler(exchange):
        await exchange.begin(STREAM)
        for piece in pieces:
            await exchange.chunk(piece)
        if finish:
            await exchange.finish()
        else:
            exchange.cut()

    return handler


def told(model, attempt, caplog, handler, *, read=True, **changes):
    """Outcomes and lines of one attempt."""
    counted = []
    operation = changes.pop("operation", Operation.CONVERSE)

    async def run():
        async with wire_server(handler) as server, model(count=counted.append) as bedrock:
            call = attempt(server.url, operation, body=BODY, **changes)
            if not operation.streams:
                await bedrock.invoke(call)
            else:
                reply = await bedrock.stream(call)
                if hasattr(reply, "aclose"):
                    frames = [frame async for frame in reply] if read else []
                    await reply.aclose()
                    await reply.aclose()
                    assert frames or not read
            return server.url

    url = asyncio.run(asyncio.wait_for(run(), 30))
    lines = [line.replace(url, "URL").replace(MODEL, "MODEL") for line in caplog.messages]
    assert not any(secret in line for secret in SECRETS for line in lines)
    return counted, lines


@pytest.mark.parametrize(
    ("handler", "outcome", "trouble"),
    [
        (answers(200, body=b'{"usage":{}}'), "answered", None),
        (answers(429, "ThrottlingException"), "throttled", None),
        (answers(400, "ValidationException"), "refused", None),
        (
            answers(403, "UnrecognizedClientException"),
            "denied",
            "refuses our credentials: 403 UnrecognizedClientException",
        ),
        (answers(403, "said by a model"), "denied", "refuses our credentials: 403"),
        (
            answers(403, "AccessDeniedException"),
            "denied",
            "does not let our credentials call MODEL: 403 AccessDeniedException",
        ),
        (answers(403, "AccessDeniedException", NO_CACHING), "refused", None),
        (answers(404, "ResourceNotFoundException"), "refused", None),
        (answers(404), "rubbish", "does not answer as Bedrock does: 404"),
        (answers(405, body=b"<html>"), "rubbish", "does not answer as Bedrock does: 405"),
        (answers(413, body=b"<html>"), "refused", None),
        (answers(500, "InternalServerException"), "failed", "fails: 500 InternalServerException"),
        (answers(502), "failed", "fails: 502"),
        (answers(200, body=b"said by a model"), "rubbish", "answers what cannot be read"),
        (hangs, "timed_out", "is too slow: no answer began in time"),
        (cuts, "broken", "fails: the answer broke off: the connection was closed"),
    ],
)
def test_what_came_of_an_attempt(model, attempt, caplog, handler, outcome, trouble):
    limits = {"first_byte_timeout_ms": 50} if handler is hangs else {}
    counted, lines = told(model, attempt, caplog, handler, **limits)
    assert counted == [outcome]
    assert lines == ([] if trouble is None else [f"URL, account 111111111111, {trouble}"])


@pytest.mark.parametrize(
    ("handler", "outcome", "trouble"),
    [
        (streams(DELTA, METADATA), "answered", None),
        (streams(DELTA), "broken", "fails: a stream broke off before its usage"),
        (streams(DELTA, finish=False), "broken", "fails: a stream broke off before its usage"),
        (
            streams(DELTA, b"said by a model!" * 4),
            "rubbish",
            "answers what cannot be read: a stream of no frames, or of too many",
        ),
        (
            streams(DELTA, eventstream.encode_exception("throttlingException", b"{}")),
            "throttled",
            None,
        ),
        (
            streams(DELTA, eventstream.encode_exception("validationException", b"{}")),
            "refused",
            None,
        ),
        (
            streams(DELTA, eventstream.encode_exception("modelStreamErrorException", b"{}")),
            "failed",
            "fails: modelStreamErrorException in a stream",
        ),
        (answers(200), "rubbish", "answers what cannot be read"),
        (answers(503), "failed", "fails: 503"),
    ],
)
def test_what_came_of_a_stream(model, attempt, caplog, handler, outcome, trouble):
    operation = Operation.CONVERSE_STREAM
    counted, lines = told(model, attempt, caplog, handler, operation=operation)
    assert counted == [outcome]
    assert lines == ([] if trouble is None else [f"URL, account 111111111111, {trouble}"])


def test_a_stream_that_we_leave(model, attempt, caplog):
    operation, handler = Operation.CONVERSE_STREAM, streams(DELTA, METADATA)
    assert told(model, attempt, caplog, handler, operation=operation, read=False) == (["left"], [])


def test_a_placement_that_cannot_be_called(model, attempt, caplog):
    counted, lines = told(model, attempt, caplog, answers(200), ref="nobody")
    assert counted == ["misplaced"]
    assert lines == ["a placement cannot be called: no credentials are configured for 'nobody'"]


def unreached(model, attempt, caplog, call):
    counted = []

    async def run():
        async with model(count=counted.append) as bedrock:
            await call(bedrock)

    asyncio.run(asyncio.wait_for(run(), 30))
    assert counted == ["unreachable"]
    (line,) = caplog.messages
    return line.partition("is out of reach: ")[2]


def test_nobody_listens(model, attempt, caplog):
    async def call(bedrock):
        async with wire_server(answers(200)) as server:
            url = server.url
        await bedrock.invoke(attempt(url))

    assert unreached(model, attempt, caplog, call) == "the connection is refused"


def test_a_name_that_nobody_has():
    """As the system says it; no test asks a name server."""
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert pool.reason_of(unknown) == "its name is not found: Name or service not known"


def test_a_certificate_of_a_stranger(model, attempt, caplog):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)

    async def call(bedrock):
        async with wire_server(answers(200), ssl=context) as server:
            await bedrock.invoke(attempt(server.url))

    said = unreached(model, attempt, caplog, call)
    assert said.startswith("TLS: its certificate is not trusted: ")


async def unread(bedrock, attempt, say, **limits):
    """An attempt over TLS at a server that takes the connection and says this."""

    async def answer(reader, writer):
        writer.write(say)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await bedrock.invoke(attempt(f"https://127.0.0.1:{port}", **limits))


def test_an_endpoint_that_speaks_no_tls(model, attempt, caplog):
    said = unreached(
        model, attempt, caplog, lambda bedrock: unread(bedrock, attempt, b"HTTP/1.1 400 X\r\n\r\n")
    )
    assert said.startswith("TLS: ")


def test_a_connection_that_never_comes_about(model, attempt, caplog):
    """As behind a firewall that lets packets fall."""
    said = unreached(
        model,
        attempt,
        caplog,
        lambda bedrock: unread(bedrock, attempt, b"", connect_timeout_ms=100),
    )
    assert said == "no connection within 0.1 s"
