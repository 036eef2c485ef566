"""What a tenant's documents give, over HTTP: filters, access tags on every route, citations."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import pytest
from tests.support import knowledge_files as files
from tests.support.stack import Stack, Tenant, running_stack

from tenantry.adapters.extraction.extractor import FileExtractor
from tenantry.domain.prompt import NOT_IN_DOCUMENTS

pytestmark = pytest.mark.xdist_group("knowledge_stack")

BOARD = {"x-tenantry-groups": "board"}
STAFF = {"x-tenantry-groups": "staff"}
SECRET = "The merger with Zebracorp, code ZX-4711, is planned for May."


@pytest.fixture(scope="module")
def reading() -> Iterator[Stack]:
    """Its models read: real embeddings, and answers that quote and cite."""
    with running_stack(mode="models") as stack:
        yield stack


def added(stack: Stack, who: Tenant, title: str, text: str, **more: Any) -> str:
    body = {"title": title, "text": text, **more}
    status, _, answer = stack.http("POST", "/v1/documents", body, tenant=who)
    assert status == 201, answer
    name: str = orjson.loads(answer)["id"]
    return name


def asked(
    stack: Stack, who: Tenant, path: str, body: Mapping[str, Any], **headers: Any
) -> dict[str, Any]:
    status, _, answer = stack.http("POST", path, body, tenant=who, headers=headers.get("headers"))
    assert status == 200, answer
    found: dict[str, Any] = orjson.loads(answer)
    return found


def passages(
    stack: Stack, who: Tenant, query: str, headers: Mapping[str, str] | None = None, **more: Any
) -> list[dict[str, Any]]:
    body = {"query": query, "top_k": 50, **more}
    found: list[dict[str, Any]] = asked(stack, who, "/v1/search", body, headers=headers)["passages"]
    return found


SHELF: Mapping[str, dict[str, Any]] = {
    "Alpha": {"lang": "en", "year": 2024, "price": 9.5, "draft": False, "tags": ["red", "round"]},
    "Beta": {"lang": "de", "year": 2025, "price": 20, "draft": True, "tags": ["blue"]},
    "Gamma": {"lang": "en", "year": 2026, "price": 0, "date": "2026-03-01", "tags": []},
    "Delta": {},
}
FILTERS: list[tuple[Any, set[str]]] = [
    (None, {"Alpha", "Beta", "Gamma", "Delta"}),
    ({"lang": "en"}, {"Alpha", "Gamma"}),
    ({"equals": {"key": "year", "value": 2025}}, {"Beta"}),
    ({"equals": {"key": "draft", "value": False}}, {"Alpha"}),
    ({"equals": {"key": "price", "value": False}}, set()),  # 0 is not false
    ({"notEquals": {"key": "lang", "value": "en"}}, {"Beta", "Delta"}),  # Delta has no such key
    ({"greaterThan": {"key": "year", "value": 2024}}, {"Beta", "Gamma"}),
    ({"greaterThanOrEquals": {"key": "price", "value": 9.5}}, {"Alpha", "Beta"}),
    ({"lessThan": {"key": "price", "value": 9.5}}, {"Gamma"}),
    ({"lessThanOrEquals": {"key": "date", "value": "2026-12-31"}}, {"Gamma"}),
    ({"lessThan": {"key": "year", "value": "2030"}}, set()),  # a number is no text
    ({"in": {"key": "lang", "value": ["de", "fr"]}}, {"Beta"}),
    ({"notIn": {"key": "year", "value": [2024, 2025]}}, {"Gamma"}),  # nor a year
    ({"startsWith": {"key": "lang", "value": "e"}}, {"Alpha", "Gamma"}),
    ({"stringContains": {"key": "tags", "value": "lu"}}, {"Beta"}),
    ({"stringContains": {"key": "lang", "value": "E"}}, set()),  # case matters
    ({"listContains": {"key": "tags", "value": "red"}}, {"Alpha"}),
    ({"listContains": {"key": "lang", "value": "en"}}, set()),  # a text is no list
    (
        {"andAll": [{"equals": {"key": "lang", "value": "en"}}, {"year": 2026}]},
        {"Gamma"},
    ),
    (
        {
            "orAll": [
                {"listContains": {"key": "tags", "value": "blue"}},
                {"andAll": [{"lang": "en"}, {"lessThan": {"key": "year", "value": 2025}}]},
            ]
        },
        {"Alpha", "Beta"},
    ),
]


def test_filters_choose_among_a_tenants_own_documents(reading: Stack) -> None:
    anna, bert = reading.tenants()
    for title, metadata in SHELF.items():
        for who in (anna, bert):
            text = f"A report of {who.name} on {title}, number K-100."
            added(reading, who, f"{title} {who.name}", text, metadata=metadata)
    for where, expected in FILTERS:
        for query in ("Which report is there?", "K-100"):
            found = passages(reading, anna, query, filter=where)
            titles = {each["title"] for each in found}
            assert titles == {f"{title} {anna.name}" for title in expected}, where
    question = {"question": "Which report has the number K-100?", "filter": {"lang": "de"}}
    answer = asked(reading, anna, "/v1/answers", question)
    assert {each["title"] for each in answer["citations"]} == {f"Beta {anna.name}"}
    # Words that are shared put a passage first; they do not make it an answer.
    unknown = asked(reading, anna, "/v1/answers", {"question": "Who won the cup of 1954 in Bern?"})
    assert (unknown["answer"], unknown["citations"]) == (NOT_IN_DOCUMENTS, [])
    for wrong in (
        {"equals": {"key": "a"}},
        {"andAll": [{"lang": "en"}]},
        {"between": {"key": "year", "value": 1}, "equals": {"key": "a", "value": 1}},
        {"greaterThan": {"key": "a", "value": True}},
        {"in": {"key": "a", "value": "en"}},
        "lang = en",
        [],
    ):
        body = {"query": "report", "filter": wrong}
        status, _, answered = reading.http("POST", "/v1/search", body, tenant=anna)
        assert status == 400, (wrong, answered)


def test_what_is_tagged_is_nowhere_for_a_request_without_the_tag(reading: Stack) -> None:
    anna, bert = reading.tenants()
    plain = added(reading, anna, "Canteen", "The canteen opens at noon, code ZX-1000.")
    theirs = added(reading, bert, "Theirs", "Bert plans no merger, says ZX-4711.")
    queries = ("When is the merger planned?", "ZX-4711", SECRET)
    before = [passages(reading, anna, query) for query in queries]
    secret = added(reading, anna, "Merger", SECRET, access=["board"])

    for headers in (None, STAFF):
        assert [passages(reading, anna, query, headers) for query in queries] == before
        for query in queries:
            told = asked(reading, anna, "/v1/answers", {"question": query}, headers=headers)
            assert "Zebracorp" not in orjson.dumps(told).decode()
            assert {each["document_id"] for each in told["citations"]} <= {plain}
            body = {"question": query, "stream": True}
            status, _, events = reading.http(
                "POST", "/v1/answers", body, tenant=anna, headers=headers
            )
            assert status == 200 and b"Zebracorp" not in events and secret.encode() not in events
        status, _, listed = reading.http("GET", "/v1/documents", tenant=anna, headers=headers)
        assert [each["id"] for each in orjson.loads(listed)["data"]] == [plain]
        for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
            one = f"/v1/documents/{secret}{path}"
            assert reading.http(method, one, tenant=anna, headers=headers)[0] == 404, one

    for query in queries:
        first, *_ = passages(reading, anna, query, BOARD)
        assert (first["document_id"], first["text"]) == (secret, SECRET)
    told = asked(reading, anna, "/v1/answers", {"question": queries[0]}, headers=BOARD)
    assert [each["document_id"] for each in told["citations"]][:1] == [secret]
    assert reading.http("GET", f"/v1/documents/{secret}", tenant=anna, headers=BOARD)[0] == 200
    assert {each["document_id"] for each in passages(reading, bert, "ZX-4711", BOARD)} == {theirs}
    assert reading.http("GET", f"/v1/documents/{secret}", tenant=bert, headers=BOARD)[0] == 404


PARAGRAPHS = [
    "The naïve café — 𝔘nicode 🙂 — opens at nine; its code is QX-1.",
    "Breakfast costs seven euros and fifty cents in the winter garden.",
    "The pool on the roof is closed from November until the end of March.",
] * 12
HTML = (
    "<html><head><title>Hotel</title></head><body><nav>Menu</nav>"
    + "".join(f"<p>{text.replace('é', '&eacute;')}&nbsp;</p>\n" for text in PARAGRAPHS)
    + "</body></html>"
)
UPLOADS = [
    ("hotel.txt", "text/plain; charset=utf-16", "\r\n\r\n".join(PARAGRAPHS).encode("utf-16")),
    ("hotel.md", "text/markdown", ("# Hotel\r\n\r\n" + "\r\n\r\n".join(PARAGRAPHS)).encode()),
    ("hotel.html", "text/html", HTML.encode()),
    ("hotel.pdf", "application/pdf", files.pdf(*PARAGRAPHS[1:3] * 20)),
    (
        "hotel.docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        files.docx(*PARAGRAPHS, table=(("Room", "Price"), ("Sea view", "120"))),
    ),
]


@pytest.mark.parametrize(("name", "media_type", "data"), UPLOADS, ids=lambda value: str(value)[:12])
def test_citations_say_where_their_text_stands(
    reading: Stack, name: str, media_type: str, data: bytes
) -> None:
    anna, bert = reading.tenants()
    made = reading.api(anna).upload("/v1/documents", name, data, media_type, [("title", "Hotel")])
    assert made.status == 201, made.body
    document = made.body["id"]
    status, _, kept = reading.http("GET", f"/v1/documents/{document}/content", tenant=anna)
    assert (status, kept) == (200, data)
    extracted = asyncio.run(FileExtractor().extract(kept, media_type, name)).text
    question = "When is the pool on the roof closed?"
    found = passages(reading, anna, question)
    assert len(found) >= 2
    answer = asked(reading, anna, "/v1/answers", {"question": question})
    assert answer["citations"], answer
    for each in [*found, *answer["citations"]]:
        assert each["document_id"] == document
        assert 0 <= each["start"] < each["end"] <= len(extracted)
        assert extracted[each["start"] : each["end"]] == each["text"]
    assert passages(reading, bert, question) == []
