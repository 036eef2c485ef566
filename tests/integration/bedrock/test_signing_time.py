"""An endpoint that refuses the time of our signatures, because our clock, the database's, is wrong:
signed again by its clock, as AWS's SDKs do, and told as what it is."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from tests.support.wire_server import wire_server

from tenantry.adapters.bedrock.signing_time import CORRECTION_MAX, SigningTime
from tenantry.ports.model import Failure, FailureKind, Operation, Reply

from .conftest import NOW, FixedClock

JSON = {"Content-Type": "application/json"}
HOUR = timedelta(hours=1)


class Endpoint:
    """Whose clock is so far ahead; it refuses what is signed more than five minutes off. Its `Date`
    is another one's where something between us says it, and a model may be closed."""

    def __init__(self, ahead, date=None):
        self.ahead = ahead
        self.date = date
        self.is_closed = False

    async def __call__(self, exchange):
        now = NOW + self.ahead
        text = exchange.request.header("x-amz-date")
        signed_at = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        dated = {**JSON, "Date": self.date or format_datetime(now, usegmt=True)}
        if abs(signed_at - now) <= timedelta(minutes=5):
            if self.is_closed:
                named = {**dated, "x-amzn-errortype": "AccessDeniedException"}
                await exchange.respond(403, named, b'{"message":"You are not authorized."}')
                return
            await exchange.respond(200, dated, b"{}")
            return
        how = "expired" if signed_at < now else "not yet current"
        named = {**dated, "x-amzn-errortype": "InvalidSignatureException"}
        await exchange.respond(403, named, f'{{"message":"Signature {how}: …"}}'.encode())


def asked(model, attempt, endpoint, *steps):
    """Answers and counts of as many attempts as there are steps, each done before its attempt."""
    counted, doubts = [], []

    async def run():
        async with (
            wire_server(endpoint) as server,
            model(count=counted.append, skewed=lambda: doubts.append(1)) as bedrock,
        ):
            replies = []
            for step in steps:
                step()
                replies.append(await bedrock.invoke(attempt(server.url)))
            return replies, len(server.requests), server.url

    replies, requests, url = asyncio.run(asyncio.wait_for(run(), 30))
    return replies, counted, requests, len(doubts), url


@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
def test_a_refused_time_is_signed_again_by_the_endpoints_clock(model, attempt, caplog, ahead):
    endpoint = Endpoint(ahead)

    def nothing():
        pass

    def is_right_again():
        endpoint.ahead = timedelta()

    replies, counted, requests, doubts, url = asked(
        model, attempt, endpoint, nothing, nothing, is_right_again, nothing
    )
    assert [type(each) for each in replies] == [Reply] * 4
    assert counted == ["answered"] * 4
    assert requests == 4 + 2, "once more where the clocks went apart, and where they met again"
    assert doubts == 2
    told = "refused the time of a signature: its clock and the database's differ by"
    assert [line.replace(url, "URL") for line in caplog.messages] == [
        f"URL, account 111111111111, {told} {seconds} s; signed again by its clock"
        for seconds in (3600, 0)
    ]


def test_a_clock_that_is_days_off_is_told_and_not_followed(model, attempt, caplog):
    (failure,), counted, requests, doubts, _ = asked(
        model, attempt, Endpoint(2 * CORRECTION_MAX), lambda: None
    )
    assert isinstance(failure, Failure)
    assert (counted, requests, doubts) == (["denied"], 1, 0)
    (line,) = caplog.messages
    assert "refuses the time of our signatures, which is the database's" in line


@pytest.mark.parametrize(
    "date",
    [format_datetime(NOW + timedelta(minutes=10), usegmt=True), "Thu, 01 Jan 1970 00:00:00 GMT"],
)
def test_another_refusal_teaches_nothing_whatever_its_date(model, attempt, date):
    endpoint = Endpoint(timedelta(), date)

    def close():
        endpoint.is_closed = True

    def reopen():
        endpoint.is_closed = False

    (refused, reply), _, requests, doubts, _ = asked(model, attempt, endpoint, close, reopen)
    assert (refused.status, refused.error_type) == (403, "AccessDeniedException")
    assert isinstance(reply, Reply), "signed by our clock, which was right"
    assert (requests, doubts) == (2, 0)


def test_a_correction_that_is_refused_too_is_given_up(model, attempt):
    endpoint = Endpoint(HOUR, format_datetime(NOW + timedelta(minutes=10), usegmt=True))

    def nothing():
        pass

    def is_right_again():
        endpoint.ahead = timedelta()

    *refused, reply = asked(model, attempt, endpoint, nothing, is_right_again, nothing)[0]
    assert [each.error_type for each in refused] == ["InvalidSignatureException"] * 2
    assert isinstance(reply, Reply)


def test_a_stream_is_signed_again_too(model, attempt):
    """The endpoint answers with no stream: that it takes the time is what is asked here."""

    async def run():
        async with wire_server(Endpoint(HOUR)) as server, model() as bedrock:
            failure = await bedrock.stream(attempt(server.url, Operation.CONVERSE_STREAM))
            return failure, len(server.requests)

    failure, requests = asyncio.run(asyncio.wait_for(run(), 30))
    assert (failure.status, failure.kind, requests) == (200, FailureKind.RUBBISH, 2)


def test_corrections_are_each_of_its_endpoint():
    times = SigningTime(FixedClock())
    wrong = {"date": format_datetime(NOW + HOUR, usegmt=True)}
    assert times.learn("a", NOW, wrong) == HOUR
    assert (times.now("a"), times.now("b")) == (NOW + HOUR, NOW)
    assert times.learn("b", NOW, {"date": format_datetime(NOW, usegmt=True)}) is None
    assert times.learn("a", NOW + HOUR, wrong) is None, "it was signed by that clock"


def test_a_date_without_a_zone_is_gmt(monkeypatch):
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    wrong = {"date": f"{NOW + HOUR:%a, %d %b %Y %H:%M:%S} -0000"}
    try:
        time.tzset()
        assert SigningTime(FixedClock()).learn("a", NOW, wrong) == HOUR
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("date", ["", "never", "Mon, 99 Xyz 2026 00:00:00 GMT"])
def test_a_refusal_without_a_date_teaches_nothing(date):
    times = SigningTime(FixedClock())
    assert times.learn("a", NOW, {"date": date}) is None
    assert times.learn("a", NOW, {}) is None
    assert times.now("a") == NOW
