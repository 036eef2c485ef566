"""`/v1/documents`."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import orjson

from tenantry.application.documents import PAGE_DEFAULT
from tenantry.application.library import Added
from tenantry.domain.document import DocumentState
from tenantry.domain.errors import BadRequest, UnsupportedMedia
from tenantry.domain.tenant import Scope
from tenantry.domain.upload import Upload, upload_from_file, upload_from_text
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.charge import CHARGE_HEADER, charge_text
from tenantry.entrypoints.http.json_body import check_integers
from tenantry.entrypoints.http.knowledge.multipart_body import Form, parse_form
from tenantry.entrypoints.http.knowledge.views import from_document
from tenantry.entrypoints.http.paging import PAGE
from tenantry.entrypoints.http.response import Response, json_response
from tenantry.entrypoints.http.routes import LARGE_BODY_BYTES_MAX, Handler, Method, Route, own

_FIELDS = frozenset({"title", "metadata", "access"})
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(;[ -~]*)?", re.ASCII)


async def add(call: Call) -> Response:
    """201 for a new document, 200 where the same upload was there already."""
    upload = _upload(call)
    added = await call.services.library.add(call.context(), upload)
    return _taken_in(added, 201 if added.ingested.created else 200)


async def replace(call: Call) -> Response:
    """200 where the document is the upload now, 202 where it will be once that is indexed."""
    upload = _upload(call)
    added = await call.services.library.replace(call.context(), call.params["id"], upload)
    document = added.ingested.document
    under_way = document.replacement is not None or document.status is DocumentState.INDEXING
    return _taken_in(added, 202 if under_way else 200)


def _taken_in(added: Added, status: int) -> Response:
    document = from_document(added.ingested.document)
    response = json_response(document, status)
    response.headers["location"] = f"/v1/documents/{document['id']}"
    if added.charge:
        response.headers[CHARGE_HEADER] = charge_text(added.charge, added.currency)
    return response


def _upload(call: Call) -> Upload:
    declared = call.request.headers.get("content-type", "application/json")
    media_type = declared.partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        return _from_form(parse_form(call.request.body, declared))
    if media_type == "application/json":
        return upload_from_text(call.json(exact=True))
    raise UnsupportedMedia("Send a document as multipart/form-data or as application/json.")


def _from_form(form: Form) -> Upload:
    unknown = sorted(form.fields.keys() - _FIELDS)
    if unknown:
        raise BadRequest(f"Unknown field `{unknown[0][:80]}`.")
    assert form.data is not None, "parse_form found a file"
    metadata = form.one("metadata")
    access: Any = form.fields.get("access")
    if access is not None and len(access) == 1 and access[0].lstrip().startswith("["):
        access = _json("access", access[0])
    return upload_from_file(
        form.data,
        content_type=form.content_type,
        file_name=form.file_name,
        title=form.one("title"),
        metadata=None if metadata is None else _json("metadata", metadata),
        access=access,
    )


def _json(name: str, text: str) -> Any:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise BadRequest(f"The field `{name}` is not valid JSON.") from None
    check_integers(text.encode())
    return value


async def page(call: Call) -> Response:
    query = call.query(*PAGE)
    limit = query.get("limit", str(PAGE_DEFAULT))
    if not limit.isascii() or not limit.isdigit() or len(limit) > 9:
        raise BadRequest("`limit` must be a whole number.")
    found = await call.services.library.page(call.context(), query.get("cursor"), int(limit))
    data = [from_document(document) for document in found.documents]
    return json_response({"data": data, "next_cursor": found.next_cursor})


async def get(call: Call) -> Response:
    document = await call.services.library.get(call.context(), call.params["id"])
    return json_response(from_document(document))


async def content(call: Call) -> Response:
    """The original. Always a download: it is a tenant's own HTML that must not run anywhere."""
    found = await call.services.library.content(call.context(), call.params["id"])
    name = found.card.file_name or "document"
    declared = found.card.content_type
    headers = {
        "content-type": declared if _MEDIA_TYPE.fullmatch(declared) else "application/octet-stream",
        "content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "x-content-type-options": "nosniff",
    }
    return Response(200, found.data, headers)


async def remove(call: Call) -> Response:
    await call.services.library.remove(call.context(), call.params["id"])
    return Response(204)


_READ = Scope.SEARCH
_WRITE = Scope.DOCUMENTS_WRITE
_ALL, _ONE = "/v1/documents", "/v1/documents/{id}"


def _upload_route(method: Method, path: str, handler: Handler, summary: str) -> Route:
    large = LARGE_BODY_BYTES_MAX
    return own(method, path, handler, summary, _WRITE, body_bytes_max=large, takes_form=True)


ROUTES = (
    _upload_route("POST", _ALL, add, "Add a document"),
    own("GET", _ALL, page, "Documents, newest first", _READ, query=PAGE),
    own("GET", _ONE, get, "One document", _READ),
    _upload_route("PUT", _ONE, replace, "Replace a document"),
    own("DELETE", _ONE, remove, "Delete a document", _WRITE),
    own("GET", f"{_ONE}/content", content, "A document as uploaded", _READ),
)
