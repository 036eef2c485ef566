"""A sealed blob, opened by hand as `docs/reference/sealed-format.md` says it is bound."""

from __future__ import annotations

import asyncio

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tests.support.idempotency import MemoryKeys

from tenantry.adapters.sealed.sealer import TenantSealer
from tenantry.domain.document import Home
from tenantry.domain.envelope import BLOB_HEADER_BYTES, associated_data, unpack_blob
from tenantry.domain.ids import TenantId
from tenantry.ports.keys import Purpose

HOME = Home(TenantId("tnt_a"), "111111111111")


def test_a_blob_is_bound_to_tenant_kind_name_and_its_own_header() -> None:
    async def run() -> None:
        keys = MemoryKeys()
        sealed = await TenantSealer(keys).seal(HOME, "original", "obj_1", b"words")
        header = unpack_blob(sealed)
        key = await keys.subkey(HOME, header.key_version, Purpose.BLOB, header.salt)
        head, body = sealed[:BLOB_HEADER_BYTES], sealed[BLOB_HEADER_BYTES:]
        bound_to = associated_data("tenantry/blob/v1", "tnt_a", "original", "obj_1", head)
        assert AESGCM(key).decrypt(bytes(12), body, bound_to) == b"words"

    asyncio.run(run())
