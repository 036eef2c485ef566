"""The JSON of an export's rows. Pure; no secret is among them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import orjson

from tenantry.application.exporting import OpenedReply, OpenedResult, OpenedSession
from tenantry.domain.batch import without_words
from tenantry.domain.document import Document
from tenantry.domain.tenant import Tenant
from tenantry.entrypoints.http.key_views import from_key_row
from tenantry.entrypoints.http.knowledge.views import from_document
from tenantry.ports.batch import BatchJob
from tenantry.ports.control import KeyRow


def from_row(row: object) -> dict[str, Any]:
    """One row of any section."""
    match row:
        case Document():
            return from_document(row)
        case KeyRow():
            return from_key_row(row)
        case OpenedReply():
            return {
                "request_id": _id(row.reply.request_id),
                "expires_at": row.reply.expires_at,
                **_body(row.body),
            }
        case OpenedResult():
            return _from_result(row)
        case OpenedSession():
            return {
                "id": row.session.session_id,
                "turns": row.session.turns,
                "expires_at": row.session.expires_at,
                "said": row.said,
            }
        case BatchJob():
            return _from_job(row)
        case Mapping():
            return dict(row)
    raise AssertionError(f"{type(row).__name__} is no row of an export")


def from_tenant(tenant: Tenant, currency: str) -> dict[str, Any]:
    """`currency`: its contract's, which a tenant that was read with its key does not have."""
    regions = tenant.regions_allowed
    return {
        "id": tenant.id,
        "name": tenant.name,
        "plan": tenant.plan.name,
        "plan_version": tenant.plan.version,
        "zone": tenant.zone,
        "anchor_day": tenant.anchor_day,
        "currency": currency,
        "regions_allowed": None if regions is None else sorted(regions),
    }


def _from_result(row: OpenedResult) -> dict[str, Any]:
    told: dict[str, Any] = {
        "request_id": _id(row.result.request_id),
        "api_key_id": row.result.key.api_key_id,
        "expires_at": row.result.expires_at,
    }
    if row.answer is None:
        return told | _body(None)
    head = {"status": row.answer.status, "headers": dict(row.answer.headers)}
    return told | head | _body(row.answer.body)


def _from_job(job: BatchJob) -> dict[str, Any]:
    return {
        "id": str(job.request_id),
        "state": job.state,
        "operation": job.operation,
        "model": job.model,
        "records": job.records,
        "message": without_words(job.message),
        "created_at": job.created_at,
        "has_output": job.state == "settled" and job.job_arn is not None,
    }


def _body(body: bytes | None) -> dict[str, Any]:
    """JSON as JSON, text as text, anything else in base64. None: it is not there any more."""
    if body is None:
        return {"body": None}
    try:
        return {"body": orjson.loads(body)}
    except orjson.JSONDecodeError:
        pass
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(body).decode()}


def _id(request_id: object) -> str | None:
    return None if request_id is None else str(request_id)
