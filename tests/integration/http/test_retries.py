"""No SDK hammers: how many requests unmodified SDKs send for each kind of refusal."""

from typing import Any

import openai
import pytest
from botocore.exceptions import ClientError
from tests.support.http_edge import Edge
from tests.support.http_refusals import BRIEFLY, DEFAULT_ATTEMPTS, ONCE, name_of
from tests.support.http_services import key_of

from tenantry.domain import errors
from tenantry.domain.errors import TenantryError

MODEL = "amazon.nova-micro-v1:0"


def refused_by_boto3(edge: Edge, refusal: TenantryError) -> str:
    edge.services.inference.refusal = refusal
    client = edge.boto3()
    with pytest.raises(ClientError) as caught:
        client.converse(modelId=MODEL, messages=[{"role": "user", "content": [{"text": "hi"}]}])
    code: str = caught.value.response["Error"]["Code"]
    return code


def refused_by_openai(edge: Edge, refusal: TenantryError) -> openai.APIStatusError:
    edge.services.inference.refusal = refusal
    with (
        openai.OpenAI(api_key="tk_acme", base_url=f"{edge.url}/v1") as sdk,
        pytest.raises(openai.APIStatusError) as caught,
    ):
        sdk.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "hi"}])
    return caught.value


@pytest.mark.parametrize(("refusal", "code"), ONCE, ids=name_of)
def test_one_request_where_waiting_does_not_help(
    edge: Edge, refusal: TenantryError, code: str
) -> None:
    assert refused_by_boto3(edge, refusal) == code
    assert len(edge.requests) == 1
    edge.requests.clear()
    spent = isinstance(refusal, (errors.QuotaExceeded, errors.BudgetExceeded))
    told = "insufficient_quota" if spent else refusal.code
    by_openai = refused_by_openai(edge, refusal)
    assert by_openai.code == told
    assert by_openai.status_code != 408, "which other clients ask again, whatever else is said"
    assert len(edge.requests) == 1


@pytest.mark.parametrize(("refusal", "code"), BRIEFLY, ids=name_of)
def test_few_requests_where_it_does(edge: Edge, refusal: TenantryError, code: str) -> None:
    assert refused_by_boto3(edge, refusal) == code
    assert 1 < len(edge.requests) <= DEFAULT_ATTEMPTS


@pytest.mark.parametrize("refusal", [errors.RateLimited(retry_after_ms=10)], ids=name_of)
def test_openai_waits_as_told_and_gives_up(edge: Edge, refusal: TenantryError) -> None:
    assert refused_by_openai(edge, refusal).status_code == 429
    assert 1 < len(edge.requests) <= DEFAULT_ATTEMPTS


def test_an_unexpected_failure_says_nothing_of_its_content(
    edge: Edge, caplog: pytest.LogCaptureFixture
) -> None:
    edge.services.inference.refusal = ZeroDivisionError("the tenant's secret")
    with (
        openai.OpenAI(api_key="tk_acme", base_url=f"{edge.url}/v1") as sdk,
        pytest.raises(openai.InternalServerError) as caught,
    ):
        sdk.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "hi"}])
    assert "secret" not in str(caught.value)
    assert "ZeroDivisionError" in caplog.text
    assert "secret" not in caplog.text
    assert len(edge.requests) == 1


def signing() -> dict[str, str]:
    key = key_of("acme")
    return {"aws_access_key": key.access_key_id, "aws_secret_key": key.secret}


def bearing() -> dict[str, str]:
    return {"api_key": "tk_acme"}


@pytest.mark.parametrize("credentials", [signing, bearing])
@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (errors.IdempotencyInFlight(), 409),
        (errors.UpstreamTimeout(), 408),
        (errors.BudgetExceeded(), 402),
        (ZeroDivisionError(), 500),
    ],
    ids=name_of,
)
def test_anthropics_bedrock_client_asks_once_where_waiting_does_not_help(
    edge: Edge, refusal: TenantryError, status: int, credentials: Any
) -> None:
    import anthropic  # seconds, for these tests alone

    edge.services.inference.refusal = refusal
    with (
        anthropic.AnthropicBedrock(
            **credentials(), aws_region="us-east-1", base_url=edge.url
        ) as sdk,
        pytest.raises(anthropic.APIStatusError) as caught,
    ):
        sdk.messages.create(model=MODEL, max_tokens=8, messages=[{"role": "user", "content": "hi"}])
    assert (caught.value.status_code, len(edge.requests)) == (status, 1)


def test_anthropic_gets_its_shape_before_its_routes_exist(edge: Edge) -> None:
    import anthropic

    with (
        anthropic.Anthropic(api_key="tk_acme", base_url=edge.url) as sdk,
        pytest.raises(anthropic.NotFoundError) as caught,
    ):
        sdk.messages.create(model=MODEL, max_tokens=8, messages=[{"role": "user", "content": "hi"}])
    body: Any = caught.value.body
    assert body["error"]["type"] == "not_found_error"
    assert len(edge.requests) == 1
