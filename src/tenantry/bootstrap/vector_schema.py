"""What an engine of vectors needs before the first worker starts."""

from __future__ import annotations

from tenantry.adapters.postgres.embedded import EmbeddedCluster
from tenantry.adapters.postgres.pgvector import prepare_pgvector
from tenantry.bootstrap.deployment import make_secret
from tenantry.config import Settings


async def prepare_vectors(config: Settings, cluster: EmbeddedCluster | None) -> None:
    """pgvector gets its schema and role; the others need nothing."""
    if config.vectors != "pgvector":
        return
    url = config.pgvector_url or config.database_url
    if url is None:
        assert cluster is not None
        url = cluster.dsn("superuser")
    await prepare_pgvector(url, make_secret(config, "database-secret"))
