"""A PostgreSQL for tests: one embedded cluster a worker, one fresh database a test.

The cluster starts when the first test asks for it (about a second), migrates a template once,
and copies it for each test (about 20 ms). It ends with the test process, however that ends.
"""

import asyncio
import contextlib
import dataclasses
import fcntl
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import asyncpg
from tests.support.scratch import MEMORY

from tenantry.adapters.postgres.embedded import EmbeddedCluster
from tenantry.adapters.postgres.embedded.cluster import Role
from tenantry.adapters.postgres.migrate import migrate

_PREFIX = "tenantry-tests-"
_TEMPLATE = "tenantry"


@dataclasses.dataclass(frozen=True, slots=True)
class Database:
    """One migrated database, empty but for what the migrations put there."""

    name: str
    cluster: EmbeddedCluster

    def dsn(self, role: Role, *, over: Literal["socket", "tcp"] = "socket") -> str:
        """The URL by which `migrator`, `app`, `control`, `operator` or `superuser` logs in."""
        return self.cluster.dsn(role, database=self.name, over=over)


class Databases:
    """Makes and drops databases of one running cluster, over one connection of its own."""

    def __init__(self, cluster: EmbeddedCluster, folder: Path) -> None:
        self._cluster = cluster
        self._numbers = itertools.count(1)
        # Half the time in memory, and a multiple of it on a disk, which has to sync every file.
        self._strategy = "file_copy" if MEMORY in folder.parents else "wal_log"
        self._runner = asyncio.Runner()
        self._runner.run(migrate(cluster.dsn("migrator")))
        mutant = os.environ.get("TENANTRY_TEST_SQL")  # an error that a test of tests plants
        if mutant is not None:
            self._runner.run(_execute(cluster.dsn("superuser"), Path(mutant).read_text("utf-8")))
        self._admin: Any = self._runner.run(
            asyncpg.connect(cluster.dsn("superuser", database="postgres"))
        )

    def create(self) -> Database:
        name = f"test_{next(self._numbers)}"
        self._runner.run(
            # One round trip each: CREATE DATABASE refuses to share one. A copy has the
            # template's schema but not its grants on the database itself.
            self._execute(
                f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} STRATEGY {self._strategy}",
                f"REVOKE ALL ON DATABASE {name} FROM PUBLIC;"
                f"GRANT CREATE ON DATABASE {name} TO tenantry_owner;"
                f"GRANT CONNECT ON DATABASE {name} TO tenantry_migrator, tenantry_app,"
                " tenantry_control, tenantry_operator",
            )
        )
        return Database(name, self._cluster)

    def drop(self, database: Database) -> None:
        self._runner.run(self._execute(f"DROP DATABASE {database.name} WITH (FORCE)"))

    def forgive_restarts(self) -> None:
        """A server that tests have killed again and again starts with a clean record."""
        said = self._cluster.status()
        if said is not None and said.state != "failed" and not said.restarts:
            return
        self._runner.run(self._end(self._admin))
        self._cluster.stop()
        self._cluster.start()
        dsn = self._cluster.dsn("superuser", database="postgres")
        self._admin = self._runner.run(asyncpg.connect(dsn))

    @staticmethod
    async def _end(connection: Any) -> None:
        connection.terminate()

    def close(self) -> None:
        self._runner.run(self._admin.close())
        self._runner.close()

    async def _execute(self, *statements: str) -> None:
        for statement in statements:
            try:
                await self._admin.execute(statement)
            except (OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError):
                # A test has killed the server, and waited until it was back.
                dsn = self._cluster.dsn("superuser", database="postgres")
                self._admin = await asyncpg.connect(dsn)
                await self._admin.execute(statement)


async def _execute(dsn: str, statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder that PostgreSQL's user can reach too; those of killed runs are swept away."""
    base = Path(tempfile.gettempdir())
    with contextlib.ExitStack() as ours:
        with _locked(base / f".{_PREFIX}{os.geteuid()}.lock"):  # nobody sweeps a folder half made
            _sweep(base)
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
            ours.callback(shutil.rmtree, folder, ignore_errors=True)
            ours.enter_context(_locked(folder / "alive"))
        folder.chmod(0o711)
        yield folder


def new_cluster(folder: Path, home: str = "home", **options: Any) -> EmbeddedCluster:
    """A cluster, not yet started, whose every file lies in the folder (programs excepted)."""
    return EmbeddedCluster(folder / home, data_root=folder / "data", **options)


@contextlib.contextmanager
def running_databases() -> Iterator[Databases]:
    """A running, migrated cluster for as long as the context lasts."""
    with scratch_folder() as folder:
        cluster = new_cluster(folder)
        cluster.start()
        try:
            databases = Databases(cluster, folder)
            try:
                yield databases
            finally:
                databases.close()
        finally:
            cluster.stop()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _sweep(base: Path) -> None:
    """Remove the folders whose test process is gone (it held a lock while it lived)."""
    for folder in base.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), (folder / "alive").open("r") as alive:
            if os.fstat(alive.fileno()).st_uid == os.geteuid():
                fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
