"""Signatures made by botocore, verified by the emulator's own code."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from bedrock_emulator.accounts import Account, Credential, Directory
from bedrock_emulator.engine.types import EmulatedError
from bedrock_emulator.wire.auth import Authenticator
from bedrock_emulator.wire.exchange import Request

POOL, SILO = "111111111111", "222222222222"
ARN = "arn:aws:bedrock:us-east-1:111111111111:application-inference-profile/abc123"


def account(account_id: str, tmp_path, *credentials: Credential) -> Account:
    return Account(account_id, account_id, ("us-east-1",), tmp_path, credentials)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    past = datetime.now(UTC) - timedelta(seconds=1)
    return Directory(
        (
            account(
                POOL,
                folder,
                Credential("arn:pool", "AKIAPOOL", "secret/+pool", bearer_key="bearer-pool"),
                Credential("arn:session", "ASIAPOOL", "session-secret", "token/+=="),
                Credential("arn:old", "ASIAOLD", "old-secret", "old-token", expires_at=past),
            ),
            account(SILO, folder, Credential("arn:silo", "AKIASILO", "secret-silo")),
        )
    )


def signed(
    url: str = "https://emulator.test/model/m/converse",
    *,
    method: str = "POST",
    body: bytes = b"{}",
    key: str = "AKIAPOOL",
    secret: str = "secret/+pool",
    token: str | None = None,
    region: str = "us-east-1",
    service: str = "bedrock",
    headers: dict[str, str] | None = None,
    signer: type[SigV4Auth] = SigV4Auth,
) -> Request:
    """A request as botocore signs it, in the form that the connection hands over."""
    request = AWSRequest(method=method, url=url, data=body, headers=headers or {})
    signer(Credentials(key, secret, token), service, region).add_auth(request)
    prepared = request.prepare()
    parts = urlsplit(prepared.url)
    lower = {name.lower(): value for name, value in prepared.headers.items()}
    lower = {k: v.decode() if isinstance(v, bytes) else v for k, v in lower.items()}
    return Request(method, parts.path, parts.query, {"host": parts.netloc, **lower}, body, True)


class OverHttp2(SigV4Auth):
    """As clients that speak HTTP/2 sign: what the host is called there."""

    def headers_to_sign(self, request):
        found = super().headers_to_sign(request)
        found[":authority"] = found["host"]
        del found["host"]
        return found


def altered(request: Request, **changes) -> Request:
    members = {name: getattr(request, name) for name in Request.__slots__}
    return Request(**{**members, **changes})


def authenticate(directory: Directory, request: Request, skew: timedelta = timedelta()):
    return Authenticator(directory, lambda: datetime.now(UTC) + skew).authenticate(request)


def refusal(directory: Directory, request: Request, skew: timedelta = timedelta()) -> str:
    with pytest.raises(EmulatedError) as caught:
        authenticate(directory, request, skew)
    assert caught.value.status == 403
    return f"{caught.value.name}: {caught.value.message}"


@given(
    model=st.one_of(
        st.just(ARN),
        st.just("anthropic.claude-sonnet-4-5-20250929-v1:0"),
        st.text(min_size=1, max_size=40),
    ),
    body=st.binary(max_size=200),
    query=st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=8), max_size=4),
)
def test_any_model_id_body_and_query(directory, model, body, query):
    path = f"/model/{quote(model, safe='')}/converse"
    pairs = "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in query.items())
    url = f"https://emulator.test{path}" + (f"?{pairs}" if pairs else "")
    principal = authenticate(directory, signed(url, body=body))
    assert (principal.account.id, principal.region, principal.arn) == (
        POOL,
        "us-east-1",
        "arn:pool",
    )


def test_each_account_is_found_by_its_own_key(directory):
    principal = authenticate(directory, signed(key="AKIASILO", secret="secret-silo"))
    assert principal.account.id == SILO


def test_one_accounts_key_with_anothers_secret(directory):
    text = refusal(directory, signed(key="AKIASILO", secret="secret/+pool"))
    assert text.startswith("InvalidSignatureException: The request signature we calculated")


def test_the_encoded_slash_of_an_arn_is_signed(directory):
    request = signed(f"https://emulator.test/model/{quote(ARN, safe='')}/converse")
    decoded = altered(request, raw_path=request.raw_path.replace("%2F", "/"))
    assert refusal(directory, decoded).startswith("InvalidSignatureException")


def test_session_tokens(directory):
    members = {"key": "ASIAPOOL", "secret": "session-secret"}
    assert authenticate(directory, signed(token="token/+==", **members)).arn == "arn:session"
    for token in (None, "another"):
        text = refusal(directory, signed(token=token, **members))
        assert text.startswith("UnrecognizedClientException: The security token")
    permanent_with_token = refusal(directory, signed(token="token/+=="))
    assert permanent_with_token.startswith("UnrecognizedClientException")
    expired = signed(key="ASIAOLD", secret="old-secret", token="old-token")
    assert refusal(directory, expired).startswith("ExpiredTokenException")


@pytest.mark.parametrize("minutes", [-6, 6])
def test_clock_skew(directory, minutes):
    text = refusal(directory, signed(), timedelta(minutes=minutes))
    assert "Signature expired" in text if minutes > 0 else "not yet current" in text
    authenticate(directory, signed(), timedelta(minutes=minutes * 0.75))


def test_scope(directory):
    assert "valid region" in refusal(directory, signed(region="eu-west-3"))
    assert "correct service: 'bedrock'" in refusal(directory, signed(service="s3"))


def test_changed_requests(directory):
    request = signed(headers={"x-amzn-bedrock-request-metadata": '{"tid": "a"}'})
    authenticate(directory, request)
    changes = [
        {"body": b"{ }"},
        {"method": "PUT"},
        {"raw_path": "/model/n/converse"},
        {"raw_query": "a=b"},
        {"headers": {**request.headers, "host": "other.test"}},
        {"headers": {**request.headers, "x-amzn-bedrock-request-metadata": '{"tid": "b"}'}},
    ]
    for change in changes:
        text = refusal(directory, altered(request, **change))
        assert text.startswith("InvalidSignatureException"), change


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (None, "MissingAuthenticationTokenException"),
        ("Basic abc", "IncompleteSignatureException"),
        ("AWS4-HMAC-SHA256", "IncompleteSignatureException"),
        ("AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=x", "IncompleteSig"),
        (
            "AWS4-HMAC-SHA256 Credential=NOKEY/20260101/us-east-1/bedrock/aws4_request, "
            "SignedHeaders=host, Signature=x",
            "UnrecognizedClientException",
        ),
        ("Bearer wrong", "AccessDeniedException"),
        ("Bearer ", "AccessDeniedException"),
    ],
)
def test_headers_that_prove_nothing(directory, authorization, expected):
    headers = {"host": "h"} | ({} if authorization is None else {"authorization": authorization})
    request = Request("POST", "/model/m/converse", "", headers, b"{}", True)
    assert refusal(directory, request).startswith(expected)


def test_unsigned_host_is_refused(directory):
    request = signed()
    value = request.headers["authorization"].replace("SignedHeaders=host;", "SignedHeaders=")
    text = refusal(directory, altered(request, headers={**request.headers, "authorization": value}))
    assert "'Host' or ':authority' must be" in text


def test_bearer_keys(directory):
    headers = {"host": "127.0.0.1:1", "authorization": "Bearer bearer-pool"}
    request = Request("POST", "/model/m/converse", "", headers, b"{}", True)
    assert authenticate(directory, request).account.id == POOL
    elsewhere = {**headers, "host": "bedrock-runtime.eu-west-3.localhost:1"}
    assert refusal(directory, altered(request, headers=elsewhere)).startswith("AccessDenied")
    for host in ("bedrock.eusc-de-east-1.localhost", "bedrock-agent-runtime.eu-west-3.localhost:1"):
        elsewhere["host"] = host
        assert refusal(directory, altered(request, headers=elsewhere)).startswith("AccessDenied")


def test_secrets_are_not_printable(directory):
    shown = repr(directory.accounts[POOL])
    assert "secret/+pool" not in shown
    assert "bearer-pool" not in shown
    assert "token/+==" not in shown


def test_the_host_may_be_signed_by_its_name_in_http_2(directory):
    request = signed(signer=OverHttp2)
    there = altered(request, headers={":authority": "emulator.test", **request.headers})
    assert authenticate(directory, there).account.id == POOL
    elsewhere = altered(there, headers={**there.headers, ":authority": "another.test"})
    assert refusal(directory, elsewhere).startswith("InvalidSignatureException:")
