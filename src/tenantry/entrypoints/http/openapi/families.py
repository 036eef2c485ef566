"""What the routes of Bedrock's and OpenAI's APIs take and answer: what is required of a body, with
types, and where the rest of it is told. Their references are not copied here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, NotRequired, TypedDict

from tenantry.domain.model_ids import MODEL_ID_CHARS_MAX
from tenantry.entrypoints.http.bedrock import requests as bedrock
from tenantry.entrypoints.http.bedrock_agent import requests as agent
from tenantry.entrypoints.http.bedrock_agent.answers import SESSION_HEADER
from tenantry.entrypoints.http.described import SPOKEN, Schema
from tenantry.entrypoints.http.openai.embeddings import TEXTS_MAX
from tenantry.entrypoints.http.openai.schema import ChatRequest, EmbeddingsRequest
from tenantry.entrypoints.http.openapi.headers import CACHE, UPSTREAM_ID
from tenantry.entrypoints.http.openapi.parts import (
    EVENTS,
    FRAMES,
    Answer,
    Body,
    nothing_but,
    ref,
)
from tenantry.entrypoints.http.openapi.shapes import ListedModel, ListedModels

_TYPES: Final[Mapping[type, Any]] = {list: "array", dict: "object"}
_MEMBERS: Final[Mapping[str, Schema]] = {
    name: {} if kind is object else {"type": [_TYPES[kind], "null"]}
    for name, kind in bedrock.CONVERSE_MEMBERS.items()
}
_BLOCKS: Final[Schema] = {"type": "array", "items": {"type": "object"}}
_MESSAGES: Final[Schema] = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "properties": {"role": {"type": "string"}, "content": _BLOCKS},
        "required": ["role", "content"],
    },
}
_CONVERSE: Final = nothing_but(
    {
        **_MEMBERS,
        "messages": _MESSAGES,
        "system": {**_BLOCKS, "type": ["array", "null"]},
        "inferenceConfig": {"anyOf": [ref("InferenceConfiguration"), {"type": "null"}]},
    },
    "messages",
)
_NATIVE: Final[Schema] = {
    "type": "object",
    "minProperties": 1,
    "description": "The model's own body, passed on as it is.",
}
_COUNTED: Final = nothing_but(
    {**{name: _MEMBERS[name] for name in sorted(bedrock.COUNTED_MEMBERS)}, "messages": _MESSAGES},
    "messages",
)
_INVOKED: Final = nothing_but({"body": {"type": "string", "contentEncoding": "base64"}}, "body")
_COUNT: Final = nothing_but(
    {
        "input": {
            "oneOf": [
                nothing_but({"converse": _COUNTED}, "converse"),
                nothing_but({"invokeModel": _INVOKED}, "invokeModel"),
            ]
        }
    },
    "input",
)
_GUARDED: Final = nothing_but(
    {
        "source": {"enum": ["INPUT", "OUTPUT"]},
        "content": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {"text": {"type": "object"}, "image": {"type": "object"}},
                "minProperties": 1,
                "maxProperties": 1,
                "additionalProperties": False,
            },
        },
        "outputScope": {"type": ["string", "null"]},
    },
    "source",
    "content",
)


def _model(field: Schema | None = None) -> Schema:
    return {"required": ["model"], "properties": {"model": _A_MODEL, **(field or {})}}


_A_MODEL: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": MODEL_ID_CHARS_MAX}
_CHAT: Final = _model({"messages": {"type": "array", "minItems": 1}})
_TEXTS: Final = _model(
    {
        "input": {
            "type": ["string", "array"],
            "minLength": 1,
            "pattern": SPOKEN,
            "minItems": 1,
            "maxItems": TEXTS_MAX,
            "items": {"type": "string", "minLength": 1, "pattern": SPOKEN},
        }
    }
)

# Components that bodies above refer to by name.
NAMED: Final = (bedrock.InferenceConfiguration,)
BODIES: Final[Mapping[str, Body]] = {
    "POST /model/{model}/converse": Body(_CONVERSE),
    "POST /model/{model}/converse-stream": Body(_CONVERSE),
    "POST /model/{model}/invoke": Body(_NATIVE),
    "POST /model/{model}/invoke-with-response-stream": Body(_NATIVE),
    "POST /model/{model}/count-tokens": Body(_COUNT),
    "POST /guardrail/{id}/version/{version}/apply": Body(_GUARDED),
    "POST /knowledgebases/{id}/retrieve": Body(agent.Retrieve),
    "POST /retrieveAndGenerate": Body(
        agent.Generate, also={"required": ["retrieveAndGenerateConfiguration"]}
    ),
    "POST /retrieveAndGenerateStream": Body(
        agent.Generate, also={"required": ["retrieveAndGenerateConfiguration"]}
    ),
    "POST /rerank": Body(agent.Rerank),
    "POST /v1/chat/completions": Body(ChatRequest, also=_CHAT),
    "POST /v1/embeddings": Body(EmbeddingsRequest, also=_TEXTS),
}


class ConverseAnswer(TypedDict):
    """Bedrock's own, with what it has besides."""

    output: dict[str, Any]
    stopReason: str
    usage: dict[str, Any]
    metrics: NotRequired[dict[str, Any]]


class CountedTokens(TypedDict):
    inputTokens: int


class GuardrailAnswer(TypedDict):
    """Bedrock's own, with what it has besides."""

    action: str
    outputs: list[dict[str, Any]]
    assessments: list[dict[str, Any]]
    usage: dict[str, Any]


class Retrieved(TypedDict):
    retrievalResults: list[dict[str, Any]]
    nextToken: NotRequired[str]


class Turn(TypedDict):
    sessionId: str
    output: dict[str, Any]
    citations: list[dict[str, Any]]
    guardrailAction: NotRequired[Literal["INTERVENED", "NONE"]]


class RerankResult(TypedDict):
    index: int
    relevanceScore: float


class Reranked(TypedDict):
    results: list[RerankResult]
    nextToken: NotRequired[str]


class ChatCompletion(TypedDict):
    """`tenantry`: citations and passages, of a chat over documents."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[dict[str, Any]]
    usage: dict[str, Any]
    service_tier: NotRequired[str]
    tenantry: NotRequired[dict[str, Any]]


class Embedding(TypedDict):
    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class Embeddings(TypedDict):
    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: dict[str, int]


_FRAMED: Final[Schema] = {"type": "string", "format": "binary"}
_EVENTS: Final[Schema] = {"type": "string", "description": "Server-sent events, then `[DONE]`."}
_PAID: Final = ("x-tenantry-charge", "x-tenantry-max-tokens")
_PASSED_ON: Final = (UPSTREAM_ID,)
_CACHED: Final = (*_PAID, UPSTREAM_ID, CACHE)


def _stream(*headers: str) -> tuple[Answer, ...]:
    named = ("x-tenantry-max-tokens", *headers)
    return (Answer(_FRAMED, says="Event frames", media=(FRAMES,), headers=named),)


_ANY: Final[Schema] = {"type": "object", "description": "The model's own."}

ANSWERS: Final[Mapping[str, tuple[Answer, ...]]] = {
    "POST /model/{model}/converse": (Answer(ConverseAnswer, headers=_CACHED),),
    "POST /model/{model}/converse-stream": _stream(UPSTREAM_ID),
    "POST /model/{model}/invoke": (Answer(_ANY, headers=_CACHED),),
    "POST /model/{model}/invoke-with-response-stream": _stream(UPSTREAM_ID),
    "POST /model/{model}/count-tokens": (Answer(CountedTokens, headers=_PASSED_ON),),
    "POST /guardrail/{id}/version/{version}/apply": (
        Answer(GuardrailAnswer, headers=("x-tenantry-charge", UPSTREAM_ID)),
    ),
    "POST /knowledgebases/{id}/retrieve": (Answer(Retrieved, headers=("x-tenantry-charge",)),),
    "POST /retrieveAndGenerate": (Answer(Turn, headers=_PAID),),
    "POST /retrieveAndGenerateStream": _stream(SESSION_HEADER),
    "POST /rerank": (Answer(Reranked, headers=("x-tenantry-charge",)),),
    "POST /v1/chat/completions": (Answer(ChatCompletion, others={EVENTS: _EVENTS}, headers=_PAID),),
    "POST /v1/embeddings": (Answer(Embeddings, headers=("x-tenantry-charge",)),),
    "GET /v1/models": (Answer(ListedModels),),
    "GET /v1/models/{model}": (Answer(ListedModel),),
}

_RUNTIME: Final = "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_"
_AGENT: Final = "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_agent-runtime_"
_OPENAI: Final = "https://platform.openai.com/docs/api-reference/"
# Where the provider tells what is passed on.
REFERENCES: Final[Mapping[str, str]] = {
    "POST /model/{model}/converse": f"{_RUNTIME}Converse.html",
    "POST /model/{model}/converse-stream": f"{_RUNTIME}ConverseStream.html",
    "POST /model/{model}/invoke": f"{_RUNTIME}InvokeModel.html",
    "POST /model/{model}/invoke-with-response-stream": (
        f"{_RUNTIME}InvokeModelWithResponseStream.html"
    ),
    "POST /model/{model}/count-tokens": f"{_RUNTIME}CountTokens.html",
    "POST /guardrail/{id}/version/{version}/apply": f"{_RUNTIME}ApplyGuardrail.html",
    "POST /knowledgebases/{id}/retrieve": f"{_AGENT}Retrieve.html",
    "POST /retrieveAndGenerate": f"{_AGENT}RetrieveAndGenerate.html",
    "POST /retrieveAndGenerateStream": f"{_AGENT}RetrieveAndGenerateStream.html",
    "POST /rerank": f"{_AGENT}Rerank.html",
    "POST /v1/chat/completions": f"{_OPENAI}chat/create",
    "POST /v1/embeddings": f"{_OPENAI}embeddings/create",
    "GET /v1/models": f"{_OPENAI}models/list",
    "GET /v1/models/{model}": f"{_OPENAI}models/retrieve",
}
