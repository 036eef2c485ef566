"""`tenantry doctor` beside a running product says whom nobody answers, and what a restore undid."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.stack import ACCOUNTS, Stack
from tests.support.stack_command import tenantry

from tenantry.adapters.keys.key_folder import BARRED

FONTS = Path(__file__).parents[2] / "support" / "fonts"


def problems(
    stack: Stack, environment: Mapping[str, str] | None = None
) -> tuple[int, list[str], dict[str, Any]]:
    done = tenantry(stack.home, "doctor", "--json", environment=environment)
    told = json.loads(done.stdout)
    return done.returncode, told["problems"], told["facts"]


def test_tenants_whose_account_has_no_credentials_and_no_others_are_told(stack: Stack) -> None:
    stack.tenant(), stack.tenant(placement="silo")
    _, before, _ = problems(stack)  # what other tests of this stack have left
    file = stack.home / "control" / "credentials.json"
    kept = file.read_bytes()
    table = json.loads(kept)
    try:
        file.write_text(json.dumps({ACCOUNTS["pool"]: table[ACCOUNTS["pool"]]}))
        status, told, facts = problems(stack)
    finally:
        file.write_bytes(kept)
    assert status == 1
    assert [line for line in told if line not in before] == [
        "placement silo: nobody in it is answered, for control/credentials.json has no access"
        f" key of account {ACCOUNTS['silo']}"
    ]
    assert facts["tenants"].endswith("in 2 placements")
    assert facts["objects"] == "of all tenants looked for"


def test_a_tenant_whose_keys_are_destroyed_and_that_is_not_shredded_is_told(stack: Stack) -> None:
    """As after a restore of a database from before its shred."""
    anna, bert = stack.tenants()
    mark = stack.home / "accounts" / anna.account / "keys" / f"{anna.id}{BARRED}"
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    try:
        status, found, _ = problems(stack)
    finally:
        mark.unlink()
    assert status == 1
    (told,) = [line for line in found if "destroyed" in line]
    assert told.startswith(f"the keys of {anna.name} are destroyed")
    assert "repeat every shred" in told
    assert bert.name not in told


def test_a_tenant_whose_key_is_not_in_the_key_store_is_told(stack: Stack, tmp_path: Path) -> None:
    anna, bert = stack.tenants()
    for tenant in (anna, bert):
        document = {"title": "T", "text": "text"}
        assert stack.http("POST", "/v1/documents", document, tenant=tenant)[0] == 201
    keys = stack.home / "accounts" / anna.account / "keys" / anna.id
    keys.rename(tmp_path / "kept")
    try:
        status, found, _ = problems(stack)
    finally:
        (tmp_path / "kept").rename(keys)
    assert status == 1
    (told,) = [line for line in found if "does not have keys" in line]
    assert anna.name in told and "no other key is made" in told
    assert bert.name not in told
    assert not [line for line in problems(stack)[1] if anna.name in line]


def test_whose_name_an_invoice_cannot_write_is_told(stack: Stack, tmp_path: Path) -> None:
    anna, bert = stack.tenants()

    def named(name: str, *address: str) -> None:
        lines = (word for line in address for word in ("--address", line))
        done = tenantry(stack.home, "tenants", "contract", anna.name, "--legal-name", name, *lines)
        assert done.returncode == 0, done.stderr

    def doctor(fonts: Path | None = None) -> tuple[int, list[str], dict[str, Any]]:
        issuer = {"TENANTRY_INVOICE_ISSUER": str(stack.home / "issuer.toml")}
        with_fonts = {} if fonts is None else {"TENANTRY_INVOICE_FONTS": str(fonts)}
        return problems(stack, issuer | with_fonts)

    broken = tmp_path / "Broken.otf"
    broken.write_bytes((FONTS / "NotoSansJP.otf").read_bytes()[:-2_000])
    try:
        named("株式会社サンプル", "東京都港区")
        status, without, _ = doctor()
        _, drafts_only, facts = problems(stack)
        _, within, found = doctor(FONTS)
        _, torn, _ = doctor(tmp_path)
    finally:
        named("Anna Corp.", "1 Main St")
    [told] = [line for line in without if "spelt out on invoices" in line]
    assert status == 1
    assert anna.name in told and bert.name not in told and "TENANTRY_INVOICE_FONTS" in told
    assert anna.name in facts["letters on invoices"]
    assert [line for line in drafts_only if "spelt out" in line] == []
    assert [line for line in within if "TENANTRY_INVOICE_FONTS" in line] == []
    assert found["letters on invoices"] == "all can be drawn"
    told_of = [line for line in torn if "TENANTRY_INVOICE_FONTS" in line]
    assert told_of == [f"TENANTRY_INVOICE_FONTS {broken}: cut short"]
