"""`tenantry notices`: each value stands under its heading, and a test ends by what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from click.testing import CliRunner, Result

from tenantry.domain.ids import TenantId
from tenantry.entrypoints.cli import notices
from tenantry.ports.delivery import Listed
from tenantry.ports.outbox import PLATFORM, TEST_NOTICE

AT = datetime(2026, 12, 1, 8, 54, 1, tzinfo=UTC)
NEXT = datetime(2026, 12, 1, 8, 54, 6, tzinfo=UTC)
ID = UUID("0b8e6f0c-1f0e-4f6e-9a53-3d1d5f1f9f5b")
NEW = Listed(ID, PLATFORM, None, TEST_NOTICE, AT, None, "new", 0, None, None)
BUSY = replace(NEW, sink="webhook", state="pending", attempts=1, next_at=NEXT, last_error="busy")
GONE = replace(NEW, sink="webhook", state="dead", attempts=1, last_error="410: gone")
HAD = replace(NEW, sink="mail", state="delivered", attempts=1)


def done(monkeypatch: pytest.MonkeyPatch, rows: Sequence[Listed], *words: str) -> Result:
    monkeypatch.setattr(notices, "run_with_desk", lambda _: rows)
    return CliRunner().invoke(notices.notices, words)


def cells(said: str) -> list[dict[str, str]]:
    """By heading, each of which is as wide as its column, or begins where it does."""
    headings, *rows = said.splitlines()
    names = ("notice", "tenant", "kind", "time", "sink", "state", "attempts", "next", "last error")
    starts = [f"{headings} ".index(f"{name} ") for name in names]
    places = list(zip(names, starts, [*starts[1:], len(headings)], strict=True))
    return [{name: row[start:end].strip() for name, start, end in places} for row in rows]


@pytest.mark.parametrize("command", ["test", "list"])
def test_each_value_stands_under_its_heading(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [BUSY, replace(HAD, tenant_id=TenantId("tnt_1"), tenant_name="acme")]
    told = done(monkeypatch, rows, command).stdout
    both = {"notice": str(ID), "kind": "platform.test", "time": "2026-12-01 08:54:01Z"}
    assert cells(told) == [
        {
            **both, "tenant": "–", "sink": "webhook", "state": "pending", "attempts": "1",
            "next": "2026-12-01 08:54:06Z", "last error": "busy",
        },
        {
            **both, "tenant": "acme", "sink": "mail", "state": "delivered", "attempts": "1",
            "next": "–", "last error": "–",
        },
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([HAD], None),
        ([NEW], "no background worker has seen it within 20 s: is `tenantry serve` running?"),
        ([replace(NEW, state="no sink")], "the worker knows neither a webhook nor mail"),
        ([HAD, BUSY], "not everybody has it; it is tried again: `notices list`"),
        ([HAD, GONE], "given up: webhook: 410: gone; mend it and run the test again"),
        ([BUSY, replace(GONE, sink="mail")], "given up: mail: 410: gone; mend it and run the"),
    ],
    ids=["everybody", "no worker", "no sink", "one fails", "one refuses", "one of each"],
)
def test_it_ends_by_what_came_of_it(
    rows: list[Listed], said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = done(monkeypatch, rows, "test")
    assert ended.exit_code == (said is not None)
    assert ended.stderr.startswith(f"Error: {said}") if said else ended.stderr == ""
