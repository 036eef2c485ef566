"""The bills of materials: exact, complete, and honest about what was not looked up."""

import re
from decimal import Decimal

import pytest

from tenantry.domain.deployments import (
    DEPLOYMENTS,
    HOURS,
    PRICES,
    READ_NOWHERE,
    TENANTS,
    Load,
    bill_of,
)


def load(tenants: int) -> Load:
    return Load(tenants, tenants * 100)


def test_every_deployment_has_a_bill_at_every_size() -> None:
    for name in DEPLOYMENTS:
        bills = [bill_of(name, load(tenants)) for tenants in TENANTS]
        assert [bill.usd for bill in bills] == sorted(bill.usd for bill in bills)
        for bill in bills:
            assert bill.usd == sum(line.quantity * line.price.usd for line in bill.lines) > 0
            assert all(line.why for line in bill.lines)


def test_a_bill_by_hand() -> None:
    """1,000 tenants, 100,000 requests on ECS and RDS."""
    lines = {line.name: line.usd for line in bill_of("ecs-rds", load(1_000)).lines}
    assert lines["Fargate vCPU"] == Decimal(HOURS * 3) * Decimal("0.04048")
    assert lines["Fargate memory"] == Decimal(HOURS * 6) * Decimal("0.004445")
    assert lines["RDS db.t4g.medium Multi-AZ"] == Decimal("94.900")
    assert lines["NAT gateways"] == Decimal("65.700")
    assert lines["RDS storage"] == Decimal("23.9") * Decimal("0.23")  # 20 GB + 3.9 GB of ledger
    assert lines["S3, sealed documents"] == Decimal("1.15")
    assert "RDS db.m6g.large Multi-AZ" not in lines
    assert "RDS db.m6g.large Multi-AZ" in {
        line.name for line in bill_of("ecs-rds", load(1_001)).lines
    }


def test_serverless_has_no_floor_and_servers_have() -> None:
    assert bill_of("serverless", load(10)).usd < 2
    assert bill_of("ecs-rds", load(10)).usd > 250


def test_more_requests_need_more_tasks() -> None:
    few, many = Load(10, 1_000), Load(10, 150_000_001)
    assert (few.tasks, many.tasks) == (2, 4)


@pytest.mark.parametrize("name", PRICES)
def test_a_price_says_where_it_was_read_or_that_it_was_not(name: str) -> None:
    price = PRICES[name]
    assert price.usd > 0
    assert price.assumed == (price.read == READ_NOWHERE)
    assert price.assumed or re.match(r"[a-z0-9.-]+\.[a-z]+[/ ]", price.read)


def test_each_price_is_used() -> None:
    assert {part.price for parts in DEPLOYMENTS.values() for part in parts} == set(PRICES)
