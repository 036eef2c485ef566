"""Two tenants whose keys are wrapped in AWS KMS, over its real wire."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.support.aws_server import KEYS, AwsServer
from tests.support.postgres import Database
from tests.support.shredding import BY, Ground, on_ground

from tenantry.adapters.keys.aws_kms import AwsKms
from tenantry.adapters.keys.either_kms import EitherKms
from tenantry.adapters.keys.keyring import Keyring
from tenantry.adapters.keys.local_kms import LocalKms
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.application.shredding import Shredder, advance_shred, begin_shred
from tenantry.domain.document import Home
from tenantry.domain.kms_arn import kms_arn
from tenantry.domain.tenant import Principal
from tenantry.ports.keys import Purpose

POOL = "111111111111"


class InAws:
    """A deployment whose KMS is AWS's, with both tenants' keys moved into it."""

    def __init__(self, ground: Ground, aws: AwsServer) -> None:
        self.ground, self.aws, self.shared = ground, aws, aws.kms_key()
        self.anna, self.bert = ground.anna, ground.bert
        accounts = ground.root / "accounts"
        remote = AwsKms(kms_arn(self.shared), {POOL: KEYS}, endpoint_url=aws.url)
        self.kms = EitherKms(LocalKms(accounts, DurableFiles()), remote, uses_aws=True)

    def keys(self) -> Keyring:
        return self.ground.keys(kms=self.kms)

    def shredder(self) -> Shredder:
        return self.ground.shredder(kms=self.kms)

    def alias(self, who: Principal, arn: str) -> None:
        """As a customer makes it before the tenant's first document."""
        name = f"alias/tenantry/own-{who.tenant_id}"
        self.aws.client("kms").create_alias(AliasName=name, TargetKeyId=arn)

    def own(self, who: Principal) -> Home:
        return dataclasses.replace(self.ground.home(who), own_kms_key=True)

    async def moved(self, who: Principal, *, own: bool = True) -> str:
        """The ARN of the key that wraps the tenant's key from now on."""
        home = self.own(who) if own else self.ground.home(who)
        await self.keys().rewrap(home)
        [wrapped] = await self.keys().versions(home)
        assert wrapped.arn is not None
        return wrapped.arn

    async def both_by_one(self) -> str:
        """The ARN of Anna's own key, which wraps Bert's key as well: his alias names it."""
        arn = await self.moved(self.anna)
        self.alias(self.bert, arn)
        assert await self.moved(self.bert) == arn
        return arn

    async def certified(self, who: Principal) -> dict[str, Any]:
        """What the certificate of the tenant's shred says."""
        shredder = self.shredder()
        await begin_shred(shredder, who.tenant_id, who.tenant.name, BY)
        shred = (await advance_shred(shredder, who.tenant_id)).shred
        told: dict[str, Any] = json.loads(shred.certificate or "")
        return told

    async def opens(self, who: Principal) -> bool:
        return len(await self.keys().subkey(self.ground.home(who), 1, Purpose.BLOB, b"")) == 32


def in_aws(
    database: Database, root: Path, aws: AwsServer, body: Callable[[InAws], Awaitable[None]]
) -> None:
    """Runs the body on a ground whose KMS is AWS's."""

    async def run(ground: Ground) -> None:
        at = InAws(ground, aws)
        try:
            await body(at)
        finally:
            at.kms.close()

    on_ground(database, root, run)
