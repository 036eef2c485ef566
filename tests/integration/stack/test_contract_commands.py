"""`tenantry tenants contract` and `tenantry usage` as a person meets them."""

from __future__ import annotations

import json
from typing import Any

from tests.support.metered import NOVA, MeteredStack
from tests.support.stack_clients import converse_body, converse_path
from tests.support.stack_command import tenantry


def contract(metered: MeteredStack, tenant: str, *options: str) -> list[Any]:
    done = tenantry(metered.home, "tenants", "contract", tenant, *options, "--json")
    assert done.returncode == 0, done.stderr
    versions: list[Any] = json.loads(done.stdout)
    return versions


def test_an_end_that_was_agreed_can_be_taken_out_again(metered: MeteredStack) -> None:
    anna, bert = metered.tenants()
    for tenant in (anna, bert):
        contract(metered, tenant.id, "--ends-on", "2126-12-31", "--tax-id", "US 12")
    after, before = contract(metered, anna.id, "--ends-on", "none", "--tax-id", "none")
    assert (before["version"], before["ends_on"]) == (1, "2126-12-31"), "a version stays"
    assert (after["version"], after["ends_on"]) == (2, None)
    assert "tax_id" not in after["customer"] or after["customer"]["tax_id"] is None
    [theirs] = contract(metered, bert.id)
    assert (theirs["version"], theirs["ends_on"]) == (1, "2126-12-31")
    refused = tenantry(metered.home, "tenants", "contract", anna.id, "--ends-on", "never")
    assert (refused.returncode, len(contract(metered, anna.id))) == (2, 2)


def test_a_tax_that_is_put_off_is_shown_where_it_is(metered: MeteredStack) -> None:
    anna, bert = metered.tenants()
    for tenant in (anna, bert):
        contract(metered, tenant.id, "--tax-rate", "0.19", "--tax-label", "VAT")
        contract(metered, tenant.id, "--tax-rate", "0.21", "--tax-starts-on", "2126-07-01")
    first = {"starts_on": None, "rate": "0.19", "label": "VAT"}
    second = {"starts_on": "2126-07-01", "rate": "0.21", "label": "VAT"}
    versions = contract(metered, anna.id, "--tax-starts-on", "2126-10-01")
    schedules = [version["tax_schedule"] for version in versions]
    put_off = {**second, "starts_on": "2126-10-01"}
    assert schedules == [[first, put_off], [first, second], [first]]
    assert contract(metered, bert.id)[0]["tax_schedule"] == [first, second]
    table = tenantry(metered.home, "tenants", "contract", anna.id).stdout.splitlines()
    [shown] = [line for line in table if line.startswith("tax_schedule")]
    assert shown.split(maxsplit=1)[1].strip() == "0.19 VAT; from 2126-10-01 on 0.21 VAT"


def test_usage_until_a_day_before_the_running_period_names_what_to_give(
    metered: MeteredStack,
) -> None:
    """It printed an empty table, as if nothing had been used."""
    anna, _ = metered.tenants()
    for option, day, other in (("--to", "2020-02-01", "--from"), ("--from", "2120-02-01", "--to")):
        refused = tenantry(metered.home, "usage", anna.id, option, day)
        assert refused.returncode == 2
        assert f"give {other} too" in refused.stderr
    both = ("usage", anna.id, "--from", "2020-01-01", "--to", "2020-02-01")
    assert tenantry(metered.home, *both).returncode == 0


def test_usage_by_several_groups(metered: MeteredStack) -> None:
    anna, _ = metered.tenants()
    assert metered.http("POST", converse_path(NOVA), converse_body(), tenant=anna)[0] == 200
    metered.wait_settled(anna)
    groups = ("--by", "day", "--by", "model", "--by", "day")
    [row] = json.loads(tenantry(metered.home, "usage", anna.name, *groups, "--json").stdout)
    assert (list(row["group"]), row["requests"]) == (["day", "model"], 1)
    table = tenantry(metered.home, "usage", anna.name, *groups).stdout.splitlines()
    assert table[0].split()[:3] == ["day", "model", "requests"]
    assert table[1].split()[:3] == [row["group"]["day"], NOVA, "1"]
