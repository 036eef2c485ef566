"""Every way to ask that may reach a model, and the shape that a refusal has in each API family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from tests.support.metered import NOVA, RERANK, TITAN, MeteredStack
from tests.support.stack import Tenant
from tests.support.stack_clients import Reply

from tenantry.domain.knowledge_base import knowledge_base_of
from tenantry.entrypoints.http.errors import Family

Body = dict[str, Any]
DEFAULT: dict[str, str] = {"chat": NOVA, "embedding": TITAN, "rerank": RERANK}


@dataclass(frozen=True, slots=True)
class Ask:
    """A route with a good body; `{model}` stands in the path or in the body."""

    name: str
    family: Family
    path: str
    body: Callable[[str, str], Body]  # of model and text
    kind: Literal["chat", "embedding", "rerank"] = "chat"
    names_model: bool = True  # False: the plan does
    dispatched: bool = True  # False: free of charge and of admission

    def send(
        self,
        metered: MeteredStack,
        tenant: Tenant | None,
        model: str | None = None,
        *,
        text: str = "Hello.",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        name = model or DEFAULT[self.kind]
        path = self.path.replace("{model}", name.replace(":", "%3A").replace("/", "%2F"))
        base = knowledge_base_of(tenant.id) if tenant else "0" * 10  # type: ignore[arg-type]
        body = orjson.dumps(self.body(name, text)).replace(b"{base}", base.encode())
        sent = {"content-type": "application/json", **(headers or {})}
        path = path.replace("{base}", base)
        return metered.http("POST", path, body, tenant=tenant, headers=sent)

    def __str__(self) -> str:
        return self.name


def _converse(model: str, text: str) -> Body:
    message = {"role": "user", "content": [{"text": text}]}
    return {"messages": [message], "inferenceConfig": {"maxTokens": 8}}


def _native(model: str, text: str) -> Body:
    return {"schemaVersion": "messages-v1", **_converse(model, text)}


def _chat(model: str, text: str) -> Body:
    message = {"role": "user", "content": text}
    return {"model": model, "messages": [message], "max_tokens": 8}


def _generated(model: str, text: str) -> Body:
    base = {"knowledgeBaseId": "{base}", "modelArn": model}
    configuration = {"type": "KNOWLEDGE_BASE", "knowledgeBaseConfiguration": base}
    return {"input": {"text": text}, "retrieveAndGenerateConfiguration": configuration}


def _reranked(model: str, text: str) -> Body:
    document = {"type": "TEXT", "textDocument": {"text": text}}
    inner = {"modelConfiguration": {"modelArn": model}}
    return {
        "queries": [{"type": "TEXT", "textQuery": {"text": text}}],
        "sources": [{"type": "INLINE", "inlineDocumentSource": document}],
        "rerankingConfiguration": {
            "type": "BEDROCK_RERANKING_MODEL",
            "bedrockRerankingConfiguration": inner,
        },
    }


def _counted(model: str, text: str) -> Body:
    return {"input": {"converse": {"messages": _converse(model, text)["messages"]}}}


ASKS = (
    Ask("converse", "bedrock", "/model/{model}/converse", _converse),
    Ask("converse-stream", "bedrock", "/model/{model}/converse-stream", _converse),
    Ask("invoke", "bedrock", "/model/{model}/invoke", _native),
    Ask("invoke-stream", "bedrock", "/model/{model}/invoke-with-response-stream", _native),
    Ask("count-tokens", "bedrock", "/model/{model}/count-tokens", _counted, dispatched=False),
    Ask("chat", "openai", "/v1/chat/completions", _chat),
    Ask(
        "chat-stream",
        "openai",
        "/v1/chat/completions",
        lambda model, text: {**_chat(model, text), "stream": True},
    ),
    Ask(
        "embeddings",
        "openai",
        "/v1/embeddings",
        lambda model, text: {"model": model, "input": text},
        "embedding",
    ),
    Ask(
        "documents",
        "tenantry",
        "/v1/documents",
        lambda model, text: {"title": "T", "text": text},
        "embedding",
        names_model=False,
    ),
    Ask(
        "search",
        "tenantry",
        "/v1/search",
        lambda model, text: {"query": text},
        "embedding",
        names_model=False,
    ),
    Ask(
        "answers",
        "tenantry",
        "/v1/answers",
        lambda model, text: {"question": text, "model": model},
    ),
    Ask(
        "answers-stream",
        "tenantry",
        "/v1/answers",
        lambda model, text: {"question": text, "model": model, "stream": True},
    ),
    Ask(
        "retrieve",
        "bedrock",
        "/knowledgebases/{base}/retrieve",
        lambda model, text: {"retrievalQuery": {"text": text}},
        "embedding",
        names_model=False,
    ),
    Ask("generate", "bedrock", "/retrieveAndGenerate", _generated),
    Ask("generate-stream", "bedrock", "/retrieveAndGenerateStream", _generated),
    Ask("rerank", "bedrock", "/rerank", _reranked, "rerank"),
)
PAID = tuple(ask for ask in ASKS if ask.dispatched)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What each family says: Bedrock's status and type, the others' status."""

    bedrock: tuple[int, str]
    other: int
    again: bool = False  # whether an SDK may try again


INVALID = Refusal((400, "ValidationException"), 400)
TOO_LARGE = Refusal((413, "RequestEntityTooLargeException"), 413)
NO_KEY = Refusal((403, "UnrecognizedClientException"), 401)
DENIED = Refusal((403, "AccessDeniedException"), 403)
NOT_FOUND = Refusal((404, "ResourceNotFoundException"), 404)
QUOTA = Refusal((400, "ServiceQuotaExceededException"), 429)
BUDGET = Refusal((402, "BudgetExceeded"), 402)
THROTTLED = Refusal((429, "ThrottlingException"), 429, again=True)
TIMEOUT = Refusal((408, "ModelTimeoutException"), 424)
AWAY = Refusal((503, "ServiceUnavailableException"), 503, again=True)
RUBBISH = Refusal((424, "ModelErrorException"), 424)


def refused(family: Family, reply: Reply, refusal: Refusal) -> str:
    """Asserts the family's shape of a refusal; returns its message."""
    status, headers, body = reply
    value = orjson.loads(body)
    assert headers["x-tenantry-request-id"]
    assert "x-tenantry-charge" not in headers
    if family == "bedrock":
        assert (status, headers.get("x-amzn-errortype")) == refusal.bedrock, body
        assert value.keys() == {"message"}
        message = value["message"]
    elif family == "openai":
        assert status == refusal.other, body
        message = value["error"]["message"]
        assert {"message", "type", "code"} <= value["error"].keys()
    else:
        assert status == refusal.other, body
        assert headers["content-type"] == "application/problem+json"
        message = value["detail"]
        assert value["status"] == status
    if family != "bedrock" and not refusal.again:
        assert headers["x-should-retry"] == "false"
    assert isinstance(message, str) and message
    return message


def traces(metered: MeteredStack, tenant: Tenant) -> tuple[Any, ...]:
    """Whatever a request of a tenant can leave behind: reservations, postings, documents."""
    return tuple(metered.rows(_TRACES, tenant.id)[0])


def upstream_requests(metered: MeteredStack) -> int:
    """How many requests the emulator has seen, of anybody."""
    seen = metered.emulator.own("GET", "stats")["requests"]
    return sum(count for route, count in seen.items() if not route.startswith("/_emulator"))


NO_TRACE = (0, 0, 0, 0, 0, 0)
_TRACES = """
SELECT (SELECT count(*) FROM tenantry.open_request WHERE tenant_id = $1),
       (SELECT count(*) FROM tenantry.cost_entry
        WHERE tenant_id = $1 AND token_classes <> '{}'),
       (SELECT count(*) FROM tenantry.charge_entry WHERE tenant_id = $1),
       (SELECT count(*) FROM tenantry.document WHERE tenant_id = $1),
       (SELECT count(*) FROM tenantry.segment WHERE tenant_id = $1),
       (SELECT count(*) FROM tenantry.session WHERE tenant_id = $1 AND expires_at > now())
"""
