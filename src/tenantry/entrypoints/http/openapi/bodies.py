"""What each route takes: the struct that its handler reads, or a schema beside its parser."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tenantry.domain.audit import ATTACKS_MAX, TEXT_CHARS_MAX, Outcome, Wall
from tenantry.domain.catalogue import Model
from tenantry.domain.plan import Plan
from tenantry.domain.plan_values import COUNT_MAX
from tenantry.entrypoints.http.admin import schema
from tenantry.entrypoints.http.admin.shreds import ShredRequest
from tenantry.entrypoints.http.described import REF, SPOKEN, Schema
from tenantry.entrypoints.http.knowledge.questions import AnswerRequest, SearchRequest
from tenantry.entrypoints.http.knowledge.reindexing import ReindexRequest
from tenantry.entrypoints.http.knowledge.upload_schema import UPLOAD_FORM, UPLOAD_TEXT
from tenantry.entrypoints.http.openapi.families import BODIES as OF_FAMILIES
from tenantry.entrypoints.http.openapi.parts import Body
from tenantry.entrypoints.http.tenant.budgets import NewBudget
from tenantry.entrypoints.http.tenant.keys import NewKey
from tenantry.entrypoints.http.tenant.users import UserExportRequest, UserRequest

_UPLOAD: Final = Body(UPLOAD_TEXT, form=UPLOAD_FORM)
_A_MODEL: Final[Schema] = {"required": ["model"], "properties": {"model": {"type": "string"}}}
_AGAIN: Final[Schema] = {"required": ["again"], "properties": {"again": {"const": True}}}
# Whose budget: the tenant's own, or that of what is named.
_OF_THE_TENANT: Final[Schema] = {
    "properties": {"scope": {"const": "tenant"}, "user_hash": {"type": "null"}}
}
_NAMED: Final[Schema] = {
    "required": ["scope_id"],
    "properties": {
        "scope": {"enum": ["api_key", "run", "user"]},
        "scope_id": {"type": "string", "minLength": 1, "pattern": SPOKEN},
        "user_hash": {"type": "null"},
    },
}
_HASHED: Final[Schema] = {
    "required": ["user_hash"],
    "properties": {
        "scope": {"const": "user"},
        "scope_id": {"type": "null"},
        "user_hash": {"type": "string"},
    },
}
_WHOSE: Final[Schema] = {"anyOf": [_OF_THE_TENANT, _NAMED, _HASHED]}
_PLAIN: Final[Schema] = {"type": "string", "maxLength": TEXT_CHARS_MAX}
_SAID: Final[Schema] = {**_PLAIN, "minLength": 1}
_AT: Final[Schema] = {"type": "string", "format": "date-time"}
_ATTACK: Final[Schema] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "pattern": r"^[a-z0-9]+([.-][a-z0-9]+)*$", "maxLength": 160},
        "wall": {"enum": [str(wall) for wall in Wall]},
        "outcome": {"enum": [str(outcome) for outcome in Outcome]},
        "sentence": _SAID,
        "detail": _PLAIN,
        "after": _PLAIN,
    },
    "required": ["id", "wall", "outcome", "sentence"],
}
# As `domain.audit.report_from` reads it, which counts by itself and passes over other members.
_REPORT: Final[Schema] = {
    "type": "object",
    "properties": {
        "started_at": _AT,
        "ended_at": _AT,
        "version": _SAID,
        "url": _SAID,
        "canaries": {"type": "array", "items": _PLAIN, "maxItems": ATTACKS_MAX},
        "attacks": {"type": "array", "items": _ATTACK, "minItems": 1, "maxItems": ATTACKS_MAX},
    },
    "required": ["started_at", "ended_at", "version", "url", "canaries", "attacks"],
}

BODIES: Final[Mapping[str, Body]] = {
    **OF_FAMILIES,
    "POST /v1/documents": _UPLOAD,
    "PUT /v1/documents/{id}": _UPLOAD,
    "POST /v1/documents/reindex": Body(ReindexRequest, also={"anyOf": [_A_MODEL, _AGAIN]}),
    "POST /v1/search": Body(SearchRequest),
    "POST /v1/answers": Body(AnswerRequest),
    "POST /v1/budgets": Body(NewBudget, also=_WHOSE),
    "POST /v1/keys": Body(NewKey),
    "POST /v1/users/export": Body(UserExportRequest),
    "POST /v1/users/erase": Body(UserRequest),
    "POST /admin/v1/tenants": Body(schema.NewTenant),
    "POST /admin/v1/tenants/{tenant}/shred": Body(ShredRequest),
    "POST /admin/v1/keys": Body(schema.NewKeyRequest),
    "POST /admin/v1/plans": Body(schema.PlansRequest),
    "POST /admin/v1/models": Body(schema.ModelsRequest),
    "POST /admin/v1/placements": Body(schema.PlacementRequest),
    "POST /admin/v1/budgets": Body(schema.BudgetRequest, also=_WHOSE),
    "POST /admin/v1/mutes": Body(schema.MuteRequest),
    "POST /admin/v1/prices": Body(schema.PricesRequest),
    "POST /admin/v1/invoices/review": Body(schema.ReviewRequest),
    "POST /admin/v1/invoices/finalise": Body(schema.FinaliseRequest),
    "POST /admin/v1/invoices/{number}/void": Body(schema.VoidRequest),
    "POST /admin/v1/invoices/{number}/credit": Body(schema.CreditNoteRequest),
    "POST /admin/v1/contracts": Body(schema.ContractRequest),
    "POST /admin/v1/contracts/plans": Body(schema.PlanChangeRequest),
    "POST /admin/v1/contracts/credits": Body(schema.CreditRequest),
    "POST /admin/v1/audits": Body(_REPORT),
    "POST /admin/v1/exchange-rates": Body(schema.RateRequest),
}


def by_hand() -> dict[str, Schema]:
    """Components of what is read by hand: a plan's table, from the fields that it may have, and a
    model of the catalogue, which is converted as it is described."""
    _, found = msgspec.json.schema_components([Plan, Model], ref_template=REF)
    return {"PlanTable": _plan_table(found["Plan"]), "Plan": _plan(found["Plan"]), **_model(found)}


def _plan_table(told: Schema) -> Schema:
    members = {name: _bounded(one) for name, one in told["properties"].items()}
    for name in ("name", "version"):
        del members[name]
    return {
        "title": "PlanTable",
        "description": "What a plan is applied from; money is a decimal in a string.",
        "type": "object",
        "properties": members,
        "additionalProperties": False,
    }


def _plan(told: Schema) -> Schema:
    members = {name: _without_default(one) for name, one in told["properties"].items()}
    return {
        "title": "Plan",
        "description": "A plan in one version; money is a decimal in a string.",
        "type": "object",
        "properties": members,
        "required": [each.name for each in dataclasses.fields(Plan)],
    }


def _model(found: Mapping[str, Schema]) -> dict[str, Schema]:
    described = "A model of the catalogue; what is left out has its default."
    return {"Model": {**found["Model"], "description": described}}


def _without_default(told: Schema) -> Schema:
    return {name: value for name, value in told.items() if name != "default"}


def _bounded(told: Any) -> Any:
    """Counts are not negative."""
    if not isinstance(told, dict):
        return told
    bounds = {"minimum": 0, "maximum": COUNT_MAX} if told.get("type") == "integer" else {}
    nullable = {"anyOf": [_bounded(one) for one in told["anyOf"]]} if "anyOf" in told else {}
    return {**told, **nullable, **bounds}
