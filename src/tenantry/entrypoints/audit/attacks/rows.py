"""Row security, tried as each role that logs in: what a forgotten filter would show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from tenantry.domain.audit import Wall
from tenantry.entrypoints.audit.attack import HELD, Attack, Run, Verdict, found, held_if, not_run
from tenantry.entrypoints.audit.ground import Ground

_NO_RIGHT: Final = "42501"  # insufficient_privilege; a row policy's refusal has it too
_UNSET: Final = ("", "%", "null", "*")
# What a role may not read, whatever the tenant: (role, statement, words).
_CLOSED: Final = (
    ("operator", "SELECT * FROM tenantry.document", "operator-documents", "documents' rows"),
    ("operator", "SELECT * FROM tenantry.segment", "operator-segments", "segments' rows"),
    ("operator", "SELECT sealed FROM tenantry.idempotency", "operator-answers", "kept answers"),
    ("operator", "SELECT * FROM tenantry.api_key", "operator-keys", "API keys' secrets"),
    ("operator", "SELECT * FROM tenantry.webhook_endpoint", "operator-webhooks", "webhook secrets"),
    ("control", "SELECT sealed FROM tenantry.idempotency", "control-answers", "kept answers"),
    ("control", "SELECT * FROM tenantry.segment", "control-segments", "segments' rows"),
    ("control", "INSERT INTO tenantry.charge_entry DEFAULT VALUES", "control-ledger", "postings"),
    ("app", "SELECT bearer_hmac FROM tenantry.api_key", "app-bearers", "API keys' digests"),
    ("app", "SELECT secret_sealed FROM tenantry.api_key", "app-secrets", "API keys' secrets"),
    ("app", "SELECT * FROM tenantry.cost_entry", "app-costs", "the provider's book"),
    ("app", "SELECT * FROM tenantry.cost_hour_detail", "app-cost-hours", "the provider's hours"),
    ("app", "SELECT debit FROM tenantry.charge_entry", "app-accounts", "accounts of postings"),
    ("app", "SELECT * FROM tenantry.operator_key", "app-operator-keys", "operators' answers"),
    ("app", "SELECT * FROM tenantry.alert", "app-alerts", "alerts of tenants"),
)


# Of a table: what A does to the rows of others, or gives away of its own. The names of tables come
# from the catalogue.
_OTHERS: Final = "SELECT tenant_id FROM tenantry.{} WHERE tenant_id <> $1 LIMIT 1"
_CROSSED: Final[tuple[tuple[str, Callable[[Ground], str]], ...]] = (
    (_OTHERS, lambda ground: ground.a.id),
    (
        "UPDATE tenantry.{} SET tenant_id = tenant_id WHERE tenant_id = $1",
        lambda ground: ground.b.id,
    ),
    ("DELETE FROM tenantry.{} WHERE tenant_id = $1", lambda ground: ground.b.id),
    ("UPDATE tenantry.{} SET tenant_id = $1", lambda ground: ground.b.id),
)
_SHOWN: Final = "SELECT tenant_id FROM tenantry.{} LIMIT 1"


def row_attacks(tables: Sequence[str]) -> list[Attack]:
    return [
        *(
            Attack(
                f"rows.table-{name.replace('_', '-')}",
                Wall.ROWS,
                f"As the data plane's role, A reaches no row of another tenant in `{name}`.",
                _locally(_table(name)),
            )
            for name in tables
        ),
        *(
            Attack(
                f"rows.closed-{slug}",
                Wall.ROWS,
                f"The role `{role}` cannot reach {words}.",
                _locally(_closed(role, statement)),
            )
            for role, statement, slug, words in _CLOSED
        ),
        Attack(
            "rows.no-tenant",
            Wall.ROWS,
            "Without a unit of work, or in one for nobody, the data plane's role sees no row.",
            _locally(_no_tenant),
        ),
        Attack(
            "rows.strong-role",
            Wall.ROWS,
            "No role that logs in passes row security, or may become one that crosses.",
            _locally(_weak_roles),
        ),
        Attack(
            "rows.unforced",
            Wall.ROWS,
            "Row security is forced on every table of tenants.",
            _locally(_forced),
        ),
    ]


def _locally(run: Run) -> Run:
    def local(ground: Ground) -> Verdict:
        return run(ground) if ground.local is not None else not_run(ground.not_local)

    return local


def _table(name: str) -> Run:
    def run(ground: Ground) -> Verdict:
        local = ground.local
        assert local is not None, "asked where it is local"
        a = ground.a.id
        for statement, other in _CROSSED:
            if local.refusal("app", statement.format(name), other(ground), tenant=a) is None:
                return found(f"{statement.partition(' ')[0]} reaches another tenant's rows")
        others = local.rows("superuser", _OTHERS.format(name), a)
        return HELD if others else not_run("no other tenant has a row in it here")

    return run


def _closed(role: str, statement: str) -> Run:
    def run(ground: Ground) -> Verdict:
        assert ground.local is not None, "asked where it is local"
        refused = ground.local.refusal(role, statement, tenant=ground.a.id)  # type: ignore[arg-type]
        if refused in ("42P01", "42703"):
            return not_run("there is no such table or column in this version")
        return held_if(refused == _NO_RIGHT, "it can be read")

    return run


def _no_tenant(ground: Ground) -> Verdict:
    local = ground.local
    assert local is not None, "asked where it is local"
    for name in ("document", "segment", "idempotency", "answer", "budget", "customer_ledger"):
        read = _SHOWN.format(name)
        if local.rows("app", read):
            return found(f"{name} shows rows without a tenant")
        for tenant in _UNSET:
            if local.rows("app", read, tenant=tenant):
                return found(f"{name} shows rows to the tenant {tenant!r}")
    return HELD


_STRONG: Final = (
    "SELECT rolname FROM pg_roles WHERE rolcanlogin AND rolname LIKE 'tenantry\\_%'"
    " AND rolname <> 'tenantry_superuser' AND (rolsuper OR rolbypassrls"
    " OR (rolname <> 'tenantry_migrator' AND pg_has_role(rolname, 'tenantry_owner', 'MEMBER'))"
    " OR (rolname <> 'tenantry_migrator' AND pg_has_role(rolname, 'tenantry_gate', 'MEMBER')))"
)
_UNFORCED: Final = (
    "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
    " AND a.attname = 'tenant_id' WHERE c.relnamespace = 'tenantry'::regnamespace"
    " AND c.relkind IN ('r', 'p') AND NOT (c.relrowsecurity AND c.relforcerowsecurity)"
)


def _weak_roles(ground: Ground) -> Verdict:
    assert ground.local is not None, "asked where it is local"
    strong = [row[0] for row in ground.local.rows("superuser", _STRONG)]
    return held_if(not strong, f"too strong: {', '.join(strong)}")


def _forced(ground: Ground) -> Verdict:
    assert ground.local is not None, "asked where it is local"
    loose = [row[0] for row in ground.local.rows("superuser", _UNFORCED)]
    return held_if(not loose, f"not forced: {', '.join(loose[:5])}")
