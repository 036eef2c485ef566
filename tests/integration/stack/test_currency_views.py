"""A tenant's currency is that of its contract, whoever shows it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.support.stack import Stack, Tenant
from tests.support.stack_command import tenantry

from tenantry.entrypoints.export_check import check_export


def _exported(stack: Stack, who: Tenant, folder: Path) -> subprocess.CompletedProcess[str]:
    keys = {"TENANTRY_API_KEY": who.key.bearer, "TENANTRY_URL": stack.url}
    return tenantry(stack.home, "tenants", "export", str(folder), "--json", environment=keys)


def test_its_currency_is_the_contracts_in_every_view(stack: Stack, tmp_path: Path) -> None:
    """The export said USD, that of the list charges, where all else said NOK."""
    anna, bert = stack.tenants()
    for words in (
        ("rates", "add", "NOK", "10", "--day", "2020-01-01", "--source", "bank"),
        ("tenants", "contract", anna.id, "--currency", "NOK"),
    ):
        done = tenantry(stack.home, *words)
        assert done.returncode == 0, done.stderr
    for who, currency in ((anna, "NOK"), (bert, "USD")):
        folder = tmp_path / who.id
        done = _exported(stack, who, folder)
        status, _, body = stack.http("GET", f"/admin/v1/tenants/{who.id}", admin=True)
        shown = tenantry(stack.home, "tenants", "show", who.id, "--json")
        assert (done.returncode, status, shown.returncode) == (0, 200, 0), done.stderr
        told = {
            "wire": json.loads(stack.http("GET", "/v1/export", tenant=who)[2])["tenant"][
                "currency"
            ],
            "manifest": check_export(folder)["tenant"]["currency"],
            "printed": json.loads(done.stdout)["tenant"]["currency"],
            "admin": json.loads(body)["currency"],
            "command": json.loads(shown.stdout)["currency"],
        }
        assert set(told.values()) == {currency}, told
