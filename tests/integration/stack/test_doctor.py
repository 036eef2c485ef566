"""`tenantry doctor` beside a running product says whom nobody answers, and what a restore undid."""

from __future__ import annotations

import json
from typing import Any

from tests.support.stack import ACCOUNTS, Stack
from tests.support.stack_command import tenantry

from tenantry.adapters.keys.key_folder import BARRED


def problems(stack: Stack) -> tuple[int, list[str], dict[str, Any]]:
    done = tenantry(stack.home, "doctor", "--json")
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
