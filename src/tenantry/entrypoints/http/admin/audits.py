"""`/admin/v1/audits`: reports of audits of isolation, for an operator."""

from __future__ import annotations

from typing import Any

from tenantry.domain.audit import AuditError, report_from
from tenantry.domain.errors import BadRequest, NotFound
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.paging import PAGE, page_of, page_response
from tenantry.entrypoints.http.response import Response, json_response
from tenantry.ports.audits import StoredAudit

_ID_CHARS_MAX = 64


async def store(call: Call) -> Response:
    """Keeps a report as `tenantry audit isolation --json` prints it."""
    try:
        report = report_from(call.json())
    except AuditError as problem:
        raise BadRequest(f"{problem}.") from None
    return json_response(from_stored(await call.services.audits.add(report)), 201)


async def index(call: Call) -> Response:
    cursor, limit = page_of(call.query(*PAGE))
    found = await call.services.audits.page(before=cursor, limit=limit + 1)
    return page_response(found, limit, from_stored, lambda stored: stored.id)


async def get(call: Call) -> Response:
    audit_id = call.params["audit"]
    if len(audit_id) > _ID_CHARS_MAX:
        raise NotFound("There is no such audit.")
    stored, report = await call.services.audits.get(audit_id)
    return json_response({**from_stored(stored), **report.to_json()})


def from_stored(stored: StoredAudit) -> dict[str, Any]:
    return {
        "id": stored.id,
        "stored_at": stored.stored_at,
        "started_at": stored.started_at,
        "ended_at": stored.ended_at,
        "version": stored.version,
        "url": stored.url,
        "counts": {str(outcome): count for outcome, count in stored.counts.items()},
    }
