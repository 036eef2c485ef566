"""Members that several operations of bedrock-agent-runtime share, and their bounds.

Names and bounds: botocore 1.44.5's service model of bedrock-agent-runtime. What it has and is not
here is refused by name where it would change what is done.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from tenantry.application.asking import Search
from tenantry.domain.errors import BadRequest
from tenantry.domain.filter import filter_from
from tenantry.domain.rerank import MetadataChoice, Reranking
from tenantry.domain.sources import no_references
from tenantry.entrypoints.http.described import RetrievalFiltering

RESULTS_MAX: Final = 100
RESULTS_DEFAULT: Final = 5
_BY_WORDS: Final = {None: None, "SEMANTIC": False, "HYBRID": True}
FIELDS_MAX: Final = 100  # names in a choice of metadata; also of a model's own fields here
ModelName = Annotated[str, Meta(min_length=1, max_length=2_048)]
Fields = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=100)], Any], Meta(max_length=FIELDS_MAX)
]


class Wire(Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """A member object: camel case on the wire, nothing that is not known."""


class GuardrailConfiguration(Wire):
    guardrail_id: Annotated[str, Meta(max_length=64)]
    guardrail_version: Annotated[str, Meta(min_length=1, max_length=5)]


class UserContext(Wire):
    user_id: str


class _Field(Wire):
    field_name: Annotated[str, Meta(min_length=1, max_length=2_000)]


_Chosen = Annotated[list[_Field], Meta(min_length=1, max_length=FIELDS_MAX)]


class _Selective(Wire):
    fields_to_include: _Chosen | None = None
    fields_to_exclude: _Chosen | None = None


class _MetadataConfiguration(Wire):
    selection_mode: Literal["ALL", "SELECTIVE"]
    selective_mode_configuration: _Selective | None = None


class _ModelConfiguration(Wire):
    model_arn: ModelName
    additional_model_request_fields: Fields | None = None


class _BedrockReranking(Wire):
    model_configuration: _ModelConfiguration
    number_of_reranked_results: Annotated[int, Meta(ge=1, le=RESULTS_MAX)] | None = None
    metadata_configuration: _MetadataConfiguration | None = None


class _RerankingConfiguration(Wire):
    type: Literal["BEDROCK_RERANKING_MODEL"]
    bedrock_reranking_configuration: _BedrockReranking | None = None


class _VectorSearch(Wire):
    number_of_results: Annotated[int, Meta(ge=1, le=RESULTS_MAX)] = RESULTS_DEFAULT
    override_search_type: Literal["HYBRID", "SEMANTIC"] | None = None
    filter: RetrievalFiltering = None
    reranking_configuration: _RerankingConfiguration | None = None
    implicit_filter_configuration: Any = None


class RetrievalConfiguration(Wire):
    vector_search_configuration: _VectorSearch | None = None
    managed_search_configuration: Any = None


def search_of(query: str, configuration: RetrievalConfiguration | None) -> Search:
    """The search that a configuration asks for. Raises `BadRequest`."""
    given = configuration or RetrievalConfiguration()
    if given.managed_search_configuration is not None:
        raise BadRequest("`managedSearchConfiguration` is not supported here.")
    vector = given.vector_search_configuration or _VectorSearch()
    if vector.implicit_filter_configuration is not None:
        raise BadRequest("`implicitFilterConfiguration` is not supported here: name a `filter`.")
    return Search(
        query,
        vector.number_of_results,
        filter_from(vector.filter, shorthand=False),
        _reranking(vector.reranking_configuration),
        by_words=_BY_WORDS[vector.override_search_type],
        most=RESULTS_MAX,
    )


def _reranking(given: _RerankingConfiguration | None) -> Reranking | None:
    if given is None:
        return None
    inner = given.bedrock_reranking_configuration
    if inner is None:
        raise BadRequest("`rerankingConfiguration` lacks `bedrockRerankingConfiguration`.")
    model = inner.model_configuration
    no_references(model.additional_model_request_fields or {})
    return Reranking(
        model.model_arn,
        inner.number_of_reranked_results,
        model.additional_model_request_fields or {},
        _choice(inner.metadata_configuration),
    )


def _choice(given: _MetadataConfiguration | None) -> MetadataChoice | None:
    if given is None:
        return None
    selective = given.selective_mode_configuration
    if given.selection_mode == "ALL":
        if selective is not None:
            raise BadRequest("`selectiveModeConfiguration` goes with `selectionMode` SELECTIVE.")
        return MetadataChoice()
    included = selective.fields_to_include if selective else None
    excluded = selective.fields_to_exclude if selective else None
    if (included is None) == (excluded is None):
        raise BadRequest(
            "`selectiveModeConfiguration` takes one of `fieldsToInclude` and `fieldsToExclude`."
        )
    if included is not None:
        return MetadataChoice(include=frozenset(one.field_name for one in included))
    return MetadataChoice(exclude=frozenset(one.field_name for one in excluded or ()))
