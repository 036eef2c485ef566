"""`tenantry tenants adopt-key` beside a running product, whose workers must be gone afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.postgres import scratch_folder
from tests.support.stack import MODEL, Stack, Tenant, wait_until
from tests.support.stack_clients import converse_body, converse_path
from tests.support.stack_command import tenantry

pytestmark = pytest.mark.xdist_group("adopting")
ROLLED_S = 120.0


@pytest.fixture(scope="module")
def adopting() -> Iterator[Stack]:
    with scratch_folder() as folder, Stack(folder) as started:
        yield started


def test_a_lost_key_is_given_up_by_name_alone_and_by_every_worker(adopting: Stack) -> None:
    """One that went on would know users by the lost key, and no budget that is set from now on."""
    anna, bert = adopting.tenants()
    before = set(adopting.gateway_workers())
    for tenant in (anna, bert):
        assert asked(adopting, tenant) == 200
        capped(adopting, tenant)
        assert asked(adopting, tenant) == 402
        (adopting.home / "accounts" / tenant.account / "keys" / tenant.id / "1.json").unlink()
    assert rotated(adopting, bert) == (1, True)

    refused = tenantry(adopting.home, "tenants", "adopt-key", anna.name, "--yes", bert.name)
    assert (refused.returncode, "nothing was changed" in refused.stderr) == (1, True)
    assert rotated(adopting, anna) == (1, True)
    done = tenantry(adopting.home, "tenants", "adopt-key", anna.id, "--yes", anna.name)
    assert (done.returncode, anna.name in done.stdout) == (0, True), done.stderr
    assert "hold for nobody any more: 1; set them again" in done.stdout

    capped(adopting, anna)
    wait_until(lambda: not before & set(adopting.gateway_workers()), "workers make place", ROLLED_S)
    assert {asked(adopting, anna) for _ in range(8)} == {402}
    again = tenantry(adopting.home, "tenants", "adopt-key", anna.id, "--yes", anna.name)
    assert (again.returncode, "nothing was changed" in again.stderr) == (1, True)
    assert rotated(adopting, bert) == (1, True), "the other one's is lost still"
    adopting.wait_settled(anna, bert)
    assert adopting.violations() == []


def asked(stack: Stack, tenant: Tenant) -> int:
    headers = {"x-tenantry-user": "ann"}
    return stack.http(
        "POST", converse_path(MODEL), converse_body(), tenant=tenant, headers=headers
    )[0]


def capped(stack: Stack, tenant: Tenant) -> None:
    budget = ("--user", "ann", "--limit", "0", "--period", "day")
    done = tenantry(stack.home, "budgets", "set", tenant.name, *budget)
    assert done.returncode == 0, done.stderr


def rotated(stack: Stack, tenant: Tenant) -> tuple[int, bool]:
    done = tenantry(stack.home, "tenants", "rotate-key", tenant.name)
    return done.returncode, "does not have the key" in done.stderr
