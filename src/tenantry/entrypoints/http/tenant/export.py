"""`/v1/export`: everything that a tenant owns, for its admins."""

from __future__ import annotations

from typing import Final

from tenantry.domain.tenant import Scope
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.paging import PAGE, page_of
from tenantry.entrypoints.http.response import Response, instant, json_response
from tenantry.entrypoints.http.routes import own
from tenantry.entrypoints.http.tenant.export_views import from_row, from_tenant

UPDATED_AT_HEADER: Final = "x-tenantry-updated-at"  # of the row that these bytes go with
_AS_BYTES: Final = {"content-type": "application/octet-stream", "x-content-type-options": "nosniff"}


async def index(call: Call) -> Response:
    """Whose export it is, and of what sections."""
    call.query()
    principal, sections = call.tenant(), call.services.exports.sections
    currency = await call.services.tenant_admin.currency(principal)
    told = from_tenant(principal.tenant, currency)
    return json_response({"tenant": told, "sections": list(sections)})


async def section(call: Call) -> Response:
    cursor, limit = page_of(call.query(*PAGE))
    page = await call.services.exports.page(call.tenant(), call.params["section"], cursor, limit)
    data = [from_row(row) for row in page.rows]
    return json_response({"data": data, "next_cursor": page.next_cursor})


async def original(call: Call) -> Response:
    """The bytes as they were uploaded, whoever of the tenant may see the document."""
    call.query()
    found = await call.services.exports.original(call.tenant(), call.params["id"])
    return Response(200, found.data, _AS_BYTES | {UPDATED_AT_HEADER: instant(found.updated_at)})


async def batch_output(call: Call) -> Response:
    call.query()
    data = await call.services.exports.batch_output(call.tenant(), call.params["id"])
    return Response(200, data, dict(_AS_BYTES))


_ADMIN: Final = Scope.ADMIN
_ORIGINAL: Final = "/v1/export/documents/{id}/content"
_OUTPUT: Final = "/v1/export/batch_jobs/{id}/output"
_SECTION: Final = "One section of what the tenant owns, by pages"
ROUTES: Final = (
    own("GET", "/v1/export", index, "Sections of the export", _ADMIN),
    own("GET", "/v1/export/{section}", section, _SECTION, _ADMIN, query=PAGE),
    own("GET", _ORIGINAL, original, "A document as uploaded", _ADMIN),
    own("GET", _OUTPUT, batch_output, "A batch job's answers", _ADMIN),
)
