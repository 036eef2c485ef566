"""Over the wire: attempts that fail, and who pays for them."""

from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError, EventStreamError
from tests.support.metered import CLAUDE, MeteredStack
from tests.support.stack import Tenant, wait_until

COST = Decimal("0.0105")  # 1,000 in, 500 out


def test_a_billed_time_out_is_our_waste(metered: MeteredStack) -> None:
    anna, bert = metered.tenants()
    metered.rule(anna, "hang", bill="full", times=1)
    answer = metered.boto3(anna).converse(**metered.ask(CLAUDE, 1_000, 500))
    assert _charge(answer) == "0.0315 USD"
    assert len(metered.bill(anna)) == 2, "exactly two requests left"

    metered.log()
    posted = metered.wait_posted(anna, 2)
    assert sorted(posted.attempts) == [(0, 1, "settled", False), (0, 2, "settled", True)]
    assert (posted.cost, posted.waste, posted.charge) == (2 * COST, COST, 3 * COST)
    assert len(metered.ledger(anna)) == 2, "a cost row for each"
    metered.agree(anna, bert)


def test_two_attempts_that_may_be_billed_are_the_most(metered: MeteredStack) -> None:
    anna, bert = metered.tenants()
    metered.rule(anna, "cut", bill="full")
    with pytest.raises(ClientError) as refused:
        metered.boto3(anna).converse(**metered.ask(CLAUDE, 1_000, 500))
    assert _status(refused.value) == (503, "ServiceUnavailableException")
    metered.log()
    posted = metered.wait_posted(anna, 2)
    assert (posted.cost, posted.waste, posted.charge) == (2 * COST, 2 * COST, 0)
    metered.agree(anna, bert)


@pytest.mark.parametrize("how", ["sigv4", "bearer"])
def test_throttled_four_times_then_answered(metered: MeteredStack, how: str) -> None:
    anna, bert = metered.tenants()
    metered.rule(anna, "throttle", times=4)
    answer = metered.boto3(anna, how).converse(**metered.ask(CLAUDE, 1_000, 500))
    assert _charge(answer) == "0.0315 USD"
    posted = metered.posted(anna)
    assert posted.attempts == [
        *((0, number, "released", False) for number in range(1, 5)),
        (0, 5, "settled", True),
    ]
    assert (posted.cost, posted.waste, posted.charge) == (COST, 0, 3 * COST)
    assert len(metered.ledger(anna)) == 1
    metered.agree(anna, bert)


def test_throttled_to_the_end_costs_nothing(metered: MeteredStack) -> None:
    anna, bert = metered.tenants()
    metered.rule(anna, "throttle")
    with pytest.raises(ClientError) as refused:
        metered.boto3(anna).converse_stream(**metered.ask(CLAUDE, 1_000, 500))
    assert _status(refused.value) == (429, "ThrottlingException")
    posted = metered.posted(anna)
    assert [ending for _, _, ending, _ in posted.attempts] == ["released"] * 5
    assert (posted.cost, posted.charge, posted.held_cost) == (0, 0, 0)
    metered.agree(anna, bert)


@pytest.mark.parametrize("kind", ["error_frame", "cut"])
def test_an_error_in_the_stream_is_not_the_customers(metered: MeteredStack, kind: str) -> None:
    anna, bert = metered.tenants()
    metered.rule(anna, kind, after_events=40)
    text = ""
    with (
        closing(_stream(metered, anna)) as stream,
        pytest.raises(EventStreamError, match="modelStreamErrorException"),
    ):
        for event in stream:
            text += event.get("contentBlockDelta", {}).get("delta", {}).get("text", "")
    assert text.startswith("ok ok")

    unknown = metered.wait_unknown(anna)
    assert (unknown.cost, unknown.charge) == (0, 0)
    assert unknown.held_cost > 0, "not $0: it holds its budget until the log tells"
    wait_until(lambda: metered.bill(anna), "the bill")
    metered.log()
    posted = metered.wait_posted(anna, 1)
    assert posted.attempts == [(0, 1, "settled", False)]
    assert posted.cost > 0
    assert (posted.waste, posted.charge) == (posted.cost, 0)
    metered.agree(anna, bert)


def test_nor_is_it_when_the_client_has_left(metered: MeteredStack) -> None:
    anna, bert = metered.tenants()
    metered.rule(anna, "slow_tokens", delay_ms=5)
    metered.rule(anna, "error_frame", after_events=200)
    with closing(_stream(metered, anna)) as stream:
        next(iter(stream))
    metered.wait_unknown(anna)
    metered.log()
    posted = metered.wait_posted(anna, 1)
    assert (posted.waste, posted.charge) == (posted.cost, 0)
    metered.agree(anna, bert)


def _stream(metered: MeteredStack, tenant: Tenant) -> Any:
    answer = metered.boto3(tenant).converse_stream(**metered.ask(CLAUDE, 1_000, 500))
    return answer["stream"]


def _charge(answer: Any) -> str:
    return str(answer["ResponseMetadata"]["HTTPHeaders"]["x-tenantry-charge"])


def _status(error: ClientError) -> tuple[int, str]:
    code = error.response["Error"]["Code"]
    return error.response["ResponseMetadata"]["HTTPStatusCode"], code
