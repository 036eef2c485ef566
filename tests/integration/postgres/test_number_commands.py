"""What an operator meets where numbers were given that the database does not know."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

from tests.support.own_deployment import Deployment, as_superuser
from tests.support.settings import load_settings

from tenantry.bootstrap.background import background

YEAR = datetime.now(UTC).year
INV, CN = f"INV-{YEAR}", f"CN-{YEAR}"
FILE = "control/invoice-numbers.json"
WORD = "tenantry invoices numbers --continue-after"


def test_refused_told_continued_and_told_for_good(at: Deployment) -> None:
    assert at.done("invoices", "numbers", "--json") == '{\n  "series": [],\n  "gaps": []\n}\n'
    before = at.problems(**at.issuer)
    (at.home / FILE).write_text(json.dumps({INV: 3, CN: 1}))
    words = f"Numbers up to {CN}-000001, {INV}-000003 were given that this database does not know"
    told = [line for line in at.problems(**at.issuer) if line not in before]
    assert len(told) == 1
    assert told[0].startswith(words) and WORD in told[0]
    for command in (("run",), ("finalise", "acme"), ("finalise", "globex")):
        ran = at.run("invoices", *command, **at.issuer)
        assert ran.returncode == 1
        assert words in ran.stderr
    shown = at.done("invoices", "numbers")
    assert f"{INV}-000003" in shown and "database is behind" in shown

    ran = at.run("invoices", "numbers", "--continue-after", f"{INV}-000003")
    assert (ran.returncode, "--reason" in ran.stderr) == (2, True)
    why = ("--reason", "restored to Monday")
    ran = at.run("invoices", "numbers", "--continue-after", f"{INV}-000002", *why)
    assert (ran.returncode, f"{INV}-000003 were given" in ran.stderr) == (1, True)
    for last in (f"{INV}-000003", f"{CN}-000001"):
        done = at.done("invoices", "numbers", "--continue-after", last, *why)
        assert f"to {last} stay a gap" in done
    assert at.problems(**at.issuer) == before
    listed = json.loads(at.done("invoices", "numbers", "--json"))
    assert [(gap["series"], gap["first"], gap["last"]) for gap in listed["gaps"]] == [
        (CN, 1, 1),
        (INV, 1, 3),
    ]
    assert all(gap["reason"] == why[1] and gap["told_by"] for gap in listed["gaps"])
    assert not any(each["is_behind"] for each in listed["series"])
    assert "invariants hold" in at.done("reconcile", "--invariants")


def test_a_worker_that_starts_brings_the_file_up(at: Deployment) -> None:
    given = {"TENANTRY_HOME": str(at.home), "TENANTRY_DATABASE_URL": at.url}

    async def start() -> None:
        async with background(load_settings(given)) as rounds:
            [found] = [each for each in rounds if each.name == "invoice-numbers"]
            await found.work()

    asyncio.run(start())
    assert not (at.home / FILE).exists()
    as_superuser(at, f"INSERT INTO tenantry.invoice_series VALUES ('{INV}', 41), ('{CN}', 2)")
    asyncio.run(start())
    assert json.loads((at.home / FILE).read_text()) == {CN: 2, INV: 41}
    as_superuser(at, f"UPDATE tenantry.invoice_series SET last = 40 WHERE series = '{INV}'")
    asyncio.run(start())
    assert json.loads((at.home / FILE).read_text()) == {CN: 2, INV: 41}
