"""Who asks: bearer keys and signatures, each forged in every way that a signature can be."""

import asyncio
import dataclasses
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.support.http_services import MemoryDirectory, key_of

from tenantry.application.authenticate import Authenticator, BearerKey, Signed, require
from tenantry.domain.errors import (
    BadSignature,
    KeyExpired,
    KeyMissing,
    KeyRevoked,
    KeyWrong,
    ScopeMissing,
    TenantryError,
    TenantSuspended,
)
from tenantry.domain.sigv4 import SignedRequest
from tenantry.domain.tenant import Principal, Scope

BODY = b'{"messages":[]}'
PATH = "/model/arn%3Aaws%3Ax%2Fy/converse"


def signed(
    name: str = "acme",
    *,
    token: str | None = None,
    service: str = "bedrock",
    secret_of: str | None = None,
) -> Signed:
    """As botocore signs it, now."""
    key, secret = key_of(name), key_of(secret_of or name).secret
    request = AWSRequest("POST", f"http://localhost:8080{PATH}", data=BODY)
    request.headers["host"] = "localhost:8080"
    SigV4Auth(Credentials(key.access_key_id, secret, token), service, "us-east-1").add_auth(request)
    items = [(name.lower(), value) for name, value in request.headers.items()]
    authorization = dict(items)["authorization"]
    digest = hashlib.sha256(BODY).hexdigest()
    return Signed(authorization, SignedRequest("POST", PATH, "", items, digest))


def who(credentials: Any, *, late: timedelta = timedelta(), fresh: bool = False) -> Principal:
    directory: Any = MemoryDirectory()
    authenticator = Authenticator(directory)
    now = datetime.now(UTC) + late
    return asyncio.run(authenticator.authenticate(credentials, now=now, fresh=fresh))


def changed(base: Signed, **members: Any) -> Signed:
    return Signed(base.authorization, dataclasses.replace(base.request, **members))


@pytest.mark.parametrize("name", ["acme", "bolt"])
def test_a_key_and_a_signature_name_the_same_tenant(name: str) -> None:
    assert who(BearerKey(f"tk_{name}")).tenant_id == f"tnt_{name}"
    assert who(signed(name)).tenant_id == f"tnt_{name}"
    assert who(signed(name), late=timedelta(minutes=4)).tenant_id == f"tnt_{name}"


@pytest.mark.parametrize(
    ("credentials", "error"),
    [
        (None, KeyMissing),
        (BearerKey(""), KeyMissing),
        (BearerKey("tk_nobody"), KeyWrong),
        (BearerKey("x" * 5_000), KeyWrong),
        (BearerKey("tk_gone"), TenantSuspended),
    ],
)
def test_keys_that_open_nothing(credentials: Any, error: type[TenantryError]) -> None:
    with pytest.raises(error):
        who(credentials)


@pytest.mark.parametrize("trouble", [KeyRevoked, KeyExpired, TenantSuspended])
def test_what_is_wrong_with_a_key_is_told_to_who_signs_with_its_secret(
    trouble: type[TenantryError],
) -> None:
    """Access key ids are no secrets: with another's, nobody learns how that tenant stands."""
    directory: Any = MemoryDirectory()
    directory.add("left", trouble())
    authenticator = Authenticator(directory)

    def ask(credentials: Signed, late: timedelta = timedelta()) -> None:
        now = datetime.now(UTC) + late
        asyncio.run(authenticator.authenticate(credentials, now=now, fresh=False))

    with pytest.raises(trouble):
        ask(signed("left"))
    probe = signed("left", secret_of="acme")
    with pytest.raises(BadSignature, match="does not match"):
        ask(probe)
    with pytest.raises(BadSignature, match="does not match"):
        ask(signed("bolt", secret_of="acme"))  # an active tenant's looks the same
    with pytest.raises(BadSignature, match="5 minutes"):
        ask(signed("left"), timedelta(minutes=6))


@pytest.mark.parametrize("late", [timedelta(minutes=6), timedelta(minutes=-6)])
def test_an_old_signature(late: timedelta) -> None:
    with pytest.raises(BadSignature, match="5 minutes"):
        who(signed(), late=late)


@pytest.mark.parametrize(
    "members",
    [
        {"payload_sha256": hashlib.sha256(b"other").hexdigest()},
        {"raw_path": "/model/arn:aws:x/y/converse"},
        {"raw_path": PATH.replace("%2F", "%2f")},
        {"raw_query": "a=b"},
        {"method": "GET"},
    ],
)
def test_what_was_changed_on_the_way(members: dict[str, Any]) -> None:
    with pytest.raises(BadSignature, match="does not match"):
        who(changed(signed(), **members))


def test_another_host() -> None:
    base = signed()
    items = [(k, "evil" if k == "host" else v) for k, v in base.request.headers]
    with pytest.raises(BadSignature, match="does not match"):
        who(changed(base, headers=items))


def test_another_tenants_secret() -> None:
    base = signed("acme")
    stolen = base.authorization.replace("AKIAACME", "AKIABOLT")
    with pytest.raises(BadSignature, match="does not match"):
        who(Signed(stolen, base.request))


def test_a_secret_signs_for_its_own_key_however_often_it_was_used() -> None:
    """A signing key is derived once a day and kept: by the access key that it is of."""
    directory: Any = MemoryDirectory()
    authenticator = Authenticator(directory)

    async def both() -> None:
        own, stolen = signed("acme"), signed("bolt", secret_of="acme")
        now = datetime.now(UTC)
        asked = await authenticator.authenticate(own, now=now, fresh=False)
        assert asked.tenant_id == "tnt_acme"
        with pytest.raises(BadSignature, match="does not match"):
            await authenticator.authenticate(stolen, now=now, fresh=False)

    asyncio.run(both())


def test_session_tokens_and_other_services() -> None:
    with pytest.raises(BadSignature, match="Session tokens"):
        who(signed(token="token"))
    with pytest.raises(BadSignature, match="bedrock"):
        who(signed(service="s3"))


def test_an_unknown_access_key() -> None:
    base = signed()
    with pytest.raises(KeyWrong):
        who(Signed(base.authorization.replace("AKIAACME", "AKIANOBODY"), base.request))


def test_admin_includes_the_other_scopes() -> None:
    admin = key_of("acme", frozenset({Scope.ADMIN})).principal
    infer = key_of("acme", frozenset({Scope.INFER})).principal
    for scope in Scope:
        require(admin, scope)
    with pytest.raises(ScopeMissing, match="documents:write"):
        require(infer, Scope.DOCUMENTS_WRITE)
