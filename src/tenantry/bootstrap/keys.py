"""The keyring that the settings name."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Iterator
from typing import Any

from tenantry.adapters.keys.aws_kms import AwsKms
from tenantry.adapters.keys.either_kms import EitherKms
from tenantry.adapters.keys.key_bucket import KeyBucket
from tenantry.adapters.keys.key_folder import KeyFolder
from tenantry.adapters.keys.keyring import KEY_BYTES, Keyring
from tenantry.adapters.keys.local_faults import local_faults
from tenantry.adapters.keys.local_kms import LocalKms
from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.noted_keys import PostgresNotedKeys
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.bootstrap.checks.keys import shared_arn
from tenantry.bootstrap.deployment import accounts_of, credentials_of
from tenantry.config import Settings
from tenantry.domain.errors import TenantryError
from tenantry.domain.ids import TenantId
from tenantry.ports.clock import Clock
from tenantry.ports.key_files import KeyFiles
from tenantry.ports.keys import SHARED_KMS_KEY, KeyName

_DOCTOR = KeyName(TenantId("doctor"), 1, SHARED_KMS_KEY)


@contextlib.contextmanager
def keyring_of(config: Settings, databases: Databases, clock: Clock) -> Iterator[Keyring]:
    """Tenant keys of this deployment; zeroed when the block ends."""
    kms = kms_of(config)
    keyring = Keyring(
        key_files_of(config),
        kms,
        PostgresNotedKeys(TenantWork(databases.app)),
        clock.monotonic,
        cached_key_ttl_s=config.key_cache_ttl_s,
        cached_key_uses_max=config.key_cache_uses_max,
    )
    try:
        yield keyring
    finally:
        keyring.close()
        kms.close()


def kms_of(config: Settings) -> EitherKms:
    """To be closed by who asked for it."""
    keys = {
        account: {
            "aws_access_key_id": found.access_key_id,
            "aws_secret_access_key": found.secret_access_key,
            **({"aws_session_token": found.session_token} if found.session_token else {}),
        }
        for account, found in credentials_of(config).items()
    }
    aws = AwsKms(
        shared_arn(config),
        keys,
        endpoint_url=config.kms_endpoint_url,
        deletion_days=config.kms_deletion_days,
    )
    local = LocalKms(*accounts_of(config))
    return EitherKms(local, aws, uses_aws=shared_arn(config) is not None)


def key_files_of(config: Settings) -> KeyFiles:
    if config.key_store_url is not None:
        return KeyBucket(config.key_store_url)
    return KeyFolder(*accounts_of(config))


def key_facts(config: Settings) -> tuple[dict[str, Any], list[str]]:
    """For `doctor`: where keys are, and what keeps them from working."""
    arn = shared_arn(config)
    facts: dict[str, Any] = {
        "KMS": "local keyring: for laptop, demo and tests" if arn is None else str(arn),
        "key store": config.key_store_url or "the accounts' folders",
    }

    async def tried() -> list[str]:
        problems = []
        if arn is not None:
            kms = kms_of(config)
            try:
                key = secrets.token_bytes(KEY_BYTES)
                await kms.unwrap(arn.account, await kms.wrap(arn.account, _DOCTOR, key))
            except TenantryError as problem:
                problems.append(f"KMS: {problem.message}")
            finally:
                kms.close()
        folder, files = accounts_of(config)
        for line in await local_faults(folder, LocalKms(folder, files)):
            problems.append(f"KMS: {line}")
        try:
            await key_files_of(config).check()
        except TenantryError as problem:
            problems.append(f"key store: {problem.message}")
        return problems

    return facts, asyncio.run(tried())
