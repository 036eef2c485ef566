"""The data folder and the database of a deployment, for an audit of isolation on its machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

from tenantry.adapters.batch_buckets.buckets import UriBuckets
from tenantry.adapters.objects.disk import DiskObjects
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.postgres.audit_access import AuditAccess, AuditRole
from tenantry.adapters.postgres.batches import to_job
from tenantry.adapters.postgres.connections import derived_dsns
from tenantry.adapters.postgres.embedded import EmbeddedCluster
from tenantry.adapters.postgres.errors import DatabaseError
from tenantry.adapters.postgres.one_primary import note_primary
from tenantry.adapters.postgres.walls import Kind, shipped
from tenantry.bootstrap.deployment import objects_of, secret_of
from tenantry.bootstrap.upstream import buckets_of
from tenantry.config import Settings, SettingsError
from tenantry.domain.batch import records_uri
from tenantry.domain.document import Home
from tenantry.domain.errors import Unavailable
from tenantry.domain.ids import TenantId
from tenantry.ports.objects import ObjectKind

T = TypeVar("T")
_JOBS = (
    "SELECT * FROM tenantry.batch_job WHERE tenant_id <> ALL($1::text[]) AND state = 'settled'"
    " AND job_arn IS NOT NULL ORDER BY created_at DESC LIMIT 5"
)
_KNOWN = "SELECT tenant_id FROM tenantry.tenant WHERE tenant_id = $1"


class LocalStores:
    """What a thief of disk and database would have, and each role that logs in."""

    def __init__(self, access: AuditAccess, objects: DiskObjects, buckets: UriBuckets) -> None:
        self._access = access
        self._objects = objects
        self._buckets = buckets
        self._runner = asyncio.Runner()

    def tenant_tables(self) -> list[str]:
        return self._run(self._access.tenant_tables())

    def passes_row_security(self) -> bool:
        return self._run(self._access.passes_row_security())

    def beyond(self, kind: Kind) -> list[str] | None:
        """What the catalogue has beyond what the migrations make; None: of other migrations."""
        found = self._run(self._access.walls())
        known = shipped()
        return found.beyond(known, kind) if found.migrations == known.migrations else None

    def catalogue(self, question: str, *values: object) -> list[Any]:
        """The answer to a question of `sql/walls.sql` about roles, rights and relations."""
        return self._run(self._access.catalogue(question, *values))

    def rows(
        self, role: AuditRole, query: str, *values: object, tenant: str | None = None
    ) -> list[Any]:
        return self._run(self._access.rows(role, query, *values, tenant=tenant))

    def refusal(
        self, role: AuditRole, statement: str, *values: object, tenant: str | None = None
    ) -> str | None:
        return self._run(self._access.refusal(role, statement, *values, tenant=tenant))

    def change(self, *statements: tuple[str, Sequence[object]]) -> None:
        self._run(self._access.change(statements))

    def get(self, home: Home, kind: ObjectKind, object_id: str) -> bytes:
        return self._run(self._objects.get(home, kind, object_id))

    def put(self, home: Home, kind: ObjectKind, object_id: str, data: bytes) -> None:
        """In place of what is there."""
        self.delete(home, kind, object_id)
        self._run(self._objects.put(home, kind, object_id, data))

    def delete(self, home: Home, kind: ObjectKind, object_id: str) -> None:
        self._run(self._objects.delete(home, kind, object_id))

    def count(self, home: Home, kind: ObjectKind) -> int:
        return len(self._run(self._objects.list(home, kind)))

    def job_with_output(self, others: Sequence[str]) -> str | None:
        """The id of a batch job of any tenant but `others`, whose answers are there: one of the
        newest few, as long as buckets answer."""
        return self._run(self._job_with_output(others))

    async def _job_with_output(self, others: Sequence[str]) -> str | None:
        for row in await self._access.rows("control", _JOBS, list(others)):
            job = to_job(row)
            assert job.job_arn is not None, "only such are asked for"
            uri = records_uri(job.output_uri, job.job_arn, job.input_uri)
            try:
                if await self._buckets.has(job.upstream, uri):
                    return str(job.request_id)
            except Unavailable:
                return None
        return None

    def close(self) -> None:
        self._run(self._access.close())
        self._runner.close()

    def _run(self, work: Awaitable[T]) -> T:
        async def main() -> T:
            return await work

        return self._runner.run(main())


def local_stores(config: Settings, tenant: str) -> LocalStores | str:
    """The stores of this machine where they are those of the deployment that knows `tenant`;
    else why they are not."""
    try:
        stores = LocalStores(AuditAccess(_dsns(config)), objects_of(config), buckets_of(config))
        known = stores.rows("control", _KNOWN, TenantId(tenant))
    except (DatabaseError, OSError, SettingsError) as problem:
        return f"the database of this data folder is out of reach: {problem}"
    if not known:
        stores.close()
        return "the deployment is not that of this machine's data folder"
    return stores


def _dsns(config: Settings) -> Any:
    url = config.database_url
    if url is None:
        cluster = EmbeddedCluster(config.home, bin_dir=config.postgres_bin)
        cluster.attach()
        return cluster.dsn
    note_primary(url, config.home / "control", DurableFiles())
    of_role = derived_dsns(url, secret_of(config, "database-secret"))

    def dsn_for(role: AuditRole) -> str:
        return url if role == "superuser" else of_role(role)

    return dsn_for
