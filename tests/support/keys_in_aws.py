"""Two tenants whose keys are wrapped in AWS KMS, over its real wire."""

from __future__ import annotations

import dataclasses

from tests.support.aws_server import KEYS, AwsServer
from tests.support.shredding import Ground

from tenantry.adapters.keys.aws_kms import AwsKms
from tenantry.adapters.keys.either_kms import EitherKms
from tenantry.adapters.keys.keyring import Keyring
from tenantry.adapters.keys.local_kms import LocalKms
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.application.shredding import Shredder
from tenantry.domain.document import Home
from tenantry.domain.kms_arn import kms_arn
from tenantry.domain.tenant import Principal
from tenantry.ports.keys import Purpose

POOL = "111111111111"


class InAws:
    """A deployment whose KMS is AWS's, with both tenants' keys moved into it."""

    def __init__(self, at: Ground, aws: AwsServer) -> None:
        self.at, self.aws, self.shared = at, aws, aws.kms_key()
        accounts = at.root / "accounts"
        remote = AwsKms(kms_arn(self.shared), {POOL: KEYS}, endpoint_url=aws.url)
        self.kms = EitherKms(LocalKms(accounts, DurableFiles()), remote, uses_aws=True)

    def keys(self) -> Keyring:
        return self.at.keys(kms=self.kms)

    def shredder(self) -> Shredder:
        return self.at.shredder(kms=self.kms)

    def alias(self, who: Principal, arn: str) -> None:
        """As a customer makes it before the tenant's first document."""
        name = f"alias/tenantry/own-{who.tenant_id}"
        self.aws.client("kms").create_alias(AliasName=name, TargetKeyId=arn)

    def own(self, who: Principal) -> Home:
        return dataclasses.replace(self.at.home(who), own_kms_key=True)

    async def moved(self, who: Principal, *, own: bool = True) -> str:
        """The ARN of the key that wraps the tenant's key from now on."""
        home = self.own(who) if own else self.at.home(who)
        await self.keys().rewrap(home)
        [wrapped] = await self.keys().versions(home)
        assert wrapped.arn is not None
        return wrapped.arn

    async def opens(self, who: Principal) -> bool:
        return len(await self.keys().subkey(self.at.home(who), 1, Purpose.BLOB, b"")) == 32
