"""The composition root: the only file that knows every adapter.

Owns: which implementation stands behind each port, for each kind of process.
Does not own: any logic.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from tenantry.adapters import shipped
from tenantry.adapters.bedrock.client import BedrockModel
from tenantry.adapters.bedrock.connections import Connections
from tenantry.adapters.bedrock.credentials import Credentials, StaticCredentials
from tenantry.adapters.clock import SystemClock
from tenantry.adapters.extraction.extractor import FileExtractor
from tenantry.adapters.extraction.splitter import SemanticSplitter
from tenantry.adapters.invocation_log.folder import OF_EACH_ACCOUNT, FolderLog
from tenantry.adapters.keys import control_plane
from tenantry.adapters.keys.labels import TenantLabels
from tenantry.adapters.keys.local_keyring import LocalKeyring
from tenantry.adapters.keys.local_kms import LocalKms
from tenantry.adapters.objects.disk import DiskObjects
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.postgres.admission import PostgresAdmission
from tenantry.adapters.postgres.batcher import Batcher
from tenantry.adapters.postgres.connections import Databases, DsnFor, derived_dsns
from tenantry.adapters.postgres.control import PostgresControl
from tenantry.adapters.postgres.directory import PostgresDirectory
from tenantry.adapters.postgres.embedded import EmbeddedCluster
from tenantry.adapters.postgres.errors import ClusterNotRunning
from tenantry.adapters.postgres.idempotency import PostgresIdempotency
from tenantry.adapters.postgres.keeper import PostgresLedgerKeeper
from tenantry.adapters.postgres.ledger import PostgresTenantLedger
from tenantry.adapters.postgres.manifest import PostgresManifest
from tenantry.adapters.postgres.migrate import migrate
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.adapters.sealed.partitions import SealedPartitions
from tenantry.adapters.sealed.sealer import TenantSealer
from tenantry.application.admitted import SettleLimits
from tenantry.application.answers import Answers
from tenantry.application.authenticate import Authenticator
from tenantry.application.embeddings import Embeddings
from tenantry.application.gate import Gate
from tenantry.application.idempotency import Idempotent
from tenantry.application.inference import Inference
from tenantry.application.knowledge import Knowledge
from tenantry.application.knowledge import OwnedTasks as IndexingTasks
from tenantry.application.library import Library
from tenantry.application.metered_embedding import MeteredEmbedder
from tenantry.application.model_calls import ModelCalls
from tenantry.application.owned_tasks import OwnedTasks
from tenantry.application.planning import Planning
from tenantry.application.streaming import StreamLimits
from tenantry.application.true_up import TrueUp
from tenantry.application.upstream import UpstreamRules
from tenantry.config import Settings, load_settings
from tenantry.domain.errors import NotFound
from tenantry.domain.ids import ApiKeyId
from tenantry.domain.placement import Placement
from tenantry.domain.tenant import DEFAULT_SCOPES, Principal
from tenantry.ports.control import ControlPlane
from tenantry.ports.ledger import LedgerKeeper, TenantLedger
from tenantry.ports.model import Timeouts

T = TypeVar("T")
SECRET_BYTES = 32
DRAIN_MS = 30_000
BOOT_ID_BITS = 31  # an advisory lock names it
DEFAULT_POOL = Placement(
    id="pool",
    kind="pool",
    account="000000000000",
    region="us-east-1",
    regions=frozenset({"us-east-1"}),
)


def settings() -> Settings:
    """The settings of this process, parsed once a call. Raises `SettingsError`."""
    return load_settings()


# -- the database ---------------------------------------------------------------------------


@contextlib.contextmanager
def database(config: Settings) -> Iterator[DsnFor]:
    """The database for as long as the block runs: started where it is ours, migrated, seeded."""
    cluster = None
    if config.database_url is None:
        cluster = EmbeddedCluster(config.home, bin_dir=config.postgres_bin)
        cluster.start()
    try:
        asyncio.run(migrate(_migrator_dsn(config, cluster)))
        dsn_for = _dsn_for(config, cluster)
        asyncio.run(_seed(config, dsn_for))
        yield dsn_for
    finally:
        if cluster is not None:
            cluster.stop()


def attach(config: Settings) -> DsnFor:
    """The database that another process of this home runs. Raises `ClusterNotRunning`."""
    cluster = None
    if config.database_url is None:
        cluster = EmbeddedCluster(config.home, bin_dir=config.postgres_bin)
        cluster.attach()
    return _dsn_for(config, cluster)


@contextlib.contextmanager
def attached_or_started(config: Settings) -> Iterator[DsnFor]:
    """The running database, or one of our own for a single command."""
    try:
        running = attach(config)
    except ClusterNotRunning:
        with database(config) as started:
            yield started
    else:
        yield running


def _dsn_for(config: Settings, cluster: EmbeddedCluster | None) -> DsnFor:
    if cluster is not None:
        return cluster.dsn
    assert config.database_url is not None
    return derived_dsns(config.database_url, secret_of(config, "database-secret"))


def _migrator_dsn(config: Settings, cluster: EmbeddedCluster | None) -> str:
    if cluster is not None:
        return cluster.dsn("migrator")
    assert config.database_url is not None
    return config.database_url


def secret_of(config: Settings, name: str) -> bytes:
    """A random secret of this deployment in `<home>/control/<name>`, made once, mode 600."""
    path = config.home / "control" / name
    if not path.exists():
        DurableFiles().create(path, secrets.token_hex(SECRET_BYTES).encode())
    return path.read_bytes()


def operator_token(config: Settings) -> str:
    """The operator's token: of the settings, else made once and kept in the home."""
    return config.operator_token or secret_of(config, "operator-token").decode()


async def _seed(config: Settings, dsn_for: DsnFor) -> None:
    """Plans, models, prices and a pool placement, where there are none yet."""
    databases = await Databases.open(dsn_for)
    try:
        control = _control(config, databases)
        if not await control.list_models():
            await control.apply_models(shipped.bedrock_models())
        if not await control.list_plans():
            await control.apply_plans(shipped.plan_tables())
        try:
            await control.current_prices()
        except NotFound:
            await control.import_prices(shipped.bedrock_prices())
        if not await control.list_placements():
            await control.apply_placement(DEFAULT_POOL)
    finally:
        await databases.close()


# -- single pieces of work, for the command line --------------------------------------------


def run_with_control(work: Callable[[ControlPlane], Awaitable[T]]) -> T:
    """Runs one piece of work of the control plane."""
    return _run(lambda config, databases: work(_control(config, databases)))


def run_with_keeper(work: Callable[[LedgerKeeper], Awaitable[T]]) -> T:
    """Runs one piece of work of the ledger's keeper."""
    return _run(
        lambda _, databases: work(PostgresLedgerKeeper(databases.control, databases.operator))
    )


def run_with_ledger(tenant: str, work: Callable[[TenantLedger, Principal], Awaitable[T]]) -> T:
    """Reads one tenant's ledger with an operator's rights."""

    async def one(config: Settings, databases: Databases) -> T:
        found = await _control(config, databases).get_tenant(tenant)
        principal = Principal(found, ApiKeyId("operator"), DEFAULT_SCOPES)
        return await work(PostgresTenantLedger(TenantWork(databases.app)), principal)

    return _run(one)


def _run(work: Callable[[Settings, Databases], Awaitable[T]]) -> T:
    config = settings()

    async def main(dsn_for: DsnFor) -> T:
        databases = await Databases.open(dsn_for, application="tenantry cli")
        try:
            return await work(config, databases)
        finally:
            await databases.close()

    with attached_or_started(config) as dsn_for:
        return asyncio.run(main(dsn_for))


def _control(config: Settings, databases: Databases) -> PostgresControl:
    key = control_plane.load(config.home / "control", DurableFiles())
    return PostgresControl(databases.control, pepper=key.pepper, seal=key.seal, clock=SystemClock())


# -- the gateway's worker -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Gateway:
    """The use cases of one gateway worker, ready to serve."""

    authenticator: Authenticator
    directory: PostgresDirectory
    inference: Inference
    embeddings: Embeddings
    library: Library
    answers: Answers
    idempotent: Idempotent
    ledger: TenantLedger
    keeper: LedgerKeeper
    control: ControlPlane
    clock: SystemClock
    tasks: OwnedTasks
    databases: Databases
    operator_token_sha256: bytes

    async def ready(self) -> None:
        """Raises `Unavailable` while the database is out of reach."""
        await self.directory.prices(reload=True)

    async def drain(self, timeout_ms: int = DRAIN_MS) -> int:
        return await self.tasks.drain(timeout_ms)


@contextlib.asynccontextmanager
async def gateway(config: Settings) -> AsyncIterator[Gateway]:
    """Opens everything a worker holds; closes it in reverse."""
    async with contextlib.AsyncExitStack() as stack:
        databases = await Databases.open(attach(config), application="tenantry gateway")
        stack.push_async_callback(databases.close)
        files, clock, tasks = DurableFiles(), SystemClock(), OwnedTasks()
        key = control_plane.load(config.home / "control", files)
        accounts = config.home / "accounts"
        keyring = LocalKeyring(accounts, files, LocalKms(accounts, files), clock.monotonic)
        stack.callback(keyring.close)
        sealer = TenantSealer(keyring)
        labels = TenantLabels(sealer, keyring)
        directory = PostgresDirectory(
            databases.app, pepper=key.pepper, open_sealed=key.open, clock=clock
        )
        batcher = Batcher(
            functools.partial(databases.open_pinned, "app"), secrets.randbits(BOOT_ID_BITS)
        )
        await batcher.start()
        stack.push_async_callback(batcher.close)
        admission = PostgresAdmission(batcher)
        model = _model(config, clock)
        stack.push_async_callback(model.close)
        rules = UpstreamRules(env=config.env, timeouts=_timeouts(config))
        gate = Gate(admission, directory, labels, tasks, SettleLimits(config.settle_wait_ms))
        planning = Planning(directory, labels, clock, rules)
        calls = ModelCalls(model, planning)
        limits = StreamLimits(drain_cap_ms=config.drain_cap_ms)
        embeddings = Embeddings(gate, planning, calls, tasks)
        objects = DiskObjects(accounts, files)
        manifest = PostgresManifest(TenantWork(databases.app))
        partitions = SealedPartitions(
            manifest, objects, keyring, clock, open_bytes_max=config.segment_cache_max_bytes
        )
        stack.callback(partitions.close)
        indexing = IndexingTasks()
        stack.push_async_callback(indexing.close)
        knowledge = Knowledge(
            manifest=manifest,
            objects=objects,
            keys=keyring,
            sealer=sealer,
            vectors=partitions,
            extractor=FileExtractor(),
            splitter=SemanticSplitter(),
            embedder=MeteredEmbedder(embeddings, clock),
            clock=clock,
            tasks=indexing,
        )
        yield Gateway(
            authenticator=Authenticator(directory),
            directory=directory,
            inference=Inference(gate, planning, model, tasks, clock, limits),
            embeddings=embeddings,
            library=Library(knowledge, gate, planning, embeddings, tasks, clock),
            answers=Answers(
                gate, planning, embeddings, calls, model, knowledge, tasks, clock, limits
            ),
            idempotent=Idempotent(PostgresIdempotency(databases.app), sealer, keyring, tasks),
            ledger=PostgresTenantLedger(TenantWork(databases.app)),
            keeper=PostgresLedgerKeeper(databases.control, databases.operator),
            control=_control(config, databases),
            clock=clock,
            tasks=tasks,
            databases=databases,
            operator_token_sha256=hashlib.sha256(operator_token(config).encode()).digest(),
        )


def _timeouts(config: Settings) -> Timeouts:
    return Timeouts(
        connect_timeout_ms=config.upstream_connect_timeout_ms,
        first_byte_timeout_ms=config.upstream_first_byte_timeout_ms,
        idle_timeout_ms=config.upstream_idle_timeout_ms,
        total_timeout_ms=config.upstream_total_timeout_ms,
    )


def _model(config: Settings, clock: SystemClock) -> BedrockModel:
    bundle = config.bedrock_ca_bundle
    connections = Connections(
        ca_pem=bundle.read_bytes() if bundle else None,
        max_connections=config.upstream_connections_max,
    )
    return BedrockModel(_credentials(config), clock, connections)


def _credentials(config: Settings) -> StaticCredentials:
    """`<home>/control/credentials.json`: account → access key, mode 600."""
    path = config.home / "control" / "credentials.json"
    table = json.loads(path.read_bytes()) if path.exists() else {}
    return StaticCredentials({account: Credentials(**entry) for account, entry in table.items()})


# -- the background worker ------------------------------------------------------------------


@contextlib.asynccontextmanager
async def background(config: Settings) -> AsyncIterator[tuple[LedgerKeeper, TrueUp, SystemClock]]:
    """What the background worker works with."""
    databases = await Databases.open(attach(config), application="tenantry worker")
    try:
        clock = SystemClock()
        key = control_plane.load(config.home / "control", DurableFiles())
        keeper = PostgresLedgerKeeper(databases.control, databases.operator)
        directory = PostgresDirectory(
            databases.app, pepper=key.pepper, open_sealed=key.open, clock=clock
        )
        logs = {"embedded": FolderLog(config.home / "accounts", each=OF_EACH_ACCOUNT)}
        yield keeper, TrueUp(keeper, directory, logs), clock
    finally:
        await databases.close()
