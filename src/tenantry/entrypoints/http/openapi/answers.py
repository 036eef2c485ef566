"""What each route answers where nothing is refused: statuses, media types and schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tenantry.application.invoice_file import FileFormat
from tenantry.entrypoints.http.described import Schema
from tenantry.entrypoints.http.openapi import admin_shapes as admin
from tenantry.entrypoints.http.openapi import shapes
from tenantry.entrypoints.http.openapi.families import ANSWERS as OF_FAMILIES
from tenantry.entrypoints.http.openapi.invoice_shapes import Invoice, InvoiceHead
from tenantry.entrypoints.http.openapi.parts import BYTES, EVENTS, HTML, Answer, PageOf, ref

_UNREADY: Final = Answer(  # or there are too many requests, as on every route
    shapes.Unready, 503, "It cannot serve now", others={"application/problem+json": ref("Problem")}
)
_RAW: Final[Schema] = {"type": "string", "format": "binary"}
_TEXT: Final[Schema] = {"type": "string"}
_GONE: Final = (Answer(status=204, says="It is gone"),)
_CACHED: Final = ("etag", "vary", "cache-control")
_OF_FORMS: Final = (*_CACHED, "content-encoding")
_SAME: Final = Answer(status=304, says="It is what `if-none-match` names", headers=_CACHED)
_CHARGE: Final = "x-tenantry-charge"
_DOWNLOAD: Final = "content-disposition"
_FILES: Final = {
    form.media_type: _RAW if form is not FileFormat.FOCUS_CSV else _TEXT for form in FileFormat
}
_INVOICE: Final = (
    Answer(
        Invoice,
        says="As `accept` asks for it",
        others=_FILES,
        headers=("vary", "content-disposition"),
    ),
)
_ROWS: Final = (
    shapes.Document,
    shapes.ExportedUse,
    Invoice,
    InvoiceHead,
    shapes.Budget,
    shapes.ApiKey,
    shapes.ExportedReply,
    shapes.ExportedResult,
    shapes.ExportedSession,
    shapes.ExportedJob,
)
_OF_A_USER: Final = (
    shapes.ExportedUse,
    shapes.ExportedReply,
    shapes.ExportedResult,
    shapes.ExportedSession,
)
_ISSUED: Final = (
    Answer(Invoice, 201, "The document"),
    Answer(admin.NothingInvoiced, 200, "Nothing was used and nothing is owed"),
)


def _created(kind: object, *headers: str) -> tuple[Answer, ...]:
    return (Answer(kind, 201, "It is there", headers=headers),)


def _page(kind: object) -> tuple[Answer, ...]:
    return (Answer(PageOf(kind), says="A page"),)


def _one_of(kinds: tuple[type, ...]) -> Schema:
    return {"anyOf": [ref(kind.__name__) for kind in kinds]}


# Types that schemas above refer to by name.
NAMED: Final = _ROWS
_DATA_PLANE: Final[Mapping[str, tuple[Answer, ...]]] = {
    **OF_FAMILIES,
    "GET /healthz": (Answer(shapes.Liveness),),
    "GET /readyz": (Answer(shapes.Ready), _UNREADY),
    "GET /openapi.json": (Answer({"type": "object"}, headers=_OF_FORMS), _SAME),
    "GET /docs": (
        Answer(_TEXT, media=(HTML,), headers=("content-security-policy", *_OF_FORMS)),
        _SAME,
    ),
    "POST /v1/documents": (
        Answer(shapes.Document, 201, "It is there", headers=("location", _CHARGE)),
        Answer(shapes.Document, 200, "It was there already", headers=("location", _CHARGE)),
    ),
    "GET /v1/documents": _page(shapes.Document),
    "GET /v1/documents/{id}": (Answer(shapes.Document),),
    "PUT /v1/documents/{id}": (
        Answer(shapes.Document, 200, "It is the upload now", headers=("location", _CHARGE)),
        Answer(shapes.Document, 202, "It will be, once indexed", headers=("location", _CHARGE)),
    ),
    "DELETE /v1/documents/{id}": _GONE,
    "GET /v1/documents/{id}/content": (
        Answer(_RAW, says="As it was uploaded", media=("*/*",), headers=(_DOWNLOAD,)),
    ),
    "POST /v1/documents/reindex": (Answer(shapes.Reindex, 202, "It runs", headers=("location",)),),
    "GET /v1/documents/reindex": (Answer(shapes.Reindex),),
    "DELETE /v1/documents/reindex": (Answer(shapes.Reindex, says="It is cancelled"),),
    "POST /v1/search": (Answer(shapes.SearchAnswer, headers=(_CHARGE,)),),
    "POST /v1/answers": (
        Answer(
            shapes.QuestionAnswer,
            others={EVENTS: {**_TEXT, "description": "`{text}` objects, then the answer."}},
            headers=(_CHARGE, "x-tenantry-max-tokens"),
        ),
    ),
    "GET /v1/usage": (Answer(shapes.Usage),),
    "GET /v1/limits": (Answer(shapes.Limits),),
    "GET /v1/invoices": _page(InvoiceHead),
    "GET /v1/invoices/{number}": _INVOICE,
    "GET /v1/budgets": _page(shapes.Budget),
    "POST /v1/budgets": _created(shapes.Budget),
    "DELETE /v1/budgets/{budget}": _GONE,
    "GET /v1/keys": _page(shapes.ApiKey),
    "POST /v1/keys": _created(shapes.NewApiKey, "cache-control"),
    "DELETE /v1/keys/{key}": _GONE,
    "GET /v1/export": (Answer(shapes.Export),),
    "GET /v1/export/{section}": (Answer(PageOf(_one_of(_ROWS)), says="A page"),),
    "GET /v1/export/documents/{id}/content": (
        Answer(_RAW, media=(BYTES,), headers=("x-tenantry-updated-at",)),
    ),
    "GET /v1/export/batch_jobs/{id}/output": (Answer(_RAW, media=(BYTES,)),),
    "POST /v1/users/export": (
        Answer(PageOf(_one_of(_OF_A_USER), {"user_hash": _TEXT}), says="A page"),
    ),
    "POST /v1/users/erase": (Answer(shapes.Erased),),
}
_ADMIN_PLANE: Final[Mapping[str, tuple[Answer, ...]]] = {
    "GET /metrics": (Answer(_TEXT, media=("text/plain",)),),
    "GET /admin/v1/tenants": _page(admin.Tenant),
    "POST /admin/v1/tenants": _created(admin.Tenant),
    "GET /admin/v1/tenants/{tenant}": (Answer(admin.Tenant),),
    "POST /admin/v1/tenants/{tenant}/suspend": (Answer(admin.Tenant),),
    "POST /admin/v1/tenants/{tenant}/resume": (Answer(admin.Tenant),),
    "POST /admin/v1/tenants/{tenant}/shred": (Answer(admin.Shred, 202, "It has begun"),),
    "GET /admin/v1/tenants/{tenant}/shred": (Answer(admin.Shred),),
    "GET /admin/v1/keys": _page(shapes.ApiKey),
    "POST /admin/v1/keys": _created(shapes.NewApiKey, "cache-control"),
    "DELETE /admin/v1/keys/{key}": _GONE,
    "GET /admin/v1/plans": _page(ref("Plan")),
    "POST /admin/v1/plans": _page(ref("Plan")),
    "GET /admin/v1/models": _page(admin.CatalogueModel),
    "POST /admin/v1/models": _page(admin.CatalogueModel),
    "GET /admin/v1/placements": _page(admin.Placement),
    "POST /admin/v1/placements": _created(admin.Placement),
    "GET /admin/v1/budgets": _page(shapes.Budget),
    "POST /admin/v1/budgets": _created(admin.BudgetSet),
    "DELETE /admin/v1/budgets/{budget}": _GONE,
    "GET /admin/v1/budgets/forecast": _page(admin.Outlook),
    "GET /admin/v1/alerts": _page(admin.Alert),
    "POST /admin/v1/alerts/{alert}/acknowledge": (Answer(admin.Alert),),
    "GET /admin/v1/mutes": _page(admin.Mute),
    "POST /admin/v1/mutes": _created(admin.Mute),
    "DELETE /admin/v1/mutes/{mute}": _GONE,
    "GET /admin/v1/prices": (Answer(admin.PriceEdition),),
    "POST /admin/v1/prices": _created(admin.PriceEdition),
    "GET /admin/v1/usage": (Answer(shapes.Usage),),
    "GET /admin/v1/economics": (Answer(admin.Economics),),
    "GET /admin/v1/invoices": _page(InvoiceHead),
    "GET /admin/v1/invoices/{number}": _INVOICE,
    "POST /admin/v1/invoices/review": _ISSUED,
    "POST /admin/v1/invoices/finalise": _ISSUED,
    "POST /admin/v1/invoices/{number}/void": (Answer(admin.Voided),),
    "POST /admin/v1/invoices/{number}/credit": (Answer(Invoice, 201, "The credit note"),),
    "GET /admin/v1/invoices/{number}/verify": (Answer(admin.Verified),),
    "GET /admin/v1/invoice-runs": _page(admin.InvoiceRun),
    "GET /admin/v1/contracts": _page(admin.EnteredContract),
    "POST /admin/v1/contracts": _created(admin.Contract),
    "GET /admin/v1/contracts/plans": _page(admin.PlanChange),
    "POST /admin/v1/contracts/plans": _created(admin.PlanChanged),
    "GET /admin/v1/contracts/credits": _page(admin.Credit),
    "POST /admin/v1/contracts/credits": _created(admin.CreditLeft),
    "GET /admin/v1/audits": _page(admin.AuditHead),
    "POST /admin/v1/audits": _created(admin.AuditHead),
    "GET /admin/v1/audits/{audit}": (Answer(admin.Audit),),
    "GET /admin/v1/exchange-rates": _page(ref("ExchangeRate")),
    "POST /admin/v1/exchange-rates": _created(ref("ExchangeRate")),
}
ANSWERS: Final[Mapping[str, tuple[Answer, ...]]] = {**_DATA_PLANE, **_ADMIN_PLANE}
