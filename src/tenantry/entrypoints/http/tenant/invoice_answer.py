"""One invoice in the form that the client asked for by `accept`: JSON, PDF or rows of FOCUS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tenantry.application.invoice_file import FileFormat, invoice_file
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.response import Response, json_response

_ACCEPT_CHARS_MAX: Final = 1_000
_FORMATS: Final = {form.media_type: form for form in FileFormat}


async def invoice_answer(call: Call, invoice: Mapping[str, Any]) -> Response:
    """JSON unless a file's type is wanted more. Raises `BadRequest`, `Unavailable`."""
    wanted = wanted_of(call.request.headers.get("accept", ""))
    if wanted is None:
        response = json_response(invoice)
    else:
        file = await invoice_file(call.services.papers, invoice, wanted)
        disposition = f'attachment; filename="{file.name}"'
        headers = {"content-type": file.media_type, "content-disposition": disposition}
        response = Response(200, file.body, headers)
    response.headers["vary"] = "accept"
    return response


def wanted_of(accept: str) -> FileFormat | None:
    """The first of the types with the highest weight that we have; None: JSON."""
    ranked = []
    for item in accept[:_ACCEPT_CHARS_MAX].split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        weight = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        weight = (weight if "." in weight else f"{weight}.")[:5].ljust(5, "0")
        if weight > "0.000":
            ranked.append((weight, name))
    ranked.sort(key=lambda pair: pair[0], reverse=True)  # stable; weights compare as texts
    for _, name in ranked:
        if name in _FORMATS:
            return _FORMATS[name]
        if name in ("application/json", "application/*", "*/*"):
            return None
    return None
