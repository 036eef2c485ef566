"""`tenantry keys list` shows what is known of API keys, and no column without anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from tenantry.domain.ids import ApiKeyId, TenantId
from tenantry.domain.tenant import Scope
from tenantry.entrypoints.cli import keys
from tenantry.ports.control import KeyRow

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
NAMED = KeyRow(ApiKeyId("key_1"), "backend", "90CU", frozenset({Scope.INFER}), None, AT, None, None)
NAMELESS = replace(NAMED, id=ApiKeyId("key_2"), name="")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[list[str]]]:
    """The cells of the table of some keys, by line."""

    def of(*rows: KeyRow) -> list[list[str]]:
        class Control:
            async def get_tenant(self, name: str) -> Any:
                return SimpleNamespace(id=TenantId("tnt_1"))

            async def list_keys(self, _: TenantId, *, after: str | None, limit: int) -> Any:
                return [] if after else rows

        monkeypatch.setattr(keys, "run_with_control", lambda work: asyncio.run(work(Control())))
        done = CliRunner().invoke(keys.keys, ["list", "acme"])
        assert done.exit_code == 0, done.output
        return [line.split() for line in done.stdout.splitlines()]

    return of


def test_a_key_without_a_name_has_a_dash_for_it(shown: Callable[..., list[list[str]]]) -> None:
    headings, *lines = shown(NAMED, NAMELESS)
    assert headings == ["id", "name", "ends", "in", "scopes", "created"]
    day, time = f"{AT:%Y-%m-%d %H:%M:%SZ}".split()
    assert lines == [
        ["key_1", "backend", "90CU", "infer", day, time],
        ["key_2", "–", "90CU", "infer", day, time],
    ]


def test_names_ends_and_revocations_are_there_where_a_key_has_them(
    shown: Callable[..., list[list[str]]],
) -> None:
    assert shown(NAMELESS)[0] == ["id", "ends", "in", "scopes", "created"]
    assert shown(NAMELESS, replace(NAMED, expires_at=AT, revoked_at=AT))[0] == [
        "id", "name", "ends", "in", "scopes", "created", "expires", "revoked",
    ]  # fmt: skip
