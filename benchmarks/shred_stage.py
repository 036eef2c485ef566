"""A tenant full of canaries on a running product, copies of what is sealed, and opening them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from tests.support.local_keyring import LocalKeyring
from tests.support.stack import MODEL, Stack, Tenant
from tests.support.stack_clients import converse_path

from benchmarks.canaries import Canaries
from tenantry.adapters.clock import SystemClock
from tenantry.adapters.keys.local_kms import LocalKms
from tenantry.adapters.objects.disk import DiskObjects
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.postgres.manifest import PostgresManifest
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.adapters.sealed.partitions import SealedPartitions
from tenantry.adapters.sealed.sealer import TenantSealer
from tenantry.domain.document import DocumentRow, Home, home_of
from tenantry.domain.errors import TenantryError
from tenantry.domain.ids import TenantId
from tenantry.ports.keys import KeyStore, Purpose
from tenantry.ports.manifest import Partition
from tenantry.ports.objects import ObjectKind

OF_A_DOCUMENT = 10  # canaries: title, file name, metadata, access, question, and the text's
_PAGE = 500
BOUNDARY = "canaryboundary"
PLAN = {"answer_cache_ttl_s": 3_600}


def load(stack: Stack, tenant: Tenant, canaries: Canaries) -> None:
    """Uploads, questions under idempotency keys, and plain calls: every kind of content."""
    for first in range(0, len(canaries.all), OF_A_DOCUMENT):
        some = list(canaries.all[first : first + OF_A_DOCUMENT])
        title, name, meta, access, question, *texts = some + [some[0]] * (OF_A_DOCUMENT - len(some))
        fields = {
            "title": f"About {title}",
            "metadata": json.dumps({"note": meta}),
            "access": json.dumps([access[:60]]),
        }
        body = _form(fields, f"{name}.txt", " ".join(f"This is {each}." for each in texts))
        kind = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
        done = stack.http("POST", "/v1/documents", body, tenant=tenant, headers=kind)
        assert done[0] == 201, done
        who = {"x-tenantry-groups": access[:60], "idempotency-key": f"{canaries.marker}-{first}"}
        asked = {"question": f"What is {question} to {texts[0]}?", "model": MODEL}
        done = stack.http("POST", "/v1/answers", asked, tenant=tenant, headers=who)
        assert done[0] == 200, done
        said = {"messages": [{"role": "user", "content": [{"text": f"Say {question}"}]}]}
        done = stack.http("POST", converse_path(MODEL), said, tenant=tenant)
        assert done[0] == 200, done


def _form(fields: Mapping[str, str], file_name: str, text: str) -> bytes:
    parts = [
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    head = f'content-disposition: form-data; name="file"; filename="{file_name}"'
    parts += [f"--{BOUNDARY}\r\n{head}\r\ncontent-type: text/plain\r\n\r\n{text}\r\n"]
    return ("".join(parts) + f"--{BOUNDARY}--\r\n").encode()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that was sealed for a tenant at one moment, as a thief of every backup would have it."""

    home: Home
    accounts: Path  # a copy of the folder of objects, without any key
    rows: Sequence[DocumentRow]
    partition: Partition
    kept: Sequence[Mapping[str, Any]]  # of the table of idempotency keys


def snapshot(stack: Stack, tenant: Tenant, to: Path) -> Snapshot:
    """Copies the objects, reads the manifest and the kept answers."""
    home = home_of(stack.control(lambda control: control.get_tenant(tenant.id)))
    source = stack.home / "accounts" / home.account / "objects"
    shutil.copytree(source, to / home.account / "objects")

    async def read(databases: Any) -> Snapshot:
        manifest = PostgresManifest(TenantWork(databases.app))
        rows: list[DocumentRow] = []
        while page := await manifest.documents(
            home.tenant_id, rows[-1].id if rows else None, _PAGE
        ):
            rows += page
        partition = await manifest.partition(home.tenant_id)
        connection = await asyncpg.connect(stack.cluster().dsn("superuser"))
        kept = await connection.fetch(
            "SELECT kind, api_key_id, key_hmac, request_id, sealed FROM tenantry.idempotency"
            " WHERE tenant_id = $1 AND sealed IS NOT NULL",
            tenant.id,
        )
        await connection.close()
        return Snapshot(home, to, rows, partition, [dict(row) for row in kept])

    return stack.in_databases(read)


def keyring(accounts: Path) -> LocalKeyring:
    files = DurableFiles()
    return LocalKeyring(accounts, files, LocalKms(accounts, files), SystemClock().monotonic)


class Borrowed:
    """A key store that hands out one tenant's key for whoever is asked for."""

    def __init__(self, keys: KeyStore, home: Home) -> None:
        self._keys = keys
        self._home = home

    async def version(self, home: Home) -> int:
        return await self._keys.version(self._home)

    async def check(self, home: Home) -> None:
        await self._keys.check(self._home)

    async def subkey(self, home: Home, version: int, purpose: Purpose, context: bytes) -> bytes:
        return await self._keys.subkey(self._home, version, purpose, context)


class _Frozen:
    """The manifest as it was."""

    def __init__(self, partition: Partition) -> None:
        self._partition = partition

    async def partition(self, tenant_id: TenantId) -> Partition:
        return self._partition

    async def generation(self, tenant_id: TenantId) -> int:
        return self._partition.generation


def opened(taken: Snapshot, keys: Any, canaries: Canaries) -> set[str]:
    """The canaries in whatever of the snapshot opens with these keys."""
    return asyncio.run(_opened(taken, keys, canaries))


async def _opened(taken: Snapshot, keys: Any, canaries: Canaries) -> set[str]:
    home, sealer = taken.home, TenantSealer(keys)
    objects = DiskObjects(taken.accounts, DurableFiles())
    found: set[str] = set()
    for row in taken.rows:
        sealed = await objects.get(home, ObjectKind.ORIGINAL, row.original_id)
        found |= await _tried(sealer, taken, "originals", row.original_id, sealed, canaries)
    for kept in taken.kept:
        name = f"{kept['kind']}/{kept['api_key_id']}/{kept['key_hmac'].hex()}/{kept['request_id']}"
        found |= await _tried(sealer, taken, "idempotency", name, kept["sealed"], canaries)
    frozen: Any = _Frozen(taken.partition)
    partitions = SealedPartitions(frozen, objects, keys, SystemClock(), open_bytes_max=2**28)
    try:
        cards = await partitions.cards(home, frozenset(row.id for row in taken.rows))
        found |= canaries.within(repr(cards).encode())
    except TenantryError:
        pass  # it does not open, which is what is to be shown
    finally:
        partitions.close()
    return found


async def _tried(
    sealer: TenantSealer,
    taken: Snapshot,
    kind: str,
    object_id: str,
    sealed: bytes,
    canaries: Canaries,
) -> set[str]:
    try:
        plain = await sealer.open(taken.home, kind, object_id, sealed)
    except TenantryError:
        return set()
    return canaries.within(plain)


def base_backup(stack: Stack, to: Path) -> Path:
    """A base backup of the running server with its WAL, by the low-level API."""
    data = Path(_setting(stack, "data_directory"))
    backup = to / "base-backup"

    async def copy() -> None:
        connection = await asyncpg.connect(stack.cluster().dsn("superuser"))
        try:
            await connection.fetch("SELECT pg_backup_start('before the shred', fast => true)")
            await asyncio.to_thread(_copied, data, backup)
            await connection.fetch("SELECT pg_backup_stop(wait_for_archive => false)")
            await asyncio.to_thread(_copied, data / "pg_wal", backup / "pg_wal")
        finally:
            await connection.close()

    asyncio.run(copy())
    return backup


def database_folder(stack: Stack) -> Path:
    return Path(_setting(stack, "data_directory"))


def _setting(stack: Stack, name: str) -> str:
    async def ask() -> str:
        connection = await asyncpg.connect(stack.cluster().dsn("superuser"))
        try:
            value: str = await connection.fetchval("SELECT current_setting($1)", name)
        finally:
            await connection.close()
        return value

    return asyncio.run(ask())


def _copied(source: Path, to: Path) -> None:
    """Files may go and come while they are copied; the WAL makes that good."""
    for folder, _, names in os.walk(source):
        into = to / Path(folder).relative_to(source)
        into.mkdir(parents=True, exist_ok=True)
        for name in names:
            try:
                shutil.copyfile(Path(folder) / name, into / name)
            except OSError:
                continue
