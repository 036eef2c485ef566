"""Requests of bedrock-agent-runtime as calls of the use cases. Pure: no I/O."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import Meta

from tenantry.application.asking import Search
from tenantry.application.conversing import TurnCall
from tenantry.application.reranking import RerankCall
from tenantry.domain.end_user import user_from
from tenantry.domain.errors import BadRequest
from tenantry.domain.ids import TenantId
from tenantry.domain.knowledge_base import check_knowledge_base
from tenantry.domain.rerank import SOURCES_MAX
from tenantry.domain.sources import no_references
from tenantry.domain.template import check_template
from tenantry.entrypoints.http.bedrock_agent.words import (
    Fields,
    GuardrailConfiguration,
    ModelName,
    RetrievalConfiguration,
    UserContext,
    Wire,
    search_of,
)
from tenantry.entrypoints.http.json_body import to

QUERY_CHARS_MAX: Final = 20_000
QUESTION_CHARS_MAX: Final = 1_000
TEMPLATE_CHARS_MAX: Final = 4_000
DOCUMENT_CHARS_MAX: Final = 32_000

SessionId = Annotated[str, Meta(min_length=2, max_length=100, pattern=r"^[0-9a-zA-Z._:-]{2,100}$")]
Token = Annotated[str, Meta(min_length=1, max_length=2_048, pattern=r"^\S*$")]


class _Query(Wire):
    text: Annotated[str, Meta(max_length=QUERY_CHARS_MAX)] = ""
    type: Literal["TEXT", "IMAGE"] = "TEXT"
    image: Any = None


class Retrieve(Wire):
    retrieval_query: _Query
    retrieval_configuration: RetrievalConfiguration | None = None
    guardrail_configuration: GuardrailConfiguration | None = None
    user_context: UserContext | None = None
    next_token: Token | None = None


class _TextInference(Wire):
    max_tokens: Annotated[int, Meta(ge=1, le=65_536)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    stop_sequences: (
        Annotated[list[Annotated[str, Meta(min_length=1, max_length=1_000)]], Meta(max_length=4)]
        | None
    ) = None


class _InferenceConfig(Wire):
    text_inference_config: _TextInference | None = None


class _PromptTemplate(Wire):
    text_prompt_template: (
        Annotated[str, Meta(min_length=1, max_length=TEMPLATE_CHARS_MAX)] | None
    ) = None


class _Performance(Wire):
    latency: Literal["standard", "optimized"] | None = None


class _Generation(Wire):
    prompt_template: _PromptTemplate | None = None
    guardrail_configuration: GuardrailConfiguration | None = None
    inference_config: _InferenceConfig | None = None
    additional_model_request_fields: Fields | None = None
    performance_config: _Performance | None = None


class _KnowledgeBase(Wire):
    knowledge_base_id: Annotated[str, Meta(max_length=10)]
    model_arn: ModelName
    retrieval_configuration: RetrievalConfiguration | None = None
    generation_configuration: _Generation | None = None
    orchestration_configuration: Any = None


class _Configuration(Wire):
    type: Literal["KNOWLEDGE_BASE", "EXTERNAL_SOURCES"]
    knowledge_base_configuration: _KnowledgeBase | None = None
    external_sources_configuration: Any = None


class _Input(Wire):
    text: Annotated[str, Meta(max_length=QUESTION_CHARS_MAX)]


class Generate(Wire):
    input: _Input
    retrieve_and_generate_configuration: _Configuration | None = None
    session_id: SessionId | None = None
    session_configuration: Any = None
    user_context: UserContext | None = None


class _TextDocument(Wire):
    text: Annotated[str, Meta(min_length=1, max_length=DOCUMENT_CHARS_MAX)]


class _RerankQuery(Wire):
    type: Literal["TEXT"]
    text_query: _TextDocument


class _Inline(Wire):
    type: Literal["TEXT", "JSON"]
    text_document: _TextDocument | None = None
    json_document: Any = None


class _Source(Wire):
    type: Literal["INLINE"]
    inline_document_source: _Inline


class _RerankModel(Wire):
    model_arn: ModelName
    additional_model_request_fields: Fields | None = None


class _BedrockRerank(Wire):
    model_configuration: _RerankModel
    number_of_results: Annotated[int, Meta(ge=1, le=SOURCES_MAX)] | None = None


class _RerankConfiguration(Wire):
    type: Literal["BEDROCK_RERANKING_MODEL"]
    bedrock_reranking_configuration: _BedrockRerank


class Rerank(Wire):
    queries: Annotated[list[_RerankQuery], Meta(min_length=1, max_length=1)]
    sources: Annotated[list[_Source], Meta(min_length=1, max_length=SOURCES_MAX)]
    reranking_configuration: _RerankConfiguration
    next_token: Token | None = None


def to_search(knowledge_base: str, body: dict[str, Any], tenant_id: TenantId) -> Search:
    """A Retrieve body. Raises `BadRequest`, `NotFound`."""
    asked = to(Retrieve, body)
    check_knowledge_base(knowledge_base, tenant_id)
    if asked.retrieval_query.image is not None or asked.retrieval_query.type != "TEXT":
        raise BadRequest("`retrievalQuery` takes `text` here; images are not searched by.")
    if asked.guardrail_configuration is not None:
        raise BadRequest("`guardrailConfiguration` is not supported here: apply it to the answer.")
    return search_of(asked.retrieval_query.text, asked.retrieval_configuration)


def to_turn(body: dict[str, Any], tenant_id: TenantId) -> TurnCall:
    """A RetrieveAndGenerate body. Raises `BadRequest`, `NotFound`."""
    asked = to(Generate, body)
    if asked.session_configuration is not None:
        raise BadRequest(
            "`sessionConfiguration` is not supported here: sessions are sealed under the tenant's "
            "own key."
        )
    configuration = asked.retrieve_and_generate_configuration
    if configuration is None or configuration.type != "KNOWLEDGE_BASE":
        raise BadRequest("`retrieveAndGenerateConfiguration.type` must be KNOWLEDGE_BASE here.")
    if configuration.external_sources_configuration is not None:
        raise BadRequest("`externalSourcesConfiguration` is not supported here.")
    base = configuration.knowledge_base_configuration
    if base is None:
        raise BadRequest("`knowledgeBaseConfiguration` is required.")
    if base.orchestration_configuration is not None:
        raise BadRequest(
            "`orchestrationConfiguration` is not supported here: questions are searched for as "
            "they are asked."
        )
    check_knowledge_base(base.knowledge_base_id, tenant_id)
    generation = base.generation_configuration or _Generation()
    prompt = generation.prompt_template
    template = None if prompt is None else prompt.text_prompt_template
    if template is not None:
        check_template(template)
    return TurnCall(
        search_of(asked.input.text, base.retrieval_configuration),
        base.model_arn,
        asked.session_id,
        template,
        _members(generation),
    )


def to_rerank(body: dict[str, Any]) -> RerankCall:
    """A Rerank body. Raises `BadRequest`."""
    asked = to(Rerank, body)
    for source in asked.sources:
        _check_source(source.inline_document_source)
    configuration = asked.reranking_configuration.bedrock_reranking_configuration
    no_references(configuration.model_configuration.additional_model_request_fields or {})
    return RerankCall(
        configuration.model_configuration.model_arn,
        asked.queries[0].text_query.text,
        body["sources"],
        configuration.number_of_results,
        configuration.model_configuration.additional_model_request_fields or {},
        asked.next_token,
    )


def user_in(body: dict[str, Any]) -> str | None:
    """`userContext.userId` as the end user; its type is checked with the rest of the body."""
    context = body.get("userContext")
    user = context.get("userId") if isinstance(context, dict) else None
    return user_from(user if isinstance(user, str) else None, field="userContext.userId")


def _check_source(document: _Inline) -> None:
    text, value = document.text_document, document.json_document
    if document.type == "TEXT":
        right = text is not None and value is None
    else:
        right = value is not None and text is None
    if not right:
        raise BadRequest(
            "Each of `sources` holds `textDocument` with type TEXT, or `jsonDocument` with JSON."
        )


def _members(generation: _Generation) -> dict[str, Any]:
    """What goes into the body of Converse as it is."""
    members: dict[str, Any] = {}
    outer = generation.inference_config
    inference = None if outer is None else outer.text_inference_config
    if inference is not None:
        given = {
            "maxTokens": inference.max_tokens,
            "temperature": inference.temperature,
            "topP": inference.top_p,
            "stopSequences": inference.stop_sequences,
        }
        config = {name: value for name, value in given.items() if value is not None}
        if config:
            members["inferenceConfig"] = config
    guardrail = generation.guardrail_configuration
    if guardrail is not None:
        members["guardrailConfig"] = {
            "guardrailIdentifier": guardrail.guardrail_id,
            "guardrailVersion": guardrail.guardrail_version,
        }
    if generation.additional_model_request_fields:
        members["additionalModelRequestFields"] = generation.additional_model_request_fields
    if generation.performance_config and generation.performance_config.latency:
        members["performanceConfig"] = {"latency": generation.performance_config.latency}
    return members
