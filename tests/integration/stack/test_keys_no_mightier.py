"""Keys that a tenant's admin makes end with their maker at the latest, and escape no budget of the
operator's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest
from tests.support.metered import MeteredStack
from tests.support.stack import Tenant

from tenantry.domain.budget import Basis, BudgetKey
from tenantry.domain.tenant import Scope
from tenantry.ports.control import Budget, NewKey

ADMIN = frozenset({Scope.ADMIN})
SOON = datetime.now(UTC).replace(microsecond=123_456) + timedelta(hours=2)


class Keyed:
    """A key beside the one that the stack made its tenant."""

    def __init__(self, key: NewKey) -> None:
        self.key = key


def made_by_operator(stack: MeteredStack, tenant: Tenant, expires_at: datetime | None) -> Keyed:
    return Keyed(
        stack.control(
            lambda control: control.create_key(tenant.id, scopes=ADMIN, expires_at=expires_at)
        )
    )


def make(stack: MeteredStack, who: Any, **body: Any) -> tuple[int, Any]:
    status, _, answer = stack.http("POST", "/v1/keys", orjson.dumps(body), tenant=who)
    return status, orjson.loads(answer)


def ends(stack: MeteredStack, who: Any) -> dict[str, datetime | None]:
    """When each key of the tenant ends, by id."""
    rows = orjson.loads(stack.http("GET", "/v1/keys", tenant=who)[2])["data"]
    return {
        row["id"]: row["expires_at"] and datetime.fromisoformat(row["expires_at"]) for row in rows
    }


def test_a_key_ends_with_its_maker_at_the_latest(metered: MeteredStack) -> None:
    anna, bert = metered.tenants()
    makers = [made_by_operator(metered, tenant, SOON) for tenant in (anna, bert)]
    earlier = SOON - timedelta(hours=1)
    for maker in makers:
        expected = {}
        for body, end in (
            ({}, SOON),
            ({"expires_at": None}, SOON),
            ({"expires_at": SOON.isoformat()}, SOON),
            ({"expires_at": earlier.isoformat()}, earlier),
        ):
            status, key = make(metered, maker, scopes=["admin"], **body)
            assert status == 201, key
            expected[key["id"]] = end
        found = ends(metered, maker)
        assert {each: found[each] for each in expected} == expected
        child = Keyed(NewKey(key["id"], key["key"], "", ""))
        for who, later in ((maker, SOON + timedelta(microseconds=1)), (child, SOON)):
            status, refused = make(metered, who, expires_at=later.isoformat())
            assert (status, refused["code"]) == (403, "forbidden")
            assert "no later than that of the API key that makes it" in refused["detail"]
        assert ends(metered, maker) == found, "nothing was made"

    # Who wants one that is good for longer asks a key that is.
    status, key = make(metered, anna, scopes=["admin"])
    assert status == 201
    assert ends(metered, anna)[key["id"]] is None
    status, key = make(metered, anna, expires_at=(SOON + timedelta(days=9)).isoformat())
    assert status == 201


@pytest.mark.parametrize(("basis", "hard"), [("charge", True), ("charge", False), ("cost", True)])
def test_a_key_that_the_operator_caps_makes_no_keys(
    metered: MeteredStack, basis: Basis, hard: bool
) -> None:
    anna, bert = metered.tenants()
    capped, free = [made_by_operator(metered, tenant, None) for tenant in (anna, bert)]
    cap = Budget(anna.id, "api_key", capped.key.id, "day", basis, Decimal(5), hard)
    metered.control(lambda control: control.set_budget(cap))
    for scopes in (["admin"], ["infer"]):
        status, refused = make(metered, capped, scopes=scopes)
        assert (status, refused["code"]) == (403, "forbidden")
        assert "operator" in refused["detail"]
        for other in (anna, free):  # another key of the tenant, and another tenant's
            assert make(metered, other, scopes=scopes)[0] == 201
    key = BudgetKey(f"api_key:{capped.key.id}", "day", basis)
    metered.control(lambda control: control.remove_budget(anna.id, key))
    assert make(metered, capped)[0] == 201


def test_a_tenants_own_budget_on_a_key_lets_it_make_others(metered: MeteredStack) -> None:
    anna, bert = metered.tenants()
    for tenant in (anna, bert):
        own = {"scope": "api_key", "scope_id": tenant.key.id, "period": "day", "limit": "1"}
        assert metered.http("POST", "/v1/budgets", own, tenant=tenant)[0] == 201
        assert make(metered, tenant)[0] == 201
