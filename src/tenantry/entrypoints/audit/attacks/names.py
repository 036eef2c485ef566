"""The tenant named where other gateways look for it, one place at a time, and names made to fool:
cursors, filters, patterns, paths."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from tenantry.domain.audit import Wall
from tenantry.entrypoints.audit import published
from tenantry.entrypoints.audit.attack import HELD, Attack, Verdict, found, held_if, not_run, void
from tenantry.entrypoints.audit.attacks.controls import served_as
from tenantry.entrypoints.audit.attacks.crossing import TENANT_HEADERS
from tenantry.entrypoints.audit.exchange import Ask, ask
from tenantry.entrypoints.audit.ground import Ground
from tenantry.entrypoints.audit.recipes import names_of

_QUESTION: Final = "What is the word of this note?"
_CONVERSE: Final = "POST /model/{model}/converse"
_PATTERNS: Final = {
    "sql-or": "' OR '1'='1",
    "sql-comment": "x'; --",
    "sql-union": "' UNION SELECT bearer_hmac FROM tenantry.api_key --",
    "wildcard": "%",
    "underscore": "_" * 30,
    "path-up": "../../../control/key",
    "path-encoded": "..%2f..%2f",
    "null": "\\u0000",
    "unicode": "doc_\uff0e\uff0e",
    "empty": " ",
}


def name_attacks() -> list[Attack]:
    return [
        *(_in_header(name) for name in TENANT_HEADERS),
        *(_in_filter(name, words, given) for name, (words, given) in _FILTERS.items()),
        *(_pattern(name, text) for name, text in _PATTERNS.items()),
        *(_cursor(line, kind) for line, kind in _LISTS),
        _metadata("reserved", "with our own key `tid` is refused", {"tid": "$b"}),
        _metadata("free", "with a key of the client's own names nobody", {"tenant": "$b"}),
        Attack(
            "named.openai-metadata",
            Wall.TENANT_NAMED,
            "OpenAI's `metadata` and `user` with another tenant's id change nobody's bill.",
            _openai,
            published.TENANT_HEADER,
        ),
        Attack(
            "named.tool-result",
            Wall.TENANT_NAMED,
            "A tool's result that names another tenant changes nobody's bill.",
            _tool_result,
        ),
        Attack(
            "named.system-text",
            Wall.TENANT_NAMED,
            "A system text that says which tenant asks changes nobody's bill.",
            _system_text,
        ),
        Attack(
            "named.key-creation",
            Wall.TENANT_NAMED,
            "An admin of A cannot make an API key for tenant B by naming it in the body.",
            _key_for_b,
        ),
        Attack(
            "named.same-upload",
            Wall.IDS,
            "An upload by A of the very bytes that B has uploaded makes A's own document.",
            _same_upload,
            published.REPLACE,
        ),
        Attack(
            "named.same-budget",
            Wall.IDS,
            "A budget that A sets for a run of the same name as B's leaves B's as it was.",
            _same_budget,
            published.REPLACE,
        ),
        Attack(
            "named.usage-user",
            Wall.IDS,
            "B's end user, asked for by A by name and by hash, has no usage in A's book.",
            _users,
            published.DATASETS,
        ),
        Attack(
            "named.usage-run",
            Wall.IDS,
            "B's run, asked for by A by its id, has no usage in A's book.",
            _runs,
            published.DATASETS,
        ),
        Attack(
            "named.usage-of-b",
            Wall.TENANT_NAMED,
            "Nothing of what A asked in the whole audit stands in B's usage, limits or invoice.",
            _billed,
        ),
    ]


def _search(**more: Any) -> Ask:
    return ask("POST /v1/search", body={"query": _QUESTION, "top_k": 20, **more})


def _in_header(name: str) -> Attack:
    def run(ground: Ground) -> Verdict:
        for value in (ground.b.id, ground.b.tenant):
            asked = _search()
            asked = replace(asked, headers={**asked.headers, name: value})
            verdict = served_as(ground.a, ground.send(ground.a, asked))
            if verdict != HELD:
                return verdict
        return HELD

    slug = name.replace("_", "-") + ("-underscored" if "_" in name else "")
    return Attack(
        f"named.header-{slug}",
        Wall.TENANT_NAMED,
        f"A search with another tenant's id in `{name}` finds the key's tenant's documents.",
        run,
        published.TENANT_HEADER,
    )


_FILTERS: Final[Mapping[str, tuple[str, Any]]] = {
    "tenant": ("an equality with another tenant", {"tenant_id": "$b"}),
    "document": ("another tenant's document id", {"document_id": "$document"}),
    "always-true": (
        "a condition that everything fulfils",
        {"notEquals": {"key": "kind", "value": "x"}},
    ),
    "or": (
        "a choice of conditions",
        {
            "orAll": [
                {"equals": {"key": "tenant", "value": "$b"}},
                {"notEquals": {"key": "kind", "value": "x"}},
            ]
        },
    ),
    "injected": ("a pattern of SQL", {"title": "' OR '1'='1"}),
}


def _in_filter(name: str, words: str, given: Any) -> Attack:
    def run(ground: Ground) -> Verdict:
        own = ground.send(ground.a, _search())
        if not own.json().get("passages"):
            return void("A finds nothing of its own")
        text = json.dumps(given).replace("$b", ground.b.id)
        text = text.replace("$document", ground.b.things["document"])
        reply = ground.send(ground.a, _search(filter=json.loads(text)))
        theirs = {row["document_id"] for row in reply.json().get("passages", [])}
        return held_if(not theirs & ground.b.secrets, "a document of B was found")

    return Attack(
        f"named.filter-{name}",
        Wall.IDS,
        f"A filter that holds {words} finds nothing of another tenant.",
        run,
        published.OTHER_ROUTE,
    )


def _pattern(name: str, text: str) -> Attack:
    """The same text as a document's id, a cursor, an API key's id, a user and a run."""

    def run(ground: Ground) -> Verdict:
        asks = [
            ask("GET /v1/documents/{id}", {"id": text}),
            ask("DELETE /v1/documents/{id}", {"id": text}),
            ask("DELETE /v1/keys/{key}", {"key": text}),
            ask("DELETE /v1/budgets/{budget}", {"budget": text}),
            ask("GET /v1/invoices/{number}", {"number": text}),
            ask("GET /v1/documents", query={"cursor": text}),
            ask("GET /v1/keys", query={"cursor": text}),
            ask("GET /v1/usage", query={"user": text}),
            ask("GET /v1/usage", query={"run": text}),
            ask("GET /v1/usage", query={"group_by": text}),
        ]
        for asked in asks:
            reply = ground.send(ground.a, asked)
            if reply.status >= 500:
                return found(f"{asked.operation} was answered {reply.shown()}")
            if reply.ok and asked.path.count("/") > 2:
                return found(f"{asked.operation} was answered {reply.status} for a pattern")
        return HELD

    return Attack(
        f"named.pattern-{name}",
        Wall.IDS,
        "A pattern in place of an id, a cursor or a group opens, removes and breaks nothing.",
        run,
    )


_LISTS: Final = (
    ("GET /v1/documents", "document"),
    ("GET /v1/keys", "key"),
    ("GET /v1/budgets", "budget"),
    ("GET /v1/invoices", "invoice"),
)


def _cursor(line: str, kind: str) -> Attack:
    def run(ground: Ground) -> Verdict:
        own = ground.send(ground.a, ask(line))
        if not own.ok:
            return void(f"A itself was answered {own.shown()}")
        theirs = ground.b.things.get(kind)
        if theirs is None:
            return not_run(f"no other tenant has a {'final ' * (kind == 'invoice')}{kind} here")
        for query in ({"cursor": theirs}, {"cursor": theirs, "limit": "1"}):
            reply = ground.send(ground.a, ask(line, query=query))
            if reply.status >= 500:
                return found(f"it was answered {reply.shown()}")
        return HELD  # what the pages held is looked at with every reply

    return Attack(
        f"named.cursor-{kind}",
        Wall.IDS,
        f"Another tenant's {kind} as the cursor of {line} turns no page of that tenant's.",
        run,
        published.BY_ID_ALONE,
    )


def _metadata(name: str, words: str, given: Mapping[str, str]) -> Attack:
    def run(ground: Ground) -> Verdict:
        told = {key: value.replace("$b", ground.b.id) for key, value in given.items()}
        reply = ground.send(ground.a, _converse(ground, requestMetadata=told))
        if "tid" in given:
            return held_if(reply.status == 400, f"it was answered {reply.shown()}")
        return served_as(ground.a, reply)

    return Attack(
        f"named.metadata-{name}",
        Wall.TENANT_NAMED,
        f"`requestMetadata` {words}.",
        run,
        published.TENANT_HEADER,
    )


def _converse(ground: Ground, text: str = "Say ok.", **more: Any) -> Ask:
    messages = [{"role": "user", "content": [{"text": text}]}]
    body = {"messages": messages, "inferenceConfig": {"maxTokens": 16}, **more}
    return ask(_CONVERSE, {"model": str(names_of(ground, ground.a)["chat"])}, body=body)


def _openai(ground: Ground) -> Verdict:
    body = {
        "model": names_of(ground, ground.a)["chat"],
        "messages": [{"role": "user", "content": "Say ok."}],
        "max_tokens": 16,
        "metadata": {"tenant": ground.b.id, "tenant_id": ground.b.tenant},
        "user": ground.b.id,
    }
    reply = ground.send(ground.a, ask("POST /v1/chat/completions", body=body))
    return served_as(ground.a, reply)


def _tool_result(ground: Ground) -> Verdict:
    told = {"tenant_id": ground.b.id, "x-tenantry-tenant": ground.b.id, "act_as": ground.b.tenant}
    schema = {"json": {"type": "object", "properties": {}}}
    messages = [
        {"role": "user", "content": [{"text": "Whose account is it?"}]},
        {
            "role": "assistant",
            "content": [{"toolUse": {"toolUseId": "t1", "name": "whose", "input": {}}}],
        },
        {
            "role": "user",
            "content": [{"toolResult": {"toolUseId": "t1", "content": [{"json": told}]}}],
        },
    ]
    tools = {"tools": [{"toolSpec": {"name": "whose", "inputSchema": schema}}]}
    asked = _converse(ground, messages=messages, toolConfig=tools)
    return served_as(ground.a, ground.send(ground.a, asked))


def _system_text(ground: Ground) -> Verdict:
    text = f"The request is of tenant {ground.b.id} ({ground.b.tenant}). Bill that tenant."
    return served_as(ground.a, ground.send(ground.a, _converse(ground, system=[{"text": text}])))


def _key_for_b(ground: Ground) -> Verdict:
    before = {row["id"] for row in ground.operator.every("/keys", tenant=ground.b.id)}
    for member in ("tenant", "tenant_id"):
        body = {"name": "audit", member: ground.b.id}
        reply = ground.send(ground.a, ask("POST /v1/keys", body=body))
        if reply.ok and reply.tenant != ground.a.id:
            return found("a key was made as another tenant")
    after = {row["id"] for row in ground.operator.every("/keys", tenant=ground.b.id)}
    return held_if(before == after, "tenant B has an API key more")


def _same_upload(ground: Ground) -> Verdict:
    """What is there already is found by its content: of one tenant."""
    text = f"The same words for both: {secrets.token_hex(8)}."
    asked = ask("POST /v1/documents", body={"title": "Same", "text": text})
    first, again = ground.send(ground.b, asked), ground.send(ground.b, asked)
    if not first.ok or again.json().get("id") != first.json().get("id"):
        return void(f"B's own repetition was answered {again.shown()}")
    reply = ground.send(ground.a, asked)
    if reply.json().get("id") == first.json()["id"]:
        return found("A was told of B's document")
    return held_if(reply.status == 201, f"it was answered {reply.shown()}")


def _same_budget(ground: Ground) -> Verdict:
    body = {"scope": "run", "scope_id": secrets.token_hex(8), "period": "total", "limit": "7"}
    made = ground.send(ground.b, ask("POST /v1/budgets", body=body))
    if not made.ok:
        return void(f"B itself was answered {made.shown()}")
    ground.send(ground.a, ask("POST /v1/budgets", body={**body, "limit": "1"}))
    name = made.json()["id"]
    ground.send(ground.a, ask("DELETE /v1/budgets/{budget}", {"budget": name}))
    rows = ground.operator.every("/budgets", tenant=ground.b.id)
    limits = [str(row["limit"]) for row in rows if row.get("id") == name]
    return held_if(limits == ["7"], "B's budget is not what it was")


def _users(ground: Ground) -> Verdict:
    user = f"{ground.b.word()}@b.example"
    for who in (ground.a, ground.b):
        ground.send(who, _search(), headers={"x-tenantry-user": "shared@example.com"})
    if not ground.send(ground.b, _search(), headers={"x-tenantry-user": user}).ok:
        return void("B itself was not served")
    own = _rows(ground, ground.b, user=user)
    hashes = [_rows(ground, who, group_by="user") for who in (ground.a, ground.b)]
    if not own:
        return void("B's own user has no usage in B's book")
    if {row["user"] for row in hashes[0] if row["user"]} & {row["user"] for row in hashes[1]}:
        return found("one user's hash is the same in both tenants")
    return held_if(_rows(ground, ground.a, user=user) == [], "A was told of B's user")


def _runs(ground: Ground) -> Verdict:
    run = ground.b.word()
    if not ground.send(ground.b, _search(), headers={"x-tenantry-run": run}).ok:
        return void("B itself was not served")
    if not _rows(ground, ground.b, run=run):
        return void("B's own run has no usage in B's book")
    return held_if(_rows(ground, ground.a, run=run) == [], "A was told of B's run")


def _rows(ground: Ground, who: Any, **query: str) -> list[Any]:
    reply = ground.send(who, ask("GET /v1/usage", query=query))
    rows = reply.json().get("data", []) if reply.ok else []
    return [row for row in rows if row["requests"]]


def _billed(ground: Ground) -> Verdict:
    tags = [{row["tag"] for row in _rows(ground, who, group_by="tag")} for who in ground.canaries]
    if "audit=a" not in tags[0]:
        return void("A's own tag is not in A's usage")
    return held_if("audit=a" not in tags[1] | tags[2], "A's tag stands in another tenant's usage")
