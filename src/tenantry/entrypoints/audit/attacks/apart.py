"""The control plane kept apart from tenants, and the provider's book kept from both its readers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from tenantry.domain.audit import Wall
from tenantry.entrypoints.audit.attack import HELD, Attack, Verdict, found, held_if, void
from tenantry.entrypoints.audit.credentials import Credential, bearer, header, nobody, signed
from tenantry.entrypoints.audit.exchange import Ask, ask
from tenantry.entrypoints.audit.ground import Ground
from tenantry.entrypoints.audit.routes import PUBLIC, Operation

_REFUSED: Final = (401, 403)
_STRANGERS: Final[dict[str, tuple[str, Callable[[Ground], Credential]]]] = {
    "nobody": ("without credentials", lambda ground: nobody),
    "tenant-key": ("with a tenant admin's API key", lambda ground: bearer(ground.a.key.bearer)),
}
_MORE: Final[dict[str, tuple[str, Callable[[Ground], Credential]]]] = {
    "x-api-key": (
        "a tenant's key as x-api-key",
        lambda ground: header("x-api-key", ground.a.key.bearer),
    ),
    "token-as-x-api-key-of-tenant": (
        "a tenant's id as x-api-key",
        lambda ground: header("x-api-key", ground.a.id),
    ),
    "signature": ("a tenant's signature", lambda ground: signed(ground.a.key, ground.now())),
    "empty-token": ("an empty token", lambda ground: header("authorization", "Bearer ")),
    "cut-token": ("a token without its end", lambda ground: bearer(ground.token[:-1])),
}


def admin_crossings(operations: Sequence[Operation]) -> list[Attack]:
    """Every route of the admin port, asked by a tenant and by nobody."""
    closed = [route for route in operations if route.line not in PUBLIC]
    attacks = [_crossed(route, how) for route in closed for how in _STRANGERS]
    return attacks + [
        Attack(
            f"admin.{name}",
            Wall.OPERATOR,
            f"The admin port's list of tenants is not shown for {words}.",
            _with(credential),
        )
        for name, (words, credential) in _MORE.items()
    ]


def _crossed(route: Operation, how: str) -> Attack:
    words, credential = _STRANGERS[how]

    def run(ground: Ground) -> Verdict:
        if not route.secured:
            return found("the route takes no credentials, and is not known to be public")
        # Whatever it would do, it would do to the canaries alone.
        path = route.template
        for parameter in route.parameters:
            given = ground.a.id if parameter == "tenant" else "audit-none"
            path = path.replace(f"{{{parameter}}}", given)
        query = f"tenant={ground.a.id}" if route.method in ("GET", "DELETE") else ""
        body = b"" if route.method in ("GET", "DELETE") else b"{}"
        asked = Ask(route.line, path, query, {"content-type": "application/json"}, body)
        reply = ground.operator.wire.send(asked, credential(ground), who="")
        return held_if(reply.status in _REFUSED, f"it was answered {reply.shown()}")

    return Attack(
        f"admin.{route.slug}.{how}",
        Wall.OPERATOR,
        f"{route.line} refuses a request {words}.",
        run,
    )


def _with(credential: Callable[[Ground], Credential]) -> Callable[[Ground], Verdict]:
    def run(ground: Ground) -> Verdict:
        asked = ask("GET /admin/v1/tenants")
        reply = ground.operator.wire.send(asked, credential(ground), who="")
        return held_if(reply.status in _REFUSED, f"it was answered {reply.shown()}")

    return run


def money_attacks() -> list[Attack]:
    return [
        Attack(
            "money.guard-listed",
            Wall.MONEY,
            "A guard in provider cost that the operator has set is not shown to the tenant.",
            _guard_listed,
        ),
        Attack(
            "money.guard-removed",
            Wall.MONEY,
            "A tenant's admin cannot remove it, nor learn that it is there.",
            _guard_removed,
        ),
        Attack(
            "money.basis-cost",
            Wall.MONEY,
            "A tenant's admin cannot set a budget in provider cost.",
            _basis_cost,
        ),
        *(
            Attack(
                f"money.usage-by-{name}",
                Wall.MONEY,
                f"Usage cannot be grouped by `{name}`.",
                _grouped(name),
            )
            for name in ("cost", "markup", "tenant", "attempt", "margin")
        ),
        Attack(
            "money.admin-routes",
            Wall.OPERATOR,
            "The data-plane port has none of the admin port's routes.",
            _no_admin_routes,
        ),
        Attack(
            "money.debug-routes",
            Wall.OPERATOR,
            "The data-plane port shows no metrics, health of parts or traces.",
            _no_debug_routes,
        ),
    ]


_COST_GUARD: Final = "bud_dGVuYW50IG1vbnRoIGNvc3Q"  # tenant, month, cost
_NO_GUARD: Final = "bud_dGVuYW50IGRheSBjb3N0"  # tenant, day, cost


def _guarded(ground: Ground) -> bool:
    """Sets the guard; whether the operator itself sees it."""
    body = {"tenant": ground.a.id, "scope": "tenant", "period": "month", "limit": "9999"}
    ground.operator.post("/budgets", {**body, "basis": "cost", "hard": False})
    rows = ground.operator.every("/budgets", tenant=ground.a.id)
    return any(row.get("basis") == "cost" for row in rows)


def _guard_listed(ground: Ground) -> Verdict:
    if not _guarded(ground):
        return void("the operator's guard could not be set")
    for line in ("GET /v1/budgets", "GET /v1/limits"):
        rows = ground.send(ground.a, ask(line)).json().get("data", [])
        if any(row.get("basis") == "cost" or row.get("limit") == "9999" for row in rows):
            return found(f"{line} shows it")
    return HELD


def _guard_removed(ground: Ground) -> Verdict:
    if not _guarded(ground):
        return void("the operator's guard could not be set")
    line = "DELETE /v1/budgets/{budget}"
    replies = [
        ground.send(ground.a, ask(line, {"budget": name})).comparable(name)
        for name in (_COST_GUARD, _NO_GUARD)
    ]
    rows = ground.operator.every("/budgets", tenant=ground.a.id)
    if not any(row.get("basis") == "cost" for row in rows):
        return found("the tenant's admin has removed it")
    return held_if(replies[0] == replies[1], "it is refused otherwise than one that never was")


def _basis_cost(ground: Ground) -> Verdict:
    body = {"scope": "run", "scope_id": "audit", "period": "day", "limit": "1"}
    own = ground.send(ground.a, ask("POST /v1/budgets", body=body))
    if not own.ok:
        return void(f"a budget in charge was answered {own.shown()}")
    reply = ground.send(ground.a, ask("POST /v1/budgets", body={**body, "basis": "cost"}))
    return held_if(reply.status == 400, f"it was answered {reply.shown()}")


def _grouped(name: str) -> Callable[[Ground], Verdict]:
    def run(ground: Ground) -> Verdict:
        own = ground.send(ground.a, ask("GET /v1/usage", query={"group_by": "model"}))
        if not own.ok:
            return void(f"usage by model was answered {own.shown()}")
        reply = ground.send(ground.a, ask("GET /v1/usage", query={"group_by": name}))
        return held_if(reply.status == 400, f"it was answered {reply.shown()}")

    return run


def _no_admin_routes(ground: Ground) -> Verdict:
    for path in ("/admin/v1/tenants", "/admin/v1/economics", "/admin/v1/prices", "/console"):
        asked = Ask(f"GET {path}", path)
        for reply in (ground.send(ground.a, asked), ground.stranger(asked, bearer(ground.token))):
            if reply.status != 404:
                return found(f"{path} was answered {reply.shown()}")
    return HELD


def _no_debug_routes(ground: Ground) -> Verdict:
    for path in ("/metrics", "/debug", "/debug/pprof", "/trace", "/env", "/.env", "/config"):
        reply = ground.stranger(Ask(f"GET {path}", path), nobody)
        if reply.status != 404:
            return found(f"{path} was answered {reply.shown()}")
    return HELD
