"""`/v1/users/export` and `/v1/users/erase`: an end user's data, for the tenant's admins.

The user is named in the body, as requests name them, and never in a path that a proxy would log. A
user who never was is answered like one of another tenant: nothing is there.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Struct

from tenantry.application.erasing import REMAINS, erase_user
from tenantry.application.exporting import PAGE_MAX, USER_SECTIONS, hashes_of
from tenantry.domain.end_user import spellings_from
from tenantry.domain.errors import BadRequest
from tenantry.domain.tenant import Scope
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.described import User, described
from tenantry.entrypoints.http.json_body import to
from tenantry.entrypoints.http.response import Response, json_response
from tenantry.entrypoints.http.routes import own
from tenantry.entrypoints.http.tenant.export_views import from_row


class UserExportRequest(Struct, forbid_unknown_fields=True):
    user: User
    section: Annotated[str, described(enum=list(USER_SECTIONS))]
    cursor: str | None = None
    limit: Annotated[int, described(minimum=1, maximum=PAGE_MAX)] = PAGE_MAX


class UserRequest(Struct, forbid_unknown_fields=True):
    user: User


async def export(call: Call) -> Response:
    """One section of what is kept of an end user, by pages."""
    asked = to(UserExportRequest, call.json())
    if isinstance(asked.limit, bool) or not 1 <= asked.limit <= PAGE_MAX:
        raise BadRequest(f"`limit` must be a whole number from 1 to {PAGE_MAX}.")
    principal = call.tenant()
    hashes = await hashes_of(call.services.labels, principal, spellings_from(asked.user))
    page = await call.services.exports.user_page(
        principal, hashes, asked.section, asked.cursor, asked.limit
    )
    data = [from_row(row) for row in page.rows]
    return json_response({"user_hash": hashes[0], "data": data, "next_cursor": page.next_cursor})


async def erase(call: Call) -> Response:
    """What was erased, and what remains and why."""
    spellings = spellings_from(to(UserRequest, call.json()).user)
    erased = await erase_user(call.services.erasure, call.tenant(), spellings)
    return json_response({"erased": dict(erased), "remains": list(REMAINS)})


_ADMIN: Final = Scope.ADMIN
ROUTES: Final = (
    own(
        "POST",
        "/v1/users/export",
        export,
        "An end user's data",
        _ADMIN,
        kept=False,  # it only reads, and a copy of it would outlive the erasure
    ),
    own("POST", "/v1/users/erase", erase, "Erase an end user", _ADMIN),
)
