"""Requests and tokens a minute: two accounts, exact amounts, a clock of our own."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_emulator.accounts import Account, QuotaRule
from bedrock_emulator.engine.types import EmulatedError, Prepared, TokenUsage
from bedrock_emulator.quota import NS_PER_MINUTE, Quotas

CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"


class Clock:
    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


def account(account_id: str, *rules: QuotaRule) -> Account:
    return Account(account_id, account_id, ("us-east-1",), Path("logs"), (), rules)


def prepared(input_tokens=100, max_tokens=400, burndown=5, *, across=False) -> Prepared:
    return Prepared(CLAUDE, input_tokens, max_tokens, burndown, cross_region=across)


def admitted(quotas, of, call, region="us-east-1", model_id=CLAUDE) -> bool:
    try:
        quotas.reserve(of, region, model_id, call)
    except EmulatedError as error:
        assert (error.name, error.status) == ("ThrottlingException", 429)
        return False
    return True


def test_tokens_are_taken_up_front_and_replaced_by_what_was_used():
    clock = Clock()
    quotas = Quotas(clock)
    pool = account("1", QuotaRule(tokens_per_minute=1_000))
    reservation = quotas.reserve(pool, "us-east-1", CLAUDE, prepared())
    assert not admitted(quotas, pool, prepared(100, 401))
    # 30 uncached + 20 written + 10 out x 5; the 50 that were read from the cache cost nothing.
    usage = TokenUsage(input=30, output=10, cache_read=50, cache_write_5m=15, cache_write_1h=5)
    reservation.settle(usage)
    reservation.settle(usage)
    assert not admitted(quotas, pool, prepared(0, 901))
    assert admitted(quotas, pool, prepared(0, 900))


def test_a_released_reservation_comes_back_whole():
    quotas = Quotas(Clock())
    pool = account("1", QuotaRule(tokens_per_minute=500))
    quotas.reserve(pool, "us-east-1", CLAUDE, prepared()).release()
    assert admitted(quotas, pool, prepared())


def test_burndown_can_take_the_counter_below_zero():
    clock = Clock()
    quotas = Quotas(clock)
    pool = account("1", QuotaRule(tokens_per_minute=600))
    reservation = quotas.reserve(pool, "us-east-1", CLAUDE, prepared(100, 200))
    reservation.settle(TokenUsage(input=100, output=200))
    clock.now_ns = NS_PER_MINUTE * 500 // 600 - 1
    assert not admitted(quotas, pool, prepared(0, 0))
    clock.now_ns += 1
    assert admitted(quotas, pool, prepared(0, 0))


def test_refills_steadily_up_to_one_minute():
    clock = Clock()
    quotas = Quotas(clock)
    pool = account("1", QuotaRule(requests_per_minute=2))
    assert [admitted(quotas, pool, prepared()) for _ in range(3)] == [True, True, False]
    clock.now_ns = NS_PER_MINUTE // 2 - 1
    assert not admitted(quotas, pool, prepared())
    clock.now_ns += 1
    assert [admitted(quotas, pool, prepared()) for _ in range(2)] == [True, False]
    clock.now_ns += 100 * NS_PER_MINUTE
    assert [admitted(quotas, pool, prepared()) for _ in range(3)] == [True, True, False]


def test_accounts_regions_and_profiles_have_counters_of_their_own():
    quotas = Quotas(Clock())
    one, two = (account(name, QuotaRule(requests_per_minute=1)) for name in "12")
    profile = f"us.{CLAUDE}"
    arn = "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc"
    for of in (one, two):
        assert admitted(quotas, of, prepared())
        assert not admitted(quotas, of, prepared())
        assert admitted(quotas, of, prepared(), region="eu-central-1")
        assert admitted(quotas, of, prepared(across=True), model_id=profile)
        assert not admitted(quotas, of, prepared(across=True), model_id=arn)
        assert not admitted(quotas, of, prepared(), model_id=arn)


def test_provisioned_throughput_takes_nothing_of_the_on_demand_quota():
    quotas = Quotas(Clock())
    pool = account("1", QuotaRule(requests_per_minute=1, tokens_per_minute=500))
    bought = "arn:aws:bedrock:us-east-1:1:provisioned-model/abcdefghijkl"
    assert all(admitted(quotas, pool, prepared(), model_id=bought) for _ in range(10))
    assert admitted(quotas, pool, prepared())
    assert not admitted(quotas, pool, prepared())


def test_the_first_matching_rule_holds():
    quotas = Quotas(Clock())
    pool = account(
        "1",
        QuotaRule(model="amazon.*", requests_per_minute=0),
        QuotaRule(region="eu-*", requests_per_minute=0),
        QuotaRule(model="us.anthropic.*", requests_per_minute=0),
    )
    assert all(admitted(quotas, pool, prepared()) for _ in range(100))
    assert not admitted(quotas, pool, prepared(), region="eu-central-1")
    assert not admitted(quotas, pool, prepared(), model_id=f"us.{CLAUDE}")
    nova = Prepared("amazon.nova-lite-v1:0", 1, 1, 1)
    assert not admitted(quotas, pool, nova, model_id="arn:aws:x/application-inference-profile/y")


def test_a_call_larger_than_the_whole_quota_is_always_throttled():
    quotas = Quotas(Clock())
    pool = account("1", QuotaRule(tokens_per_minute=100))
    with pytest.raises(EmulatedError, match="Too many tokens"):
        quotas.reserve(pool, "us-east-1", CLAUDE, prepared(1, 100))


@given(
    st.integers(1, 5_000),
    st.lists(
        st.tuples(st.integers(0, NS_PER_MINUTE), st.integers(0, 300), st.integers(0, 300)),
        max_size=60,
    ),
)
def test_never_more_than_the_refill_is_admitted(limit, calls):
    """Whatever the order: used tokens <= a full counter + what time refilled."""
    clock = Clock()
    quotas = Quotas(clock)
    pool = account("1", QuotaRule(tokens_per_minute=limit))
    used = 0
    for wait_ns, input_tokens, max_tokens in calls:
        clock.now_ns += wait_ns
        call = Prepared(CLAUDE, input_tokens, max_tokens, 1)
        if admitted(quotas, pool, call):
            used += input_tokens + max_tokens
        assert (used - limit) * NS_PER_MINUTE <= clock.now_ns * limit
