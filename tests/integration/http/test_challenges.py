"""Each 401 says how to be let in (RFC 9110, 15.5.2): on both ports, in each API, over HTTP/2."""

from __future__ import annotations

from typing import get_args
from uuid import UUID

import openai
import pytest
from botocore.exceptions import ClientError
from tests.support.http2_client import Client, fields
from tests.support.http_edge import Edge
from tests.support.http_plain import post_json, send
from tests.support.http_services import OPERATOR_TOKEN

from tenantry.domain import errors
from tenantry.domain.errors import TenantryError, TenantSuspended
from tenantry.entrypoints.http.errors import SHAPES, Family, to_response

ASKED = 'Bearer realm="tenantry"'
WRONG = 'Bearer realm="tenantry", error="invalid_token"'
MODEL = "amazon.nova-micro-v1:0"
KEYS = [(None, ASKED), ("tk_nobody", WRONG), ("tk_revoked", WRONG), ("tk_expired", WRONG)]


@pytest.fixture
def ported(edge: Edge) -> Edge:
    edge.services.directory.add("revoked", errors.KeyRevoked())
    edge.services.directory.add("expired", errors.KeyExpired())
    return edge


@pytest.mark.parametrize(("key", "told"), KEYS)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/limits"), ("POST", "/v1/chat/completions")]
)
def test_on_the_tenants_port(ported: Edge, method: str, path: str, key: str, told: str) -> None:
    status, headers, _ = send(ported, method, path, key=key)
    assert (status, headers["www-authenticate"]) == (401, told)
    theirs, headers, _ = send(ported, "GET", "/v1/limits", key="tk_bolt")
    assert theirs == 200 and "www-authenticate" not in headers


@pytest.mark.parametrize(("key", "told"), [(None, ASKED), (OPERATOR_TOKEN[:-1], WRONG)])
def test_on_the_operators_port(edge: Edge, key: str | None, told: str) -> None:
    for method, path in (("GET", "/admin/v1/tenants"), ("GET", "/admin/v1/economics")):
        status, headers, _ = send(edge, method, path, key=key, admin=True)
        assert (status, headers["www-authenticate"]) == (401, told)


@pytest.mark.parametrize(("key", "told"), KEYS)
def test_over_http_2(ported: Edge, key: str | None, told: str) -> None:
    who = None if key is None else ("authorization", f"Bearer {key}")
    with Client(ported.port) as client:
        answer = client.answer(client.send(fields("/v1/limits", method="GET", who=who)))
    assert (answer.status, answer.headers["www-authenticate"]) == (401, told)


def test_before_a_large_body_is_read(edge: Edge) -> None:
    status, headers, _ = send(
        edge, "POST", "/v1/documents", b"x" * 2_000_000, key="tk_nobody",
        headers={"content-type": "text/plain"},
    )  # fmt: skip
    assert (status, headers["www-authenticate"]) == (401, WRONG)


@pytest.mark.parametrize("family", get_args(Family))
@pytest.mark.parametrize("kind", SHAPES, ids=lambda kind: kind.__name__)
def test_with_each_401_and_nothing_else(kind: type[TenantryError], family: Family) -> None:
    if kind is errors.UpstreamRefused:
        error: TenantryError = errors.UpstreamRefused("no", status=403, error_type="X")
    else:
        error = kind()
    response = to_response(error, family, UUID(int=0))
    assert ("WWW-Authenticate" in response.headers) == (response.status == 401)
    if response.status == 401:
        given = kind in (errors.KeyWrong, errors.KeyRevoked, errors.KeyExpired)
        assert response.headers["WWW-Authenticate"] == (WRONG if given else ASKED)


def test_the_sdks_have_their_own_words_for_it_still(ported: Edge) -> None:
    import anthropic  # seconds, for this test alone

    asked = [{"role": "user", "content": "hi"}]
    for key in ("tk_nobody", "tk_revoked", "tk_expired"):
        with (
            openai.OpenAI(api_key=key, base_url=f"{ported.url}/v1", timeout=20) as sdk,
            pytest.raises(openai.AuthenticationError) as caught,
        ):
            sdk.chat.completions.create(model=MODEL, messages=asked)  # type: ignore[arg-type]
        assert caught.value.response.headers["www-authenticate"] == WRONG
    with pytest.raises(ClientError) as refused:
        ported.boto3("nobody").converse(
            modelId=MODEL, messages=[{"role": "user", "content": [{"text": "hi"}]}]
        )
    assert refused.value.response["Error"]["Code"] == "UnrecognizedClientException"
    with (
        anthropic.AnthropicBedrock(
            aws_access_key="AKIANOBODY", aws_secret_key="x", aws_region="us-east-1",
            base_url=ported.url,
        ) as bedrock,
        pytest.raises(anthropic.PermissionDeniedError),
    ):  # fmt: skip
        bedrock.messages.create(model=MODEL, max_tokens=8, messages=asked)  # type: ignore[arg-type]
    with (
        anthropic.Anthropic(api_key="tk_nobody", base_url=f"{ported.url}/v1/limits?") as sdk_,
        pytest.raises(anthropic.AuthenticationError),
    ):
        sdk_.get("", cast_to=object)


@pytest.mark.parametrize("refusal", [errors.KeyRevoked(), errors.KeyExpired(), TenantSuspended()])
@pytest.mark.parametrize("headers", [{}, {"idempotency-key": "of-a-stranger"}])
@pytest.mark.parametrize("path", ["/v1/chat/completions", f"/model/{MODEL}/converse"])
def test_whom_admission_alone_knows_to_be_nobody_is_served_as_nobody(
    edge: Edge, path: str, headers: dict[str, str], refusal: TenantryError
) -> None:
    """The worker's cache still knows the key as it was: no tenant is named, as of any such key."""
    words = [{"role": "user", "content": "hi" if path.startswith("/v1") else [{"text": "hi"}]}]
    body = {"model": MODEL, "messages": words} if path.startswith("/v1") else {"messages": words}
    edge.services.inference.refusal = refusal
    status, told, _ = post_json(edge, path, body, headers=headers)
    assert status in (401, 403)
    assert "x-tenantry-tenant" not in told and "ratelimit-policy" not in told
    edge.services.inference.refusal = errors.ModelNotAllowed()
    status, told, _ = post_json(edge, path, body)
    assert (status, told["x-tenantry-tenant"]) == (403, "tnt_acme"), "it knows who asks"
