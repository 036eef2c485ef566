"""Alerts, announced use, and where budgets will end, for an operator."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tenantry.application.pacing import Outlook
from tenantry.domain.alert import Alert
from tenantry.domain.anomaly import check_announced
from tenantry.domain.cursor import cursor_of, parts_of
from tenantry.domain.errors import BadRequest
from tenantry.domain.ids import TenantId
from tenantry.domain.remark import check_reason
from tenantry.entrypoints.http.admin import schema
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.json_body import to, zoned
from tenantry.entrypoints.http.paging import PAGE, page_of, page_response
from tenantry.entrypoints.http.response import Response, json_response
from tenantry.entrypoints.http.tenant.budgets import budget_page_of
from tenantry.entrypoints.http.time_query import instant_of
from tenantry.ports.alerts import Mute

STATES = ("open", "acknowledged")


async def list_alerts(call: Call) -> Response:
    query = call.query("tenant", "since", "state", *PAGE)
    cursor, limit = page_of(query)
    state = query.get("state")
    if state is not None and state not in STATES:
        raise BadRequest(f"`state` must be one of {', '.join(STATES)}.")
    tenant_id = await _tenant_id(call, query["tenant"]) if "tenant" in query else None
    found = await call.services.alerts.alerts(
        tenant_id=tenant_id,
        since=instant_of(query, "since"),
        state=state,
        before=cursor,
        limit=limit + 1,
    )
    return page_response(found, limit, from_alert, lambda alert: alert.id)


async def acknowledge(call: Call) -> Response:
    return json_response(from_alert(await call.services.alerts.acknowledge(call.params["alert"])))


async def list_mutes(call: Call) -> Response:
    query = call.query("tenant", *PAGE)
    cursor, limit = page_of(query)
    after = parts_of(cursor, datetime, str)
    tenant_id = await _tenant_id(call, query.get("tenant", ""))
    found = await call.services.alerts.mutes(tenant_id, after=after, limit=limit + 1)
    return page_response(found, limit, from_mute, lambda one: cursor_of(one.starts_at, one.id))


async def mute(call: Call) -> Response:
    asked = to(schema.MuteRequest, call.json())
    starts_at, ends_at = zoned(asked.starts_at, "starts_at"), zoned(asked.ends_at, "ends_at")
    if starts_at >= ends_at:
        raise BadRequest("`starts_at` must be before `ends_at`.")
    for name, instant in (("starts_at", starts_at), ("ends_at", ends_at)):
        try:
            check_announced(instant)
        except ValueError as wrong:
            raise BadRequest(f"`{name}` {wrong}.") from None
    try:
        check_reason(asked.reason)
    except ValueError as wrong:
        raise BadRequest(f"`reason` {wrong}.") from None
    tenant_id = await _tenant_id(call, asked.tenant)
    made = await call.services.alerts.mute(tenant_id, starts_at, ends_at, asked.reason)
    return json_response(from_mute(made), 201)


async def unmute(call: Call) -> Response:
    tenant_id = await _tenant_id(call, call.query("tenant").get("tenant", ""))
    await call.services.alerts.unmute(tenant_id, call.params["mute"])
    return Response(204)


async def list_outlooks(call: Call) -> Response:
    query = call.query("tenant", *PAGE)
    after, limit = budget_page_of(query)
    tenant_id = await _tenant_id(call, query.get("tenant", ""))
    found = await call.services.outlooks(tenant_id, after, limit + 1)
    return page_response(found, limit, from_outlook, lambda row: row.key.id)


async def _tenant_id(call: Call, name: str) -> TenantId:
    if not name:
        raise BadRequest("The query parameter `tenant` is missing.")
    return (await call.services.control.get_tenant(name)).id


def from_alert(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.id,
        "tenant": alert.tenant_id,
        "tenant_name": alert.tenant_name,
        "kind": alert.kind,
        "subject": alert.subject,
        "severity": str(alert.severity),
        "state": alert.state,
        "raised_at": alert.raised_at,
        "acknowledged_at": alert.acknowledged_at,
        "starts_at": alert.starts_at,
        "ends_at": alert.ends_at,
        "observed": alert.observed,
        "expected": alert.expected,
        "unit": alert.unit,
        "excess_tokens": alert.excess_tokens,
        "excess_charge": alert.excess_charge,
        "currency": alert.currency,
        "detail": alert.detail,
    }


def from_mute(found: Mute) -> dict[str, Any]:
    return {
        "id": found.id,
        "tenant": found.tenant_id,
        "starts_at": found.starts_at,
        "ends_at": found.ends_at,
        "reason": found.reason,
        "muted_at": found.muted_at,
    }


def from_outlook(found: Outlook) -> dict[str, Any]:
    use, forecast = found.use, found.forecast
    return {
        "subject": use.subject,
        "period": use.period,
        "basis": use.basis,
        "limit": use.limit,
        "hard": use.hard,
        "settled": use.settled,
        "reserved": use.reserved,
        "unit": use.unit,
        "starts_at": use.starts_at,
        "ends_at": use.ends_at,
        "forecast": None if forecast is None else forecast.expected,
        "low": None if forecast is None else forecast.low,
        "high": None if forecast is None else forecast.high,
        "passes_at": None if forecast is None else forecast.passes_at,
        "based_on": None if forecast is None else forecast.based_on,
    }
