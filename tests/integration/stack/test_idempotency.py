"""Over the wire: an Idempotency-Key with another body, or still in flight."""

import http.client
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import openai
import orjson
import pytest
from tests.support.metered import CLAUDE, MeteredStack, Posted
from tests.support.stack import Tenant, wait_until
from tests.support.stack_clients import Reply, converse_path

from tenantry.domain.eventstream import Decoder

CHARGE = Decimal("0.0315")  # 1,000 in, 500 out
RUNNING = "SELECT 1 FROM tenantry.idempotency WHERE tenant_id = $1 AND state = 'running'"


def converse(
    metered: MeteredStack, tenant: Tenant, key: str, *, out: int = 500, stream: bool = False
) -> Reply:
    ask = metered.ask(CLAUDE, 1_000, out)
    path = converse_path(ask.pop("modelId"), stream)
    return metered.http("POST", path, ask, tenant=tenant, headers={"idempotency-key": key})


def once(posted: Posted) -> None:
    assert posted.attempts == [(0, 1, "settled", True)]
    assert (posted.charge, posted.held_charge) == (CHARGE, 0)


@pytest.mark.parametrize("stream", [False, True])
def test_the_answer_is_replayed_and_another_body_refused(
    metered: MeteredStack, stream: bool
) -> None:
    anna, bert = metered.tenants({"requests_per_day": 1})
    status, headers, body = converse(metered, anna, "k", stream=stream)
    assert status == 200 and "idempotent-replayed" not in headers
    before = metered.wait_posted(anna, 1)
    once(before)
    again_status, again, same = converse(metered, anna, "k", stream=stream)
    assert (again_status, same) == (200, body)
    assert again["idempotent-replayed"] == "true"
    for name in ("x-tenantry-request-id", "x-amzn-requestid", "content-type"):
        assert again[name] == headers[name]
    assert again.get("x-tenantry-charge") == headers.get("x-tenantry-charge")
    status, headers, body = converse(metered, anna, "k", out=499, stream=stream)
    assert (status, headers["x-amzn-errortype"]) == (422, "IdempotentParameterMismatchException")
    assert metered.posted(anna) == before
    status, headers, _ = converse(metered, bert, "k", stream=stream)  # a key of its own
    assert status == 200 and "idempotent-replayed" not in headers
    metered.wait_posted(bert, 1)
    assert metered.dispatched(anna) == metered.dispatched(bert) == 1


def test_in_flight(metered: MeteredStack) -> None:
    anna, bert = metered.tenants()
    metered.rule(anna, "slow_first_token", delay_ms=2_000)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(converse, metered, anna, "k")
        wait_until(lambda: metered.rows(RUNNING, anna.id), "the first run")
        status, headers, _ = converse(metered, anna, "k")
        assert (status, headers["x-amzn-errortype"]) == (409, "ConflictException")
        assert converse(metered, anna, "k", out=499)[0] == 422
        assert first.result()[0] == 200
    once(metered.wait_posted(anna, 1))
    assert metered.dispatched(anna) == 1
    assert metered.posted(bert).attempts == []


def test_a_stream_that_was_left_is_there_in_full(metered: MeteredStack) -> None:
    anna = metered.tenant()
    metered.rule(anna, "slow_tokens", delay_ms=2)
    ask = metered.ask(CLAUDE, 1_000, 500)
    path = converse_path(ask.pop("modelId"), True)
    headers = {"authorization": f"Bearer {anna.key.bearer}", "idempotency-key": "k"}
    connection = http.client.HTTPConnection(urlsplit(metered.url).netloc, timeout=30)
    connection.request("POST", path, orjson.dumps(ask), headers)
    assert connection.getresponse().read(200)
    connection.close()
    once(metered.wait_posted(anna, 1))
    wait_until(lambda: not metered.rows(RUNNING, anna.id), "the end of the run")
    # The worker lets go of the key a moment after the row says so.
    wait_until(lambda: converse(metered, anna, "k", stream=True)[0] != 409, "the key")
    status, _, body = converse(metered, anna, "k", stream=True)
    assert status == 200
    assert Decoder().feed(body)[-1].event_type == "metadata"
    once(metered.posted(anna))


def test_through_openai(metered: MeteredStack) -> None:
    anna = metered.tenant()
    text = metered.ask(CLAUDE, 1_000, 500)["messages"][0]["content"][0]["text"]

    def ask(max_tokens: int, stream: bool = False) -> Any:
        with metered.openai(anna, max_retries=2) as sdk:
            answer = sdk.chat.completions.create(
                model=CLAUDE,
                messages=[{"role": "user", "content": text}],
                max_tokens=max_tokens,
                stream=stream,
                extra_headers={"Idempotency-Key": "k"},
            )
            return list(answer) if stream else answer

    first = ask(500)
    once(metered.wait_posted(anna, 1))
    assert ask(500) == first
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        ask(499)
    assert caught.value.code == "idempotency_mismatch"
    with pytest.raises(openai.UnprocessableEntityError):
        ask(500, stream=True)
    once(metered.posted(anna))


def test_what_was_refused_or_throttled_is_not_kept(metered: MeteredStack) -> None:
    anna = metered.tenant({"requests_per_day": 1})
    for key in ("", "a b", "k" * 256):
        assert converse(metered, anna, key)[0] == 400
    assert converse(metered, anna, "k", out=0)[0] == 400
    assert converse(metered, anna, "k")[0] == 200
    assert converse(metered, anna, "other")[0] == 400  # the day's quota
    assert converse(metered, anna, "k")[0] == 200
    once(metered.wait_posted(anna, 1))


def test_the_model_s_refusal_is_kept(metered: MeteredStack) -> None:
    anna = metered.tenant()
    metered.rule(anna, "error", status=400, code="ValidationException", times=1)
    first = converse(metered, anna, "k")
    again = converse(metered, anna, "k")
    assert (first[0], again[0], again[2]) == (400, 400, first[2])
    assert again[1]["idempotent-replayed"] == "true"
    assert [a[2] for a in metered.wait_posted(anna, 1).attempts] == ["released"]
