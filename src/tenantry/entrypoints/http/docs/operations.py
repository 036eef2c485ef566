"""One route of the document: who may call it, what it takes, what it answers and refuses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from tenantry.entrypoints.http.docs.schemas import code, members, prose, said_of, sentence, type_of

Told = Mapping[str, Any]
_REFUSED_FROM: Final = "4"  # the first digit of a status that is a refusal


class Operations:
    """Of one document, whose components references lead to."""

    def __init__(self, document: Told) -> None:
        self._components: Told = document["components"]

    def section(self, method: str, path: str, told: Told) -> Iterator[str]:
        place = escape(told["operationId"])
        yield f'<details><summary><h3><b class="{escape(method)}">{escape(method.upper())}</b>'
        yield f"{code(path)}</h3><span>{prose(told['summary'])}</span></summary>"
        yield f'<div id="{place}"><p class="soft">Link: <a href="#{place}">#{place}</a></p>'
        yield from self._who(told)
        yield from self._parameters(told)
        yield from self._body(told)
        yield from self._answers(told)
        yield "</div></details>"

    def _who(self, told: Told) -> Iterator[str]:
        if not told.get("security"):
            yield "<p>No key is needed.</p>"
        elif told.get("description"):
            yield f"<p>{prose(told['description'])}</p>"
        elif len(told["security"]) == 1:
            yield "<p>The operator's token.</p>"
        else:
            yield "<p>Any API key of the tenant.</p>"
        if url := told.get("externalDocs", {}).get("url"):
            yield f'<p>The original: <a href="{escape(url)}">{escape(url)}</a></p>'

    def _parameters(self, told: Told) -> Iterator[str]:
        found = [self._followed(one) for one in told["parameters"]]
        for where, title in (("path", "Path"), ("query", "Query"), ("header", "Headers")):
            there = [one for one in found if one["in"] == where]
            if not there:
                continue
            yield f"<h4>{title}</h4><dl>"
            for one in there:
                must = " <b>required</b>" if one.get("required") and where != "path" else ""
                yield f"<dt>{code(one['name'])} <i>{type_of(one['schema'])}</i>{must}</dt>"
                about = [prose(one["description"])] if one.get("description") else []
                about += [said] if (said := said_of(one["schema"])) else []
                if about:
                    yield f"<dd>{sentence(about)}</dd>"
            yield "</dl>"

    def _body(self, told: Told) -> Iterator[str]:
        for media, content in told.get("requestBody", {}).get("content", {}).items():
            yield f"<h4>Body, {escape(media)}</h4>"
            yield from _shape(content.get("schema", {}))

    def _answers(self, told: Told) -> Iterator[str]:
        refusals = []
        for status, response in told["responses"].items():
            found = self._followed(response)
            if status[0] >= _REFUSED_FROM:
                refusals.append((status, found))
                continue
            yield f"<h4>Answer {escape(status)}</h4><p>{prose(found['description'])}.</p>"
            for media, content in found.get("content", {}).items():
                yield f'<p class="soft">{escape(media)}</p>'
                yield from _shape(content.get("schema", {}))
            yield from self._headers(found)
        if refusals:
            yield "<h4>Refusals</h4><dl>"
            for status, found in refusals:
                bodies = found.get("content", {}).values()
                kinds = ", ".join(type_of(content["schema"]) for content in bodies)
                yield f"<dt>{code(status)} <i>{kinds}</i></dt>"
                yield f"<dd>{prose(found['description'])}</dd>"
            yield "</dl>"

    def _headers(self, response: Told) -> Iterator[str]:
        if headers := response.get("headers"):
            yield '<p class="soft">Headers</p><dl>'
            for name, header in headers.items():
                about = self._followed(header).get("description", "")
                yield f"<dt>{code(name)}</dt><dd>{prose(about)}</dd>"
            yield "</dl>"

    def _followed(self, told: Told) -> Told:
        if "$ref" not in told:
            return told
        kind, name = str(told["$ref"]).split("/")[-2:]
        followed: Told = self._components[kind][name]
        return followed


def _shape(schema: Told) -> Iterator[str]:
    listed = [*members(schema)]
    if not listed or "$ref" in schema:
        said = said_of(schema)
        yield f"<p>{type_of(schema)}{f': {said}' if said else ''}</p>"
    yield from listed
