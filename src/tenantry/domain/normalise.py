"""From what Bedrock reports to disjoint `Usage`, per model family; what does not add up is kept.

Owns: where a usage figure stands: Converse `usage`, InvokeModel headers and native bodies, the
metrics of a stream's last chunk, the invocation log.
Does not own: prices, and what becomes of a quarantined call.
Invariants: no input raises; no token is counted twice; a figure that is missing, negative,
fractional, textual or contradicted by its own sum is `Quarantined`, never repaired and never
zero. The raw numeric members are kept with the version that read them.

`family` is the catalogue's. `write_class` says where cache writes go that the report does not
split by time to live: the dearest class that the request could cause.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from tenantry.domain.usage import NO_USAGE, TokenClass, Usage
from tenantry.domain.usage_figures import (
    GROSS_FAMILIES,
    NORMALISER_VERSION,
    Figures,
    Normalised,
    NotUsable,
    Quarantined,
    count,
    disjoint,
    header_count,
    numeric_members,
)

__all__ = [
    "FAILED",
    "INVOCATION_METRICS",
    "NORMALISER_VERSION",
    "InvokeStreamUsage",
    "Normalised",
    "Quarantined",
    "from_converse",
    "from_invocation_log",
    "from_invoke",
    "from_rerank",
    "from_rerank_units",
]

Report: TypeAlias = Mapping[str, object]
Reading: TypeAlias = Normalised | Quarantined

FAILED: Final = "failed"  # a record of a call that used nothing
INVOCATION_METRICS: Final = "amazon-bedrock-invocationMetrics"
DOCUMENTS_PER_RERANK_UNIT: Final = 100  # Bedrock bills a query per 100 document chunks
_CACHE_DETAILS_MAX: Final = 16
_TTL_CLASSES: Final[Mapping[object, TokenClass]] = {
    "5m": TokenClass.CACHE_WRITE_5M,
    "1h": TokenClass.CACHE_WRITE_1H,
}
_HEADER_PREFIX: Final = "x-amzn-bedrock-"


def from_converse(
    usage: object, family: str, write_class: TokenClass = TokenClass.CACHE_WRITE_5M
) -> Reading:
    """The `usage` of a Converse answer, or of ConverseStream's `metadata` event."""
    return _read(usage, lambda report: _usage_of(_converse(report, family), family, write_class))


def from_invoke(
    headers: Mapping[str, str],
    document: object,
    family: str,
    write_class: TokenClass = TokenClass.CACHE_WRITE_5M,
) -> Reading:
    """An InvokeModel answer: lower-case headers and the decoded native body, which must agree."""
    metering = {name: text for name, text in headers.items() if name.startswith(_HEADER_PREFIX)}
    body = document if isinstance(document, Mapping) else {}
    kept = {name: body[name] for name in _BODY_MEMBERS if name in body}

    def read(_: Report) -> tuple[Usage, frozenset[str]]:
        by_body, by_headers = _native(body, family), _headers(metering, family)
        figures = by_body or by_headers
        if figures is None:
            raise NotUsable("usage is missing")
        if by_body and by_headers and not _agree(by_body, by_headers):
            raise NotUsable("headers and body contradict each other")
        return _usage_of(figures, family, write_class)

    return _read({"headers": metering, "body": kept}, read)


def from_rerank(documents: int) -> Normalised:
    """A rerank query over `documents` chunks; its answer reports no usage."""
    assert documents > 0, "a rerank query has documents"
    units = -(-documents // DOCUMENTS_PER_RERANK_UNIT)
    return Normalised(Usage(rerank_units=units), {"documents": documents})


def from_rerank_units(units: int) -> Normalised:
    """A rerank query that a log shows as done: what it was planned as is what it is billed."""
    return Normalised(Usage(rerank_units=units), {"units": units})


def from_invocation_log(
    record: object, family: str, write_class: TokenClass = TokenClass.CACHE_WRITE_5M
) -> Reading:
    """A record of Bedrock's model-invocation log, which never splits cache writes.

    `write_class` comes from the attempt's intent. A failed call without counts used nothing.
    """

    def read(report: Report) -> tuple[Usage, frozenset[str]]:
        sent, received = _inner(report, "input"), _inner(report, "output")
        if report.get("errorCode") is not None and sent.get("inputTokenCount") is None:
            return NO_USAGE, frozenset({FAILED})
        embeds = _embeds(family)
        figures = Figures(
            input=count(sent, "inputTokenCount"),
            read=count(sent, "cacheReadInputTokenCount", default=0),
            write=count(sent, "cacheWriteInputTokenCount", default=0),
            output=count(received, "outputTokenCount", default=0 if embeds else None),
            gross=family in GROSS_FAMILIES,
        )
        return _usage_of(figures, family, write_class)

    return _read(record, read)


class InvokeStreamUsage:
    """Usage of an InvokeModelWithResponseStream, gathered chunk by chunk.

    The figures stand in the last chunk's metrics; Anthropic's split of cache writes stands in
    the first (`message_start`). Keeps those two and nothing else.
    """

    __slots__ = ("_cache_creation", "_family", "_metrics", "_write_class")

    def __init__(self, family: str, write_class: TokenClass = TokenClass.CACHE_WRITE_5M) -> None:
        self._family = family
        self._write_class = write_class
        self._cache_creation: object = None
        self._metrics: object = None

    def feed(self, chunk: object) -> None:
        """Take the decoded native JSON of one chunk."""
        if not isinstance(chunk, Mapping):
            return
        if chunk.get("type") == "message_start":
            message = chunk.get("message")
            usage = message.get("usage") if isinstance(message, Mapping) else None
            if isinstance(usage, Mapping):
                self._cache_creation = usage.get("cache_creation")
        if INVOCATION_METRICS in chunk:
            self._metrics = chunk[INVOCATION_METRICS]

    def finish(self) -> Reading:
        """What the stream used; quarantined where it ended without metrics."""

        def read(report: Report) -> tuple[Usage, frozenset[str]]:
            metrics = _inner(report, "metrics")
            embeds = _embeds(self._family)
            write = count(metrics, "cacheWriteInputTokenCount", default=0)
            figures = Figures(
                input=count(metrics, "inputTokenCount"),
                output=count(metrics, "outputTokenCount", default=0 if embeds else None),
                read=count(metrics, "cacheReadInputTokenCount", default=0),
                write=write,
                writes=_ephemeral(self._cache_creation) if write else {},
                gross=self._family in GROSS_FAMILIES,
            )
            return _usage_of(figures, self._family, self._write_class)

        return _read({"metrics": self._metrics, "cache_creation": self._cache_creation}, read)


def _read(report: object, read: Callable[[Report], tuple[Usage, frozenset[str]]]) -> Reading:
    raw = numeric_members(report)
    if not isinstance(report, Mapping):
        return Quarantined("usage is missing", raw)
    try:
        usage, flags = read(report)
    except NotUsable as error:
        return Quarantined(str(error), raw)
    return Normalised(usage, raw, flags)


def _inner(report: Report, name: str) -> Report:
    inner = report.get(name)
    if inner is None:
        return {}
    if not isinstance(inner, Mapping):
        raise NotUsable(f"{name} is not an object")
    return inner


def _embeds(family: str) -> bool:
    return family.endswith("_embed")


def _usage_of(
    figures: Figures, family: str, write_class: TokenClass
) -> tuple[Usage, frozenset[str]]:
    usage, flags = disjoint(figures, write_class)
    if not _embeds(family):
        return usage, flags
    if figures.output or figures.read or figures.write:
        raise NotUsable("an embedding has input alone")
    return Usage(embedding=usage.uncached_in), flags


def _converse(report: Report, family: str) -> Figures:
    """Converse's `usage`; Nova's native body has the same. The `…TokenCount` members repeat the
    cache figures and are never added to them."""
    return Figures(
        input=count(report, "inputTokens"),
        output=count(report, "outputTokens"),
        read=count(report, "cacheReadInputTokens", "cacheReadInputTokenCount", default=0),
        write=count(report, "cacheWriteInputTokens", "cacheWriteInputTokenCount", default=0),
        total=count(report, "totalTokens") if report.get("totalTokens") is not None else None,
        writes=_cache_details(report.get("cacheDetails")),
        gross=family in GROSS_FAMILIES,
    )


def _cache_details(details: object) -> dict[TokenClass, int]:
    if details is None:
        return {}
    if not isinstance(details, list) or len(details) > _CACHE_DETAILS_MAX:
        raise NotUsable("cacheDetails is not a short list")
    writes: dict[TokenClass, int] = {}
    for detail in details:
        ttl = detail.get("ttl") if isinstance(detail, Mapping) else None
        token_class = _TTL_CLASSES.get(ttl) if isinstance(ttl, str) else None
        if token_class is None:
            raise NotUsable("cacheDetails has an unknown time to live")
        writes[token_class] = writes.get(token_class, 0) + count(detail, "inputTokens")
    return writes


def _ephemeral(creation: object) -> dict[TokenClass, int]:
    """Anthropic's `cache_creation`; all of its classes, so that an unknown one fails the sum."""
    if creation is None:
        return {}
    if not isinstance(creation, Mapping):
        raise NotUsable("cache_creation is not an object")
    return {
        TokenClass.CACHE_WRITE_5M: count(creation, "ephemeral_5m_input_tokens", default=0),
        TokenClass.CACHE_WRITE_1H: count(creation, "ephemeral_1h_input_tokens", default=0),
    }


_BODY_MEMBERS: Final = (
    "usage",
    "inputTextTokenCount",
    "prompt_token_count",
    "generation_token_count",
)


def _native(body: Report, family: str) -> Figures | None:
    """The figures of a native body, by the shape that it has; None where it has none."""
    if body.get("inputTextTokenCount") is not None:  # Titan embeddings
        return Figures(input=count(body, "inputTextTokenCount"))
    if body.get("prompt_token_count") is not None:  # Llama
        return Figures(
            input=count(body, "prompt_token_count"), output=count(body, "generation_token_count")
        )
    if body.get("usage") is None:
        return None
    usage = _inner(body, "usage")
    if "input_tokens" in usage:
        return _anthropic(usage)
    if "prompt_tokens" in usage:
        return _openai(usage)
    return _converse(usage, family)


def _anthropic(usage: Report) -> Figures:
    write = count(usage, "cache_creation_input_tokens", default=0)
    writes = _ephemeral(usage.get("cache_creation"))
    return Figures(
        input=count(usage, "input_tokens"),
        output=count(usage, "output_tokens"),
        read=count(usage, "cache_read_input_tokens", default=0),
        write=write,
        writes=writes,
    )


def _openai(usage: Report) -> Figures:
    """OpenAI's chat format, whoever speaks it: the prompt includes its cached tokens."""
    total = usage.get("total_tokens")
    return Figures(
        input=count(usage, "prompt_tokens"),
        output=count(usage, "completion_tokens", default=0),
        read=count(_inner(usage, "prompt_tokens_details"), "cached_tokens", default=0),
        total=count(usage, "total_tokens") if total is not None else None,
        gross=True,
    )


def _headers(headers: Mapping[str, str], family: str) -> Figures | None:
    """The metering headers that Bedrock adds to InvokeModel; embeddings have only the input."""
    sent = header_count(headers, f"{_HEADER_PREFIX}input-token-count")
    if sent is None:
        return None
    output = header_count(headers, f"{_HEADER_PREFIX}output-token-count")
    if output is None and not _embeds(family):
        raise NotUsable("the output token count is missing")
    return Figures(
        input=sent,
        output=output or 0,
        read=header_count(headers, f"{_HEADER_PREFIX}cache-read-input-token-count") or 0,
        write=header_count(headers, f"{_HEADER_PREFIX}cache-write-input-token-count") or 0,
        gross=family in GROSS_FAMILIES,
    )


def _agree(body: Figures, headers: Figures) -> bool:
    """Whether two reports of one call say the same; a gross input may stand net in the header."""
    inputs = {body.input}
    if body.gross:
        inputs.add(body.input - body.read - body.write)
    return (
        headers.input in inputs
        and headers.output == body.output
        and (headers.read, headers.write) in ((body.read, body.write), (0, 0))
    )
