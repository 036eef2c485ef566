"""Every route of the deployment, crossed: with no credentials, with others' ids, with others'
names. Made of the API description, so that a route that comes later is crossed as well."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from tenantry.domain.audit import Wall
from tenantry.entrypoints.audit import published
from tenantry.entrypoints.audit.attack import HELD, Attack, Verdict, found, held_if, not_run, void
from tenantry.entrypoints.audit.attacks.controls import control, served_as, strangers_only
from tenantry.entrypoints.audit.credentials import Credential, bearer, header, nobody
from tenantry.entrypoints.audit.evidence import cost_in
from tenantry.entrypoints.audit.exchange import Ask
from tenantry.entrypoints.audit.ground import Ground
from tenantry.entrypoints.audit.recipes import RECIPES, own_ask
from tenantry.entrypoints.audit.routes import PUBLIC, Operation
from tenantry.entrypoints.audit.things import BATCH_JOB, COMMON, GUESSES, KIND_OF, KINDS

# Where other gateways look for the tenant; `x-…` names are what their documentation tells.
TENANT_HEADERS: Final = (
    "x-tenantry-tenant",
    "x-tenant-id",
    "x-tenant",
    "tenant-id",
    "tenant_id",
    "team_id",
    "x-team-id",
    "x-organization-id",
    "openai-organization",
    "x-account-id",
    "x-amzn-tenant-id",
    "x-forwarded-user",
    "x-original-tenant",
    "x-user-id",
)
TENANT_MEMBERS: Final = ("tenant", "tenant_id", "tenantId", "team_id", "organization", "account")
_FORGED: Final = "tk_" + "A" * 43


def crossings(operations: Sequence[Operation]) -> list[Attack]:
    """The attacks on each route of the data plane."""
    return [attack for found in operations for attack in _on(found)]


def _on(route: Operation) -> list[Attack]:
    line = route.line
    attacks = [
        Attack(
            f"{route.slug}.covered",
            Wall.COVERAGE,
            f"{line} is public by intent, or can be asked by its own tenant and so be attacked.",
            _covered(route),
            published.ONE_ENDPOINT,
        )
    ]
    if line in PUBLIC:
        return attacks
    attacks += [_strange(route, how) for how in _STRANGERS]
    if line not in RECIPES:
        return attacks
    attacks += [_named(route, how) for how in _NAMED if how != "body" or route.method != "GET"]
    attacks += [_without(route, scope) for scope in route.scopes]
    for parameter in route.parameters:
        kind = KIND_OF.get(route.collection(parameter))
        if kind is not None and route.collection(parameter) not in COMMON:
            attacks += _foreign(route, parameter, kind)
    return attacks


def costs(operations: Sequence[Operation]) -> list[Attack]:
    """A look at all replies of each route: the last attacks, when every other was made."""
    return [
        Attack(
            f"{route.slug}.cost",
            Wall.MONEY,
            f"No reply of {route.line} in the whole audit holds provider cost, markup or waste.",
            _without_cost(route),
        )
        for route in operations
        if route.line in RECIPES
    ]


def _covered(route: Operation) -> Callable[[Ground], Verdict]:
    def run(ground: Ground) -> Verdict:
        if route.line in PUBLIC:
            return HELD
        if not route.secured:
            return found("the route takes no credentials, and is not known to be public")
        if route.line not in RECIPES:
            return found("the audit does not know this route: it goes without most attacks")
        for parameter in route.parameters:
            collection = route.collection(parameter)
            if collection not in COMMON and collection not in KIND_OF:
                return found(f"nobody has said whose thing `{{{parameter}}}` names")
        why = control(ground, route.line)
        return HELD if why is None else void(why)

    return run


_STRANGERS: Final[Mapping[str, tuple[str, Callable[[Ground], Credential]]]] = {
    "nobody": ("without credentials", lambda ground: nobody),
    "unknown-key": ("with an API key that was never made", lambda ground: bearer(_FORGED)),
    "unknown-x-api-key": (
        "with such a key as x-api-key",
        lambda ground: header("x-api-key", _FORGED),
    ),
    "revoked-key": (
        "with an API key of the tenant that was revoked",
        lambda ground: bearer(ground.a.things["revoked-key"]),
    ),
    "operator-token": (
        "with the operator's token, which opens no tenant's content",
        lambda ground: bearer(ground.token),
    ),
}


def _strange(route: Operation, how: str) -> Attack:
    words, credential = _STRANGERS[how]

    def run(ground: Ground) -> Verdict:
        asked = _any_ask(ground, route)
        return strangers_only(ground, asked, credential(ground))

    after = published.ONE_ENDPOINT if how == "nobody" else ""
    sentence = f"{route.line} refuses a request {words}."
    return Attack(f"{route.slug}.{how}", Wall.CREDENTIALS, sentence, run, after)


def _any_ask(ground: Ground, route: Operation) -> Ask:
    """A request that would be served, or for an unknown route as good a one as there can be."""
    if route.line in RECIPES:
        return own_ask(ground, ground.a, route.line)
    path = route.template
    for parameter in route.parameters:
        path = path.replace(f"{{{parameter}}}", ground.a.things.get("document", "x"))
    body = b"" if route.method in ("GET", "DELETE") else b"{}"
    return Ask(route.line, path, headers={"content-type": "application/json"}, body=body)


_NAMED: Final = ("header", "query", "body")


def _named(route: Operation, how: str) -> Attack:
    def run(ground: Ground) -> Verdict:
        why = control(ground, route.line)
        if why is not None:
            return void(why)
        asked = _naming(own_ask(ground, ground.a, route.line), how, ground.b.id)
        if asked is None:
            return not_run("the route's body is no object")
        reply = ground.send(ground.a, asked)
        refused = how != "header" and reply.status in (400, 403, 404, 422)
        if refused:
            return HELD
        return served_as(ground.a, reply, RECIPES[route.line])

    sentence = {
        "header": f"{route.line} serves the key's tenant, whatever headers name.",
        "query": f"{route.line} serves the key's tenant or nobody where the query names another.",
        "body": f"{route.line} serves the key's tenant or nobody where the body names another.",
    }[how]
    return Attack(
        f"{route.slug}.tenant-in-{how}",
        Wall.TENANT_NAMED,
        sentence,
        run,
        published.TENANT_HEADER if how == "header" else "",
    )


def _naming(asked: Ask, how: str, other: str) -> Ask | None:
    """The same request with another tenant in it; None where it cannot be said there."""
    if how == "header":
        return replace(asked, headers={**asked.headers, **dict.fromkeys(TENANT_HEADERS, other)})
    if how == "query":
        more = urlencode(dict.fromkeys(TENANT_MEMBERS, other))
        return replace(asked, query=f"{asked.query}&{more}".lstrip("&"))
    told = json.loads(asked.body) if asked.body else {}
    if not isinstance(told, dict):
        return None
    body = json.dumps({**told, **dict.fromkeys(TENANT_MEMBERS, other)}).encode()
    return replace(asked, body=body, headers={**asked.headers, "content-type": "application/json"})


def _without(route: Operation, scope: str) -> Attack:
    def run(ground: Ground) -> Verdict:
        why = control(ground, route.line)
        if why is not None:
            return void(why)
        lacking = ground.a.things[f"key-without-{scope}"]
        reply = ground.send(ground.a, own_ask(ground, ground.a, route.line), bearer(lacking))
        return held_if(reply.status == 403, f"it was answered {reply.shown()}")

    return Attack(
        f"{route.slug}.without-{scope.replace(':', '-')}",
        Wall.SCOPES,
        f"{route.line} refuses an API key of the same tenant that lacks the scope `{scope}`.",
        run,
        published.GROUP_SETTING,
    )


def _foreign(route: Operation, parameter: str, kind: str) -> list[Attack]:
    what = {"key": "API key", "invoice": "final invoice"}.get(kind, kind)

    def cross(ground: Ground) -> Verdict:
        why = control(ground, route.line)
        if why is not None:
            return void(why)
        theirs = _theirs(ground, kind)
        if theirs is None:
            return not_run(_why_none(ground, kind, what))
        seen = KINDS[kind].witness(ground, ground.b, theirs) if kind in KINDS else None
        reply = ground.send(ground.a, own_ask(ground, ground.a, route.line, **{parameter: theirs}))
        if reply.ok:
            return found(f"another tenant's {what} was answered {reply.status}")
        if kind in KINDS and KINDS[kind].witness(ground, ground.b, theirs) != seen:
            return found(f"another tenant's {what} is not what it was")
        return held_if(reply.status == 404, f"it was answered {reply.shown()}, not 404")

    def tell(ground: Ground) -> Verdict:
        theirs = _theirs(ground, kind)
        if theirs is None:
            return not_run(_why_none(ground, kind, what))
        guess = KINDS[kind].guess(theirs) if kind in KINDS else GUESSES[kind](theirs)
        replies = []
        for name in (theirs, guess):
            asked = own_ask(ground, ground.a, route.line, **{parameter: name})
            replies.append(ground.send(ground.a, asked).comparable(name))
        return held_if(
            replies[0] == replies[1],
            f"another tenant's {what} is refused otherwise than one that never was",
        )

    return [
        Attack(
            f"{route.slug}.foreign-{kind.replace(' ', '-')}",
            Wall.IDS,
            f"{route.line} does not find, change or remove another tenant's {what} by its id.",
            cross,
            published.REPLACE if route.method in ("PUT", "PATCH") else published.BY_ID_ALONE,
        ),
        Attack(
            f"{route.slug}.tells-{kind.replace(' ', '-')}",
            Wall.EXISTENCE,
            f"{route.line} answers another tenant's {what} byte for byte as one that never was.",
            tell,
        ),
    ]


def _theirs(ground: Ground, kind: str) -> str | None:
    """A thing of another tenant: canary B's, but for what no canary has."""
    if kind not in KINDS:
        return ground.b.things.get(kind)
    return KINDS[kind].make(ground, ground.b)


def _why_none(ground: Ground, kind: str, what: str) -> str:
    """The operator's port lists no batch jobs: elsewhere nobody knows whether there are any. One
    without answers is not there for its own tenant either."""
    if kind == BATCH_JOB and ground.local is None:
        return f"another tenant's {what} is not found without the database: {ground.not_local}"
    if kind == BATCH_JOB:
        return f"no other tenant has a {what} whose answers are found here"
    return f"no other tenant has a {what} here"


def _without_cost(route: Operation) -> Callable[[Ground], Verdict]:
    def run(ground: Ground) -> Verdict:
        replies = [item for item in ground.data.exchanges if item.ask.operation == route.line]
        if not any(RECIPES[route.line].serves(item.reply.status) for item in replies):
            return void("the route was never answered")
        told = next((told for item in replies if (told := cost_in(item)) is not None), None)
        return HELD if told is None else found(told)

    return run
