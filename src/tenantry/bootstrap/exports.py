"""What a tenant takes away, and what is forgotten of an end user."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tenantry.adapters.keys.labels import TenantLabels
from tenantry.adapters.postgres.answers import PostgresAnswerIndex
from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.export import (
    PostgresCappedUsers,
    PostgresErasedUsers,
    PostgresTenantExport,
)
from tenantry.adapters.postgres.sessions import PostgresSessionIndex
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.application.answer_store import AnswerStore
from tenantry.application.billing import Billing
from tenantry.application.erasing import Erasure
from tenantry.application.exporting import Exports
from tenantry.application.knowledge import Knowledge
from tenantry.bootstrap.deployment import objects_of
from tenantry.bootstrap.upstream import buckets_of
from tenantry.config import Settings
from tenantry.ports.keys import KeyStore, Sealer
from tenantry.ports.tenant_admin import TenantAdmin


@dataclass(frozen=True, slots=True)
class Names:
    """Of end users as the ledger keeps them, and who of them was erased."""

    labels: TenantLabels
    erased: PostgresErasedUsers


def names_of(
    databases: Databases, sealer: Sealer, keys: KeyStore, monotonic: Callable[[], float]
) -> Names:
    work = TenantWork(databases.app)
    erased, capped = PostgresErasedUsers(work, monotonic), PostgresCappedUsers(work, monotonic)
    return Names(TenantLabels(sealer, keys, erased, capped), erased)


@dataclass(frozen=True, slots=True)
class TakenAway:
    """A tenant's export, and an end user's."""

    exports: Exports
    erasure: Erasure


def taken_away(
    config: Settings,
    databases: Databases,
    knowledge: Knowledge,
    admin: TenantAdmin,
    billing: Billing,
    names: Names,
) -> TakenAway:
    work = TenantWork(databases.app)
    store = PostgresTenantExport(work, names.erased)
    objects = objects_of(config)
    index = PostgresAnswerIndex(work)
    answers = AnswerStore(index, objects, knowledge.sealer, names.labels, knowledge.clock)
    return TakenAway(
        Exports(knowledge, store, answers, admin, billing, buckets_of(config)),
        Erasure(store, objects, admin, names.labels, PostgresSessionIndex(work)),
    )
