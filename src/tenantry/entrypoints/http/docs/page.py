"""The whole page: its head, the routes in groups, and the schemas that have names."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from tenantry.entrypoints.http.docs.operations import Operations
from tenantry.entrypoints.http.docs.schemas import anchor, members, prose, said_of, type_of
from tenantry.entrypoints.http.docs.style import STYLE

Told = Mapping[str, Any]
_OWN_TAG: Final = "Tenantry"  # of routes that are grouped by what they are about
_BASES: Final = ("", "v1", "admin")
_ABOUT_ITSELF: Final = "the deployment"
_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
# A browser that keeps to it loads nothing, runs nothing and shows the page in no other page.
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
_SCHEMES: Final = {
    "bearer": "<code>Authorization: Bearer …</code>",
    "apiKey": "<code>x-api-key: …</code>",
    "sigv4": "AWS Signature Version 4 for the service <code>bedrock</code>",
}


def to_page(document: Told) -> str:
    """HTML of an OpenAPI document as `openapi` makes them."""
    return "\n".join(_lines(document)) + "\n"


def _lines(document: Told) -> Iterator[str]:
    info = document["info"]
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(info['title'])}</title><style>{STYLE}</style></head><body><main>"
    yield f"<h1>{escape(info['title'])}</h1>"
    yield f'<p class="soft">Version {escape(info["version"])} · the same for programs: '
    yield '<a href="openapi.json">openapi.json</a></p>'
    yield f"<p>{prose(info['description'])}</p>"
    yield f"<p>Credentials: {', or '.join(_credentials(document))}.</p>"
    groups = _groups(document["paths"])
    yield "<nav><ul>"
    for title in groups:
        yield f'<li><a href="#{_id(title)}">{escape(title)}</a></li>'
    yield '<li><a href="#schemas">Schemas</a></li></ul></nav>'
    operations = Operations(document)
    for title, lines in groups.items():
        yield f'<h2 id="{_id(title)}">{escape(title)}</h2>'
        for method, path, told in lines:
            yield from operations.section(method, path, told)
    yield '<h2 id="schemas">Schemas</h2>'
    for name, schema in document["components"]["schemas"].items():
        yield from _schema(name, schema)
    yield "</main></body></html>"


def _credentials(document: Told) -> list[str]:
    """The ways that some route of the document takes."""
    taken = {
        name: None
        for methods in document["paths"].values()
        for told in methods.values()
        for way in told.get("security", ())
        for name in way
    }
    return [_SCHEMES.get(name, escape(name)) for name in taken]


def _groups(paths: Told) -> dict[str, list[tuple[str, str, Told]]]:
    """Routes by API, and ours by what they are about, in the order of the document; what a port
    says of itself comes last."""
    found: dict[str, list[tuple[str, str, Told]]] = {}
    for path, methods in paths.items():
        for method, told in methods.items():
            found.setdefault(_group(path, told["tags"][0]), []).append((method, path, told))
    itself = found.pop(_ABOUT_ITSELF, [])
    return {**found, _ABOUT_ITSELF.capitalize(): itself} if itself else found


def _group(path: str, tag: str) -> str:
    if tag != _OWN_TAG:
        return tag
    segments = path.split("/")
    about = [segment for segment in segments if segment not in _BASES]
    return about[0].replace("-", " ").capitalize() if "v1" in segments else _ABOUT_ITSELF


def _id(title: str) -> str:
    return "group-" + re.sub(r"[^a-z0-9]+", "-", title.lower())


def _schema(name: str, schema: Told) -> Iterator[str]:
    yield f'<h3 id="{escape(anchor(name))}">{escape(name)}</h3>'
    said = said_of(schema)
    if "properties" not in schema:
        said = f"{type_of(schema)}{f': {said}' if said else ''}"
    if said:
        yield f"<p>{said}</p>"
    yield from members(schema)
