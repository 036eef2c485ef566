"""A sweep goes on with the other tenants where one refuses."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support import knowledge as support

from tenantry.application import tending
from tenantry.domain.errors import Unavailable

NAMES = ("tnt_a", "tnt_b", "tnt_c")


class Tenants:
    """The control plane's list, two at a time."""

    async def list_tenants(self, *, after: str | None, limit: int) -> list[Any]:
        left = [name for name in NAMES if after is None or name > after]
        return [SimpleNamespace(id=name) for name in left[:2]]


def refused(tenant_id: str) -> int:
    if tenant_id == "tnt_a":
        raise Unavailable("The KMS key is disabled.")
    return 2


class Vectors:
    async def sweep(self, home: str, age_s: float) -> int:
        return refused(home)


async def orphans(home: str, objects: object, manifest: object, may_delete: object) -> int:
    return refused(home)


async def empty(home: str, objects: object, manifest: object, may_delete: object) -> int:
    return 0


@pytest.mark.parametrize(
    ("sweep", "of"), [(tending.sweep, "objects"), (tending.sweep_vectors, "vectors")]
)
def test_one_tenants_refusal_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, sweep: Any, of: str
) -> None:
    monkeypatch.setattr(tending, "home_of", lambda tenant: tenant.id)
    monkeypatch.setattr(tending, "sweep_orphans", orphans)
    monkeypatch.setattr(tending, "empty_trash", empty)
    monkeypatch.setattr(tending, "delete_noted", empty)
    knowledge = SimpleNamespace(
        objects=SimpleNamespace(trash_s=0.0), manifest=None, vectors=Vectors()
    )
    with caplog.at_level(logging.WARNING):
        assert asyncio.run(sweep(knowledge, Tenants(), support.Ours())) == 4
    assert caplog.messages[:1] == [f"{of} of tnt_a are swept later: The KMS key is disabled."]
    # Each round that took anything says how much.
    told = ["objects that no row names: 4 deleted; 0 of before deleted out of the trash"]
    assert caplog.messages[1:] == (told if of == "objects" else [])
