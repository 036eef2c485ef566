"""The embedded server has a connection for all that `serve` starts; one of one's own is asked."""

from __future__ import annotations

from tenantry.adapters.postgres import pgvector
from tenantry.adapters.postgres.connections import PINNED_MAX, POOL_SIZE_MAX
from tenantry.adapters.postgres.embedded.settings import SERVER_SETTINGS
from tenantry.bootstrap.checks.capacity import workers_problems
from tenantry.config import Settings

SERVER = int(SERVER_SETTINGS["max_connections"])
POOLS = sum(POOL_SIZE_MAX.values())


def most(**settings: str) -> int:
    return next(n for n in range(256) if workers_problems(Settings(workers=n + 1, **settings)))


def test_what_is_allowed_has_connections_while_one_worker_is_replaced() -> None:
    at_once = (most() + 1) * (POOLS + PINNED_MAX) + 2 * POOLS
    assert at_once < SERVER <= at_once + 2 * (POOLS + PINNED_MAX)
    assert most() >= 4


def test_a_pool_for_vectors_counts_where_it_is_on_the_same_server() -> None:
    pools = POOLS + pgvector.POOL_SIZE_MAX
    assert (most(vectors="pgvector") + 1) * (pools + PINNED_MAX) + 2 * pools < SERVER
    elsewhere = "postgresql://vectors:secret@db.internal/vectors"
    assert most(vectors="pgvector", pgvector_url=elsewhere) == most()


def test_a_server_of_ones_own_is_not_counted() -> None:
    url = "postgresql://master:secret@db.internal/tenantry"
    assert workers_problems(Settings(workers=256, database_url=url)) == []
