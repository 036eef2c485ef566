"""Reranking: bodies of InvokeModel and of the operation Rerank in, documents by relevance out.

A request is billed a query for each 100 documents that it has begun (Amazon Bedrock pricing,
2026-11); tokens are not metered.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bedrock_emulator.engine import errors
from bedrock_emulator.engine.catalogue import Model
from bedrock_emulator.engine.requests import checks

DOCUMENTS_MAX = 1_000  # service model of bedrock-agent-runtime, RerankSourcesList
QUERY_CHARS_MAX = 32_000  # the same, RerankTextDocument
DOCUMENTS_A_QUERY = 100
RESULTS_A_PAGE = 500  # of the operation; the service says that there is such a bound, not which
_NATIVE_MEMBERS = {
    "amazon.rerank-v1:0": {"query", "documents", "top_n"},
    "cohere.rerank-v3-5:0": {"query", "documents", "top_n", "api_version", "max_tokens_per_doc"},
}
_COHERE_VERSION = 2


class Reranker(Protocol):
    def scores(self, query: str, documents: Sequence[str]) -> list[float]:
        """How relevant each document is to the query, 0 to 1, in the order given."""


@dataclass(frozen=True, slots=True)
class RerankPlan:
    """A read request: what to compare, and how to answer."""

    query: str
    documents: tuple[str, ...]
    top: int
    render: Callable[[Sequence[tuple[int, float]]], dict[str, Any]]
    offset: int = 0
    page: int = DOCUMENTS_MAX

    @property
    def search_units(self) -> int:
        """What the request is billed; a further page is a request of its own."""
        return -(-len(self.documents) // DOCUMENTS_A_QUERY)

    def answer(self, reranker: Reranker) -> dict[str, Any]:
        scores = reranker.scores(self.query, self.documents)
        # Equal scores stay in the order of the documents.
        ranked = sorted(enumerate(scores), key=lambda item: (-item[1], item[0]))
        end = min(self.top, self.offset + self.page)
        answer = self.render(ranked[self.offset : end])
        return answer if end >= self.top else {**answer, "nextToken": f"results-{end}"}


def read_native(body: Any, model: Model) -> RerankPlan:
    """The body of a reranking model. Raises EmulatedError in the model's words."""
    body = checks.as_object(body, "")
    for key in body:
        if key not in _NATIVE_MEMBERS[model.id]:
            raise errors.extraneous_key("", key)
    for key in ("query", "documents"):
        if key not in body:
            raise errors.missing_key("", key)
    if model.id.startswith("cohere.") and body.get("api_version") != _COHERE_VERSION:
        raise errors.validation(
            f"Malformed input request: #/api_version: {body.get('api_version')} is not a valid "
            "version, please reformat your input and try again."
        )
    given = checks.as_list(body["documents"], "documents")
    documents = tuple(checks.as_text(text, f"documents/{i}") for i, text in enumerate(given))
    _check_documents(documents, "documents")
    query = _query(checks.as_text(body["query"], "query"), "query")
    return RerankPlan(query, documents, _top(body.get("top_n"), documents, "top_n"), _native)


def read_operation(body: Any) -> RerankPlan:
    """The body of the operation Rerank. Raises EmulatedError."""
    body = checks.as_object(body, "")
    config = _bedrock_configuration(body)
    model = checks.object_in(config, "modelConfiguration")
    checks.object_in(model, "additionalModelRequestFields")
    queries = checks.as_list(body.get("queries"), "queries")
    if len(queries) != 1:
        raise errors.validation("Value at 'queries' must have length equal to 1.")
    query = checks.as_object(queries[0], "queries/0")
    if query.get("type") != "TEXT":
        raise errors.validation("Value at 'queries.0.type' is not valid.")
    text = _query(_text_document(query.get("textQuery"), "queries/0/textQuery"), "queries/0")
    sources = checks.as_list(body.get("sources"), "sources")
    _check_documents(sources, "sources")
    documents = tuple(_source(source, f"sources/{i}") for i, source in enumerate(sources))
    top = _top(config.get("numberOfResults"), documents, "numberOfResults")
    offset = _offset(body.get("nextToken"), top)
    return RerankPlan(text, documents, top, _operation, offset, RESULTS_A_PAGE)


def model_of(body: Any) -> str:
    """The model that a body of Rerank names."""
    configuration = _bedrock_configuration(checks.as_object(body, ""))
    model = checks.as_object(configuration.get("modelConfiguration"), "modelConfiguration")
    arn = checks.as_text(model.get("modelArn"), "modelConfiguration/modelArn")
    if not arn:
        raise errors.unknown_model()
    return arn


def _bedrock_configuration(body: dict[str, Any]) -> dict[str, Any]:
    outer = checks.as_object(body.get("rerankingConfiguration"), "rerankingConfiguration")
    if outer.get("type") != "BEDROCK_RERANKING_MODEL":
        raise errors.validation("Value at 'rerankingConfiguration.type' is not valid.")
    inner = outer.get("bedrockRerankingConfiguration")
    return checks.as_object(inner, "bedrockRerankingConfiguration")


def _source(source: Any, path: str) -> str:
    source = checks.as_object(source, path)
    document = checks.as_object(source.get("inlineDocumentSource"), f"{path}/inlineDocumentSource")
    if source.get("type") != "INLINE":
        raise errors.validation(f"Value at '{path}.type' is not valid.")
    if document.get("type") == "TEXT":
        return _text_document(document.get("textDocument"), path)
    if document.get("type") != "JSON" or document.get("jsonDocument") is None:
        raise errors.validation(f"Value at '{path}.inlineDocumentSource' is not valid.")
    return _flat(document["jsonDocument"])


def _text_document(value: Any, path: str) -> str:
    text = checks.as_text(checks.as_object(value, path).get("text"), f"{path}/text")
    if not 1 <= len(text) <= QUERY_CHARS_MAX:
        raise errors.validation(f"Value at '{path}.text' must have 1 to 32000 characters.")
    return text


def _flat(document: Any) -> str:
    """A JSON document as lines of `name: value`, as rerankers are given them."""
    if not isinstance(document, dict):
        return document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)
    lines = [
        f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in document.items()
    ]
    return "\n".join(lines)


def _query(text: str, path: str) -> str:
    if not 1 <= len(text) <= QUERY_CHARS_MAX:
        raise errors.validation(f"Malformed input request: #/{path}: the query's length is wrong")
    return text


def _check_documents(documents: Sequence[Any], path: str) -> None:
    if not 1 <= len(documents) <= DOCUMENTS_MAX:
        raise errors.validation(
            f"Malformed input request: #/{path}: expected 1 to {DOCUMENTS_MAX} items, actual: "
            f"{len(documents)}, please reformat your input and try again."
        )


def _top(value: Any, documents: Sequence[str], path: str) -> int:
    if value is None:
        return len(documents)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= DOCUMENTS_MAX:
        raise errors.validation(f"Malformed input request: #/{path}: {value} is not valid")
    return min(value, len(documents))


def _offset(token: Any, top: int) -> int:
    if token is None:
        return 0
    name, _, number = token.partition("-") if isinstance(token, str) else ("", "", "")
    if name != "results" or not number.isascii() or not number.isdigit() or int(number) >= top:
        raise errors.validation("The nextToken is not valid.")
    return int(number)


def _native(ranked: Sequence[tuple[int, float]]) -> dict[str, Any]:
    return {"results": [{"index": i, "relevance_score": score} for i, score in ranked]}


def _operation(ranked: Sequence[tuple[int, float]]) -> dict[str, Any]:
    return {"results": [{"index": i, "relevanceScore": score} for i, score in ranked]}
