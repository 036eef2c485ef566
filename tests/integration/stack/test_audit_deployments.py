"""The audit of isolation over other deployments: two workers, a managed server's login, a hole."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit, urlunsplit

from tests.support.settings import load_settings
from tests.support.stack import Stack, running_stack
from tests.support.stack_audit import audit, flawed, of

from tenantry.adapters.postgres.audit_access import AuditAccess
from tenantry.adapters.postgres.embedded.cluster import DATABASE
from tenantry.bootstrap.audit import LocalStores
from tenantry.bootstrap.deployment import objects_of
from tenantry.bootstrap.upstream import buckets_of
from tenantry.domain.audit import Outcome
from tenantry.entrypoints.audit.running import run_audit


def test_with_two_workers_of_which_one_knows_less_nothing_is_found() -> None:
    """A worker knows a revoked key for seconds; admission does not, and serves it as nobody."""
    with running_stack(workers=2) as stack:
        status, told = audit(stack, "--no-shred")
    assert (status, told["findings"]) == (0, [])


def test_an_administrator_who_passes_no_row_security_audits_what_it_can(stack: Stack) -> None:
    """As the login of a managed server: it reads the catalogue, and no tenant's row."""
    name = f"managed_{secrets.token_hex(4)}"
    made = f"CREATE ROLE {name} LOGIN CREATEROLE PASSWORD 'managed'"
    made += f"; GRANT CONNECT ON DATABASE {DATABASE} TO {name}"
    gone = f"REVOKE CONNECT ON DATABASE {DATABASE} FROM {name}; DROP ROLE {name}"
    dsn = stack.cluster().dsn("superuser", over="tcp")
    managed = urlsplit(dsn)._replace(
        netloc=f"{name}:managed@{urlsplit(dsn).netloc.rpartition('@')[2]}"
    )
    config = load_settings({"TENANTRY_HOME": str(stack.home)})

    def of_login(_: str) -> LocalStores:
        dsns = {"superuser": urlunsplit(managed)}
        access = AuditAccess(lambda role: dsns.get(role) or stack.cluster().dsn(role))
        return LocalStores(access, objects_of(config), buckets_of(config))

    with flawed(stack, made, gone):
        report = run_audit(of(stack, "rows.", "seal."), of_login, lambda *_: None)
    assert report.findings == []
    outcomes = {result.id: result.outcome for result in report.results}
    held = ("rows.policies", "rows.grants", "rows.strong-role", "seal.segment-swapped")
    assert {outcomes[name] for name in (*held, "cleaning.objects")} == {Outcome.HELD}
    assert outcomes["rows.table-document"] is outcomes["seal.rows-moved"] is Outcome.NOT_RUN


def test_what_was_opened_by_hand_is_found(stack: Stack) -> None:
    """Each kind of it by itself: `tests/integration/postgres/test_audit_walls.py`."""
    opened = "CREATE VIEW tenantry.by_hand AS SELECT * FROM tenantry.document"
    opened += "; GRANT SELECT ON tenantry.by_hand TO tenantry_app"
    with flawed(stack, opened, "DROP VIEW tenantry.by_hand"):
        status, told = audit(stack, "--only", "rows.")
    assert status == 1
    assert {finding["id"] for finding in told["findings"]} == {"rows.grants", "rows.views"}
