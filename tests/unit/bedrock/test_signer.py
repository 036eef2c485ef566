"""The caching signer equals botocore's, byte for byte, for any account, day and header."""

import asyncio
from datetime import UTC, datetime
from unittest.mock import patch

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given
from hypothesis import strategies as st

from tenantry.adapters.bedrock import sigv4
from tenantry.adapters.bedrock.credentials import (
    Credentials,
    StaticCredentials,
    UnknownCredentials,
)
from tenantry.adapters.bedrock.sigv4 import Signer
from tenantry.domain.model_ids import Operation, upstream_path

HOST = "bedrock-runtime.eu-central-1.amazonaws.com"
POOL = Credentials("AKIAPOOL", "pool/secret+1")
SILO = Credentials("ASIASILO", "silo/secret+2", "a+session/token==")

printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40)
headers = st.dictionaries(
    st.sampled_from(
        [
            "content-type",
            "accept",
            "x-amzn-bedrock-accept",
            "x-amzn-bedrock-service-tier",
            "x-amzn-bedrock-request-metadata",
            "x-amzn-bedrock-guardrailidentifier",
        ]
    ),
    printable,
)
model_ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(
    lambda text: text not in (".", "..")
)
instants = st.datetimes().filter(lambda instant: instant.year >= 1970)
SHARED = Signer()  # over all examples, so that cached keys are used and must not be mixed up


@given(
    model_ids,
    st.sampled_from(Operation),
    headers,
    st.binary(max_size=200),
    instants,
    st.sampled_from([POOL, SILO]),
    st.sampled_from(["us-east-1", "eu-central-1"]),
)
def test_equal_to_botocore(model_id, operation, sent, body, instant, credentials, region):
    path = upstream_path(model_id, operation)
    request = AWSRequest(method="POST", url=f"https://{HOST}{path}", data=body, headers=dict(sent))
    theirs = BotoCredentials(
        credentials.access_key_id, credentials.secret_access_key, credentials.session_token
    )
    with patch("botocore.auth.get_current_datetime", return_value=instant):
        SigV4Auth(theirs, "bedrock", region).add_auth(request)
    ours = SHARED.sign(
        method="POST",
        host=HOST,
        raw_path=path,
        headers=sent,
        body=body,
        region=region,
        credentials=credentials,
        timestamp=f"{instant:%Y%m%dT%H%M%SZ}",
    )
    assert ours == {name.lower(): value for name, value in request.headers.items()}


def test_the_key_cache_is_bounded(monkeypatch):
    monkeypatch.setattr(sigv4, "CACHED_KEYS_MAX", 3)
    signer = Signer()
    for day in range(1, 20):
        signer.sign(
            method="POST",
            host=HOST,
            raw_path="/model/x/converse",
            headers={},
            body=b"",
            region="us-east-1",
            credentials=POOL,
            timestamp=f"{datetime(2026, 1, day, tzinfo=UTC):%Y%m%dT%H%M%SZ}",
        )
        assert len(signer._keys) <= 3


def test_credentials_are_not_printable():
    for text in (repr(SILO), str(SILO), f"{SILO}", f"{SILO!r}"):
        assert "ASIASILO" in text
        assert "secret" not in text.replace("secret_access_key", "")
        assert "token==" not in text
    provider = StaticCredentials({"silo": SILO})
    assert "secret" not in repr(provider)
    assert "secret" not in repr(Signer())


def test_each_reference_has_its_own_credentials():
    provider = StaticCredentials({"pool": POOL, "silo": SILO})
    assert asyncio.run(provider.credentials("pool")) is POOL
    assert asyncio.run(provider.credentials("silo")) is SILO
    with pytest.raises(UnknownCredentials):
        asyncio.run(provider.credentials("another"))
