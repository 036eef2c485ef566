"""What `/openapi.json` says is what the product does: on each of its own routes, for two tenants.

Every answer of the walks below is held against the document: its status, media type, headers and
each member; every body that was taken is right by its schema, and what is wrong by it is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.support.described import Described
from tests.support.stack import MODEL, STRICT, Stack, Tenant
from tests.support.stack_clients import converse_body, converse_path
from tests.support.stack_invoices import last_month

PLAN = {"monthly_budget": "50", "monthly_fee": "10", "requests_per_minute": 1_000}
CLAUDE = "anthropic.claude-haiku-4-5-20251001-v1:0"  # MODEL counts no tokens
USER = {"x-tenantry-user": "ada", "x-tenantry-tags": "team=a", "x-tenantry-run": "r1"}
ONCE = {"idempotency-key": "once"}
FORM = (
    b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n'
    b"content-type: text/plain\r\n\r\nThe sea is deep.\r\n--b\r\n"
    b'content-disposition: form-data; name="metadata"\r\n\r\n{"depth": 3}\r\n--b--\r\n'
)
FORM_TYPE = {"content-type": "multipart/form-data; boundary=b"}
# What a walk cannot have without a batch job, or would do to everybody else on the stack: the same
# views are held to the document in tests/unit/http and tests/integration/http.
NOT_WALKED = {
    "GET /v1/export/batch_jobs/{id}/output",
    "DELETE /v1/documents/reindex",  # asked, and refused where the reindex was faster
    "POST /admin/v1/alerts/{alert}/acknowledge",
    "POST /admin/v1/tenants/{tenant}/shred",
    "GET /admin/v1/tenants/{tenant}/shred",
    "POST /admin/v1/prices",
}


@dataclass
class Port:
    """One port, asked as one caller; nothing that it answers goes unchecked."""

    stack: Stack
    who: Tenant | None  # None: the operator
    described: Described
    answered: set[str] = field(default_factory=set)
    taken: dict[str, tuple[str, Any]] = field(default_factory=dict)  # a body and its path, by line

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = b"",
        *,
        headers: Mapping[str, str] | None = None,
        refused: bool = False,
    ) -> Any:
        """What was answered, which is JSON or is not asked for."""
        line = self.described.line_of(method, path.partition("?")[0])
        sent = headers or {}
        known = self.described.named(line, "header") | {"accept", "content-type", "authorization"}
        if not refused:
            assert set(sent) <= {name.lower() for name in known}, line
            asked = {part.partition("=")[0] for part in path.partition("?")[2].split("&") if part}
            assert asked <= self.described.named(line, "query"), line
        status, told, answer = self.stack.http(
            method, path, body, tenant=self.who, headers=sent, admin=self.who is None
        )
        assert (status >= 400) == refused, (line, status, answer)
        problems = self.described.wrong_in_answer(line, status, self._ours(line, told), answer)
        assert problems == []
        if refused:
            return json.loads(answer)
        self.answered.add(line)
        if isinstance(body, dict):
            assert self.described.wrong_in_body(line, body) == []
            self.taken[line] = path, body
        return json.loads(answer) if told.get("content-type") == "application/json" else answer

    def _ours(self, line: str, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Without what Bedrock's own answers have besides."""
        if self.described.operations[line]["tags"] != ["Bedrock runtime"]:
            return headers
        return {
            name: value
            for name, value in headers.items()
            if not name.startswith("x-amzn-bedrock") and name != "x-amzn-bedrock-content-type"
        }


def port_of(stack: Stack, who: Tenant | None) -> Port:
    status, _, said = stack.http("GET", "/openapi.json", admin=who is None)
    assert status == 200
    return Port(stack, who, Described(json.loads(said)))


def walk_documents(ask: Port) -> None:
    text = {"title": "Sea", "text": "The sea is blue.", "metadata": {"lang": "en", "tags": ["a"]}}
    made = ask("POST", "/v1/documents", text, headers=USER)["id"]
    assert ask("POST", "/v1/documents", text)["id"] == made
    form = ask("POST", "/v1/documents", FORM, headers=FORM_TYPE)["id"]
    ask("PUT", f"/v1/documents/{made}", {"title": "Sea", "text": "The sea is green."})
    ask("GET", "/v1/documents?limit=1")
    ask("GET", f"/v1/documents/{made}", headers={"x-tenantry-groups": "staff"})
    ask("GET", f"/v1/documents/{made}/content")
    ask("POST", "/v1/search", {
        "query": "sea", "top_k": 3, "filter": {"orAll": [
            {"equals": {"key": "depth", "value": 3}}, {"notEquals": {"key": "lang", "value": "de"}},
        ]}, "rerank": None,
    })  # fmt: skip
    ask("POST", "/v1/answers", {"question": "What is the sea?", "model": MODEL})
    ask("POST", "/v1/answers", {"question": "What is the sea?", "stream": True})
    ask("POST", "/v1/documents/reindex", {"again": True})
    ask("GET", "/v1/documents/reindex")
    ask("GET", f"/v1/export/documents/{form}/content")
    ask("DELETE", f"/v1/documents/{form}")
    ask("GET", f"/v1/documents/{form}", refused=True)


def walk_models(ask: Port) -> None:
    """Those of other APIs that need nothing but the emulator's models."""
    ask("GET", "/v1/models")
    ask("GET", f"/v1/models/{MODEL}")
    chat = {"model": MODEL, "messages": [{"role": "user", "content": "Hello."}]}
    ask("POST", "/v1/chat/completions", chat, headers=USER)
    ask("POST", "/v1/chat/completions", {**chat, "stream": True})
    texts = {"model": "amazon.titan-embed-text-v2:0", "input": "Hello."}
    ask("POST", "/v1/embeddings", texts)
    ask("POST", converse_path(MODEL), converse_body(), headers={**USER, **ONCE})
    ask("POST", converse_path(MODEL), converse_body(), headers={**USER, **ONCE})
    ask("POST", converse_path(MODEL, stream=True), converse_body())
    native = {**converse_body(), "inferenceConfig": {"maxTokens": 9}}
    for action in ("invoke", "invoke-with-response-stream"):
        ask("POST", f"/model/{quote(MODEL)}/{action}", native)
    counted = {"messages": converse_body()["messages"]}
    ask("POST", f"/model/{quote(CLAUDE)}/count-tokens", {"input": {"converse": counted}})
    text = [{"text": {"text": "Hello."}}]
    guarded = {"source": "INPUT", "content": text}
    ask("POST", f"/guardrail/{STRICT}/version/1/apply", guarded)


def walk_tenant(ask: Port) -> None:
    assert ask.who is not None
    for path in ("/healthz", "/readyz", "/openapi.json", "/docs"):
        ask("GET", path)
    ask("GET", "/v1/usage?group_by=model,day,hour,key,user,tag,run&limit=100")
    ask("GET", "/v1/usage?user=ada&from=2026-11-01T00:00:00Z&to=2026-11-02T00:00:00Z")
    base = ask("GET", "/v1/limits", headers=USER)["knowledge_base_id"]
    retrieved = {"retrievalQuery": {"text": "sea"}}
    ask("POST", f"/knowledgebases/{base}/retrieve", retrieved)
    number = ask("GET", "/v1/invoices?limit=10")["data"][0]["number"]
    ask("GET", f"/v1/invoices/{number}")
    for media in ("application/pdf", "text/csv", "application/vnd.apache.parquet"):
        ask("GET", f"/v1/invoices/{number}", headers={"accept": media})
    budget = {"scope": "run", "scope_id": "r1", "period": "month", "limit": "1.50"}
    made = ask("POST", "/v1/budgets", budget, headers={"idempotency-key": "budget"})["id"]
    ask("POST", "/v1/budgets", {"scope": "user", "scope_id": "ada", "period": "day", "limit": "1"})
    assert len(ask("GET", "/v1/budgets")["data"]) == 3
    ask("GET", "/v1/limits", headers=USER)
    key = {"name": "more", "scopes": ["infer"], "models_allowed": [MODEL],
           "expires_at": "2126-01-01T00:00:00Z"}  # fmt: skip
    api_key = ask("POST", "/v1/keys", key)["id"]
    ask("GET", "/v1/keys")
    walk_export(ask)
    ask("DELETE", f"/v1/budgets/{made}")
    ask("DELETE", f"/v1/keys/{api_key}")
    ask("DELETE", f"/v1/keys/{api_key}x", refused=True)


def walk_export(ask: Port) -> None:
    sections = ask("GET", "/v1/export")["sections"]
    (told,) = [one for one in ask.described.parameters("GET /v1/export/{section}")
               if one["name"] == "section"]  # fmt: skip
    assert told["schema"]["enum"] == sections
    rows = {name: ask("GET", f"/v1/export/{name}?limit=20")["data"] for name in sections}
    assert not [name for name, found in rows.items() if not found and name not in _EMPTY]
    for section in ("usage", "replies", "results", "sessions"):
        ask("POST", "/v1/users/export", {"user": "ada", "section": section, "limit": 5})
    ask("POST", "/v1/users/erase", {"user": "ada"})
    ask("GET", f"/v1/export/batch_jobs/{'0' * 8}-0000-0000-0000-{'0' * 12}/output", refused=True)


_EMPTY = {"replies", "sessions", "batch_jobs"}


def walk_operator(ask: Port, who: Tenant) -> None:
    for path in ("/healthz", "/readyz", "/openapi.json", "/docs", "/metrics"):
        ask("GET", path)
    admin = "/admin/v1"
    of = {"tenant": who.id}
    new = {"name": f"{who.name}-b", "plan": f"plan-of-{who.name}", "zone": "Europe/Zurich"}
    other = ask("POST", f"{admin}/tenants", new, headers={"idempotency-key": who.id})["id"]
    for path in ("suspend", "resume"):
        ask("POST", f"{admin}/tenants/{other}/{path}")
    ask("GET", f"{admin}/tenants/{other}")
    key = ask("POST", f"{admin}/keys", {**of, "name": "k", "scopes": ["search"]})["id"]
    ask("POST", f"{admin}/plans", {"plans": {f"{who.name}-plan": {"requests_per_day": 5}}})
    models = ask("GET", f"{admin}/models?limit=100")["data"]
    ask("POST", f"{admin}/models", {"models": models[:1]})
    places = ask("GET", f"{admin}/placements")["data"]
    pool = next(row for row in places if row["id"] == "pool")
    ask("POST", f"{admin}/placements", pool)
    ask("GET", f"{admin}/prices")
    budget = {**of, "scope": "tenant", "period": "day", "limit": "9", "basis": "cost"}
    made = ask("POST", f"{admin}/budgets", budget)["id"]
    span = {"starts_at": "2126-01-01T00:00:00Z", "ends_at": "2126-01-02T00:00:00+01:00"}
    mute = ask("POST", f"{admin}/mutes", {**of, **span, "reason": "launch"})["id"]
    ask("POST", f"{admin}/contracts", {**of, "address": ["1 Main Street"], "tax_rate": "0.2"})
    walk_invoices(ask, who)
    later = {**of, "plan": f"{who.name}-plan", "at": "2126-01-01T00:00:00Z"}
    ask("POST", f"{admin}/contracts/plans", later)
    ask("POST", f"{admin}/contracts/credits", {**of, "amount": "3", "note": "welcome"})
    rate = {"quote": "SEK", "rate": "10", "day": "2019-01-01", "source": "bank"}
    ask("POST", f"{admin}/exchange-rates", rate)
    for path in ("tenants", "plans", "exchange-rates", "alerts", "audits", "invoice-runs"):
        ask("GET", f"{admin}/{path}?limit=100")
    for path in ("keys", "budgets", "budgets/forecast", "mutes", "contracts", "contracts/plans",
                 "contracts/credits", "usage", "alerts", "invoice-runs"):  # fmt: skip
        ask("GET", f"{admin}/{path}?tenant={who.id}")
    for query in ("by=tenant", "by=model", "by=tag&tag=team", "from=2026-11-01T00:00:00Z"):
        ask("GET", f"{admin}/economics?{query}")
    ask("DELETE", f"{admin}/keys/{key}?tenant={who.id}")
    ask("DELETE", f"{admin}/budgets/{made}?tenant={who.id}")
    ask("DELETE", f"{admin}/mutes/{mute}?tenant={who.id}")
    ask("GET", f"{admin}/tenants/nobody", refused=True)
    walk_audits(ask)


def walk_audits(ask: Port) -> None:
    attack = {"id": "a.b", "wall": "scopes", "outcome": "held", "sentence": "It holds."}
    at = "2026-11-30T12:00:00Z"
    report = {
        "started_at": at,
        "ended_at": at,
        "version": "1",
        "url": "http://x",
        "canaries": [],
        "attacks": [attack, {**attack, "id": "a.c", "detail": "d"}],
    }
    ask("GET", f"/admin/v1/audits/{ask('POST', '/admin/v1/audits', report)['id']}")


def walk_invoices(ask: Port, who: Tenant) -> None:
    path, of = "/admin/v1/invoices", {"tenant": who.id}
    last_month(ask.stack, who)
    ask("GET", f"{path}?tenant={who.id}")
    sha256 = ask("POST", f"{path}/review", of)["sha256"]
    number = ask("POST", f"{path}/finalise", {**of, "sha256": sha256})["number"]
    ask("GET", f"{path}/{number}")
    ask("GET", f"{path}/{number}?tenant={who.id}", headers={"accept": "text/csv"})
    ask("GET", f"{path}/{number}/verify")
    note = ask("POST", f"{path}/{number}/credit", {"amount": "5.00", "reason": "outage"})["number"]
    ask("POST", f"{path}/{note}/void", {"reason": "wrong"})
    ask("GET", f"{path}/{note}")
    ask("GET", f"{path}?tenant={who.id}")


def walked(stack: Stack, who: Tenant) -> Iterator[Port]:
    tenants, operator = port_of(stack, who), port_of(stack, None)
    walk_models(tenants)
    walk_documents(tenants)
    walk_tenant(tenants)
    walk_operator(operator, who)
    yield from (tenants, operator)


def test_every_own_route_answers_as_it_is_described(stack: Stack) -> None:
    for who in stack.tenants(PLAN):
        for port in walked(stack, who):
            own = {
                line
                for line, operation in port.described.operations.items()
                if operation["tags"] == ["Tenantry"]
            }
            assert own - port.answered - NOT_WALKED == set()


def test_what_is_wrong_by_its_schema_is_refused(stack: Stack) -> None:
    """Of a body that was taken: a member of another type, or none that is required, or one more."""
    anna, bert = stack.tenants(PLAN)
    for port in walked(stack, anna):
        asked = 0
        for line, (path, body) in port.taken.items():
            for wrong in _wrongs(body):
                if port.described.wrong_in_body(line, wrong):
                    port(line.partition(" ")[0], path, wrong, refused=True)
                    asked += 1
        assert asked > 50
    assert json.loads(stack.http("GET", "/v1/documents", tenant=bert)[2])["data"] == []


def _wrongs(body: Mapping[str, Any]) -> Iterator[Any]:
    yield {}
    yield {**body, "unheard_of": 1}
    for name in body:
        yield {other: value for other, value in body.items() if other != name}
        for value in (None, 7, "", "\t", [7], {"unheard_of": 1}):
            yield {**body, name: value}


def test_refusals_are_described_too(stack: Stack) -> None:
    """Of each route with wrong credentials."""
    anna, bert = stack.tenants(PLAN)
    for who in (anna, bert, None):
        port = port_of(stack, who)
        for line, operation in port.described.operations.items():
            method, _, template = line.partition(" ")
            path = template.replace("{", "").replace("}", "")
            if operation.get("security"):
                port(method, path, refused=True, headers={"authorization": "Bearer nobody"})


HEADERS: Mapping[str, str] = {
    "x-tenantry-user": "a" * 257,
    "x-tenantry-groups": "a," * 40,
    "x-tenantry-tags": "no pair",
    "x-tenantry-run": "a b",
    "Idempotency-Key": "a b",
}


def test_a_header_is_read_where_it_is_described(stack: Stack) -> None:
    """A wrong one is refused there by its name, and nowhere else."""
    anna, _ = stack.tenants(PLAN)
    port, _ = walked(stack, anna)
    for line, operation in port.described.operations.items():
        method, _, template = line.partition(" ")
        path, body = port.taken.get(line, (template.replace("{", "").replace("}", ""), b""))
        if not operation.get("security") or (method == "POST" and not body):
            continue
        described = port.described.named(line, "header")
        for name, wrong in HEADERS.items():
            _, _, said = stack.http(method, path, body, tenant=anna, headers={name: wrong})
            assert (name.encode() in said) == (name in described), (line, name, said)
