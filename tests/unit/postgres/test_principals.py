"""Rows of the directory as tenants: what many are on is read once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tenantry.adapters.postgres import principals
from tenantry.domain.plan import Plan


def row_of(name: str, plan: str, version: int, placement: str = "pool") -> dict[str, Any]:
    return {
        "tenant_id": f"tnt_{name}",
        "tenant_name": name,
        "status": "active",
        "plan": plan,
        "plan_version": version,
        "plan_definition": json.dumps({"requests_per_day": 100 * version}),
        "placement_id": placement,
        "placement_definition": json.dumps(
            {"kind": "pool", "account": "111111111111", "region": placement}
        ),
        "zone": "UTC",
        "anchor_day": 1,
        "currency": "USD",
        "regions_allowed": None,
    }


def test_a_plan_is_read_once_for_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[str, int]] = []
    whole = principals.plan_from

    def counted(name: str, table: Any, *, version: int) -> Plan:
        read.append((name, version))
        return whole(name, table, version=version)

    monkeypatch.setattr(principals, "plan_from", counted)
    rows = [
        row_of("anna", "free", 1),
        row_of("bert", "free", 1),
        row_of("carla", "free", 2),
        row_of("dora", "pro", 2, "other"),
        row_of("emil", "free", 1, "other"),
    ]
    found = principals.to_tenants(rows)
    assert read == [("free", 1), ("free", 2), ("pro", 2)]
    assert found == [principals.to_tenant(row) for row in rows]
    told = [(t.name, t.plan.name, t.plan.requests_per_day, t.placement.region) for t in found]
    assert told == [
        ("anna", "free", 100, "pool"),
        ("bert", "free", 100, "pool"),
        ("carla", "free", 200, "pool"),
        ("dora", "pro", 200, "other"),
        ("emil", "free", 100, "other"),
    ]
