"""Root keys on this machine and in AWS KMS behave alike; KMS over its real wire.

KMS is `tests/support/aws_server.py`, a stand-in that refuses as AWS does.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.aws_server import ACCOUNT, KEYS, AwsServer

from tenantry.adapters.keys.aws_kms import AwsKms
from tenantry.adapters.keys.local_kms import LocalKms
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.domain.errors import Conflict, Corrupt, Unavailable
from tenantry.domain.ids import TenantId
from tenantry.domain.kms_arn import kms_arn
from tenantry.ports.keys import SHARED_KMS_KEY, KeyName, KmsKeys

KEY = bytes(range(32))
A, B = TenantId("tnt_a"), TenantId("tnt_b")


@dataclass
class Place:
    kms: KmsKeys
    set_enabled: Callable[[KeyName, bool], Awaitable[None]]
    deletes_later: bool


@pytest.fixture(params=["local", "aws"])
def place(request: pytest.FixtureRequest, tmp_path: Path, aws: AwsServer) -> Iterator[Place]:
    if request.param == "local":
        local = LocalKms(tmp_path / "accounts", DurableFiles())

        async def switch(name: KeyName, enabled: bool) -> None:
            await local.set_enabled(ACCOUNT, name.kms_key, enabled)

        yield Place(local, switch, deletes_later=False)
        return
    shared = aws.kms_key()
    kms = AwsKms(kms_arn(shared), {ACCOUNT: KEYS}, endpoint_url=aws.url, deletion_days=7)

    async def switch_aws(name: KeyName, enabled: bool) -> None:
        client = aws.client("kms")
        alias = f"alias/tenantry/{name.kms_key}"
        key = shared if name.kms_key == SHARED_KMS_KEY else key_id(client, alias)
        (client.enable_key if enabled else client.disable_key)(KeyId=key)

    yield Place(kms, switch_aws, deletes_later=True)
    kms.close()


def key_id(client: Any, alias: str) -> str:
    found: str = client.describe_key(KeyId=alias)["KeyMetadata"]["Arn"]
    return found


def own(tenant: TenantId, version: int = 1) -> KeyName:
    return KeyName(tenant, version, f"own-{tenant}-{secrets.token_hex(4)}")


async def made(place: Place, *names: KeyName) -> None:
    for name in names:
        await place.kms.create(ACCOUNT, name.kms_key)
        await place.kms.create(ACCOUNT, name.kms_key)  # idempotent


def test_a_key_opens_for_its_own_name_alone(place: Place) -> None:
    async def run() -> None:
        shared, mine = KeyName(A, 1, SHARED_KMS_KEY), own(A)
        await made(place, shared, mine)
        for name in (shared, mine):
            wrapped = await place.kms.wrap(ACCOUNT, name, KEY)
            assert wrapped.name == name
            assert KEY not in wrapped.wrapped
            assert await place.kms.unwrap(ACCOUNT, wrapped) == KEY
            changed = bytearray(wrapped.wrapped)
            changed[-1] ^= 1
            for wrong in (
                replace(wrapped, name=replace(name, tenant_id=B)),
                replace(wrapped, name=replace(name, version=2)),
                replace(wrapped, wrapped=bytes(changed)),
                replace(wrapped, wrapped=b""),
                replace(wrapped, wrapped=b"x"),
            ):
                with pytest.raises((Corrupt, Unavailable)) as refused:
                    await place.kms.unwrap(ACCOUNT, wrong)
                assert KEY.hex() not in repr(refused.value)

    asyncio.run(run())


def test_what_one_root_key_wrapped_another_does_not_open(place: Place) -> None:
    async def run() -> None:
        one, two = own(A), own(B)
        await made(place, one, two)
        first = await place.kms.wrap(ACCOUNT, one, KEY)
        second = await place.kms.wrap(ACCOUNT, two, KEY)
        assert first.wrapped != second.wrapped
        with pytest.raises(Corrupt):
            await place.kms.unwrap(ACCOUNT, replace(second, wrapped=first.wrapped))

    asyncio.run(run())


def test_a_disabled_root_key_stops_its_own_and_no_other(place: Place) -> None:
    async def run() -> None:
        mine, shared = own(A), KeyName(B, 1, SHARED_KMS_KEY)
        await made(place, mine, shared)
        wrapped = await place.kms.wrap(ACCOUNT, mine, KEY)
        other = await place.kms.wrap(ACCOUNT, shared, KEY)
        await place.set_enabled(mine, False)
        with pytest.raises(Unavailable, match="disabled") as refused:
            await place.kms.unwrap(ACCOUNT, wrapped)
        assert not isinstance(refused.value, Corrupt)
        with pytest.raises(Unavailable, match="disabled"):
            await place.kms.wrap(ACCOUNT, mine, KEY)
        assert await place.kms.unwrap(ACCOUNT, other) == KEY
        await place.set_enabled(mine, True)
        assert await place.kms.unwrap(ACCOUNT, wrapped) == KEY

    asyncio.run(run())


def test_a_retired_root_key_is_of_no_more_use(place: Place) -> None:
    async def run() -> None:
        mine, shared = own(A), KeyName(B, 1, SHARED_KMS_KEY)
        await made(place, mine, shared)
        wrapped = await place.kms.wrap(ACCOUNT, mine, KEY)
        found = [await place.kms.retire(ACCOUNT, mine.kms_key) for _ in range(2)]
        assert found[0] == found[1]
        assert found[0].disabled
        if place.deletes_later:
            assert found[0].deletion_at is not None
            left = found[0].deletion_at - datetime.now(UTC)
            assert timedelta(days=6) < left <= timedelta(days=7)
        await place.kms.create(ACCOUNT, mine.kms_key)  # its name is not free
        for use in (place.kms.unwrap(ACCOUNT, wrapped), place.kms.wrap(ACCOUNT, mine, KEY)):
            with pytest.raises(Unavailable):
                await use
        with pytest.raises(Conflict, match="other tenants"):
            await place.kms.retire(ACCOUNT, SHARED_KMS_KEY)
        assert await place.kms.retire(ACCOUNT, "own-tnt_never") is None
        with pytest.raises(Unavailable, match="does not exist"):  # nor was it made by being asked
            await place.kms.wrap(ACCOUNT, KeyName(TenantId("tnt_never"), 1, "own-tnt_never"), KEY)

    asyncio.run(run())


def test_a_root_key_that_is_not_there_is_an_outage(place: Place) -> None:
    async def run() -> None:
        for name in ("own-tnt_missing", "own-../x", "own-" + "x" * 300, "own-a b"):
            with pytest.raises(Unavailable):
                await place.kms.wrap(ACCOUNT, KeyName(A, 1, name), KEY)

    asyncio.run(run())


def test_many_at_once_make_one_root_key(place: Place) -> None:
    async def run() -> None:
        name = own(A)
        await asyncio.gather(*(place.kms.create(ACCOUNT, name.kms_key) for _ in range(8)))
        wrapped = await place.kms.wrap(ACCOUNT, name, KEY)
        assert await place.kms.unwrap(ACCOUNT, wrapped) == KEY

    asyncio.run(run())
