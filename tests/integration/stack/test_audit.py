"""The audit of isolation over the running product: whole and green, and red on a planted flaw."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.support.stack import Stack, running_stack, wait_until
from tests.support.stack_command import tenantry

from tenantry.domain.audit import report_from
from tenantry.entrypoints.audit.published import EVERY

ATTACKS_MIN = 100
_CANARIES = (
    "SELECT t.tenant_id, t.status, (SELECT count(*) FROM tenantry.api_key k WHERE k.tenant_id ="
    " t.tenant_id AND k.revoked_at IS NULL) AS keys, (SELECT count(*) FROM tenantry.document d"
    " WHERE d.tenant_id = t.tenant_id) AS documents, (SELECT count(*) FROM tenantry.charge_entry e"
    " WHERE e.tenant_id = t.tenant_id AND e.amount <> 0) AS charged FROM tenantry.tenant t"
    " WHERE t.name LIKE 'audit-canary-%'"
)


def audit(stack: Stack, *options: str) -> tuple[int, dict[str, Any]]:
    """Exit status and report."""
    where = ("--url", stack.url, "--admin-url", stack.admin_url)
    done = tenantry(stack.home, "audit", "isolation", *where, "--json", *options)
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, report


def test_the_whole_audit_finds_nothing_and_leaves_nothing(stack: Stack, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    status, told = audit(stack, "--html", str(page))
    assert told["findings"] == []
    assert status == 0
    report = report_from(told)
    assert len(report.results) >= ATTACKS_MIN
    assert {result.after for result in report.results} >= set(EVERY)
    # Every route that the deployment describes was asked, and every table of tenants.
    described = json.loads(stack.http("GET", "/openapi.json")[2])["paths"]
    asked = " ".join(result.sentence for result in report.results)
    for path, methods in described.items():
        assert all(f"{method.upper()} {path} " in asked for method in methods), path
    assert {result.id for result in report.results} >= {"rows.table-document", "seal.rows-moved"}
    _nothing_is_left(stack, list(report.canaries))
    _is_kept(stack, told)
    _is_one_file(page.read_text("utf-8"), stack.url)


def _nothing_is_left(stack: Stack, canaries: list[str]) -> None:
    rows = {row["tenant_id"]: row for row in stack.rows(_CANARIES)}
    assert len(canaries) == 3
    for canary in canaries:
        row = rows[canary]
        assert (row["status"], row["keys"], row["documents"]) == ("suspended", 0, 0)
        assert row["charged"] == 0, "an invoice would be made for it"
    assert stack.violations() == []


def _is_kept(stack: Stack, told: dict[str, Any]) -> None:
    listed = json.loads(stack.http("GET", "/admin/v1/audits?limit=1", admin=True)[2])
    (newest,) = listed["data"]
    assert newest["counts"] == told["counts"]
    one = stack.http("GET", f"/admin/v1/audits/{newest['id']}", admin=True)
    assert json.loads(one[2])["attacks"] == told["attacks"]
    assert stack.http("GET", "/admin/v1/audits/aud_none", admin=True)[0] == 404
    page = stack.http("GET", f"/admin/v1/audits?cursor={newest['id']}", admin=True)
    assert newest["id"] not in page[2].decode()
    for wrong in (
        {},
        {**told, "attacks": []},
        {**told, "attacks": told["attacks"][:1] * 2},
        {**told, "attacks": [{**told["attacks"][0], "outcome": "passed"}]},
        {**told, "started_at": "yesterday"},
    ):
        assert stack.http("POST", "/admin/v1/audits", wrong, admin=True)[0] == 400


def _is_one_file(html: str, url: str) -> None:
    assert "<script" not in html
    assert re.findall(r"(?:src|href)=", html) == []
    assert re.findall(r"https?://[^\s<\"]+", html.replace(url, "")) == []
    assert "No finding." in html


@contextmanager
def flawed(stack: Stack, broken: str, mended: str) -> Iterator[None]:
    """The stack's database with a wall taken down, for as long as the block runs."""

    async def run(statement: str) -> None:
        connection = await asyncpg.connect(stack.cluster().dsn("superuser"))
        await connection.execute(statement)
        await connection.close()

    asyncio.run(run(broken))
    try:
        yield
    finally:
        asyncio.run(run(mended))


OWN = "tenant_id = current_setting('tenantry.tenant', true)"


def test_a_planted_flaw_is_found(stack: Stack) -> None:
    """Of many that are planted one by one (`make mutation-isolation`), one for every run."""
    broken = "ALTER POLICY own_tenant ON tenantry.document USING (true)"
    mended = f"ALTER POLICY own_tenant ON tenantry.document USING ({OWN})"
    with flawed(stack, broken, mended):
        status, told = audit(stack, "--only", "rows.table-document")
    assert status == 1
    assert [finding["id"] for finding in told["findings"]] == ["rows.table-document"]


@pytest.mark.slow
def test_a_model_that_obeys_tells_nothing_of_others() -> None:
    with running_stack(mode="models") as stack:
        status, told = audit(stack, "--only", "prompt.")
    assert (status, told["findings"]) == (0, [])
    made = [row["outcome"] for row in told["attacks"] if row["id"].startswith("prompt.")]
    assert len(made) >= 15
    assert set(made) == {"held"}


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_an_audit_that_is_interrupted_leaves_nothing(stack: Stack, ending: signal.Signals) -> None:
    def canaries() -> set[str]:
        return {row["tenant_id"] for row in stack.rows(_CANARIES)}

    before = canaries()
    command = [sys.executable, "-m", "tenantry.entrypoints.cli.main", "audit", "isolation"]
    command += ["--url", stack.url, "--admin-url", stack.admin_url]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TENANTRY_")}
    with subprocess.Popen(
        command,
        env={**clean, "TENANTRY_HOME": str(stack.home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as running:
        wait_until(lambda: len(canaries() - before) == 3, "the canaries are there")
        running.send_signal(ending)
        assert running.wait(60) != 0
    _nothing_is_left(stack, sorted(canaries() - before))


def test_what_cannot_be_audited_is_one_clear_line(stack: Stack) -> None:
    where = ("--url", stack.url, "--admin-url", stack.admin_url)
    for options, words in ((("--placement", "nowhere"), "there is no placement nowhere"),):
        done = tenantry(stack.home, "audit", "isolation", *where, *options)
        assert (done.returncode, done.stdout) == (1, "")
        assert words in done.stderr
    gone = ("--url", "http://127.0.0.1:9", "--admin-url", stack.admin_url)
    done = tenantry(stack.home, "audit", "isolation", *gone)
    assert done.returncode == 1 and "Traceback" not in done.stderr
