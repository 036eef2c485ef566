"""How each route is asked so that its own tenant is served: what makes an attack able to succeed.

A value `$name` stands for what the canary calls so (`names_of`), `+kind` for a fresh thing of that
kind. A route of the deployment that is not in this table is a finding; a line of the table that the
deployment does not have is ignored.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tenantry.application.retrieval import TOP_K_MAX
from tenantry.entrypoints.audit.canary import Canary
from tenantry.entrypoints.audit.exchange import Ask, ask
from tenantry.entrypoints.audit.ground import Ground
from tenantry.entrypoints.audit.things import KINDS

ALLOWED_GUARDRAIL: Final = "auditnone:1"  # the one that the canaries' plan lets them name
_WORDS: Final = "Say ok."
_CHAT: Final = {
    "messages": [{"role": "user", "content": [{"text": _WORDS}]}],
    "inferenceConfig": {"maxTokens": 16},
}
_PLAIN_CHAT: Final = {"messages": [{"role": "user", "content": _WORDS}], "max_tokens": 16}
_NATIVE: Final[Mapping[str, Mapping[str, Any]]] = {
    "nova": _CHAT,
    "anthropic": {**_PLAIN_CHAT, "anthropic_version": "bedrock-2023-05-31"},
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """`served`: the statuses that say the caller was let through, where 2xx is not all of them."""

    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    served: frozenset[int] = frozenset()

    def serves(self, status: int) -> bool:
        return 200 <= status < 300 or status in self.served


_COUNTED: Final = "claude-haiku-4"
_MODEL: Final = {"model": "$chat"}
_NATIVE_MODEL: Final = {"model": "$native_model"}
_DOCUMENT: Final = {"id": "$document"}
_NONE: Final = "00000000-0000-7000-8000-000000000000"  # a request id that nobody has
_GENERATE: Final = {
    "input": {"text": "$question"},
    "retrieveAndGenerateConfiguration": {
        "type": "KNOWLEDGE_BASE",
        "knowledgeBaseConfiguration": {"knowledgeBaseId": "$knowledge_base", "modelArn": "$chat"},
    },
}
_RERANK: Final = {
    "queries": [{"type": "TEXT", "textQuery": {"text": "$question"}}],
    "sources": [
        {
            "type": "INLINE",
            "inlineDocumentSource": {"type": "TEXT", "textDocument": {"text": "A note."}},
        }
    ],
    "rerankingConfiguration": {
        "type": "BEDROCK_RERANKING_MODEL",
        "bedrockRerankingConfiguration": {"modelConfiguration": {"modelArn": "$rerank"}},
    },
}
RECIPES: Final[Mapping[str, Recipe]] = {
    "POST /model/{model}/converse": Recipe(_MODEL, body=_CHAT),
    "POST /model/{model}/converse-stream": Recipe(_MODEL, body=_CHAT),
    "POST /model/{model}/invoke": Recipe(_NATIVE_MODEL, body="$native"),
    "POST /model/{model}/invoke-with-response-stream": Recipe(_NATIVE_MODEL, body="$native"),
    # Bedrock counts for some models alone.
    "POST /model/{model}/count-tokens": Recipe(
        {"model": "$counted"},
        body={"input": {"converse": {"messages": _CHAT["messages"]}}},
        served=frozenset({400}),
    ),
    # There need not be a guardrail in the account: to be asked of Bedrock is to be let through.
    "POST /guardrail/{id}/version/{version}/apply": Recipe(
        {"id": ALLOWED_GUARDRAIL.partition(":")[0], "version": ALLOWED_GUARDRAIL.partition(":")[2]},
        body={"source": "INPUT", "content": [{"text": {"text": _WORDS}}]},
        served=frozenset({400, 404, 424}),
    ),
    "POST /v1/chat/completions": Recipe(body={"model": "$chat", **_PLAIN_CHAT}),
    "POST /v1/embeddings": Recipe(body={"model": "$embedding", "input": _WORDS}),
    "GET /v1/models": Recipe(),
    "GET /v1/models/{model}": Recipe(_MODEL),
    "POST /v1/documents": Recipe(body={"title": "Note", "text": "A note of the audit."}),
    "GET /v1/documents": Recipe(),
    "GET /v1/documents/{id}": Recipe(_DOCUMENT),
    "DELETE /v1/documents/{id}": Recipe({"id": "+document"}),
    "GET /v1/documents/{id}/content": Recipe(_DOCUMENT),
    "PUT /v1/documents/{id}": Recipe(
        {"id": "+document"}, body={"title": "Replaced", "text": "A replaced note, $nonce."}
    ),
    # The documents have this model already, and there need be no reindex to show or to cancel.
    "POST /v1/documents/reindex": Recipe(
        body={"model": "$embedding"}, served=frozenset({400, 409})
    ),
    "GET /v1/documents/reindex": Recipe(served=frozenset({404})),
    "DELETE /v1/documents/reindex": Recipe(served=frozenset({404, 409})),
    "POST /knowledgebases/{id}/retrieve": Recipe(
        {"id": "$knowledge_base"}, body={"retrievalQuery": {"text": "$question"}}
    ),
    "POST /retrieveAndGenerate": Recipe(body=_GENERATE),
    "POST /retrieveAndGenerateStream": Recipe(body=_GENERATE),
    "POST /rerank": Recipe(body=_RERANK),
    "GET /v1/export": Recipe(),
    "GET /v1/export/{section}": Recipe({"section": "documents"}),
    "GET /v1/export/documents/{id}/content": Recipe(_DOCUMENT),
    # No canary has a batch job: to be told that there is none is to be let through.
    "GET /v1/export/batch_jobs/{id}/output": Recipe({"id": _NONE}, served=frozenset({404})),
    "POST /v1/users/export": Recipe(body={"user": "nobody@example.com", "section": "usage"}),
    "POST /v1/users/erase": Recipe(body={"user": "nobody@example.com"}),
    "POST /v1/search": Recipe(body={"query": "$question"}),
    "POST /v1/answers": Recipe(body={"question": "$question"}),
    "GET /v1/usage": Recipe(query={"group_by": "tag,key"}),
    "GET /v1/limits": Recipe(),
    "GET /v1/invoices": Recipe(),
    "GET /v1/invoices/{number}": Recipe({"number": "$invoice"}),
    "GET /v1/budgets": Recipe(),
    "POST /v1/budgets": Recipe(
        body={"scope": "run", "scope_id": "audit", "period": "total", "limit": "7"}
    ),
    "DELETE /v1/budgets/{budget}": Recipe({"budget": "+budget"}),
    "GET /v1/keys": Recipe(),
    "POST /v1/keys": Recipe(body={"name": "audit"}),
    "DELETE /v1/keys/{key}": Recipe({"key": "+key"}),
}


def own_ask(ground: Ground, who: Canary, line: str, **given: str) -> Ask:
    """The request by which a canary asks for its own; `given` are other path parameters.

    Raises `NoSuchThing`.
    """
    recipe = RECIPES[line]
    names = names_of(ground, who)
    path = {name: _filled(value, names) for name, value in recipe.path.items()} | given
    for name, value in path.items():
        if value.startswith("+"):
            path[name] = KINDS[value[1:]].make(ground, who)
    body = _filled(recipe.body, names)
    query = {name: _filled(value, names) for name, value in recipe.query.items()}
    return ask(line, path, query=query, body=body)


def chat_over_documents(ground: Ground, text: str) -> Ask:
    """A chat over as many passages as there may be, all of which its answer shows."""
    messages = [{"role": "user", "content": [{"text": text}]}]
    return ask(
        "POST /model/{model}/converse",
        {"model": str(ground.plan["default_model"])},
        body={"messages": messages, "inferenceConfig": {"maxTokens": 64}},
        headers={"x-tenantry-knowledge": str(TOP_K_MAX)},
    )


def names_of(ground: Ground, who: Canary) -> Mapping[str, Any]:
    """What `$name` stands for."""
    chat = str(ground.plan["default_model"])
    native = _native_model(ground.models, chat)
    return {
        "chat": chat,
        "embedding": str(ground.plan["embedding_model"]),
        "native_model": native,
        "counted": next((name for name in sorted(ground.models) if _COUNTED in name), chat),
        "native": _NATIVE.get(_shape(ground.models, native), _PLAIN_CHAT),
        "rerank": next((n for n, m in ground.models.items() if m.get("kind") == "rerank"), chat),
        "question": "What is the word of this note?",
        "nonce": secrets.token_hex(8),
        "tenant": who.id,
        **who.things,
    }


def _native_model(models: Mapping[str, Mapping[str, Any]], chat: str) -> str:
    """The default model, or one that InvokeModel knows where that is only for Converse."""
    if _shape(models, chat) != "none":
        return chat
    return next((name for name in sorted(models) if _shape(models, name) in _NATIVE), chat)


def _shape(models: Mapping[str, Mapping[str, Any]], name: str) -> str:
    told = models.get(name) or next((m for m in models.values() if m.get("alias") == name), {})
    return str(told.get("native_body", "none"))


def _filled(value: Any, names: Mapping[str, Any]) -> Any:
    if isinstance(value, str) and value[1:] in names and value.startswith("$"):
        return names[value[1:]]
    if isinstance(value, str):
        return value.replace("$nonce", names["nonce"])
    if isinstance(value, Mapping):
        return {name: _filled(item, names) for name, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, names) for item in value]
    return value
