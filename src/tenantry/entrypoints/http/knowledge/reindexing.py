"""`/v1/documents/reindex`: a tenant's documents taken to another embedding model, or again."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from tenantry.domain.errors import BadRequest
from tenantry.domain.tenant import Scope
from tenantry.domain.vector_lengths import DIMENSIONS_MAX
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.described import described
from tenantry.entrypoints.http.json_body import to
from tenantry.entrypoints.http.knowledge.views import from_reindex
from tenantry.entrypoints.http.response import Response, json_response
from tenantry.entrypoints.http.routes import own


class ReindexRequest(Struct, forbid_unknown_fields=True):
    model: str | None = None
    dimensions: Annotated[int, described(minimum=1, maximum=DIMENSIONS_MAX)] | None = None
    again: bool = False


async def start(call: Call) -> Response:
    """202: it runs, whether it was begun now or before."""
    asked = to(ReindexRequest, call.json())
    if asked.model is None and not asked.again:
        raise BadRequest("`model` is missing: only `again` goes without it.")
    reindex = await call.services.library.reindex(
        call.context(), asked.model, asked.dimensions, again=asked.again
    )
    response = json_response(from_reindex(reindex), 202)
    response.headers["location"] = _PATH
    return response


async def latest(call: Call) -> Response:
    return json_response(from_reindex(await call.services.library.latest_reindex(call.context())))


async def cancel(call: Call) -> Response:
    return json_response(from_reindex(await call.services.library.cancel_reindex(call.context())))


_PATH = "/v1/documents/reindex"
_ADMIN = Scope.ADMIN
ROUTES = (
    own("POST", _PATH, start, "Reindex with another embedding model", _ADMIN),
    own("GET", _PATH, latest, "The reindex, open or last", _ADMIN),
    own("DELETE", _PATH, cancel, "Cancel the open reindex", _ADMIN),
)
