"""`tenantry tenants key|rotate-key` beside a running product."""

from __future__ import annotations

import json

from tests.support.stack import Stack
from tests.support.stack_command import tenantry

from tenantry.adapters.keys.used_keys import LOST


def test_a_key_is_rotated_and_moved_while_the_product_serves(stack: Stack) -> None:
    anna, bert = stack.tenants()
    document = {"title": "Fruit", "text": "Apples are red."}
    for tenant in (anna, bert):
        assert stack.http("POST", "/v1/documents", document, tenant=tenant)[0] == 201

    done = tenantry(stack.home, "tenants", "rotate-key", anna.name)
    assert (done.returncode, "version 2" in done.stdout) == (0, True), done.stderr

    async def own(control: object) -> None:
        table = {"markup": "3", "kms_key": "own"}
        await control.apply_plans({f"plan-of-{anna.name}": table})  # type: ignore[attr-defined]

    stack.control(own)
    done = tenantry(stack.home, "tenants", "rotate-key", anna.id, "--rewrap", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["moved"] == 2
    done = tenantry(stack.home, "tenants", "key", anna.name, "--json")
    versions = [(each["version"], each["kms_key"]) for each in json.loads(done.stdout)["versions"]]
    assert versions == [(1, f"own-{anna.id}"), (2, f"own-{anna.id}")]
    for tenant in (anna, bert):
        status, _, body = stack.http("POST", "/v1/search", {"query": "apples"}, tenant=tenant)
        assert (status, b"Apples are red." in body) == (200, True)
        again = stack.http("POST", "/v1/documents", document, tenant=tenant)
        assert again[0] == 200, "the same upload is known again: digests do not rotate"


def test_one_tenant_s_trouble_does_not_stop_the_others(stack: Stack) -> None:
    anna, bert = stack.tenants()
    for tenant in (anna, bert):
        document = {"title": "T", "text": "text"}
        assert stack.http("POST", "/v1/documents", document, tenant=tenant)[0] == 201
    file = stack.home / "accounts" / anna.account / "keys" / anna.id / "1.json"
    kept = file.read_bytes()
    try:
        file.write_bytes(b"{}")
        done = tenantry(stack.home, "tenants", "rotate-key", "--all", "--rewrap", "--json")
    finally:
        file.write_bytes(kept)
    states = {state["tenant"]: state for state in json.loads(done.stdout)}
    assert (done.returncode, states[bert.id]["problem"]) == (1, None)
    assert "damaged" in states[anna.id]["problem"]
    assert done.stderr.count("as they were") == 1


def test_a_lost_key_is_told_where_all_are_moved(stack: Stack) -> None:
    """Else the KMS key from which they moved is thought to be needed no more."""
    anna, bert = stack.tenants()
    for tenant in (anna, bert):
        document = {"title": "T", "text": "text"}
        assert stack.http("POST", "/v1/documents", document, tenant=tenant)[0] == 201
    file = stack.home / "accounts" / anna.account / "keys" / anna.id / "1.json"
    kept = file.read_bytes()
    file.unlink()
    try:
        done = tenantry(stack.home, "tenants", "rotate-key", "--all", "--rewrap", "--json")
        shown = tenantry(stack.home, "tenants", "key", anna.name)
    finally:
        file.write_bytes(kept)
    states = {state["tenant"]: state for state in json.loads(done.stdout)}
    assert (done.returncode, states[bert.id]["problem"]) == (1, None)
    assert states[anna.id]["problem"] == LOST
    assert (shown.returncode, "and used: version 1" in shown.stderr) == (1, True)
    assert tenantry(stack.home, "tenants", "key", bert.name).returncode == 0


def test_a_rotation_tells_of_a_first_version_that_is_lost(stack: Stack) -> None:
    """Without it nothing of the tenant's is known again, whatever seals what is new."""
    anna, bert = stack.tenants()
    for tenant in (anna, bert):
        document = {"title": "T", "text": "text"}
        assert stack.http("POST", "/v1/documents", document, tenant=tenant)[0] == 201
        assert tenantry(stack.home, "tenants", "rotate-key", tenant.name).returncode == 0
    file = stack.home / "accounts" / anna.account / "keys" / anna.id / "1.json"
    kept = file.read_bytes()
    file.unlink()
    try:
        done = tenantry(stack.home, "tenants", "rotate-key", anna.name)
        every = tenantry(stack.home, "tenants", "rotate-key", "--all", "--json")
    finally:
        file.write_bytes(kept)
    assert (done.returncode, "version 3 seals what is new" in done.stdout) == (0, True)
    assert "does not have version 1" in done.stderr
    assert "backup of keys" in done.stderr and "adopt-key" in done.stderr
    states = {state["tenant"]: state for state in json.loads(every.stdout)}
    assert (every.returncode, states[anna.id]["missing"], states[bert.id]["missing"]) == (
        0,
        [1],
        [],
    )
    assert every.stderr.count("does not have version") == 1


def test_a_rotation_makes_no_version_beside_a_damaged_one(stack: Stack) -> None:
    """It said that all was as before, and had made another one each time."""
    anna, _ = stack.tenants()
    document = {"title": "T", "text": "text"}
    assert stack.http("POST", "/v1/documents", document, tenant=anna)[0] == 201
    folder = stack.home / "accounts" / anna.account / "keys" / anna.id
    kept = (folder / "1.json").read_bytes()
    (folder / "1.json").write_bytes(kept[:40])
    try:
        for which in (anna.name, "--all"):
            done = tenantry(stack.home, "tenants", "rotate-key", which)
            assert (done.returncode, "damaged" in done.stdout + done.stderr) == (1, True)
        assert [path.name for path in folder.iterdir()] == ["1.json"]
    finally:
        (folder / "1.json").write_bytes(kept)
    assert tenantry(stack.home, "tenants", "rotate-key", anna.name).returncode == 0
