"""The canaries as they are made before the attacks; how they end is in `ending.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from tenantry.domain.audit import CANARY_PREFIX
from tenantry.entrypoints.audit.attacks.groups import GROUP
from tenantry.entrypoints.audit.canary import Canary
from tenantry.entrypoints.audit.credentials import bearer
from tenantry.entrypoints.audit.exchange import ask
from tenantry.entrypoints.audit.operator import Operator, Refused
from tenantry.entrypoints.audit.recipes import ALLOWED_GUARDRAIL
from tenantry.entrypoints.audit.things import made
from tenantry.entrypoints.audit.wire import Wire

if TYPE_CHECKING:
    from tenantry.bootstrap.audit import LocalStores

CANARIES: Final = ("a", "b", "c")
ALL_SCOPES: Final = ("infer", "search", "documents:write", "admin")
_FREE_OF_LIMITS: Final[Mapping[str, Any]] = {
    "requests_per_day": None,
    "requests_per_minute": None,
    "tokens_per_minute": None,
    "concurrent_requests": None,
    "monthly_budget": None,
    "soft_alert_at": None,
    "documents_max": 1_000,
    "storage_max_mb": 100,
    "models_allowed": None,
    "regions_allowed": None,
    "preamble": "",
    "guardrail": None,
    "guardrails_allowed": [ALLOWED_GUARDRAIL],
    "answer_cache_ttl_s": 120,
    "cache_hit_price": "0",
    "markup": "0",
    "monthly_fee": "0",
    "minimum": "0",
    "overage": {},
}
_ASKED_FOR_INVOICES_MAX: Final = 25  # tenants; the oldest, which have most


def make_plan(operator: Operator, base: str | None, placement: Mapping[str, Any]) -> dict[str, Any]:
    """The canaries' plan: that of the deployment's tenants, without limits and without a price.

    Without `base`, the first plan of the placement's kind. Raises `Refused`.
    """
    plans = [row for row in operator.every("/plans") if not _is_ours(row["name"])]
    chosen = [row for row in plans if row["name"] == base]
    if base is None:
        chosen = [row for row in plans if row["placement"] == placement["kind"]] or plans
    if not chosen:
        raise Refused(f"there is no plan {base}")
    table = {k: v for k, v in chosen[0].items() if k not in ("name", "version")}
    table |= {**_FREE_OF_LIMITS, "placement": placement["kind"]}
    name = f"{CANARY_PREFIX}{placement['id']}"
    operator.post("/plans", {"plans": {name: table}})
    return {"name": name, **table}


def _is_ours(plan: str) -> bool:
    return plan.startswith(CANARY_PREFIX)


def canary_name(run: str, name: str) -> str:
    return f"{CANARY_PREFIX}{run}-{name}"


def make_canary(
    operator: Operator,
    name: str,
    run: str,
    plan: Mapping[str, Any],
    placement: Mapping[str, Any],
    *,
    regions: list[str] | None = None,
) -> Canary:
    """A fresh tenant with a key of every scope."""
    told = operator.post(
        "/tenants",
        {
            "name": canary_name(run, name),
            "plan": plan["name"],
            "placement": placement["id"],
            "regions_allowed": regions,
        },
    )
    key = operator.key(told["id"], name="audit", scopes=list(ALL_SCOPES))
    own_kms_key = plan.get("kms_key") == "own" or placement.get("kms_key") == "own"
    return Canary(
        name, told["id"], told["name"], key, placement["account"], placement["id"], own_kms_key
    )


def furnish(operator: Operator, canary: Canary, data: Wire, now: datetime) -> None:
    """The canary's standing things: documents, keys of less than every scope, a budget.

    Raises `NoSuchThing`, `Refused` or `OSError`.
    """

    def send(line: str, body: Mapping[str, Any]) -> Any:
        reply = data.send(ask(line, body=body), canary.credential, who=canary.name)
        return made(reply, f"canary {canary.name}: {line}")

    things = canary.things
    plain = {"metadata": {"kind": "note"}}
    text = f"The word of this note is {canary.word()}."
    document = {"title": f"Note {canary.word()}", "text": text, **plain}
    things["document"] = send("POST /v1/documents", document)["id"]
    things["tagged-word"] = canary.word()
    text = f"The board word is {things['tagged-word']}."
    tagged = {"title": f"Board {canary.word()}", "text": text, "access": [GROUP]}
    things["tagged"] = send("POST /v1/documents", tagged)["id"]
    canary.secrets |= {things["document"], things["tagged"]}
    budget = {"scope": "run", "scope_id": canary.word(), "period": "total", "limit": "7"}
    things["budget"] = send("POST /v1/budgets", budget)["id"]
    for scope in ALL_SCOPES:
        # A key that lacks a scope has the others, but never `admin`, which includes them all.
        rest = [other for other in ALL_SCOPES if other not in (scope, "admin")]
        things[f"key-without-{scope}"] = operator.key(canary.id, name="audit", scopes=rest).bearer
    plain_key = operator.key(canary.id, name="audit", scopes=list(ALL_SCOPES))
    things["plain-key"], things["key"] = plain_key.bearer, plain_key.id
    canary.secrets |= {plain_key.bearer, plain_key.id}
    ending = (now + timedelta(milliseconds=200)).isoformat()
    things["expired-key"] = operator.key(canary.id, name="audit", expires_at=ending).bearer
    revoked = operator.key(canary.id, name="audit")
    things["revoked-key"] = revoked.bearer
    data.send(ask("GET /v1/documents"), bearer(revoked.bearer), who=canary.name)  # is known
    operator.revoke(canary.id, revoked.id)
    limits = data.send(ask("GET /v1/limits"), canary.credential, who=canary.name).json()
    if base := limits.get("knowledge_base_id"):
        things["knowledge_base"] = base
        canary.secrets.add(base)
    drafts = data.send(ask("GET /v1/invoices"), canary.credential, who=canary.name).json()
    for row in drafts.get("data", []):
        things.setdefault("invoice", row["number"])


def foreign_batch_job(local: LocalStores, canaries: Sequence[Canary]) -> str | None:
    """The id of a batch job of some other tenant, with answers that are there to be stolen.

    Raises `OSError` where the database went away.
    """
    try:
        return local.job_with_output([canary.id for canary in canaries])
    except Exception as problem:  # of a database, in its driver's words
        raise OSError(f"batch jobs cannot be listed: {type(problem).__name__}") from None


def foreign_invoice(operator: Operator, tenants: Sequence[Mapping[str, Any]]) -> str | None:
    """The number of a final invoice of some other tenant, which is read by nobody here."""
    others = [row for row in tenants if not row["name"].startswith(CANARY_PREFIX)]
    for tenant in others[:_ASKED_FOR_INVOICES_MAX]:
        for row in operator.get("/invoices", tenant=tenant["id"], limit="5")["data"]:
            if row["status"] != "draft":
                return str(row["number"])
    return None
