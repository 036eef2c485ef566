"""The shipped plans are those of the documentation, and name every field."""

import dataclasses
import re
from decimal import Decimal
from pathlib import Path

import pytest

from tenantry.adapters.shipped import plan_tables
from tenantry.domain.plan import Plan, PlanError, plan_from
from tenantry.domain.plan_file import plan_tables_from_toml

ROOT = Path(__file__).resolve().parents[3]
FIELDS = [f.name for f in dataclasses.fields(Plan) if f.name not in ("name", "version")]


@pytest.fixture(scope="module")
def plans():
    return {name: plan_from(name, table) for name, table in plan_tables().items()}


@pytest.mark.parametrize(
    ("field", "free", "pro", "enterprise"),
    [
        ("requests_per_day", 100, 10_000, None),
        ("requests_per_minute", 10, 300, 1_000),
        ("tokens_per_minute", 20_000, 400_000, 2_000_000),
        ("concurrent_requests", 2, 20, 100),
        ("monthly_budget", Decimal(5), Decimal(500), None),
        ("budget_hard", True, True, True),
        ("soft_alert_at", None, None, Decimal(5_000)),
        ("max_tokens_ceiling", 1_024, 8_192, 32_768),
        ("max_tokens_default", 512, 2_048, 4_096),
        ("placement", "pool", "pool", "silo"),
        ("markup", Decimal(4), Decimal(4), Decimal(3)),
        ("monthly_fee", Decimal(0), Decimal(50), Decimal(2_000)),
        ("documents_max", 100, 10_000, 1_000_000),
        ("storage_max_mb", 50, 5_000, 500_000),
        ("kms_key", "shared", "shared", "own"),
        ("fair_queue_weight", 1, 4, 16),
    ],
)
def test_plans_as_shipped(plans, field, free, pro, enterprise):
    assert [getattr(plans[n], field) for n in plans] == [free, pro, enterprise]


def test_every_field_is_named_with_its_unit():
    text = (ROOT / "src/tenantry/data/plans.toml").read_text()
    free = text.partition("\n[free]\n")[2].partition("[pro]")[0]
    named = re.findall(r"^(?:# )?(\w+) = .*\S +# [\w<]", free, re.MULTILINE)
    assert named == FIELDS


def test_the_example_sets_every_field():
    text = (ROOT / "src/tenantry/data/plans_example.toml").read_text()
    [table] = plan_tables_from_toml(text).values()
    assert sorted(table) == sorted(FIELDS)


def test_every_field_is_documented():
    text = (ROOT / "docs/reference/plans.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == FIELDS


def test_which_money_is_not_in_the_contracts_currency_is_said():
    """A hit is a list charge: in USD, converted by the invoice."""
    page = (ROOT / "docs/reference/plans.md").read_text()
    shipped = (ROOT / "src/tenantry/data/plans.toml").read_text()
    example = (ROOT / "src/tenantry/data/plans_example.toml").read_text()
    assert re.search(r"^\| `cache_hit_price` \|[^|]* in USD \|", page, re.MULTILINE)
    assert re.search(r"^cache_hit_price = .* # .* in USD ", shipped, re.MULTILINE)
    for text in (page, shipped, example):
        assert re.search(r"contract('s currency)?,[\s#]+but\sfor\s`?cache_hit_price", text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a]\nmarkup = 4.0", "markup must be a decimal in quotes"),
        ("[a]\nrequest_per_day = 1", "unknown field request_per_day"),
        ("requests_per_day = 1", "stands outside of any plan"),
        ("[a", "is not TOML"),
        ("", "holds no plan"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(text, message):
    with pytest.raises(PlanError, match=message):
        plan_tables_from_toml(text)
