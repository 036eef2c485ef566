"""Plain attempts over a real socket: sent once, signed, bounded, and truthful about billing."""

import asyncio
import hashlib
import ssl

import pytest
import trustme
from tests.support.wire_server import wire_server

from tenantry.application.attempts import to_error
from tenantry.domain import errors, sigv4
from tenantry.ports.model import Failure, FailureKind, Operation, Reply

from .conftest import CREDENTIALS, NOW

pytestmark = pytest.mark.usefixtures("loop")

JSON = {"Content-Type": "application/json", "x-amzn-RequestId": "req-1"}


async def answer(exchange):
    await exchange.respond(200, JSON, b'{"usage":{"inputTokens":1}}')


def test_a_reply_comes_whole(model, attempt):
    async def run():
        async with wire_server(answer) as server, model() as bedrock:
            return await bedrock.invoke(attempt(server.url)), server

    reply, server = asyncio.run(run())
    assert isinstance(reply, Reply)
    assert reply.status == 200
    assert reply.body == b'{"usage":{"inputTokens":1}}'
    assert reply.document == {"usage": {"inputTokens": 1}}
    assert reply.request_id == "req-1"
    assert server.requests[0].target == "/model/us.amazon.nova-lite-v1%3A0/converse"
    assert server.requests[0].header("accept-encoding") is None


def test_what_arrives_verifies_as_signed(model, attempt):
    """The raw path, host and body that the server sees are those that were signed."""
    arn = "arn:aws:bedrock:us-east-1:111111111111:application-inference-profile/abc"

    async def run():
        async with wire_server(answer) as server, model() as bedrock:
            await bedrock.invoke(
                attempt(
                    server.url,
                    Operation.INVOKE,
                    model_id=arn,
                    headers={"content-type": "application/json", "accept": "*/*", "x-a": " b  c "},
                )
            )
            return server.requests[0]

    request = asyncio.run(run())
    authorization = sigv4.parse_authorization(request.header("authorization"))
    key = sigv4.signing_key(CREDENTIALS["pool"].secret_access_key, "20261123", "us-east-1")
    path, _, query = request.target.partition("?")
    received = sigv4.SignedRequest(
        request.method, path, query, request.headers, hashlib.sha256(request.body).hexdigest()
    )
    assert isinstance(sigv4.verify(authorization, received, key, NOW), sigv4.VerifiedSignature)
    assert "%2Fabc/invoke" in path


def test_each_account_signs_with_its_own(model, attempt):
    async def run():
        async with wire_server(answer) as server, model() as bedrock:
            for ref in ("pool", "silo"):
                await bedrock.invoke(attempt(server.url, ref=ref))
            return server.requests

    pool, silo = asyncio.run(run())
    assert "Credential=AKIAPOOL/" in pool.header("authorization")
    assert pool.header("x-amz-security-token") is None
    assert "Credential=ASIASILO/" in silo.header("authorization")
    assert silo.header("x-amz-security-token") == "silo-token"
    assert "x-amz-security-token" in silo.header("authorization")


@pytest.mark.parametrize(
    ("status", "error_type", "kind", "maybe_billed"),
    [
        (429, "ThrottlingException", FailureKind.THROTTLED, False),
        (400, "ValidationException", FailureKind.REFUSED, False),
        (403, "AccessDeniedException", FailureKind.REFUSED, False),
        (404, "ResourceNotFoundException", FailureKind.REFUSED, False),
        (408, "ModelTimeoutException", FailureKind.FAILED, True),
        (424, "ModelErrorException", FailureKind.FAILED, True),
        (500, "InternalServerException", FailureKind.FAILED, False),
        (503, "ServiceUnavailableException", FailureKind.FAILED, False),
        (504, None, FailureKind.FAILED, True),
        (307, None, FailureKind.RUBBISH, False),
    ],
)
def test_an_error_answer_is_one_attempt(model, attempt, status, error_type, kind, maybe_billed):
    """Not one of them is retried or followed; each says whether it may have been billed."""

    async def refuse(exchange):
        headers = {**JSON, "Location": "/elsewhere", "x-amz-retry-after": "250"}
        if error_type:
            headers["x-amzn-ErrorType"] = f"{error_type}:http://internal.amazon.com/coral/"
        await exchange.respond(status, headers, b'{"message":"no"}')

    async def run():
        async with wire_server(refuse) as server, model() as bedrock:
            return await bedrock.invoke(attempt(server.url)), len(server.requests)

    failure, requests = asyncio.run(run())
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.maybe_billed) == (kind, maybe_billed)
    assert (failure.status, failure.error_type, failure.message) == (status, error_type, "no")
    assert failure.retry_after_ms == 250
    assert failure.body == b'{"message":"no"}'
    assert failure.request_id == "req-1"
    assert requests == 1


def outcome_of(model, attempt, handler, **changes):
    async def run():
        async with wire_server(handler) as server, model() as bedrock:
            outcome = await bedrock.invoke(attempt(server.url, **changes))
            return outcome, len(server.requests)

    outcome, requests = asyncio.run(run())
    assert isinstance(outcome, Failure)
    assert requests == 1
    return outcome


def test_no_answer_in_time_may_be_billed_and_ends_the_connection(model, attempt):
    async def run():
        left = asyncio.Event()

        async def hang(exchange):
            await exchange.peer_left()
            left.set()

        async with wire_server(hang) as server, model() as bedrock:
            outcome = await bedrock.invoke(attempt(server.url, first_byte_timeout_ms=30))
            await left.wait()
            return outcome

    failure = asyncio.run(asyncio.wait_for(run(), 20))
    assert (failure.kind, failure.maybe_billed) == (FailureKind.TIMED_OUT, True)


@pytest.mark.parametrize("limit", ["first_byte_timeout_ms", "total_timeout_ms"])
def test_a_stalled_body(model, attempt, limit):
    async def stall(exchange):
        await exchange.begin(JSON)
        await exchange.chunk(b"{")
        await exchange.peer_left()

    failure = outcome_of(model, attempt, stall, **{limit: 100})
    assert (failure.kind, failure.maybe_billed) == (FailureKind.TIMED_OUT, True)


def test_nobody_listens(model, attempt):
    async def run():
        async with wire_server(answer) as server:
            url = server.url
        async with model() as bedrock:
            return await bedrock.invoke(attempt(url))

    failure = asyncio.run(run())
    assert (failure.kind, failure.maybe_billed) == (FailureKind.UNREACHABLE, False)


def test_a_connection_that_breaks_before_the_answer(model, attempt):
    """The request had left: it may be billed, and it is not sent a second time."""

    async def vanish(exchange):
        exchange.cut()

    failure = outcome_of(model, attempt, vanish)
    assert (failure.kind, failure.maybe_billed) == (FailureKind.BROKEN, True)


def test_a_kept_alive_connection_that_breaks_is_not_tried_again(model, attempt):
    async def once(exchange):
        if exchange.request.body == b"1":
            await answer(exchange)
        else:
            exchange.cut()

    async def run():
        async with wire_server(once) as server, model() as bedrock:
            first = await bedrock.invoke(attempt(server.url, body=b"1"))
            second = await bedrock.invoke(attempt(server.url, body=b"2"))
            return first, second, [r.body for r in server.requests], server.connections

    first, second, bodies, connections = asyncio.run(run())
    assert isinstance(first, Reply)
    assert (second.kind, second.maybe_billed) == (FailureKind.BROKEN, True)
    assert bodies == [b"1", b"2"]
    assert connections == 1


def test_a_server_that_closes_idle_connections_costs_no_attempt(model, attempt):
    """A kept-alive connection that the server has ended is seen to be dead before it is used."""

    async def run():
        closed = asyncio.Event()

        async def once(exchange):
            await answer(exchange)
            exchange.cut()
            await exchange.writer.wait_closed()
            closed.set()

        async with wire_server(once) as server, model() as bedrock:
            outcomes = []
            for _ in range(2):
                closed.clear()
                outcomes.append(await bedrock.invoke(attempt(server.url)))
                await closed.wait()
                await asyncio.sleep(0.05)  # the client's side sees the end; no event tells
            return outcomes, len(server.requests)

    outcomes, requests = asyncio.run(run())
    assert all(isinstance(outcome, Reply) for outcome in outcomes)
    assert requests == 2


def test_a_body_that_is_cut(model, attempt):
    async def cut(exchange):
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
        exchange.cut()

    failure = outcome_of(model, attempt, cut)
    assert (failure.kind, failure.maybe_billed) == (FailureKind.BROKEN, True)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"a":NaN}', b"\xff\xfe"])
def test_an_answer_that_is_not_the_json_it_says(model, attempt, body):
    async def rubbish(exchange):
        await exchange.respond(200, JSON, body)

    failure = outcome_of(model, attempt, rubbish)
    assert (failure.kind, failure.maybe_billed) == (FailureKind.RUBBISH, True)


def test_an_answer_that_is_no_http(model, attempt):
    async def rubbish(exchange):
        await exchange.send(b"SSH-2.0-OpenSSH\r\n\r\n")
        exchange.cut()

    failure = outcome_of(model, attempt, rubbish)
    assert (failure.kind, failure.maybe_billed) == (FailureKind.BROKEN, True)


def test_an_answer_over_the_limit(model, attempt, monkeypatch):
    monkeypatch.setattr("tenantry.adapters.bedrock.client.REPLY_BYTES_MAX", 1_000)

    async def flood(exchange):
        await exchange.respond(200, JSON, b'"' + b"x" * 2_000 + b'"')

    failure = outcome_of(model, attempt, flood)
    assert (failure.kind, failure.maybe_billed) == (FailureKind.RUBBISH, True)


@pytest.mark.parametrize(
    "changes",
    [
        {"headers": {"x-a": "b\r\nx-injected: 1"}},
        {"headers": {"x-a": "\ud800"}},
        {"model_id": ".."},
    ],
)
def test_what_cannot_be_sent_is_not_sent(model, attempt, changes):
    failure, requests = not_sent(model, attempt, changes)
    assert (failure.kind, failure.maybe_billed) == (FailureKind.UNSENDABLE, False)
    assert requests == []


@pytest.mark.parametrize(
    "changes",
    [
        {"ref": "nobody's"},
        {"url": "ftp://127.0.0.1"},
        {"url": "http://user@127.0.0.1"},
        {"url": "http://127.0.0.1:port"},
        {"url": "http://127.0.0.1/path"},
    ],
)
def test_a_placement_that_cannot_be_called_is_the_operators_to_mend(
    model, attempt, changes, caplog
):
    failure, requests = not_sent(model, attempt, changes)
    assert (failure.kind, failure.maybe_billed) == (FailureKind.MISPLACED, False)
    assert requests == []
    assert "a placement cannot be called" in caplog.text
    told = to_error(failure)
    assert isinstance(told, errors.UpstreamUnavailable)
    assert failure.message not in told.message


def not_sent(model, attempt, changes):
    async def run():
        async with wire_server(answer) as server, model() as bedrock:
            given = {"url": server.url, **changes}
            return await bedrock.invoke(attempt(**given)), server.requests

    return asyncio.run(run())


def test_no_proxy_is_taken_from_the_environment(model, attempt, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async def run():
        async with wire_server(answer) as server, model() as bedrock:
            return await bedrock.invoke(attempt(server.url))

    assert isinstance(asyncio.run(run()), Reply)


def test_connections_are_bounded(model, attempt):
    """The one above the limit waits as long as for a connection, and was not sent."""

    async def run():
        release = asyncio.Event()

        async def hold(exchange):
            await release.wait()
            await answer(exchange)

        async with wire_server(hold) as server, model(max_connections=1) as bedrock:
            call = attempt(server.url, connect_timeout_ms=200)
            first = asyncio.ensure_future(bedrock.invoke(call))
            await server.reached.wait()
            second = await bedrock.invoke(call)
            release.set()
            return await first, second, len(server.requests)

    first, second, requests = asyncio.run(run())
    assert isinstance(first, Reply)
    assert (second.kind, second.maybe_billed) == (FailureKind.UNREACHABLE, False)
    assert requests == 1


def test_tls_with_a_ca_of_ones_own(model, attempt):
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    pem = trustme.CA().cert_pem.bytes() + ca.cert_pem.bytes()

    async def run():
        async with (
            wire_server(answer, ssl=context) as server,
            model(ca_pem=pem) as trusting,
            model() as stranger,
        ):
            call = attempt(server.url)
            return await trusting.invoke(call), await stranger.invoke(call)

    trusted, refused = asyncio.run(run())
    assert isinstance(trusted, Reply)
    assert (refused.kind, refused.maybe_billed) == (FailureKind.UNREACHABLE, False)


def test_a_cancelled_attempt_gives_its_connection_back(model, attempt):
    """Its connection ends at once, and the next attempt gets its place."""

    async def run():
        left = asyncio.Event()

        async def hang(exchange):
            if exchange.request.body == b"hang":
                await exchange.peer_left()
                left.set()
            else:
                await answer(exchange)

        async with wire_server(hang) as server, model(max_connections=1) as bedrock:
            hanging = attempt(server.url, body=b"hang")
            call = asyncio.ensure_future(bedrock.invoke(hanging))
            await server.reached.wait()
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            await left.wait()
            return await bedrock.invoke(attempt(server.url))

    assert isinstance(asyncio.run(asyncio.wait_for(run(), 20)), Reply)
