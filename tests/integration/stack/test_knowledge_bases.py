"""Unmodified boto3 `bedrock-agent-runtime`: retrieval and answers in sessions, to the token.

Two tenants: the second has documents of its own, asks for nothing, and nobody finds them.
"""

from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from typing import Any

import orjson
import pytest
from botocore.exceptions import ClientError, EventStreamError
from tests.support.stack import Stack, Tenant, wait_until
from tests.support.stack_agent import (
    NOVA_ARN,
    RERANK_ARN,
    TEXTS,
    agent,
    asked,
    both_ways,
    charge_of,
    refused,
    reranked,
    retrieve,
    titles,
    with_documents,
)

from tenantry.domain.knowledge_base import knowledge_base_of


@pytest.fixture(scope="module")
def world(running: Stack) -> Iterator[tuple[Tenant, Tenant]]:
    """Two tenants with documents, made once."""
    anna, bert = with_documents(running)
    yield anna, bert
    running.wait_settled(anna, bert)
    assert running.violations() == []


@pytest.fixture
def anna(stack: Stack, world: tuple[Tenant, Tenant]) -> Iterator[Tenant]:
    before = stack.ledger(world[1])
    yield world[0]
    assert stack.ledger(world[1]) == before, "the other tenant paid"


@both_ways
def test_retrieve(stack: Stack, anna: Tenant, how: Any) -> None:
    answer = retrieve(agent(stack, anna, how), anna)
    assert titles(answer) == {"Returns", "Trains"}  # untagged alone: no groups were named
    [trains] = [
        one for one in answer["retrievalResults"] if one["content"]["text"] == TEXTS["Trains"][0]
    ]
    assert trains["content"]["type"] == "TEXT"
    metadata = trains["metadata"]
    assert (metadata["year"], metadata["tags"]) == (2024, ["a", "b"])
    assert (metadata["x-tenantry-start"], metadata["x-tenantry-end"]) == (
        0,
        len(TEXTS["Trains"][0]),
    )
    document = metadata["x-tenantry-document-id"]
    assert trains["location"] == {"type": "CUSTOM", "customDocumentLocation": {"id": document}}
    assert isinstance(trains["score"], float)
    assert Decimal(charge_of(answer).removesuffix(" USD")) > 0
    assert not any("Bert" in one["content"]["text"] for one in answer["retrievalResults"])


def test_groups_filters_and_the_number_of_results(stack: Stack, anna: Tenant) -> None:
    client = agent(stack, anna)
    client.meta.events.register(
        "before-sign.bedrock-agent-runtime.*",
        lambda request, **_: request.headers.add_header("x-tenantry-groups", "hr"),
    )
    assert titles(retrieve(client, anna)) == set(TEXTS)
    assert len(retrieve(client, anna, numberOfResults=1)["retrievalResults"]) == 1
    recent = {"greaterThanOrEquals": {"key": "year", "value": 2025}}
    english = {"equals": {"key": "lang", "value": "en"}}
    assert titles(retrieve(client, anna, filter=recent)) == {"Returns", "Pay"}
    both = {"andAll": [english, {"notIn": {"key": "year", "value": [2025]}}]}
    assert titles(retrieve(client, anna, filter=both)) == {"Returns"}
    either = {
        "orAll": [
            {"listContains": {"key": "tags", "value": "b"}},
            {"startsWith": {"key": "lang", "value": "xx"}},
        ]
    }
    assert titles(retrieve(client, anna, filter=either, overrideSearchType="SEMANTIC")) == {
        "Trains"
    }


def test_only_its_own_knowledge_base_exists(stack: Stack, world: Any, anna: Tenant) -> None:
    _, bert = world
    client = agent(stack, anna)
    arn = f"arn:aws:bedrock:us-east-1:111111111111:knowledge-base/{knowledge_base_of(anna.id)}"
    own = client.retrieve(knowledgeBaseId=arn, retrievalQuery={"text": "trains"})
    assert own["retrievalResults"]
    answers = []
    for name in (knowledge_base_of(bert.id), "abcdefghij"):
        for call in (
            lambda: client.retrieve(knowledgeBaseId=name, retrievalQuery={"text": "trains"}),  # noqa: B023
            lambda: client.retrieve_and_generate(**asked(anna, knowledgeBaseId=name)),  # noqa: B023
        ):
            with pytest.raises(ClientError) as error:
                call()
            answers.append(error.value.response["Error"])
    assert {(e["Code"], e["Message"]) for e in answers} == {
        ("ResourceNotFoundException", "There is no such knowledge base.")
    }
    _, _, limits = stack.http("GET", "/v1/limits", tenant=anna)
    told = orjson.loads(limits)["knowledge_base_id"]
    assert told == knowledge_base_of(anna.id) != knowledge_base_of(bert.id)


def test_retrieved_passages_are_reranked_within_the_request(stack: Stack, anna: Tenant) -> None:
    reranking = {
        "type": "BEDROCK_RERANKING_MODEL",
        "bedrockRerankingConfiguration": {
            "modelConfiguration": {"modelArn": RERANK_ARN},
            "numberOfRerankedResults": 1,
            "metadataConfiguration": {"selectionMode": "ALL"},
        },
    }
    answer = retrieve(agent(stack, anna), anna, rerankingConfiguration=reranking)
    [only] = answer["retrievalResults"]
    assert only["metadata"]["x-tenantry-title"] == "Trains"
    request = answer["ResponseMetadata"]["HTTPHeaders"]["x-tenantry-request-id"]
    calls = {key: counts for key, counts in stack.ledger(anna).items() if key.startswith(request)}
    assert [calls[f"{request}/{n}:1"]["searchUnits"] for n in (0, 1)] == [0, 1]
    rows = stack.rows(
        "SELECT count(*) FROM tenantry.attempt WHERE request_id = $1::text::uuid", request
    )
    assert rows[0][0] == 2


@both_ways
def test_answers_in_a_session(stack: Stack, anna: Tenant, how: Any) -> None:
    client = agent(stack, anna, how)
    first = client.retrieve_and_generate(**asked(anna))
    assert first["output"]["text"]
    assert first["citations"] == []  # the emulator's fixed answer cites nothing
    second = client.retrieve_and_generate(**asked(anna), sessionId=first["sessionId"])
    assert second["sessionId"] == first["sessionId"]

    def tokens(answer: Any) -> int:
        request = answer["ResponseMetadata"]["HTTPHeaders"]["x-tenantry-request-id"]
        return int(stack.ledger(anna)[f"{request}/1:1"]["input"])

    assert tokens(second) > tokens(first), "what was said is in the prompt"
    other = client.retrieve_and_generate(**asked(anna))
    assert other["sessionId"] != first["sessionId"]
    assert tokens(other) == tokens(first)


@both_ways
def test_streamed_answers_in_a_session(stack: Stack, anna: Tenant, how: Any) -> None:
    client = agent(stack, anna, how)
    plain = client.retrieve_and_generate(**asked(anna))
    answer = client.retrieve_and_generate_stream(**asked(anna), sessionId=plain["sessionId"])
    assert answer["sessionId"] == plain["sessionId"]
    with closing(answer["stream"]) as stream:
        events = list(stream)
    assert {next(iter(event)) for event in events} == {"output"}
    assert "".join(event["output"]["text"] for event in events) == plain["output"]["text"]
    # The turn has ended with its last frame: the next one finds no other under way.
    client.retrieve_and_generate(**asked(anna), sessionId=plain["sessionId"])
    rows = stack.rows(
        "SELECT turns FROM tenantry.session WHERE session_id = $1", plain["sessionId"]
    )
    assert rows[0][0] == 3


def test_a_session_is_its_owners_alone(stack: Stack, world: Any, anna: Tenant) -> None:
    _, bert = world
    session = agent(stack, anna).retrieve_and_generate(**asked(anna))["sessionId"]
    calls = {
        "another tenant": lambda: agent(stack, bert).retrieve_and_generate(
            **asked(bert), sessionId=session
        ),
        "another end user": lambda: agent(stack, anna).retrieve_and_generate(
            **asked(anna), sessionId=session, userContext={"userId": "eve"}
        ),
        "nobody's": lambda: agent(stack, anna).retrieve_and_generate(
            **asked(anna), sessionId="ses_unknown"
        ),
    }
    for who, call in calls.items():
        assert refused(call) == (404, "ResourceNotFoundException"), who
    headers = {"x-tenantry-groups": "hr"}
    body = {**asked(anna), "sessionId": session}
    status, _, _ = stack.http("POST", "/retrieveAndGenerate", body, tenant=anna, headers=headers)
    assert status == 404, "other groups"


def test_one_turn_at_a_time(stack: Stack, anna: Tenant) -> None:
    client = agent(stack, anna)
    session = client.retrieve_and_generate(**asked(anna))["sessionId"]
    stack.emulator.rules(
        {
            "match": {"request_metadata": {"tid": anna.id}, "operation": "ConverseStream"},
            "action": {"kind": "slow_tokens", "delay_ms": 100},
        }
    )
    answer = client.retrieve_and_generate_stream(**asked(anna), sessionId=session)
    with closing(answer["stream"]) as stream:
        call = lambda: client.retrieve_and_generate(**asked(anna), sessionId=session)  # noqa: E731
        assert refused(call) == (409, "ConflictException")
        list(stream)
    stack.emulator.clear_rules()
    client.retrieve_and_generate(**asked(anna), sessionId=session)


@pytest.mark.parametrize(
    "action", [{"kind": "cut"}, {"kind": "error_frame", "code": "somethingNew"}]
)
def test_a_stream_that_breaks_says_so_and_keeps_nothing(
    stack: Stack, anna: Tenant, action: dict[str, Any]
) -> None:
    client = agent(stack, anna)
    session = client.retrieve_and_generate(**asked(anna))["sessionId"]
    stack.emulator.rules(
        {
            "match": {"request_metadata": {"tid": anna.id}, "operation": "ConverseStream"},
            "action": {**action, "after_events": 3},
        }
    )
    answer = client.retrieve_and_generate_stream(**asked(anna), sessionId=session)
    with pytest.raises(EventStreamError) as error, closing(answer["stream"]) as stream:
        list(stream)
    assert error.value.response["Error"]["Code"] == "dependencyFailedException"
    stack.emulator.clear_rules()
    rows = stack.rows("SELECT turns, holder FROM tenantry.session WHERE session_id = $1", session)
    assert tuple(rows[0]) == (1, None)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"retrievalConfiguration": {"managedSearchConfiguration": {}}}, "managedSearch"),
        ({"orchestrationConfiguration": {}}, "orchestration"),
        (
            {"generationConfiguration": {"promptTemplate": {"textPromptTemplate": "x"}}},
            "$search_results$",
        ),
        (
            {"generationConfiguration": {"performanceConfig": {"latency": "optimized"}}},
            "latency",
        ),
        ({"modelArn": RERANK_ARN}, "converse"),
        (
            {
                "retrievalConfiguration": {
                    "vectorSearchConfiguration": {
                        "rerankingConfiguration": {
                            "type": "BEDROCK_RERANKING_MODEL",
                            "bedrockRerankingConfiguration": {
                                "modelConfiguration": {"modelArn": NOVA_ARN}
                            },
                        }
                    }
                }
            },
            "rerank",
        ),
    ],
)
def test_what_is_not_done_here_is_refused(
    stack: Stack, anna: Tenant, change: dict[str, Any], word: str
) -> None:
    with pytest.raises(ClientError) as error:
        agent(stack, anna).retrieve_and_generate(**asked(anna, **change))
    told = error.value.response["Error"]
    assert told["Code"] == "ValidationException"
    assert word in told["Message"]


def test_a_session_of_ones_own_kms_key_is_refused(stack: Stack, anna: Tenant) -> None:
    arn = f"arn:aws:kms:us-east-1:111111111111:key/{'a' * 36}"
    call = lambda: agent(stack, anna).retrieve_and_generate(  # noqa: E731
        **asked(anna), sessionConfiguration={"kmsKeyArn": arn}
    )
    assert refused(call) == (400, "ValidationException")


def test_a_template_and_members_of_the_model_are_passed_on(stack: Stack, anna: Tenant) -> None:
    generation = {
        "promptTemplate": {"textPromptTemplate": "Say it in verse: $search_results$ $query$"},
        "inferenceConfig": {"textInferenceConfig": {"maxTokens": 3, "temperature": 0}},
        "additionalModelRequestFields": {"inferenceConfig": {"topK": 5}},
        "performanceConfig": {"latency": "standard"},
    }
    answer = agent(stack, anna).retrieve_and_generate(
        **asked(anna, generationConfiguration=generation)
    )
    request = answer["ResponseMetadata"]["HTTPHeaders"]["x-tenantry-request-id"]
    assert stack.ledger(anna)[f"{request}/1:1"]["output"] == 3


def test_a_client_that_leaves_has_its_turn_all_the_same(stack: Stack, anna: Tenant) -> None:
    client = agent(stack, anna)
    session = client.retrieve_and_generate(**asked(anna))["sessionId"]
    stack.emulator.rules(
        {
            "match": {"request_metadata": {"tid": anna.id}, "operation": "ConverseStream"},
            "action": {"kind": "slow_tokens", "delay_ms": 50},
        }
    )
    answer = client.retrieve_and_generate_stream(**asked(anna), sessionId=session)
    with closing(answer["stream"]) as stream:
        next(iter(stream))
    answer["stream"]._raw_stream.close()

    def kept() -> bool:
        rows = stack.rows("SELECT turns FROM tenantry.session WHERE session_id = $1", session)
        return bool(rows[0][0] == 2)

    wait_until(kept, "the turn was kept")
    stack.emulator.clear_rules()
    assert client.retrieve_and_generate(**asked(anna), sessionId=session)["output"]["text"]


def test_quota_and_budget_hold_here_too(stack: Stack) -> None:
    tenant = stack.tenant({"requests_per_day": 2})
    client = agent(stack, tenant)
    retrieve(client, tenant)
    client.rerank(**reranked(["a"]))
    calls = [
        lambda: retrieve(client, tenant),
        lambda: client.retrieve_and_generate(**asked(tenant)),
        lambda: client.retrieve_and_generate_stream(**asked(tenant)),
        lambda: client.rerank(**reranked(["a"])),
    ]
    for call in calls:
        assert refused(call) == (400, "ServiceQuotaExceededException")
    poor = stack.tenant({"monthly_budget": "0.002"})
    assert refused(lambda: agent(stack, poor).rerank(**reranked(["a"]))) == (402, "BudgetExceeded")
    agent(stack, poor).retrieve(
        knowledgeBaseId=knowledge_base_of(poor.id), retrievalQuery={"text": "a"}
    )
    for one in (tenant, poor):
        rows = stack.rows(
            "SELECT count(*) FROM tenantry.session WHERE tenant_id = $1 AND expires_at > now()",
            one.id,
        )
        assert rows[0][0] == 0, "a refused turn begins no session"
