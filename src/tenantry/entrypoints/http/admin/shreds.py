"""`/admin/v1/tenants/{tenant}/shred`: the end of a tenant."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from tenantry.application.shredding import begin_shred
from tenantry.domain.errors import NotFound
from tenantry.domain.shred import Shred, document_of
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.json_body import to
from tenantry.entrypoints.http.response import Response, json_response

ASKED_BY = "an operator, on the admin port"


class ShredRequest(Struct, forbid_unknown_fields=True):
    confirm: str  # the tenant's name


async def begin(call: Call) -> Response:
    """202: refused from now on; the background worker does the rest. The name must be repeated."""
    asked = to(ShredRequest, call.json())
    shreds = call.services.shreds
    shred = await begin_shred(shreds, call.params["tenant"], asked.confirm, ASKED_BY)
    call.services.directory.forget(shred.tenant_id)
    return json_response(from_shred(shred, shreds.signer.public_key), 202)


async def show(call: Call) -> Response:
    tenant = await call.services.control.get_tenant(call.params["tenant"])
    shreds = call.services.shreds
    shred = await shreds.book.get(tenant.id)
    if shred is None:
        raise NotFound("The tenant is not being shredded.")
    return json_response(from_shred(shred, shreds.signer.public_key))


def from_shred(shred: Shred, public_key: bytes) -> dict[str, Any]:
    certificate = None
    if shred.certificate is not None and shred.signature is not None:
        certificate = document_of(shred.certificate, shred.signature, public_key)
    return {
        "tenant_id": shred.tenant_id,
        "step": shred.step,
        "asked_at": shred.asked_at,
        "asked_by": shred.asked_by,
        "effective_at": shred.keys_destroyed_at,
        "certificate": certificate,
    }
