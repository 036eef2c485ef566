"""A tenant's labels: stable within it, unrelated across, and saying nothing."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from tests.support.core import principal
from tests.support.local_keyring import LocalKeyring

from tenantry.adapters.keys.labels import HASH_CHARS, TenantLabels
from tenantry.adapters.keys.local_kms import LocalKms
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.sealed.sealer import TenantSealer

ACME, BOLT = principal("acme"), principal("bolt")


def labels(home: Path) -> TenantLabels:
    files = DurableFiles()
    keyring = LocalKeyring(home, files, LocalKms(home, files), time.monotonic)
    return TenantLabels(TenantSealer(keyring), keyring)


def test_labels_are_stable_within_a_tenant_and_unrelated_across(tmp_path: Path) -> None:
    async def walk() -> None:
        first, again = labels(tmp_path), labels(tmp_path)  # the second is another process
        ann = await first.user_hash(ACME, "ann")
        assert ann == await first.user_hash(ACME, "ann") == await again.user_hash(ACME, "ann")
        others = {
            await first.user_hash(ACME, "bob"),
            await first.user_hash(BOLT, "ann"),
            (await first.salt(ACME)).strip("[]"),
            (await first.salt(BOLT)).strip("[]"),
            await first.user_hash(ACME, ""),
        }
        assert len(others) == 5
        assert ann not in others
        assert len(ann) == HASH_CHARS
        assert await first.salt(ACME) == await again.salt(ACME)

    asyncio.run(walk())


def test_a_label_says_nothing_of_whom_it_names(tmp_path: Path) -> None:
    async def walk() -> None:
        made = labels(tmp_path)
        for label in (await made.user_hash(ACME, "ann"), await made.salt(ACME)):
            assert "ann" not in label
            assert "acme" not in label
            assert set(label) <= set("[]0123456789abcdef")

    asyncio.run(walk())


def test_a_tenant_without_a_key_gets_one_however_many_ask_at_once(tmp_path: Path) -> None:
    async def walk() -> set[str]:
        made = labels(tmp_path)
        return set(await asyncio.gather(*(made.user_hash(ACME, "ann") for _ in range(20))))

    assert len(asyncio.run(walk())) == 1
