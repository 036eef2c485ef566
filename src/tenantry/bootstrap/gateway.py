"""What one gateway worker serves with."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from tenantry.adapters.bedrock.client import uncounted
from tenantry.adapters.clock import SystemClock
from tenantry.adapters.extraction.extractor import FileExtractor
from tenantry.adapters.extraction.splitter import SemanticSplitter
from tenantry.adapters.keys.control_plane import ControlPlaneKey
from tenantry.adapters.keys.keyring import Keyring
from tenantry.adapters.postgres.admission import PostgresAdmission
from tenantry.adapters.postgres.alerts import PostgresAlerts
from tenantry.adapters.postgres.answers import PostgresAnswerIndex
from tenantry.adapters.postgres.audits import PostgresAudits
from tenantry.adapters.postgres.batcher import Batcher
from tenantry.adapters.postgres.batches import PostgresBatchNotes
from tenantry.adapters.postgres.connections import Databases, LoginDsnFor
from tenantry.adapters.postgres.directory import PostgresDirectory
from tenantry.adapters.postgres.idempotency import PostgresIdempotency
from tenantry.adapters.postgres.keeper import PostgresLedgerKeeper
from tenantry.adapters.postgres.key_holders import Kind
from tenantry.adapters.postgres.ledger import PostgresTenantLedger
from tenantry.adapters.postgres.manifest import PostgresManifest, PostgresUnfinished
from tenantry.adapters.postgres.margin import PostgresMarginBooks
from tenantry.adapters.postgres.operator_keys import PostgresOperatorKeys
from tenantry.adapters.postgres.tenant_admin import PostgresTenantAdmin
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.adapters.postgres.usage_hours import PostgresUsageHours
from tenantry.adapters.sealed.sealer import TenantSealer
from tenantry.application.answer_store import AnswerStore
from tenantry.application.answers import Answers
from tenantry.application.authenticate import Authenticator
from tenantry.application.batches import Batches
from tenantry.application.belonging import Belonging
from tenantry.application.billing import Billing
from tenantry.application.cached_answers import CachedAnswers
from tenantry.application.clock_watch import CheckedClock
from tenantry.application.conversing import Conversations
from tenantry.application.embeddings import Embeddings
from tenantry.application.gate import Gate
from tenantry.application.grounded import Grounded
from tenantry.application.guardrails import Guardrails
from tenantry.application.idempotency import Idempotent
from tenantry.application.indexing_tasks import IndexingTasks
from tenantry.application.inference import Inference
from tenantry.application.knowledge import Knowledge
from tenantry.application.library import Library
from tenantry.application.metered_embedding import MeteredEmbedder
from tenantry.application.model_calls import ModelCalls
from tenantry.application.operator_once import OperatorOnce
from tenantry.application.owned_tasks import OwnedTasks
from tenantry.application.pacing import Outlook, outlooks
from tenantry.application.planning import Planning
from tenantry.application.refused_budgets import RefusedBudgetTeller
from tenantry.application.reindexing import Reindexing
from tenantry.application.reranking import Reranker
from tenantry.application.shredding import Shreds
from tenantry.application.tending import tend
from tenantry.bootstrap.asking import asking_of, limits_of
from tenantry.bootstrap.belonging import belonging_of
from tenantry.bootstrap.billing import billing_of, issuer_or_none
from tenantry.bootstrap.control_key import control_key_of
from tenantry.bootstrap.database import attach
from tenantry.bootstrap.deployment import clock_watch, control_of, objects_of, operator_token
from tenantry.bootstrap.exports import TakenAway, names_of, taken_away
from tenantry.bootstrap.holders import registered
from tenantry.bootstrap.keys import keyring_of
from tenantry.bootstrap.papers import Papers
from tenantry.bootstrap.shared_costs import shared_costs_of
from tenantry.bootstrap.shredding import shreds_of
from tenantry.bootstrap.upstream import buckets_of, model_of, rules_of
from tenantry.bootstrap.vectors import VectorParts, vectors_of
from tenantry.config import Settings
from tenantry.domain.budget import BudgetKey
from tenantry.domain.errors import Unavailable
from tenantry.domain.ids import TenantId
from tenantry.domain.shared_costs import SharedCosts
from tenantry.ports.alerts import AlertBook, UsageHours
from tenantry.ports.audits import AuditBook
from tenantry.ports.clock import Clock
from tenantry.ports.control import ControlPlane
from tenantry.ports.labels import Labels
from tenantry.ports.ledger import LedgerKeeper, TenantLedger
from tenantry.ports.margin import MarginBooks
from tenantry.ports.model import ModelPort
from tenantry.ports.papers import InvoicePapers
from tenantry.ports.tenant_admin import TenantAdmin

DRAIN_MS = 30_000
BOOT_ID_BITS = 31  # an advisory lock names it


@dataclass(frozen=True, slots=True)
class Gateway:
    """The use cases of one gateway worker, ready to serve."""

    authenticator: Authenticator
    directory: PostgresDirectory
    inference: Inference
    guardrails: Guardrails
    batches: Batches
    embeddings: Embeddings
    library: Library
    grounded: Grounded
    answers: Answers
    conversations: Conversations
    reranker: Reranker
    idempotent: Idempotent
    operator_once: OperatorOnce
    ledger: TenantLedger
    labels: Labels
    tenant_admin: TenantAdmin
    billing: Billing
    papers: InvoicePapers
    margin_books: MarginBooks
    shared_costs: SharedCosts
    keeper: LedgerKeeper
    control: ControlPlane
    shreds: Shreds
    taken_away: TakenAway
    alerts: AlertBook
    audits: AuditBook
    hours: UsageHours
    clock: CheckedClock
    tasks: OwnedTasks
    databases: Databases
    operator_token_sha256: bytes
    batcher: Batcher

    async def ready(self) -> None:
        """Raises `Unavailable` while the database is out of reach, or admits nothing."""
        await self.directory.prices(reload=True)
        if not self.batcher.up:
            raise Unavailable("The ledger is out of reach.")

    async def outlooks(
        self, tenant_id: TenantId, after: BudgetKey | None, limit: int
    ) -> list[Outlook]:
        return await outlooks(self.alerts, self.hours, tenant_id, after=after, limit=limit)

    async def drain(self, timeout_ms: int = DRAIN_MS) -> int:
        return await self.tasks.drain(timeout_ms)


@contextlib.asynccontextmanager
async def gateway(
    config: Settings,
    machine: Clock | None = None,
    *,
    supervised: bool = False,
    attempted: Callable[[str], None] = uncounted,
) -> AsyncIterator[Gateway]:
    """Opens everything a worker holds; closes it in reverse. `machine`: its clock, before it is
    held to the database's. `supervised`: a supervisor sees it end. `attempted`: see `model_of`."""
    async with contextlib.AsyncExitStack() as stack:
        dsn_for = attach(config)
        databases = await _registered(dsn_for, supervised, stack)
        tasks = OwnedTasks()
        clock = await _checked(databases, machine or SystemClock(), stack)
        key = await control_key_of(config, databases)
        keyring = stack.enter_context(keyring_of(config, databases, clock))
        sealer = TenantSealer(keyring)
        names = names_of(databases, sealer, keyring, clock.monotonic)
        labels = names.labels
        directory = _directory(databases, key, clock)
        batcher = await _batcher(databases, stack)
        model = _model(config, clock, attempted, stack)
        alerts = PostgresAlerts(databases.control, clock)
        gate = _gate(config, batcher, alerts, directory, labels, tasks, clock)
        planning = Planning(directory, labels, clock, rules_of(config))
        calls = ModelCalls(model, planning)
        cached = _cached(config, databases, sealer, labels, clock, gate, planning, model, calls)
        embeddings = Embeddings(gate, planning, calls, tasks)
        at = (dsn_for, databases, belonging_of(config, databases))
        knowledge = await _knowledge(config, at, keyring, sealer, embeddings, clock, stack)
        asking = asking_of(
            config, databases, knowledge, gate, planning, embeddings, calls, model, tasks, labels
        )
        control, admin = control_of(config, databases), _tenant_admin(databases, key, clock)
        billing = billing_of(databases, issuer_or_none(config), config.home)
        _start_tending(knowledge, asking.reindexing, databases, control, at[2], stack)
        yield Gateway(
            authenticator=Authenticator(directory),
            directory=directory,
            inference=Inference(gate, planning, model, tasks, clock, limits_of(config), cached),
            guardrails=Guardrails(gate, planning, model, tasks),
            batches=_batches(config, databases, gate, planning, model, tasks),
            embeddings=embeddings,
            library=asking.library,
            grounded=asking.grounded,
            answers=asking.answers,
            conversations=asking.conversations,
            reranker=asking.reranker,
            idempotent=_idempotent(config, databases, keyring, sealer, labels, tasks),
            operator_once=_operator_once(databases, key),
            ledger=PostgresTenantLedger(TenantWork(databases.app)),
            labels=labels,
            tenant_admin=admin,
            billing=billing,
            taken_away=taken_away(config, databases, knowledge, admin, billing, names),
            papers=Papers(config.invoice_fonts),
            margin_books=PostgresMarginBooks(databases.operator),
            shared_costs=shared_costs_of(config),
            keeper=PostgresLedgerKeeper(databases.control, databases.operator),
            control=control,
            shreds=shreds_of(config, databases, control, key, knowledge, keyring, stack),
            alerts=alerts,
            audits=PostgresAudits(databases.control, clock),
            hours=PostgresUsageHours(databases.control),
            clock=clock,
            tasks=tasks,
            databases=databases,
            operator_token_sha256=hashlib.sha256(operator_token(config).encode()).digest(),
            batcher=batcher,
        )


async def _registered(
    dsn_for: LoginDsnFor, supervised: bool, stack: contextlib.AsyncExitStack
) -> Databases:
    """The pools, and this process noted as one that may hold keys, until the stack ends."""
    databases = await Databases.open(dsn_for, application="tenantry gateway")
    stack.push_async_callback(databases.close)
    kind: Kind = "gateway" if supervised else "command"
    await stack.enter_async_context(registered(databases, kind, watched=supervised))
    return databases


async def _batcher(databases: Databases, stack: contextlib.AsyncExitStack) -> Batcher:
    connect = functools.partial(databases.open_pinned, "app")
    batcher = Batcher(connect, secrets.randbits(BOOT_ID_BITS))
    await batcher.start()
    stack.push_async_callback(batcher.close)
    return batcher


def _gate(
    config: Settings,
    batcher: Batcher,
    alerts: PostgresAlerts,
    directory: PostgresDirectory,
    labels: Labels,
    tasks: OwnedTasks,
    clock: Clock,
) -> Gate:
    admission, teller = PostgresAdmission(batcher), RefusedBudgetTeller(alerts, tasks, clock)
    return Gate(admission, directory, labels, tasks, config.settle_wait_ms, teller.note)


def _model(
    config: Settings,
    clock: CheckedClock,
    attempted: Callable[[str], None],
    stack: contextlib.AsyncExitStack,
) -> ModelPort:
    model = model_of(config, clock, attempted, clock.doubt)
    stack.push_async_callback(model.close)
    return model


def _directory(databases: Databases, key: ControlPlaneKey, clock: Clock) -> PostgresDirectory:
    pool = databases.app
    return PostgresDirectory(pool, pepper=key.pepper, open_sealed=key.open, clock=clock)


def _tenant_admin(databases: Databases, key: ControlPlaneKey, clock: Clock) -> PostgresTenantAdmin:
    work = TenantWork(databases.app)
    return PostgresTenantAdmin(work, pepper=key.pepper, seal=key.seal, clock=clock)


async def _checked(
    databases: Databases, machine: Clock, stack: contextlib.AsyncExitStack
) -> CheckedClock:
    """The worker's clock, held to the database's until the stack ends."""
    clock, watch = clock_watch(databases, machine, "gateway")
    await watch.check()
    stack.push_async_callback(_cancelled, asyncio.create_task(watch.keep(), name="clock"))
    return clock


def _idempotent(
    config: Settings,
    databases: Databases,
    keyring: Keyring,
    sealer: TenantSealer,
    labels: Labels,
    tasks: OwnedTasks,
) -> Idempotent:
    return Idempotent(
        PostgresIdempotency(databases.app, given_kept_s=config.idempotency_keep_h * 3_600),
        sealer,
        keyring,
        labels,
        tasks,
        answer_bytes_max=config.idempotency_result_max_bytes,
    )


def _start_tending(
    knowledge: Knowledge,
    reindexing: Reindexing,
    databases: Databases,
    control: ControlPlane,
    belonging: Belonging,
    stack: contextlib.AsyncExitStack,
) -> None:
    """Finishes what dead processes left, uploads and reindexes, until the stack ends."""
    unfinished = PostgresUnfinished(databases.control)
    tending = tend(knowledge, reindexing, unfinished, control, belonging)
    stack.push_async_callback(_cancelled, asyncio.create_task(tending, name="tending"))


def _operator_once(databases: Databases, key: ControlPlaneKey) -> OperatorOnce:
    keys = PostgresOperatorKeys(databases.control)
    return OperatorOnce(keys, pepper=key.pepper, seal=key.seal, open_sealed=key.open)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _cached(
    config: Settings,
    databases: Databases,
    sealer: TenantSealer,
    labels: Labels,
    clock: Clock,
    gate: Gate,
    planning: Planning,
    model: ModelPort,
    calls: ModelCalls,
) -> CachedAnswers:
    objects = objects_of(config)
    index = PostgresAnswerIndex(TenantWork(databases.app))
    store = AnswerStore(index, objects, sealer, labels, clock)
    return CachedAnswers(gate, planning, model, calls, store)


def _batches(
    config: Settings,
    databases: Databases,
    gate: Gate,
    planning: Planning,
    model: ModelPort,
    tasks: OwnedTasks,
) -> Batches:
    notes = PostgresBatchNotes(TenantWork(databases.app))
    return Batches(gate, planning, model, notes, buckets_of(config), tasks, config.env)


async def _knowledge(
    config: Settings,
    at: tuple[LoginDsnFor, Databases, Belonging],
    keyring: Keyring,
    sealer: TenantSealer,
    embeddings: Embeddings,
    clock: Clock,
    stack: contextlib.AsyncExitStack,
) -> Knowledge:
    """Documents over the data folder and a vector engine; what it opens is closed by the stack."""
    dsn_for, databases, belonging = at
    objects = objects_of(config, belonging.holds)
    work = TenantWork(databases.app)
    manifest = PostgresManifest(work)
    parts = VectorParts(work, manifest, keyring, sealer, clock, objects)
    vectors = await vectors_of(config, dsn_for, parts, stack)
    stack.push_async_callback(_cancelled, asyncio.create_task(keyring.keep(), name="keys"))
    indexing = IndexingTasks()
    stack.push_async_callback(indexing.close)
    return Knowledge(
        manifest=manifest,
        objects=objects,
        keys=keyring,
        sealer=sealer,
        vectors=vectors,
        extractor=FileExtractor(),
        splitter=SemanticSplitter(),
        embedder=MeteredEmbedder(embeddings, clock),
        clock=clock,
        tasks=indexing,
    )
