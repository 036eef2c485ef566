"""Unmodified boto3 gives up before the answer is there and sends the same call again."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from tests.support.metered import CLAUDE, MeteredStack
from tests.support.stack import wait_until

CHARGE = Decimal("0.0234")  # 45 in, 511 out
# One at a time, one a day: a re-sent call that took a slot or a request would be refused.
PLAN = {"concurrent_requests": 1, "requests_per_day": 1}
AGAIN = {"mode": "standard", "total_max_attempts": 10}  # with boto3's three a busy machine is late


@pytest.mark.parametrize("how", ["sigv4", "bearer"])
def test_one_charge_one_answer(metered: MeteredStack, how: str) -> None:
    anna, bert = metered.tenants(PLAN)
    metered.rule(anna, "slow_first_token", delay_ms=2_500)
    client = metered.boto3(anna, how, read_timeout=1.5, retries=AGAIN)
    answer = client.converse(**metered.ask(CLAUDE, 45, 511))
    told = answer["ResponseMetadata"]
    assert told["RetryAttempts"] > 0
    assert told["HTTPHeaders"]["idempotent-replayed"] == "true"
    assert answer["usage"]["outputTokens"] == 511
    posted = metered.wait_posted(anna, 1)
    assert posted.attempts == [(0, 1, "settled", True)]
    assert (posted.charge, posted.waste, posted.held_charge) == (CHARGE, 0, 0)
    assert metered.dispatched(anna) == 1
    assert metered.posted(bert).attempts == []


def test_a_stream_that_began_late_is_replayed_as_one(metered: MeteredStack) -> None:
    anna = metered.tenant(PLAN)
    metered.rule(anna, "slow_first_token", delay_ms=2_500)
    client = metered.boto3(anna, read_timeout=1.5, retries=AGAIN)
    answer = client.converse_stream(**metered.ask(CLAUDE, 45, 511))
    assert answer["ResponseMetadata"]["HTTPHeaders"]["idempotent-replayed"] == "true"
    events = list(answer["stream"])
    assert events[-1]["metadata"]["usage"]["outputTokens"] == 511
    posted = metered.wait_posted(anna, 1)
    assert (posted.attempts, posted.charge) == ([(0, 1, "settled", True)], CHARGE)
    assert metered.dispatched(anna) == 1


def test_a_call_refused_before_it_ran_runs_when_sent_again(metered: MeteredStack) -> None:
    anna = metered.tenant({"concurrent_requests": 1})
    ask = metered.ask(CLAUDE, 45, 511)
    metered.rule(anna, "slow_first_token", delay_ms=2_500, times=1)
    client = metered.boto3(anna, retries=AGAIN)  # which takes a while
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(metered.boto3(anna).converse, **ask)
        wait_until(lambda: metered.posted(anna).open, "the call that holds the slot")
        told = client.converse(**ask)["ResponseMetadata"]
        first.result()
    assert told["RetryAttempts"] > 0
    assert "idempotent-replayed" not in told["HTTPHeaders"]
    assert metered.wait_posted(anna, 2).charge == 2 * CHARGE
