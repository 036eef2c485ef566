"""What a root key has wrapped, under a root key of the same bytes and another name."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tenantry.adapters.keys.local_kms import LocalKms
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.domain.errors import Corrupt
from tenantry.domain.ids import TenantId
from tenantry.ports.keys import SHARED_KMS_KEY, KeyName

ACCOUNT = "111111111111"
KEY = b"k" * 32


def test_a_tenant_key_opens_under_the_root_key_that_is_named(tmp_path: Path) -> None:
    """Somebody has copied a root key's file: what it wrapped does not move with it."""

    async def run() -> None:
        kms = LocalKms(tmp_path, DurableFiles())
        name = KeyName(TenantId("tnt_a"), 1, SHARED_KMS_KEY)
        await kms.create(ACCOUNT, name.kms_key)
        wrapped = await kms.wrap(ACCOUNT, name, KEY)
        assert await kms.unwrap(ACCOUNT, wrapped) == KEY
        folder = tmp_path / ACCOUNT / "kms"
        body = json.loads((folder / f"{SHARED_KMS_KEY}.json").read_text("utf-8"))
        copy = folder / "own-tnt_a.json"
        copy.touch(mode=0o600)
        copy.write_text(json.dumps({**body, "key_id": "own-tnt_a"}), encoding="utf-8")
        with pytest.raises(Corrupt):
            await kms.unwrap(ACCOUNT, replace(wrapped, name=replace(name, kms_key="own-tnt_a")))

    asyncio.run(run())
