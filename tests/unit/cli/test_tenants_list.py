"""`tenantry tenants list` leaves out what audits put away: of what is shown, so many and whether
there are more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.support import http_services

from tenantry.domain.audit import CANARY_PREFIX
from tenantry.domain.ids import TenantId
from tenantry.domain.tenant import Tenant, TenantStatus
from tenantry.entrypoints.cli import tenants

SUSPENDED = TenantStatus.SUSPENDED


def id_of(number: int) -> str:
    return f"tnt_01kb3v8f9d5e6s7r8q9p0n1m{number:02}"


def a_tenant(number: int, name: str, *, of_audit: bool, status: TenantStatus) -> Tenant:
    found = replace(http_services.tenant(name), id=TenantId(id_of(number)), status=status)
    plan = f"{CANARY_PREFIX}0" if of_audit else "pro"
    return replace(found, plan=replace(found.plan, name=plan))


ROWS = [
    *(a_tenant(n, f"{CANARY_PREFIX}{n}", of_audit=True, status=SUSPENDED) for n in (1, 2, 3)),
    a_tenant(4, "acme", of_audit=False, status=TenantStatus.ACTIVE),
    a_tenant(5, f"{CANARY_PREFIX}5", of_audit=True, status=TenantStatus.SHREDDED),
    a_tenant(6, "bolt", of_audit=False, status=SUSPENDED),
    a_tenant(7, f"{CANARY_PREFIX}7", of_audit=True, status=TenantStatus.ACTIVE),
    a_tenant(8, f"{CANARY_PREFIX}8", of_audit=True, status=SUSPENDED),
]


class Control:
    async def list_tenants(self, *, after: str | None = None, limit: int = 100) -> list[Tenant]:
        return [row for row in ROWS if row.id > (after or "")][: min(limit, 2)]


@pytest.fixture(autouse=True)
def _control(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(work: Callable[..., Any]) -> Any:
        return asyncio.run(work(Control()))

    monkeypatch.setattr(tenants, "run_with_control", run)


def listed(*options: str) -> Result:
    done = CliRunner().invoke(tenants.tenants, ["list", *options])
    assert done.exit_code == 0, done.output
    return done


def ids_in(done: Result) -> list[str]:
    return [line.split()[0] for line in done.stdout.splitlines()[1:]]


def hidden(count: int) -> str:
    return f"Not shown: {count} of ended audits of isolation (--all shows them).\n"


def more(count: int, after: str) -> str:
    return f"These are {count}, and there are more: --after {after}.\n"


@pytest.mark.parametrize(
    ("options", "ids", "said"),
    [
        ((), [id_of(4), id_of(6), id_of(7)], hidden(5)),
        (("--limit", "1"), [id_of(4)], hidden(3) + more(1, id_of(4))),
        (("--limit", "2"), [id_of(4), id_of(6)], hidden(4) + more(2, id_of(6))),
        (("--limit", "3"), [id_of(4), id_of(6), id_of(7)], hidden(5)),
        (("--limit", "2", "--after", id_of(4)), [id_of(6), id_of(7)], hidden(2)),
        (("--after", id_of(7)), [], hidden(1)),
        (("--all",), [row.id for row in ROWS], ""),
        (("--all", "--limit", "2"), [id_of(1), id_of(2)], more(2, id_of(2))),
    ],
)
def test_a_limit_counts_what_is_shown(options: tuple[str, ...], ids: list[str], said: str) -> None:
    done = listed(*options)
    assert (ids_in(done), done.stderr) == (ids, said)


@pytest.mark.parametrize(
    ("options", "ids", "said"),
    [
        ((), [row.id for row in ROWS], ""),
        (("--limit", "2"), [id_of(1), id_of(2)], more(2, id_of(2))),
    ],
)
def test_json_has_all_of_them(options: tuple[str, ...], ids: list[str], said: str) -> None:
    done = listed("--json", *options)
    assert ([row["id"] for row in json.loads(done.stdout)], done.stderr) == (ids, said)
