"""`/openapi.json` of both ports: valid as OpenAPI, whole, and as strict as the parsers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.described import Described
from tests.support.invoices import the_example
from tests.support.json_schema import KEYWORDS, Validator, subschemas

from tenantry.domain.audit import AuditError, Outcome, Wall, report_from
from tenantry.domain.errors import BadRequest
from tenantry.domain.filter import filter_from
from tenantry.domain.ids import TenantId
from tenantry.domain.plan import plan_from
from tenantry.domain.plan_values import PlanError
from tenantry.domain.shred import Shred
from tenantry.domain.upload import upload_from_text
from tenantry.entrypoints.http.admin.shreds import from_shred
from tenantry.entrypoints.http.adminplane import ADMIN_PLANE
from tenantry.entrypoints.http.dataplane import DATA_PLANE
from tenantry.entrypoints.http.openapi import document
from tenantry.entrypoints.http.response import to_json

TABLES = {"data plane": DATA_PLANE, "control plane": ADMIN_PLANE}
PORTS = {name: Described(document(name, table.routes)) for name, table in TABLES.items()}
# Routes of a method that has a body, which read none.
WITHOUT_BODY = {
    "POST /admin/v1/tenants/{tenant}/suspend",
    "POST /admin/v1/tenants/{tenant}/resume",
    "POST /admin/v1/alerts/{alert}/acknowledge",
}
each_port = pytest.mark.parametrize("port", PORTS.values(), ids=PORTS)


def schemas_of(port: Described) -> Iterator[Mapping[str, Any]]:
    components = port.document["components"]
    yield from components["schemas"].values()
    for told in (*components["parameters"].values(), *components["headers"].values()):
        yield told["schema"]
    for response in components["responses"].values():
        yield from (media["schema"] for media in response["content"].values())
    for line, operation in port.operations.items():
        yield from (one["schema"] for one in port.parameters(line))
        contents = [operation.get("requestBody", {}), *operation["responses"].values()]
        for content in contents:
            yield from (media["schema"] for media in content.get("content", {}).values())


def refs_in(told: Any) -> Iterator[str]:
    if isinstance(told, Mapping):
        for name, inner in told.items():
            if name == "$ref":
                yield inner
            else:
                yield from refs_in(inner)
    elif isinstance(told, list):
        for inner in told:
            yield from refs_in(inner)


@each_port
def test_every_reference_leads_somewhere_and_nothing_is_left_over(port: Described) -> None:
    components = port.document["components"]
    there = {
        f"#/components/{kind}/{name}"
        for kind, found in components.items()
        if kind != "securitySchemes"
        for name in found
    }
    assert set(refs_in(port.document)) == there
    names = [name for found in components.values() for name in found]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in names)


@each_port
def test_every_schema_is_one(port: Described) -> None:
    for schema in schemas_of(port):
        for one in subschemas(schema):
            assert one.keys() <= KEYWORDS, one.keys() - KEYWORDS


@each_port
def test_operations_are_whole(port: Described) -> None:
    names = [operation["operationId"] for operation in port.operations.values()]
    assert len(set(names)) == len(names)
    schemes = port.document["components"]["securitySchemes"]
    for line, operation in port.operations.items():
        in_path = [one for one in port.parameters(line) if one["in"] == "path"]
        assert {one["name"] for one in in_path} == set(re.findall(r"\{(\w+)\}", line))
        assert all(one["required"] for one in in_path)
        told = [(one["in"], one["name"]) for one in port.parameters(line)]
        assert len(set(told)) == len(told)
        for status, response in operation["responses"].items():
            assert re.fullmatch(r"[1-5](\d\d|XX)", status)
            assert port.resolved(response)["description"]
        assert all(name in schemes for one in operation.get("security", ()) for name in one)


@each_port
def test_every_answer_and_refusal_has_a_schema(port: Described) -> None:
    for line, operation in port.operations.items():
        statuses = operation["responses"]
        assert {"400", "4XX", "500", "503", "5XX"} <= statuses.keys(), line
        assert any(status.startswith("2") for status in statuses), line
        for status, told in statuses.items():
            content = port.resolved(told).get("content")
            assert (status in ("204", "304")) == (content is None), (line, status)
        kinds = port.resolved(statuses["4XX"])["content"]
        of_others = operation["tags"] != ["Tenantry"]
        assert set(kinds) == {"application/json" if of_others else "application/problem+json"}


@each_port
def test_every_body_has_a_schema_that_asks_for_something(port: Described) -> None:
    for line, operation in port.operations.items():
        takes = line.split()[0] in ("POST", "PUT") and line not in WITHOUT_BODY
        assert ("requestBody" in operation) == takes, line
        if takes and line not in ("POST /v1/keys", "POST /v1/documents/reindex"):
            assert port.wrong_in_body(line, {}), f"{line}: an empty object says nothing"


def test_what_is_uploaded_may_be_a_form() -> None:
    port = PORTS["data plane"]
    for line in ("POST /v1/documents", "PUT /v1/documents/{id}"):
        assert set(port.operations[line]["requestBody"]["content"]) == {
            "application/json",
            "multipart/form-data",
        }
    invoice = port.operations["GET /v1/invoices/{number}"]["responses"]["200"]["content"]
    assert set(invoice) == {
        "application/json", "application/pdf", "text/csv", "application/vnd.apache.parquet",
    }  # fmt: skip


# -- as strict as what parses by hand ---------------------------------------------------------


def accepts(parse: Callable[[Any], Any], value: Any) -> bool:
    try:
        parse(value)
    except (BadRequest, PlanError, AuditError):
        return False
    return True


UPLOADS: list[Any] = [
    {"title": "a", "text": "b"},
    {"title": "a", "text": "b", "metadata": None, "access": None},
    {"title": "a", "text": "b", "metadata": {"k": "v", "n": 1.5, "t": True, "l": ["x"]}},
    {"title": "a", "text": "b", "access": ["staff", "the board"]},
    {},
    {"title": "a"},
    {"title": " ", "text": "b"},
    {"title": 1, "text": "b"},
    {"title": "a", "text": 1},
    {"title": "a" * 513, "text": "b"},
    {"title": "a", "text": "b", "tenant": "tnt_bolt"},
    {"title": "a", "text": "b", "metadata": []},
    {"title": "a", "text": "b", "metadata": {"k": None}},
    {"title": "a", "text": "b", "metadata": {"k": {"k": 1}}},
    {"title": "a", "text": "b", "metadata": {"k": [1]}},
    {"title": "a", "text": "b", "metadata": {"": 1}},
    {"title": "a", "text": "b", "metadata": {"k": "v" * 1_025}},
    {"title": "a", "text": "b", "metadata": {f"k{n}": n for n in range(33)}},
    {"title": "a", "text": "b", "access": "staff"},
    {"title": "a", "text": "b", "access": ["a,b"]},
    {"title": "a", "text": "b", "access": [" "]},
    {"title": "a", "text": "b", "access": [f"t{n}" for n in range(33)]},
]
EQUALS = {"equals": {"key": "k", "value": 1}}
FILTERS: list[Any] = [
    None,
    {},
    {"lang": "en", "year": 2026},
    EQUALS,
    *(
        {name: {"key": "k", "value": "a"}}
        for name in (
            "notEquals", "greaterThan", "greaterThanOrEquals", "lessThan", "lessThanOrEquals",
            "startsWith", "stringContains", "listContains",
        )
    ),
    {"in": {"key": "k", "value": ["a", 1, True]}},
    {"notIn": {"key": "k", "value": [1]}},
    {"andAll": [EQUALS, {"orAll": [EQUALS, EQUALS]}]},
    {"andAll": [EQUALS]},
    {"andAll": EQUALS},
    {"equals": {"key": "k"}},
    {"equals": {"key": "", "value": 1}},
    {"equals": {"key": "k", "value": 1, "more": 1}},
    {"equals": {"key": "k", "value": ["a"]}},
    {"equals": {"key": "k", "value": None}},
    {"greaterThan": {"key": "k", "value": True}},
    {"startsWith": {"key": "k", "value": 1}},
    {"in": {"key": "k", "value": []}},
    {"in": {"key": "k", "value": ["a"] * 101}},
    {**EQUALS, "in": {"key": "k", "value": ["a"]}},
    {"near": {"key": "k", "value": 1}},
    {"lang": ["en"]},
    {"k" * 101: 1},
    "lang",
    [],
]  # fmt: skip
PLANS: list[Any] = [
    {},
    {"requests_per_day": 0, "markup": "1.5", "monthly_budget": None},
    {"models_allowed": ["amazon.nova-micro-v1:0"], "clamp_output": True},
    {"requests_per_day": -1},
    {"requests_per_day": "1"},
    {"requests_per_day": 10**13},
    {"budget_hard": "yes"},
    {"placement": "cloud"},
    {"unheard_of": 1},
    {"version": 2},
    {"models_allowed": "all"},
    {"preamble": 1},
]
ATTACK = {"id": "a.b", "wall": str(Wall.IDS), "outcome": str(Outcome.HELD), "sentence": "It holds."}
REPORT = {
    "started_at": "2026-11-30T12:00:00Z",
    "ended_at": "2026-11-30T12:00:01Z",
    "version": "1",
    "url": "http://127.0.0.1",
    "canaries": ["tnt_a"],
    "attacks": [ATTACK],
}
REPORTS: list[Any] = [
    REPORT,
    {**REPORT, "counts": {}, "findings": []},
    {**REPORT, "attacks": []},
    {**REPORT, "attacks": [{**ATTACK, "outcome": "passed"}]},
    {**REPORT, "attacks": [{**ATTACK, "id": "A"}]},
    {**REPORT, "attacks": [{**ATTACK, "sentence": ""}]},
    {**REPORT, "started_at": "yesterday"},
    {**REPORT, "started_at": "2026-11-30T12:00:00"},
    {**REPORT, "url": 1},
    {**REPORT, "canaries": [1]},
    *({name: REPORT[name] for name in REPORT if name != left_out} for left_out in REPORT),
]


def test_what_is_parsed_by_hand_is_described_as_it_is_parsed() -> None:
    """Each sample is right for both, or wrong for both."""
    data, admin = PORTS["data plane"], PORTS["control plane"]
    search = "POST /v1/search"
    bedrock = Validator(data.document)
    filters = data.document["components"]["schemas"]
    tried: list[tuple[Callable[[Any], Any], Callable[[Any], list[str]], list[Any]]] = [
        (upload_from_text, lambda value: data.wrong_in_body("POST /v1/documents", value), UPLOADS),
        (
            filter_from,
            lambda value: data.wrong_in_body(search, {"query": "a", "filter": value}),
            FILTERS,
        ),
        (
            lambda value: filter_from(value, shorthand=False),
            lambda value: bedrock.problems(filters["RetrievalFilter"], value),
            FILTERS,
        ),
        (
            lambda value: plan_from("a", value),
            lambda value: admin.wrong_in_body("POST /admin/v1/plans", {"plans": {"a": value}}),
            PLANS,
        ),
        (report_from, lambda value: admin.wrong_in_body("POST /admin/v1/audits", value), REPORTS),
    ]
    for parse, wrong, samples in tried:
        for sample in samples:
            assert accepts(parse, sample) == (not wrong(sample)), (sample, wrong(sample))


def test_a_shred_is_told_as_it_is_described() -> None:
    at = datetime(2026, 11, 30, tzinfo=UTC)
    certified = Shred(TenantId("tnt_a"), "an operator", at, certificate="{}", signature=b"s")
    for line, status in (("POST", 202), ("GET", 200)):
        for shred in (Shred(TenantId("tnt_a"), "an operator", at), certified):
            body = to_json(from_shred(shred, b"key"))
            told = {"content-type": "application/json"}
            path = f"{line} /admin/v1/tenants/{{tenant}}/shred"
            assert PORTS["control plane"].wrong_in_answer(path, status, told, body) == []


@pytest.mark.parametrize(("port", "line"), [
    ("data plane", "GET /v1/invoices/{number}"),
    ("control plane", "POST /admin/v1/invoices/{number}/credit"),
])  # fmt: skip
def test_an_invoice_of_several_taxes_is_described(port: str, line: str) -> None:
    body = the_example() | {"sha256": "0" * 64}
    then = {"rate": "0.19", "label": "USt"}
    body["lines"][-1] |= {"tax": then}
    body["tax"] |= {"parts": [{**then, "net": "1.00", "amount": "0.19"}]}
    status = 201 if line.startswith("POST") else 200

    def problems() -> list[str]:
        headers = {"content-type": "application/json"}
        return PORTS[port].wrong_in_answer(line, status, headers, to_json(body))

    assert problems() == []
    body["tax"]["parts"][0]["gross"] = "1.19"
    assert problems()


def test_a_model_that_was_too_slow_is_named_under_its_status() -> None:
    """Bedrock's own on its routes; elsewhere one that no client asks again for by itself."""
    port = PORTS["data plane"]

    def said(line: str, status: str) -> str:
        return str(port.resolved(port.operations[line]["responses"][status])["description"])

    for line in ("POST /v1/chat/completions", "POST /v1/embeddings", "POST /v1/answers"):
        assert "`upstream_timeout`" in said(line, "424")
        assert said(line, "408") == "`request_timeout`", "of a client that is too slow"
    converse = "POST /model/{model}/converse"
    assert "`ModelTimeoutException`" in said(converse, "408")
    assert "ModelTimeoutException" not in said(converse, "424")


OF_MODELS = {"model_retired", "model_not_allowed", "upstream_refused", "upstream_unavailable"}
OF_REPETITIONS = {"result_not_kept", "idempotency_in_flight", "idempotency_mismatch"}


@pytest.mark.parametrize(
    ("port", "line", "named", "never"),
    [
        ("data plane", "GET /v1/documents", {"scope_missing"}, OF_MODELS | OF_REPETITIONS),
        ("data plane", "GET /v1/documents/{id}", {"not_found"}, OF_MODELS | {"model_not_found"}),
        ("data plane", "GET /v1/models/{model}", {"model_not_found"}, OF_MODELS),
        ("data plane", "DELETE /v1/keys/{key}", {"conflict"}, OF_MODELS | OF_REPETITIONS),
        ("data plane", "POST /v1/keys", OF_REPETITIONS, OF_MODELS | {"unreadable"}),
        ("data plane", "POST /v1/users/export", {"conflict"}, OF_MODELS | OF_REPETITIONS),
        ("data plane", "POST /v1/answers", OF_MODELS | OF_REPETITIONS, {"unreadable"}),
        ("data plane", "POST /v1/documents", {"unreadable"} | OF_MODELS, set()),
        ("data plane", "PUT /v1/documents/{id}", {"unreadable"} | OF_MODELS, OF_REPETITIONS),
        ("data plane", "POST /v1/documents/reindex", OF_MODELS, {"unreadable"}),
        ("control plane", "GET /admin/v1/tenants", {"key_wrong"}, OF_MODELS | OF_REPETITIONS),
        ("control plane", "POST /admin/v1/mutes", OF_REPETITIONS, OF_MODELS),
        ("control plane", "GET /healthz", {"unavailable"}, OF_MODELS | OF_REPETITIONS),
    ],
)
def test_a_route_names_no_refusal_of_what_it_does_not_do(
    port: str, line: str, named: set[str], never: set[str]
) -> None:
    described = PORTS[port]
    responses = map(described.resolved, described.operations[line]["responses"].values())
    told = {code for one in responses for code in re.findall("`([a-z_]+)`", one["description"])}
    assert named <= told
    assert not never & told


@each_port
def test_pages_of_lists_say_where_they_begin_and_how_many_they_have(port: Described) -> None:
    for line in port.operations:
        query = {
            one["name"]: one["schema"] for one in port.parameters(line) if one["in"] == "query"
        }
        assert ("limit" in query) == ("cursor" in query), line
        if "limit" in query:
            assert query["cursor"]["description"] == "The `next_cursor` of the page before."
            told = query["limit"].get("default") or query["limit"]["description"]
            of_usage = "Without it 1,000." if line.endswith("/usage") else 100
            assert told == (20 if line == "GET /v1/documents" else of_usage), line
