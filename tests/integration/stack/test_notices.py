"""Notices, endpoints and Stripe's customers from the command line, beside a running product."""

import json
from typing import Any

from click.testing import CliRunner
from tests.support.stack import Stack, wait_until

from tenantry.adapters.postgres import outbox
from tenantry.adapters.postgres.connections import Databases
from tenantry.domain.ids import TenantId
from tenantry.entrypoints.cli.main import cli
from tenantry.ports.outbox import Notice

SECRET = "whsec_" + "A" * 43 + "="


def tenantry(stack: Stack, *words: str) -> Any:
    """What a command prints, as JSON where asked; a refusal is its one line."""
    done = CliRunner().invoke(cli, words, env={"TENANTRY_HOME": str(stack.home)})
    if done.exit_code == 0:
        return json.loads(done.stdout) if "--json" in words else done.stdout
    return f"{done.output}{done.exception}"


def enqueue(stack: Stack, tenant_id: str, kind: str) -> None:
    async def write(databases: Databases) -> None:
        async with databases.control.acquire() as connection, connection.transaction():
            assert await outbox.enqueue(
                connection, Notice(TenantId(tenant_id), kind, "once", {"number": "INV-1"})
            )

    stack.in_databases(write)


def of(stack: Stack, tenant_id: str) -> list[dict[str, Any]]:
    return [
        row for row in tenantry(stack, "notices", "list", "--json") if row["tenant_id"] == tenant_id
    ]


def test_notices_endpoints_and_customers_from_the_command_line(stack: Stack) -> None:
    anna, bert = stack.tenants()
    customer = f"cus_{anna.id}"
    made = tenantry(stack, "webhooks", "add", anna.name, "https://no.such.invalid/x", "--json")
    assert made["secret"].startswith("whsec_")
    turned = tenantry(stack, "webhooks", "rotate", anna.name, made["id"], "--json")
    assert turned["secret"] != made["secret"]
    [shown] = tenantry(stack, "webhooks", "list", anna.name, "--json")
    assert (shown["id"], shown["secrets"]) == (made["id"], 2)
    assert made["secret"] not in str(shown)
    assert "There is no such endpoint" in tenantry(
        stack, "webhooks", "remove", bert.name, made["id"]
    )
    tenantry(stack, "stripe", "link", anna.name, customer)
    assert "another tenant's" in tenantry(stack, "stripe", "link", bert.name, customer)
    assert customer in [row["customer_id"] for row in tenantry(stack, "stripe", "list", "--json")]

    enqueue(stack, anna.id, "invoice.finalised")
    enqueue(stack, bert.id, "invoice.finalised")
    rows = wait_until(
        lambda: [row for row in of(stack, anna.id) if row["last_error"]], "an attempt"
    )
    [row] = rows
    assert (row["sink"], row["state"]) == (f"endpoint:{made['id']}", "pending")
    assert row["last_error"] == "the host's name is not known"
    wait_until(
        lambda: [row["state"] for row in of(stack, bert.id)] == ["no sink"], "a notice for nobody"
    )

    notice = row["notice_id"]
    for command in ("retry", "dismiss"):
        assert "nothing of" in tenantry(stack, "notices", command, notice)
    tenantry(stack, "notices", "send", notice, "mail")
    assert "has it" in tenantry(stack, "notices", "send", notice, "mail")
    assert {row["sink"] for row in of(stack, anna.id)} == {row["sink"], "mail"}
    tenantry(stack, "notices", "send", notice, "stripe")
    waiting = tenantry(stack, "stripe", "waiting", "--json")
    assert [(one["number"], one["state"]) for one in waiting if one["notice_id"] == notice] == [
        ("INV-1", "pending")
    ]
    assert "INV-1" in tenantry(stack, "stripe", "waiting")
    tenantry(stack, "notices", "dismiss", notice, "--sink", "stripe")
    waiting = tenantry(stack, "stripe", "waiting", "--json")
    assert notice not in [one["notice_id"] for one in waiting]
    tenantry(stack, "webhooks", "forget", anna.name, made["id"])
    tenantry(stack, "webhooks", "remove", anna.name, made["id"])
    assert {row["sink"] for row in of(stack, anna.id)} == {"mail", "stripe"}
    assert "no customer" in tenantry(stack, "stripe", "unlink", anna.name)
    # Its status is of the whole stack, with what other tests have made of it.
    told = CliRunner().invoke(cli, ["doctor", "--json"], env={"TENANTRY_HOME": str(stack.home)})
    assert json.loads(told.stdout)["facts"]["deliveries"].endswith("0 dead")


def test_doctor_tells_what_stripe_should_have_had_until_somebody_has_seen_to_it(
    stack: Stack,
) -> None:
    anna, _ = stack.tenants()

    async def write(databases: Databases) -> None:
        row = await databases.control.fetchrow(
            "INSERT INTO tenantry.notice (tenant_id, kind, once_key, body, created_at, routed_at)"
            " VALUES ($1, 'invoice.voided', 'late', '{\"number\": \"INV-7\"}',"
            " now() - interval '2 days', now()) RETURNING notice_id",
            anna.id,
        )
        await databases.control.execute(
            "INSERT INTO tenantry.delivery (tenant_id, notice_id, sink, since, next_at)"
            " VALUES ($1, $2, 'stripe', now() - interval '2 days', now())",
            anna.id,
            row[0],
        )

    def told() -> list[str]:
        done = CliRunner().invoke(cli, ["doctor", "--json"], env={"TENANTRY_HOME": str(stack.home)})
        problems = json.loads(done.stdout)["problems"]
        return [line for line in problems if line.endswith("for Stripe: tenantry stripe waiting")]

    before = told()
    stack.in_databases(write)
    [line] = told()
    assert line not in before and "wait for more than a day" in line
    [late] = [one for one in of(stack, anna.id) if one["sink"] == "stripe"]
    tenantry(stack, "notices", "dismiss", late["notice_id"], "--sink", "stripe")
    assert told() == before


def test_a_test_finds_a_worker_that_knows_no_sink(stack: Stack) -> None:
    """Whatever the command's own environment says."""
    told = {"TENANTRY_WEBHOOK_URL": "https://no.such.invalid/x", "TENANTRY_WEBHOOK_SECRET": SECRET}
    done = CliRunner().invoke(
        cli, ["notices", "test"], env={"TENANTRY_HOME": str(stack.home), **told}
    )
    assert done.exit_code == 1
    assert "platform.test" in done.stdout
    assert "the worker knows neither a webhook nor mail" in done.stderr
