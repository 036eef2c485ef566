"""Reranking: what the operation Rerank of bedrock-agent-runtime is asked, and what it says.

It is billed a query for each 100 documents begun and reports no usage, so that the number of
documents is the whole of its metering.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tenantry.domain.chunk import Passage
from tenantry.domain.document import Metadata
from tenantry.domain.errors import UpstreamRubbish
from tenantry.domain.region import partition_of

SOURCES_MAX: Final = 1_000  # service model of bedrock-agent-runtime, RerankSourcesList


@dataclass(frozen=True, slots=True)
class MetadataChoice:
    """Which of a document's metadata a reranker reads beside a passage's text."""

    include: frozenset[str] | None = None  # None: all
    exclude: frozenset[str] = frozenset()

    def of(self, metadata: Metadata) -> dict[str, Any]:
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in metadata.items()
            if (self.include is None or name in self.include) and name not in self.exclude
        }


@dataclass(frozen=True, slots=True)
class Reranking:
    """That passages are to be put into a better order, by which model, and how many stay."""

    model: str
    keep: int | None = None  # None: all
    fields: Mapping[str, Any] = field(default_factory=dict)  # of the model's own
    metadata: MetadataChoice | None = None


@dataclass(frozen=True, slots=True)
class Ranked:
    """`index` is the document's place in the request."""

    index: int
    score: float


@dataclass(frozen=True, slots=True)
class RankedPage:
    """Documents, best first, and upstream's token of the page after, which is another query."""

    results: Sequence[Ranked]
    next_token: str | None = None


def text_source(text: str) -> dict[str, Any]:
    document = {"type": "TEXT", "textDocument": {"text": text}}
    return {"type": "INLINE", "inlineDocumentSource": document}


def passage_source(passage: Passage, choice: MetadataChoice | None) -> dict[str, Any]:
    """A passage as a document to rerank: its text, and of its metadata what was chosen."""
    chosen = choice.of(passage.metadata) if choice is not None else {}
    if not chosen:
        return text_source(passage.text)
    document = {"type": "JSON", "jsonDocument": {"text": passage.text, "metadata": chosen}}
    return {"type": "INLINE", "inlineDocumentSource": document}


def rescored(passage: Passage, score: float) -> Passage:
    """The passage with the reranker's score in place of the search's."""
    return replace(passage, score=score)


def model_arn(upstream_id: str, region: str) -> str:
    """A model as Rerank names it: by ARN."""
    if upstream_id.startswith("arn:"):
        return upstream_id
    return f"arn:{partition_of(region).id}:bedrock:{region}::foundation-model/{upstream_id}"


def rerank_body(
    arn: str,
    query: str,
    sources: Sequence[Mapping[str, Any]],
    most: int | None,
    fields: Mapping[str, Any],
    token: str | None = None,
) -> dict[str, Any]:
    """The operation's body; `token` asks for the page after another."""
    model: dict[str, Any] = {"modelArn": arn}
    if fields:
        model["additionalModelRequestFields"] = dict(fields)
    configuration: dict[str, Any] = {"modelConfiguration": model}
    if most is not None:
        configuration["numberOfResults"] = most
    paged = {} if token is None else {"nextToken": token}
    return {
        **paged,
        "queries": [{"type": "TEXT", "textQuery": {"text": query}}],
        "sources": list(sources),
        "rerankingConfiguration": {
            "type": "BEDROCK_RERANKING_MODEL",
            "bedrockRerankingConfiguration": configuration,
        },
    }


def ranked_in(document: Any, count: int) -> RankedPage:
    """The results of an answer over `count` documents. Raises `UpstreamRubbish`."""
    try:
        token = document.get("nextToken")
        results = [Ranked(item["index"], item["relevanceScore"]) for item in document["results"]]
    except (KeyError, TypeError, AttributeError):
        raise UpstreamRubbish from None
    if len({item.index for item in results if _holds(item, count)}) != len(results):
        raise UpstreamRubbish
    if token is not None and not isinstance(token, str):
        raise UpstreamRubbish
    return RankedPage(results, token)


def _holds(item: Ranked, count: int) -> bool:
    if isinstance(item.index, bool) or not isinstance(item.index, int):
        return False
    if isinstance(item.score, bool) or not isinstance(item.score, (int, float)):
        return False
    return 0 <= item.index < count and math.isfinite(item.score)
