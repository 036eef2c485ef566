"""Every list that a port answers has pages, bounded, described, and from where one ended only."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from tests.support.described import Described
from tests.support.http_edge import Edge
from tests.support.http_plain import send
from tests.support.http_services import OPERATOR_TOKEN

from tenantry.entrypoints.http.adminplane import ADMIN_PLANE
from tenantry.entrypoints.http.dataplane import DATA_PLANE
from tenantry.entrypoints.http.paging import PAGE
from tenantry.entrypoints.http.routes import Access, Route

# Answers with `data` that are one report or one catalogue, and end with their question.
WHOLE = {"/admin/v1/economics", "/v1/limits", "/v1/models"}
NEEDS_TENANT = "tenant=acme"
LISTS = [
    route for route in (*ADMIN_PLANE.routes, *DATA_PLANE.routes) if set(PAGE) <= set(route.query)
]

# The others' cursors are ids, which their stores look at: tests/integration/stack/test_lists.py.
OF_IDS = {"tenants", "alerts", "audits", "keys", "invoices"}
OPAQUE = [
    route
    for route in LISTS
    if route.access is Access.OPERATOR and route.template.removeprefix("/admin/v1/") not in OF_IDS
]


def get(edge: Edge, route: Route, query: str) -> tuple[int, Any]:
    admin = route.access is Access.OPERATOR
    path = route.template.replace("{section}", "documents")
    key = OPERATOR_TOKEN if admin else "tk_acme-admin"
    of_tenant = [NEEDS_TENANT] if "tenant" in route.query else []
    asked = "&".join([*of_tenant, query] if query else of_tenant)
    status, _, body = send(edge, "GET", f"{path}?{asked}" if asked else path, key=key, admin=admin)
    return status, orjson.loads(body)


@pytest.mark.parametrize("route", LISTS, ids=lambda route: route.template)
def test_a_page_has_a_bound(edge: Edge, route: Route) -> None:
    # How many documents a page has at most is the library's to say.
    beyond = () if route.template == "/v1/documents" else ("0", "101")
    for limit in (*beyond, "-1", "x", "9" * 30):
        status, told = get(edge, route, f"limit={limit}")
        assert (status, "`limit`" in told["detail"]) == (400, True), (limit, told)


@pytest.mark.parametrize("route", OPAQUE, ids=lambda route: route.template)
@pytest.mark.parametrize("cursor", ["", "zzz", "ZZZZ", "key_" + "0" * 26])
def test_a_list_begins_nowhere_but_where_one_ended(edge: Edge, route: Route, cursor: str) -> None:
    status, told = get(edge, route, f"cursor={cursor}")
    assert (status, "`cursor`" in told["detail"]) == (400, True), told


def test_every_list_is_described_with_its_pages(edge: Edge) -> None:
    """A GET that answers `data` and `next_cursor` is a list, or is named above."""
    for table, admin in ((ADMIN_PLANE, True), (DATA_PLANE, False)):
        key = OPERATOR_TOKEN if admin else None
        said = send(edge, "GET", "/openapi.json", key=key, admin=admin)[2]
        described = Described(orjson.loads(said))
        for route in table.routes:
            told = described.parameters(f"{route.method} {route.template}")
            named = {one["name"]: one for one in told if one["in"] == "query"}
            assert set(named) == set(route.query)
            if "limit" in named:
                told_of_limit = named["limit"]["schema"]
                bounds = {"type": "integer", "minimum": 1, "maximum": 100}
                assert told_of_limit.items() >= bounds.items()


def test_no_route_answers_a_list_without_pages(edge: Edge) -> None:
    listing = {route.template for route in LISTS}
    for table, admin in ((ADMIN_PLANE, True), (DATA_PLANE, False)):
        for route in table.routes:
            if route.method != "GET" or "{" in route.template or route.template in WHOLE:
                continue
            for query in ("", NEEDS_TENANT):
                path = f"{route.template}?{query}" if query else route.template
                key = OPERATOR_TOKEN if admin else "tk_acme-admin"
                status, headers, body = send(edge, "GET", path, key=key, admin=admin)
                if status == 200 and headers["content-type"].startswith("application/json"):
                    assert ("data" in orjson.loads(body)) <= (route.template in listing), path
