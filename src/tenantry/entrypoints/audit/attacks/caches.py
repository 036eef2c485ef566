"""What is kept of one tenant's answers: by idempotency key, in the answer cache, in Bedrock's."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

from tenantry.domain.audit import Wall
from tenantry.entrypoints.audit import published
from tenantry.entrypoints.audit.attack import (
    HELD,
    Attack,
    Verdict,
    found,
    held_if,
    not_run,
    void,
)
from tenantry.entrypoints.audit.canary import Canary
from tenantry.entrypoints.audit.credentials import bearer
from tenantry.entrypoints.audit.exchange import Ask, Reply, ask
from tenantry.entrypoints.audit.ground import Ground
from tenantry.entrypoints.audit.recipes import names_of

REPLAYED: Final = "idempotent-replayed"
CACHE: Final = "x-tenantry-cache"
_LONG_WORDS: Final = 6_000  # of a prefix: more than any model's least size for a cache point
_SEARCH: Final = "POST /v1/search"
_CONVERSE: Final = "POST /model/{model}/converse"
# (name, words, route): each kind of answer that a key can replay
_ROUTES: Final = (
    ("search", "a search", _SEARCH),
    ("upload", "an upload", "POST /v1/documents"),
    ("chat", "a chat", "POST /v1/chat/completions"),
    ("converse", "a Converse call", _CONVERSE),
    ("stream", "a stream", "POST /model/{model}/converse-stream"),
    ("budget", "a budget that is set", "POST /v1/budgets"),
    ("new-key", "a new API key, whose answer holds its secret", "POST /v1/keys"),
)


def cache_attacks() -> list[Attack]:
    return [
        *(_keyed(*row, how) for row in _ROUTES for how in ("key",)),
        *(_keyed(*row, "invocation") for row in _ROUTES if row[2].startswith("POST /model")),
        Attack(
            "idempotency.other-key-of-tenant",
            Wall.CACHES,
            "Another API key of the same tenant does not get what a key was answered.",
            _within_tenant,
        ),
        Attack(
            "idempotency.other-body",
            Wall.EXISTENCE,
            "B learns nothing of A's idempotency key: with another body it is answered, not 422.",
            _no_oracle,
        ),
        Attack(
            "idempotency.other-groups",
            Wall.GROUPS,
            "The same key and body for other groups is another request, and is not replayed.",
            _for_groups,
        ),
        Attack(
            "answer-cache.same-question",
            Wall.CACHES,
            "An answer that is kept for A is not given to B for the same request.",
            _answers,
            published.SHARED_CACHE,
        ),
        Attack(
            "answer-cache.other-groups",
            Wall.GROUPS,
            "A kept answer is not given to other groups of the same tenant.",
            _answers_by_groups,
            published.SHARED_CACHE,
        ),
        Attack(
            "prompt-cache.same-prefix",
            Wall.CACHES,
            "A prefix that A has put into the model's prompt cache is not read by B.",
            _prefix,
            published.SHARED_CACHE,
        ),
        Attack(
            "prompt-cache.same-tools",
            Wall.CACHES,
            "A prefix of tools alone, which stand before the system prompt, is not shared either.",
            _tools,
            published.SHARED_CACHE,
        ),
        Attack(
            "search.same-question",
            Wall.CACHES,
            "The same question by B right after A finds B's passages alone.",
            _same_question,
        ),
    ]


def _body(ground: Ground, line: str) -> Mapping[str, Any]:
    """A body that each tenant may send, and that was never sent before."""
    mark = secrets.token_hex(6)
    names = names_of(ground, ground.a)
    messages = [{"role": "user", "content": [{"text": f"Say ok to {mark}."}]}]
    bodies: Mapping[str, Mapping[str, Any]] = {
        _SEARCH: {"query": f"What is the word of this note? {mark}"},
        "POST /v1/documents": {"title": mark, "text": f"A note of the audit, {mark}."},
        "POST /v1/budgets": {"scope": "run", "scope_id": mark, "period": "day", "limit": "3"},
        "POST /v1/keys": {"name": mark},
        "POST /v1/chat/completions": {
            "model": names["chat"],
            "messages": [{"role": "user", "content": f"Say ok to {mark}."}],
            "max_tokens": 16,
        },
    }
    return bodies.get(line, {"messages": messages, "inferenceConfig": {"maxTokens": 16}})


def _asked(ground: Ground, line: str, headers: Mapping[str, str], body: Mapping[str, Any]) -> Ask:
    path = {"model": str(ground.plan["default_model"])} if "{model}" in line else {}
    return ask(line, path, body=body, headers=headers)


def _keyed(name: str, words: str, line: str, how: str) -> Attack:
    def run(ground: Ground) -> Verdict:
        given = str(uuid4())
        headers = {"idempotency-key": given}
        if how == "invocation":
            headers = {"amz-sdk-invocation-id": given, "amz-sdk-request": "attempt=1; max=3"}
        asked = _asked(ground, line, headers, _body(ground, line))
        first = ground.send(ground.a, asked)
        if not first.ok:
            return void(f"A was answered {first.shown()}")
        other = ground.send(ground.b, asked)
        again = ground.send(ground.a, asked)
        if again.headers.get(REPLAYED) != "true" or again.body != first.body:
            return void("A's own repetition was not replayed")
        if other.headers.get(REPLAYED) is not None or _request(other) == _request(first):
            return found("B was given A's answer")
        return held_if(other.tenant == ground.b.id and other.ok, f"B was answered {other.shown()}")

    told = "idempotency key" if how == "key" else "SDK invocation id"
    return Attack(
        f"idempotency.{how}-{name}",
        Wall.CACHES,
        f"{words.capitalize()} of A under an {told} is not replayed to B for the same.",
        run,
        published.SHARED_CACHE,
    )


def _request(reply: Reply) -> str | None:
    return reply.headers.get("x-tenantry-request-id")


def _within_tenant(ground: Ground) -> Verdict:
    asked = _asked(ground, _SEARCH, {"idempotency-key": str(uuid4())}, _body(ground, _SEARCH))
    first = ground.send(ground.a, asked)
    again = ground.send(ground.a, asked)
    if again.headers.get(REPLAYED) != "true":
        return void(f"the key's own repetition was answered {first.shown()}, {again.shown()}")
    other = ground.send(ground.a, asked, bearer(ground.a.things["plain-key"]))
    return held_if(other.ok and other.headers.get(REPLAYED) is None, "it was replayed")


def _no_oracle(ground: Ground) -> Verdict:
    headers = {"idempotency-key": str(uuid4())}
    first = ground.send(ground.a, _asked(ground, _SEARCH, headers, _body(ground, _SEARCH)))
    own = ground.send(ground.a, _asked(ground, _SEARCH, headers, _body(ground, _SEARCH)))
    if not first.ok or own.status != 422:
        return void(f"A itself was answered {first.shown()}, {own.shown()}")
    other = ground.send(ground.b, _asked(ground, _SEARCH, headers, _body(ground, _SEARCH)))
    return held_if(other.ok, f"B was answered {other.shown()}")


def _for_groups(ground: Ground) -> Verdict:
    asked = _asked(ground, _SEARCH, {"idempotency-key": str(uuid4())}, _body(ground, _SEARCH))
    first = ground.send(ground.a, asked, headers={"x-tenantry-groups": "audit-board"})
    again = ground.send(ground.a, asked, headers={"x-tenantry-groups": "audit-board"})
    if not first.ok or again.headers.get(REPLAYED) != "true":
        return void(f"the same groups were answered {first.shown()}, {again.shown()}")
    other = ground.send(ground.a, asked, headers={"x-tenantry-groups": "audit-staff"})
    return held_if(other.headers.get(REPLAYED) is None, "it was replayed")


def _answers(ground: Ground) -> Verdict:
    return _kept(ground, ground.b, "B was given A's kept answer")


def _answers_by_groups(ground: Ground) -> Verdict:
    told = "another group was given the kept answer"
    return _kept(ground, ground.a, told, headers={"x-tenantry-groups": "audit-staff"})


def _kept(
    ground: Ground, other: Canary, otherwise: str, headers: Mapping[str, str] | None = None
) -> Verdict:
    asked = _asked(ground, _CONVERSE, {}, _body(ground, _CONVERSE))
    first = ground.send(ground.a, asked)
    again = ground.send(ground.a, asked)
    if again.headers.get(CACHE) != "hit":
        return void(f"A itself was answered {first.shown()}, {again.shown()}, without a hit")
    reply = ground.send(other, asked, headers=headers)
    if not reply.ok:
        return void(f"the other was answered {reply.shown()}")
    return held_if(reply.headers.get(CACHE) is None, otherwise)


def _prefix(ground: Ground) -> Verdict:
    words = _words()
    system = [{"text": words}, {"cachePoint": {"type": "default"}}]
    return _read_by_b(ground, {"system": system})


def _tools(ground: Ground) -> Verdict:
    spec = {
        "name": "note",
        "description": _words(),
        "inputSchema": {"json": {"type": "object", "properties": {"a": {"type": "string"}}}},
    }
    tools = [{"toolSpec": spec}, {"cachePoint": {"type": "default"}}]
    return _read_by_b(ground, {"toolConfig": {"tools": tools}})


def _words() -> str:
    """A long text that was never sent before."""
    return f"{secrets.token_hex(8)} " + "ok " * _LONG_WORDS


def _read_by_b(ground: Ground, more: Mapping[str, Any]) -> Verdict:
    if ground.a.account != ground.b.account:
        return not_run("the canaries' accounts differ, and with them Bedrock's caches")
    told = "no model that the canaries may call keeps a prefix"
    for model in _caching_models(ground):
        read = []
        # Written by A, read by A, and then asked for by B.
        for who in (ground.a, ground.a, ground.b):
            reply = ground.send(who, ask(_CONVERSE, {"model": model}, body=_unequal(more)))
            usage = reply.json().get("usage", {})
            read.append(int(usage.get("cacheReadInputTokens", 0)) if reply.ok else 0)
        if read[1]:
            return held_if(read[2] == 0, f"B read {read[2]} tokens of A's prefix")
        told = f"{model} kept no prefix for A itself"
    return not_run(told)


def _unequal(more: Mapping[str, Any]) -> Mapping[str, Any]:
    """A body with a question of its own, so that no answer cache knows it."""
    text = [{"text": f"Say ok. {secrets.token_hex(4)}"}]
    messages = [{"role": "user", "content": text}]
    return {"messages": messages, "inferenceConfig": {"maxTokens": 16}, **more}


def _caching_models(ground: Ground) -> list[str]:
    """The default model, and one of those that are known to have a prompt cache."""
    own = ground.send(ground.a, ask("GET /v1/models")).json().get("data", [])
    known = [row["id"] for row in own if "claude-haiku-4" in row["id"]]
    return [str(ground.plan["default_model"]), *known[:1]]


def _same_question(ground: Ground) -> Verdict:
    asked = _asked(ground, _SEARCH, {}, {"query": "What is the word of this note?", "top_k": 20})
    first, second = ground.send(ground.a, asked), ground.send(ground.b, asked)
    ids = [
        {row["document_id"] for row in reply.json().get("passages", [])}
        for reply in (first, second)
    ]
    if not ids[0] or not ids[1]:
        return void("one of the two found nothing of its own")
    return HELD if not ids[0] & ids[1] else found("both found the same document")
