"""The routes of bedrock-agent-runtime: what is good, and where it goes wrong."""

from collections.abc import Mapping
from typing import Any

from tenantry.domain.ids import TenantId
from tenantry.domain.knowledge_base import knowledge_base_of

MODEL = "amazon.nova-micro-v1:0"
# Of our own routes, and filters that are none.
WRONG_RERANKING: tuple[Mapping[str, Any], ...] = (
    {"filter": [1]},
    {"filter": {"equals": 1}},
    {"rerank": "amazon-rerank"},
    {"rerank": {"keep": 1}},
    {"rerank": {"model": ""}},
    {"rerank": {"model": "amazon-rerank", "keep": 0}},
)
BASE = knowledge_base_of(TenantId("tnt_acme"))
SEARCHED: tuple[Mapping[str, Any], ...] = (
    {"numberOfResults": 0},
    {"numberOfResults": 101},
    {"numberOfResults": "5"},
    {"overrideSearchType": "FUZZY"},
    {"filter": {"equals": {"key": "a"}}},
    {"filter": {"andAll": [{"equals": {"key": "a", "value": 1}}]}},
    {"filter": {"startsWith": {"key": "a", "value": 1}}},
    {"implicitFilterConfiguration": {}},
    {"rerankingConfiguration": {"type": "BEDROCK_RERANKING_MODEL"}},
    {"rerankingConfiguration": {"type": "OTHER"}},
    {"nonsense": 1},
)


def generating(**base: Any) -> dict[str, Any]:
    inner = {"knowledgeBaseId": BASE, "modelArn": MODEL, **base}
    outer = {"type": "KNOWLEDGE_BASE", "knowledgeBaseConfiguration": inner}
    return {"retrieveAndGenerateConfiguration": outer}


def made(**generation: Any) -> dict[str, Any]:
    return generating(generationConfiguration=generation)


GENERATE: dict[str, Any] = {
    "good": {"input": {"text": "hi"}, **generating()},
    "text": "input.text",
    "wrong": (
        {"input": "hi"},
        {"input": {}},
        {"input": {"text": ""}},
        {"input": {"text": "x" * 1_001}},
        {"sessionId": "a"},
        {"sessionId": "a b"},
        {"sessionId": "x" * 101},
        {"sessionConfiguration": {"kmsKeyArn": "arn"}},
        {"userContext": {"userId": 1}},
        {"userContext": {"userId": " "}},
        {"retrieveAndGenerateConfiguration": None},
        {"retrieveAndGenerateConfiguration": {"type": "KNOWLEDGE_BASE"}},
        {"retrieveAndGenerateConfiguration": {"type": "EXTERNAL_SOURCES"}},
        generating(modelArn=None),
        generating(knowledgeBaseId="x" * 11),
        generating(orchestrationConfiguration={}),
        *(
            generating(retrievalConfiguration={"vectorSearchConfiguration": wrong})
            for wrong in SEARCHED
        ),
        made(promptTemplate={"textPromptTemplate": "Answer."}),
        made(promptTemplate={"textPromptTemplate": "$search_results$" * 300}),
        made(inferenceConfig={"textInferenceConfig": {"maxTokens": 0}}),
        made(inferenceConfig={"textInferenceConfig": {"temperature": 2}}),
        made(inferenceConfig={"textInferenceConfig": {"stopSequences": [""]}}),
        made(guardrailConfiguration={"guardrailId": "a"}),
        made(additionalModelRequestFields=[]),
        made(performanceConfig={"latency": "warp"}),
        made(nonsense=1),
    ),
    "scope": "search",
}
DOCUMENT = {"type": "INLINE", "inlineDocumentSource": {"type": "JSON", "jsonDocument": {"a": 1}}}


def reranking(**inner: Any) -> dict[str, Any]:
    configuration = {"modelConfiguration": {"modelArn": "amazon.rerank-v1:0"}, **inner}
    outer = {"type": "BEDROCK_RERANKING_MODEL", "bedrockRerankingConfiguration": configuration}
    return {"rerankingConfiguration": outer}


def sourced(**inline: Any) -> dict[str, Any]:
    return {"sources": [{"type": "INLINE", "inlineDocumentSource": inline}]}


AGENT_ROUTES: list[dict[str, Any]] = [
    {
        "path": f"/knowledgebases/{BASE}/retrieve",
        "good": {"retrievalQuery": {"text": "hi"}},
        "text": "retrievalQuery.text",
        "wrong": (
            {"retrievalQuery": "hi"},
            {"retrievalQuery": {}},
            {"retrievalQuery": {"text": "x" * 20_001}},
            {"retrievalQuery": {"text": "hi", "type": "IMAGE"}},
            {"retrievalQuery": {"text": "hi", "image": {"format": "png"}}},
            {"nextToken": "AAAA"},
            {"nextToken": "a b"},
            {"nextToken": ""},
            {"guardrailConfiguration": {"guardrailId": "a", "guardrailVersion": "1"}},
            {"userContext": {}},
            {"retrievalConfiguration": {"managedSearchConfiguration": {}}},
            *(
                {"retrievalConfiguration": {"vectorSearchConfiguration": wrong}}
                for wrong in SEARCHED
            ),
        ),
        "scope": "search",
    },
    {"path": "/retrieveAndGenerate", **GENERATE},
    {"path": "/retrieveAndGenerateStream", **GENERATE},
    {
        "path": "/rerank",
        "good": {
            "queries": [{"type": "TEXT", "textQuery": {"text": "hi"}}],
            "sources": [DOCUMENT],
            **reranking(),
        },
        "text": "queries.0.textQuery.text",
        "wrong": (
            {"queries": []},
            {"queries": [{"type": "TEXT", "textQuery": {"text": ""}}]},
            {"queries": [{"type": "TEXT", "textQuery": {"text": "a"}}] * 2},
            {"sources": []},
            {"sources": [DOCUMENT] * 1_001},
            {"sources": [{"type": "S3"}]},
            sourced(type="TEXT"),
            sourced(type="TEXT", jsonDocument={"a": 1}),
            sourced(type="JSON", textDocument={"text": "a"}),
            sourced(type="TEXT", textDocument={"text": ""}),
            sourced(type="TEXT", textDocument={"text": "x" * 32_001}),
            reranking(numberOfResults=0),
            reranking(numberOfResults=1_001),
            reranking(modelConfiguration={}),
            {"rerankingConfiguration": {"type": "BEDROCK_RERANKING_MODEL"}},
            {"nextToken": "a b"},
        ),
    },
]
