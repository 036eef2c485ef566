"""The KMS of the settings for what is new, and for what rests the one that wrapped it.

So a deployment moves from the local keyring to AWS KMS and back while it serves: old wrapped keys
open where they were wrapped until they are wrapped anew.
"""

from __future__ import annotations

from collections.abc import Collection

from tenantry.adapters.keys.aws_kms import AwsKms
from tenantry.adapters.keys.local_kms import LocalKms
from tenantry.adapters.keys.retirements import together
from tenantry.ports.keys import KeyName, KmsKeys, Retirement, WrappedKey


class EitherKms:
    """`ports.keys.KmsKeys`."""

    def __init__(self, local: LocalKms, aws: AwsKms, *, uses_aws: bool) -> None:
        self._local = local
        self._aws = aws
        self._both: tuple[KmsKeys, KmsKeys] = (local, aws)
        self._current: KmsKeys = aws if uses_aws else local

    async def create(self, account: str, key_id: str) -> None:
        await self._current.create(account, key_id)

    async def wrap(self, account: str, name: KeyName, key: bytes) -> WrappedKey:
        return await self._current.wrap(account, name, key)

    async def unwrap(self, account: str, wrapped: WrappedKey) -> bytes:
        kms: KmsKeys = self._local if wrapped.arn is None else self._aws
        return await kms.unwrap(account, wrapped)

    async def retirable(
        self, account: str, key_id: str, arns: Collection[str] = (), *, sure: bool = True
    ) -> Collection[str]:
        return await self._aws.retirable(account, key_id, arns, sure=sure)

    async def named_by(self, arns: Collection[str]) -> Collection[str]:
        return await self._aws.named_by(arns)

    async def retire(
        self, account: str, key_id: str, arns: Collection[str] = (), *, sure: bool = True
    ) -> Retirement | None:
        """In both, whichever is current: the tenant may have had one in each."""
        found = [await kms.retire(account, key_id, arns, sure=sure) for kms in self._both]
        return together(found)

    async def try_out(self, wrapped: WrappedKey) -> None:
        """Of a key in AWS KMS: see there."""
        await self._aws.try_out(wrapped)

    def close(self) -> None:
        self._aws.close()
