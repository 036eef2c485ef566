"""A database that lets nobody in is 503 on every plane, with lines that say why."""

from __future__ import annotations

import re

import pytest
from tests.support.stack import MODEL, Stack, wait_until
from tests.support.stack_clients import converse_body, converse_path

ROLES = "tenantry_app, tenantry_control, tenantry_operator, tenantry_migrator"
CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name LIKE 'tenantry gateway%' OR application_name LIKE 'tenantry worker%'"""
HARMS = {
    "permission denied for database": (
        f"REVOKE CONNECT ON DATABASE tenantry FROM {ROLES}",
        f"GRANT CONNECT ON DATABASE tenantry TO {ROLES}",
    ),
    "synchronous_commit must be on": (
        "ALTER DATABASE tenantry SET synchronous_commit = off",
        "ALTER DATABASE tenantry RESET synchronous_commit",
    ),
}
EVENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (WARNING|ERROR) ")


@pytest.mark.parametrize("words", HARMS)
def test_a_database_that_lets_nobody_in_is_unavailable(doomed: Stack, words: str) -> None:
    anna, bert = doomed.tenants()
    errors = doomed.home / "serve.stderr"
    for tenant in (anna, bert):
        assert doomed.api(tenant).post(converse_path(MODEL), converse_body()).status == 200
    before = errors.stat().st_size
    breaks, mends = HARMS[words]

    def said() -> str:
        with errors.open(encoding="utf-8") as file:
            file.seek(before)
            return file.read()

    doomed.rows(breaks)
    try:
        doomed.rows(CUT)
        wait_until(lambda: not doomed.is_ready(), "no gateway worker is ready", 30)
        for tenant in (anna, bert):
            refused = doomed.api(tenant).post(converse_path(MODEL), converse_body())
            assert refused.status == 503, refused.body
            assert words.encode() not in refused.body
        for path in ("/v1/models", "/v1/budgets"):
            assert doomed.api(anna).get(path).status == 503
        assert doomed.http("GET", "/admin/v1/tenants", admin=True)[0] == 503
        wait_until(lambda: "has to wait" in said(), "a round of the background worker waits", 60)
        wait_until(lambda: words in said(), "the reason is told", 30)
    finally:
        doomed.rows(mends)
    wait_until(doomed.is_ready, "a gateway worker is ready", 60)
    for tenant in (anna, bert):
        wait_until(
            lambda t=tenant: (
                doomed.api(t).post(converse_path(MODEL), converse_body()).status == 200
            ),
            "it is served again",
            30,
        )
    lines = said().splitlines()
    assert "Traceback" not in said(), said()
    assert "unexpected" not in said(), said()
    assert [line for line in lines if not EVENT.match(line)] == []
    waiting = [line for line in lines if "has to wait" in line]
    assert any(words in line for line in waiting), waiting
    assert any("unavailable at" in line and words in line for line in lines), lines
