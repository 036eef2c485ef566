"""Row security, tried as each role that logs in: what a forgotten filter would show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tenantry.domain.audit import Outcome, Wall
from tenantry.entrypoints.audit.attack import (
    HELD,
    Attack,
    Verdict,
    found,
    held_if,
    not_run,
    void,
)
from tenantry.entrypoints.audit.attacks.walls import LocalRun, locally, wall_attacks
from tenantry.entrypoints.audit.ground import Ground

if TYPE_CHECKING:
    from tenantry.bootstrap.audit import LocalStores

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


# Of a table: what A does to the rows of others, or gives away of its own. The names of tables and
# columns come from the catalogue.
_OTHERS: Final = "SELECT tenant_id FROM tenantry.{} WHERE tenant_id <> $1 LIMIT 1"
_WRITTEN: Final = "UPDATE tenantry.{0} SET {1} = {1} WHERE tenant_id = $1"
_GIVEN: Final = "UPDATE tenantry.{} SET tenant_id = $1"
_DELETED: Final = "DELETE FROM tenantry.{} WHERE tenant_id = $1"
# A row of another tenant as it is, or no more than whose it is: policies come before constraints.
_PUT: Final = (
    "INSERT INTO tenantry.{0} ({1}) SELECT {1}"
    " FROM jsonb_populate_record(NULL::tenantry.{0}, $1::text::jsonb)"
)
_ROW: Final = "SELECT to_jsonb(t)::text FROM tenantry.{} t WHERE tenant_id = $1 LIMIT 1"
_CONSTRAINT: Final = "23"  # a class: the row was refused, and not for whose it is
_NO_PARTITION: Final = "23514"  # before any policy is asked
_SHOWN: Final = "SELECT tenant_id FROM tenantry.{} LIMIT 1"


def row_attacks(tables: Sequence[str]) -> list[Attack]:
    return [
        *(
            Attack(
                f"rows.table-{name.replace('_', '-')}",
                Wall.ROWS,
                f"As the data plane's role, A reaches no row of another tenant in `{name}`.",
                locally(_table(name)),
            )
            for name in tables
        ),
        *(
            Attack(
                f"rows.closed-{slug}",
                Wall.ROWS,
                f"The role `{role}` cannot reach {words}.",
                locally(_closed(role, statement)),
            )
            for role, statement, slug, words in _CLOSED
        ),
        Attack(
            "rows.no-tenant",
            Wall.ROWS,
            "Without a unit of work, or in one for nobody, the data plane's role sees no row.",
            locally(_no_tenant),
        ),
        *wall_attacks(),
    ]


@dataclass(frozen=True, slots=True)
class _Try:
    """A statement of A's on a table, and whether its role has the right that it takes."""

    verb: str
    statement: str
    value: str
    allowed: bool


def _table(name: str) -> LocalRun:
    def run(ground: Ground, local: LocalStores) -> Verdict:
        a, b = ground.a.id, ground.b.id
        sees_all = local.passes_row_security()
        row = local.rows("superuser", _ROW.format(name), b) if sees_all else []
        tries = _tries(name, local.catalogue("rights", name)[0], a, b, row[0][0] if row else None)
        for each in tries:
            refused = local.refusal("app", each.statement, each.value, tenant=a)
            if (verdict := _judged(each, refused, copied=bool(row))) is not None:
                return verdict
        if not any(each.allowed for each in tries):
            return Verdict(Outcome.HELD, "the data plane's role has no right to it at all")
        if not sees_all:
            return not_run("whose rows are in it, the administrator of this database may not see")
        if not local.rows("superuser", _OTHERS.format(name), a):
            return not_run("no other tenant has a row in it here")
        lacking = dict.fromkeys(each.verb for each in tries if not each.allowed)
        return Verdict(Outcome.HELD, f"no right to {', '.join(lacking)}" if lacking else "")

    return run


def _tries(name: str, rights: Any, a: str, b: str, row: str | None) -> list[_Try]:
    """`row`: one of B's, as JSON, or None where it has none or nobody may read it."""
    updatable, insertable = rights["updatable"], rights["insertable"]
    column = updatable[0] if updatable else "tenant_id"
    put = insertable if row is not None and insertable else ["tenant_id"]
    whose = json.dumps({"tenant_id": b}) if row is None else row
    return [
        _Try("SELECT", _OTHERS.format(name), a, rights["may_select"]),
        _Try("UPDATE", _WRITTEN.format(name, column), b, bool(updatable)),
        _Try("DELETE", _DELETED.format(name), b, rights["may_delete"]),
        _Try("UPDATE of tenant_id", _GIVEN.format(name), b, "tenant_id" in updatable),
        _Try("INSERT", _PUT.format(name, ", ".join(put)), whose, "tenant_id" in insertable),
    ]


def _judged(each: _Try, refused: str | None, *, copied: bool) -> Verdict | None:
    """None: it came to nothing, as it should. Without the right nothing else may refuse it; with
    it only the policy may, which shows no row of others or refuses to take one."""
    if refused is None:
        return found(f"{each.verb} reaches another tenant's rows")
    if not each.allowed:
        return None if refused == _NO_RIGHT else void(f"{each.verb} ended with {refused}")
    if refused in ("none", _NO_RIGHT) or (refused == _NO_PARTITION and not copied):
        return None
    if refused.startswith(_CONSTRAINT):
        return found(f"{each.verb} reaches another tenant's rows: but a constraint stopped it")
    return void(f"{each.verb} ended with {refused}")


def _closed(role: str, statement: str) -> LocalRun:
    def run(ground: Ground, local: LocalStores) -> Verdict:
        refused = local.refusal(role, statement, tenant=ground.a.id)  # type: ignore[arg-type]
        if refused in ("42P01", "42703"):
            return not_run("there is no such table or column in this version")
        return held_if(refused == _NO_RIGHT, "it can be read")

    return run


def _no_tenant(_: Ground, local: LocalStores) -> Verdict:
    for name in ("document", "segment", "idempotency", "answer", "budget", "customer_ledger"):
        read = _SHOWN.format(name)
        if local.rows("app", read):
            return found(f"{name} shows rows without a tenant")
        for tenant in _UNSET:
            if local.rows("app", read, tenant=tenant):
                return found(f"{name} shows rows to the tenant {tenant!r}")
    return HELD
