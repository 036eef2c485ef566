"""The routes of the admin port."""

from __future__ import annotations

from typing import Final

from tenantry.entrypoints.http.admin import (
    accounting,
    alerts,
    audits,
    billing,
    budgets,
    control,
    economics,
    health,
    shreds,
)
from tenantry.entrypoints.http.openapi import routes_for
from tenantry.entrypoints.http.paging import PAGE
from tenantry.entrypoints.http.routes import (
    LARGE_BODY_BYTES_MAX,
    Access,
    Handler,
    Method,
    Route,
    RouteTable,
)
from tenantry.entrypoints.http.tenant.handlers import USAGE_QUERY


def _admin(
    method: Method, path: str, handler: Handler, summary: str, query: tuple[str, ...] = ()
) -> Route:
    return Route(
        method,
        f"/admin/v1{path}",
        "tenantry",
        handler,
        Access.OPERATOR,
        summary,
        body_bytes_max=LARGE_BODY_BYTES_MAX,  # editions of prices, reports of audits
        query=query,
    )


_WHOSE: Final = ("tenant",)
_OF_TENANT: Final = (*_WHOSE, *PAGE)
_ECONOMICS: Final = ("from", "to", "by", "tag")
_ROUTES: Final = (
    *health.ROUTES,
    _admin("GET", "/tenants", control.list_tenants, "Tenants", PAGE),
    _admin("POST", "/tenants", control.create_tenant, "Create a tenant"),
    _admin("GET", "/tenants/{tenant}", control.get_tenant, "One tenant, by id or name"),
    _admin("POST", "/tenants/{tenant}/suspend", control.suspend_tenant, "Suspend a tenant"),
    _admin("POST", "/tenants/{tenant}/resume", control.resume_tenant, "Resume a tenant"),
    _admin("POST", "/tenants/{tenant}/shred", shreds.begin, "Shred a tenant for good"),
    _admin("GET", "/tenants/{tenant}/shred", shreds.show, "A shred: how far, and its certificate"),
    _admin("GET", "/keys", control.list_keys, "A tenant's API keys, without secrets", _OF_TENANT),
    _admin("POST", "/keys", control.create_key, "Create an API key; its secrets are shown once"),
    _admin("DELETE", "/keys/{key}", control.revoke_key, "Revoke an API key", _WHOSE),
    _admin("GET", "/plans", control.list_plans, "Plans", PAGE),
    _admin("POST", "/plans", control.apply_plans, "Apply plans; what changed gets a version"),
    _admin("GET", "/models", control.list_models, "The model catalogue", PAGE),
    _admin("POST", "/models", control.apply_models, "Apply models to the catalogue"),
    _admin("GET", "/placements", control.list_placements, "Placements", PAGE),
    _admin("POST", "/placements", control.apply_placement, "Apply a placement"),
    _admin(
        "GET", "/budgets", budgets.list_budgets, "A tenant's budgets and what is left", _OF_TENANT
    ),
    _admin("POST", "/budgets", budgets.set_budget, "Set a budget"),
    _admin("DELETE", "/budgets/{budget}", budgets.remove_budget, "Remove a budget", _WHOSE),
    _admin(
        "GET",
        "/budgets/forecast",
        alerts.list_outlooks,
        "Where a tenant's budgets will end",
        _OF_TENANT,
    ),
    _admin(
        "GET",
        "/alerts",
        alerts.list_alerts,
        "Alerts, newest first",
        ("tenant", "since", "state", *PAGE),
    ),
    _admin("POST", "/alerts/{alert}/acknowledge", alerts.acknowledge, "Acknowledge an alert"),
    _admin("GET", "/mutes", alerts.list_mutes, "A tenant's announced use", _OF_TENANT),
    _admin("POST", "/mutes", alerts.mute, "Announce use, which is then not told"),
    _admin("DELETE", "/mutes/{mute}", alerts.unmute, "Take an announcement back", _WHOSE),
    _admin("GET", "/prices", control.show_prices, "The price edition in force"),
    _admin("POST", "/prices", control.import_prices, "Import a price edition"),
    _admin("GET", "/usage", accounting.usage, "A tenant's usage", ("tenant", *USAGE_QUERY)),
    _admin("GET", "/economics", economics.economics, "Margin by tenant, model or tag", _ECONOMICS),
    _admin("GET", "/invoices", accounting.invoices, "A tenant's invoices", _OF_TENANT),
    _admin("GET", "/invoices/{number}", accounting.invoice, "One invoice of a tenant", _WHOSE),
    _admin("POST", "/invoices/review", billing.review, "Store a period's draft for review"),
    _admin("POST", "/invoices/finalise", billing.finalise, "Make a period's invoice final"),
    _admin("POST", "/invoices/{number}/void", billing.void, "Void a final invoice"),
    _admin("POST", "/invoices/{number}/credit", billing.credit_note, "Issue a credit note"),
    _admin("GET", "/invoices/{number}/verify", billing.verify, "Make an invoice again, compare"),
    _admin(
        "GET",
        "/invoice-runs",
        billing.runs,
        "What came of the periods that were due",
        ("tenant", "outcome", *PAGE),
    ),
    _admin("GET", "/contracts", billing.contracts, "Versions of a tenant's contract", _OF_TENANT),
    _admin("POST", "/contracts", billing.set_contract, "Enter a contract's next version"),
    _admin(
        "GET", "/contracts/plans", billing.plan_changes, "A tenant's changes of plan", _OF_TENANT
    ),
    _admin("POST", "/contracts/plans", billing.change_plan, "Change a tenant's plan, now or later"),
    _admin(
        "GET",
        "/contracts/credits",
        billing.credits,
        "A tenant's prepaid credit, by entry",
        _OF_TENANT,
    ),
    _admin("POST", "/contracts/credits", billing.grant_credit, "Grant a prepaid credit"),
    _admin("GET", "/audits", audits.index, "Audits of isolation, newest first", PAGE),
    _admin("POST", "/audits", audits.store, "Keep the report of an audit"),
    _admin("GET", "/audits/{audit}", audits.get, "One report"),
    _admin("GET", "/exchange-rates", billing.rates, "Dated exchange rates", PAGE),
    _admin("POST", "/exchange-rates", billing.add_rate, "Add an exchange rate"),
)
ADMIN_PLANE: Final = RouteTable((*_ROUTES, *routes_for("Tenantry control plane", _ROUTES)))
