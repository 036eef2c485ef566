"""`/docs` of both ports: every route and schema, without scripts, and nothing of the document is
markup."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import re
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from tenantry.entrypoints.http.adminplane import ADMIN_PLANE
from tenantry.entrypoints.http.dataplane import DATA_PLANE
from tenantry.entrypoints.http.docs import to_page
from tenantry.entrypoints.http.docs.schemas import said_of, type_of
from tenantry.entrypoints.http.docs.style import STYLE
from tenantry.entrypoints.http.response import Response
from tenantry.entrypoints.http.routes import Access, Route, RouteTable

TABLES = {"data plane": DATA_PLANE, "control plane": ADMIN_PLANE}
VOID = {"meta"}
HOSTILE = """<script>alert(1)</script>"'&`<b>x</b>`"""


class Read(HTMLParser):
    """The page's elements and words; a tag that does not close is an error."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def values(self, name: str) -> list[str]:
        return [value for attribute, value in self.attributes if attribute == name]


def answer(table: RouteTable, path: str) -> Response:
    (route,) = [route for route in table.routes if route.template == path]
    assert route.access is Access.PUBLIC
    ask: Callable[[Any], Any] = route.handler
    found: Response = asyncio.run(ask(SimpleNamespace(request=SimpleNamespace(headers={}))))
    return found


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_route_and_schema_is_on_the_page(table: RouteTable) -> None:
    document = orjson.loads(answer(table, "/openapi.json").body)
    page = Read(answer(table, "/docs").body.decode())
    words = " ".join(" ".join(page.words).split())
    for route in table.routes:
        assert f"{route.method} {route.template} {route.summary}" in words
        assert all(str(scope) in words for scope in route.scopes)
    ids = page.values("id")
    assert len(set(ids)) == len(ids)
    assert {f"schema-{name}" for name in document["components"]["schemas"]} <= set(ids)
    links = [link[1:] for link in page.values("href") if link.startswith("#")]
    assert set(links) <= set(ids)
    operations = [told for methods in document["paths"].values() for told in methods.values()]
    assert len(operations) == len(table.routes)
    assert all(links.count(told["operationId"]) == 1 for told in operations), "to copy"


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_headings_are_in_order_and_each_route_has_one(table: RouteTable) -> None:
    page = answer(table, "/docs").body.decode()
    levels = [int(level) for level in re.findall(r"<h(\d)", page)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(level <= before + 1 for before, level in itertools.pairwise(levels))
    headings = [
        " ".join("".join(Read(one).words).split())
        for one in re.findall("<h3>.*?</h3>", page, re.DOTALL)
    ]
    assert headings == [f"{route.method} {route.template}" for route in in_groups(table, page)]


def in_groups(table: RouteTable, page: str) -> list[Route]:
    """The routes by their places on the page."""

    def place(route: Route) -> int:
        return page.index(f">{route.method}</b>\n<code>{route.template}</code></h3>")

    return sorted(table.routes, key=place)


def test_no_sign_of_the_look_is_read_aloud() -> None:
    signs = re.findall(r'content: "[^"]+"(.*?)(?:;| })', STYLE)
    assert len(signs) == 4, "with words for it, behind those that older browsers know"
    assert signs == ["", ' / ""'] * 2


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_it_loads_and_runs_nothing(table: RouteTable) -> None:
    response = answer(table, "/docs")
    page = Read(response.body.decode())
    assert page.tags.isdisjoint({"script", "link", "img", "iframe", "object", "base", "form"})
    assert not any(name.startswith("on") or name in ("src", "style") for name, _ in page.attributes)
    (style,) = re.findall("<style>(.*?)</style>", response.body.decode(), flags=re.DOTALL)
    assert "url(" not in style and "@import" not in style
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert response.headers["content-security-policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    )
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-type"] == "text/html; charset=utf-8"


def test_bounds_are_told_in_a_persons_words() -> None:
    member = {"type": ["string", "null"], "minLength": 1, "maxLength": 8_192, "pattern": "^<"}
    assert said_of(member) == "1 to 8,192 characters; matches <code>^&lt;</code>"
    assert said_of({"minimum": -5, "description": "So `much`."}) == (
        "So <code>much</code>; at least -5"
    )
    assert type_of({"type": "array", "items": {"$ref": "#/components/schemas/Key"}}) == (
        'list of <a href="#schema-Key">Key</a>'
    )
    assert type_of({"anyOf": [{"const": "a<"}, {"type": "null"}]}) == (
        "<code>&quot;a&lt;&quot;</code> or null"
    )


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"minLength": 1}, "at least 1 character"),
        ({"minLength": 2}, "at least 2 characters"),
        ({"maxItems": 1}, "at most 1 item"),
        ({"minItems": 0, "maxItems": 1}, "0 to 1 item"),
        ({"minItems": 1, "maxItems": 2}, "1 to 2 items"),
        ({"minProperties": 1, "maxProperties": 1}, "exactly 1 member"),
        ({"minimum": 1}, "at least 1"),
        ({"minimum": 1, "maximum": 100, "default": 20}, "1 to 100; default <code>20</code>"),
    ],
)
def test_one_is_one(schema: dict[str, Any], said: str) -> None:
    assert said_of(schema) == said


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_no_bound_is_told_twice(table: RouteTable) -> None:
    page = answer(table, "/docs").body.decode()
    assert "1 characters" not in page and "1 items" not in page and "1 members" not in page
    assert not re.search(r"\b(\d+ to \d+)\b[^;<]*; \1\b", page)


def test_no_word_of_the_document_is_markup() -> None:
    def hostile(told: Any, key: str = "") -> Any:
        if isinstance(told, Mapping):
            return {
                (f"{name}{HOSTILE}" if key in ("properties", "content") else name): hostile(
                    it, name
                )
                for name, it in told.items()
            }
        if isinstance(told, list):
            return [hostile(it, key) for it in told]
        if isinstance(told, str) and key not in ("$ref", "type", "in", "format"):
            return told + HOSTILE
        return told

    document = orjson.loads(answer(DATA_PLANE, "/openapi.json").body)
    page = Read(to_page(hostile(document)))
    plain = Read(answer(DATA_PLANE, "/docs").body.decode())
    assert page.tags == plain.tags
    assert {name for name, _ in page.attributes} == {name for name, _ in plain.attributes}
    assert "alert(1)" in "".join(page.words)
