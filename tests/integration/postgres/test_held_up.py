"""What is due and held up, as an operator meets it: a status of 1, ids, and a line of `doctor`."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

from tests.support.own_deployment import Deployment, as_superuser

BY_AGE = ("ledger", "archive", "--after-months", "1")


def first_of(months: int) -> date:
    day = datetime.now(UTC).date().replace(day=1)
    for _ in range(months):
        day = (day - timedelta(days=1)).replace(day=1)
    return day


def since(at: Deployment, begun: date) -> None:
    """The tenants have been there since then, with nothing of it invoiced, and the books too."""
    as_superuser(
        at,
        "SET session_replication_role = replica",
        f"UPDATE tenantry.tenant SET created_at = '{begun}Z'",
        f"UPDATE tenantry.plan_change SET effective_at = '{begun}Z', entered_at = '{begun}Z',"
        f" applied_at = '{begun}Z'",
        f"UPDATE tenantry.plan SET applied_at = '{begun}Z'::timestamptz - interval '1 day'",
        f"UPDATE tenantry.contract SET entered_at = '{begun}Z'",
        f"UPDATE tenantry.billing_account SET period_start = '{begun}Z',"
        f" period_end = '{begun}Z'::timestamptz AT TIME ZONE 'UTC' + interval '1 month'",
        "UPDATE tenantry.rollup SET through = date_trunc('hour', clock_timestamp())",
        "SET session_replication_role = origin",
        f"SET ROLE tenantry_owner; SELECT tenantry.ensure_partitions('{begun}', 6)",
    )


def test_a_month_that_one_tenant_holds_up_is_told_with_its_id_and_why(at: Deployment) -> None:
    assert at.run(*BY_AGE).stdout.strip() == "nothing is to be archived"
    month = first_of(3)
    at.done("tenants", "contract", "acme", "--legal-name", "Acme", "--address", "1 Main Street")
    since(at, month)
    held = at.run(*BY_AGE)
    assert (held.returncode, held.stdout) == (1, "")
    for tenant_id in at.ids.values():
        line = f"{tenant_id}: its period from {month} is not final"
        assert line in held.stderr.splitlines()
    assert f"{month:%Y-%m} is due and cannot be archived" in held.stderr
    assert at.problems() == []  # nothing archives by itself

    ran = at.run("invoices", "run", **at.issuer)
    assert ran.returncode == 1  # globex has no address
    held = at.run(*BY_AGE, "--json")
    assert (held.returncode, json.loads(held.stdout)) == (1, [])
    assert at.ids["acme"] not in held.stderr
    assert f"{at.ids['globex']}: its period from {month} is not final: " in held.stderr
    told = at.problems(TENANTRY_ARCHIVE_AFTER_MONTHS="1")
    [archive, invoices] = told
    assert archive.startswith(f"{month:%Y-%m} cannot be archived: 1 tenants have a period")
    assert at.ids["globex"] in archive
    assert archive.endswith(": tenantry ledger archive")
    assert invoices.startswith(f"periods could not be invoiced (globex from {month})")

    at.done("tenants", "contract", "globex", "--legal-name", "G", "--address", "2 Main Street")
    at.done("invoices", "run", **at.issuer)
    assert f"{month:%Y-%m}" in at.done(*BY_AGE)
    assert at.problems(TENANTRY_ARCHIVE_AFTER_MONTHS="1") == []


def test_drafts_that_wait_for_approval_are_not_nothing_to_do(at: Deployment) -> None:
    month = first_of(1)
    for name in ("acme", "globex"):
        at.done("tenants", "contract", name, "--legal-name", name, "--address", "1 Main Street")
    since(at, month)
    for made in (2, 0):
        ran = at.run("invoices", "run", "--review", **at.issuer)
        assert ran.stdout.startswith(f"0 final, {made} for review")
        assert "drafts wait for approval: tenantry invoices runs --outcome review" in ran.stderr
    ran = at.run("invoices", "run", **at.issuer)
    assert (ran.stdout[:7], ran.stderr) == ("2 final", "")


def test_invoices_for_stripe_without_its_key_go_nowhere_and_are_told(at: Deployment) -> None:
    linked = at.run("stripe", "link", "globex", "cus_Q5p1xYz")
    assert linked.returncode == 0
    nowhere = "TENANTRY_STRIPE_API_KEY is not set here"
    assert nowhere in linked.stderr
    assert nowhere in at.run("stripe", "waiting").stderr
    with_key = {"TENANTRY_STRIPE_API_KEY": "sk_test_x"}
    assert nowhere not in at.run("stripe", "waiting", **with_key).stderr
    [told] = at.problems()
    assert told.startswith("invoices of globex are pushed nowhere")
    assert at.problems(**with_key) == []


def test_a_shred_that_does_not_end_is_told(at: Deployment) -> None:
    def asked(hours: int) -> None:
        as_superuser(
            at,
            "SET session_replication_role = replica",
            "DELETE FROM tenantry.shred",
            "INSERT INTO tenantry.shred (tenant_id, asked_by, asked_at)"
            f" VALUES ('{at.ids['acme']}', 'x', now() - interval '{hours} hours')",
        )

    asked(1)
    assert at.problems() == []
    asked(25)
    [told] = at.problems()
    assert told.startswith(f"shreds are not finished ({at.ids['acme']} since ")
    assert at.ids["globex"] not in told


def test_roll_ups_of_hours_that_are_yet_to_come_are_told(at: Deployment) -> None:
    assert at.problems() == []
    as_superuser(at, "UPDATE tenantry.rollup SET through = '2999-01-01 07:00Z'")
    (told,) = at.problems()
    assert told.startswith("the ledger is rolled up until 2999-01-01 07:00Z, which is yet to come")
