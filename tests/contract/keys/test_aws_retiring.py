"""Which keys in AWS KMS a shred may retire: those that were made for the tenant, by their tags."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.support.aws_server import ACCOUNT, KEYS, REGION, AwsServer

from tenantry.adapters.keys.aws_kms import AwsKms
from tenantry.domain.errors import Conflict, Unavailable
from tenantry.domain.kms_arn import kms_arn
from tenantry.ports.keys import Retirement


def kms_at(url: str, arn: str) -> AwsKms:
    return AwsKms(kms_arn(arn), {ACCOUNT: KEYS}, endpoint_url=url)


@pytest.mark.parametrize("whose", ["a customer's", "another tenant's", "the shared one"])
@pytest.mark.parametrize("by", ["alias", "ARN"])
def test_a_key_that_was_not_made_for_the_tenant_is_left(
    aws: AwsServer, whose: str, by: str
) -> None:
    key_id = f"own-tnt_{secrets.token_hex(4)}"
    shared = aws.kms_key()
    other = aws.kms_key(made_for="own-tnt_other" if whose == "another tenant's" else None)
    arn = shared if whose == "the shared one" else other
    kms, client = kms_at(aws.url, shared), aws.client("kms")
    if by == "alias":
        client.create_alias(AliasName=f"alias/tenantry/{key_id}", TargetKeyId=arn)
    arns = [] if by == "alias" else [arn]

    async def run() -> None:
        assert list(await kms.retirable(ACCOUNT, key_id, arns)) == []
        for _ in range(2):
            found = await kms.retire(ACCOUNT, key_id, arns)
            assert found == Retirement(False, None, (arn,))

    asyncio.run(run())
    assert aws.state_of(arn) == "Enabled"
    kms.close()


@pytest.mark.parametrize("by_alias", [False, True])
def test_the_shared_key_is_not_retired_whatever_its_tags_say(
    aws: AwsServer, by_alias: bool
) -> None:
    key_id = f"own-tnt_{secrets.token_hex(4)}"
    arn, client = aws.kms_key(made_for=key_id), aws.client("kms")
    client.create_alias(AliasName=f"alias/tenantry/{key_id}", TargetKeyId=arn)
    name = f"alias/{secrets.token_hex(4)}"
    client.create_alias(AliasName=name, TargetKeyId=arn)
    kms = kms_at(aws.url, f"arn:aws:kms:{REGION}:{ACCOUNT}:{name}" if by_alias else arn)
    for asked in (kms.retirable(ACCOUNT, key_id), kms.retire(ACCOUNT, key_id, [arn])):
        with pytest.raises(Conflict, match="other tenants"):
            asyncio.run(asked)
    assert aws.state_of(arn) == "Enabled"
    kms.close()


def test_one_that_was_made_for_it_is_retirable_until_it_is_retired(aws: AwsServer) -> None:
    key_id = f"own-tnt_{secrets.token_hex(4)}"
    kms = kms_at(aws.url, aws.kms_key())

    async def run() -> None:
        await kms.create(ACCOUNT, key_id)
        [arn] = await kms.retirable(ACCOUNT, key_id)
        assert list(await kms.retirable(ACCOUNT, key_id, [arn])) == [arn]
        found = await kms.retire(ACCOUNT, key_id, [arn])
        assert found is not None and (found.disabled, found.left) == (True, ())
        assert list(await kms.retirable(ACCOUNT, key_id, [arn])) == []
        assert aws.state_of(arn) == "PendingDeletion"

    asyncio.run(run())
    kms.close()


class _NoTags:
    """A client that may do all but read tags."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def list_resource_tags(self, **_: Any) -> None:
        code = {"Error": {"Code": "AccessDeniedException"}}
        raise ClientError(code, "ListResourceTags")  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def test_a_key_whose_tags_cannot_be_read_is_not_retired(
    aws: AwsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_id = f"own-tnt_{secrets.token_hex(4)}"
    kms = kms_at(aws.url, aws.kms_key())
    asyncio.run(kms.create(ACCOUNT, key_id))
    [arn] = asyncio.run(kms.retirable(ACCOUNT, key_id))
    real = AwsKms._client
    monkeypatch.setattr(AwsKms, "_client", lambda self, arn: _NoTags(real(self, arn)))
    for asked in (kms.retirable(ACCOUNT, key_id), kms.retire(ACCOUNT, key_id, sure=False)):
        with pytest.raises(Unavailable, match="kms:ListResourceTags"):
            asyncio.run(asked)
    assert aws.state_of(arn) == "Enabled"
    kms.close()
