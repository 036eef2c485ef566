"""The embedded cluster as Tenantry sees it: start, stop, status, and a DSN for each role."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import asyncpg

from tenantry.adapters.postgres import dial, roles
from tenantry.adapters.postgres.embedded import initialise, place
from tenantry.adapters.postgres.embedded.account import database_account
from tenantry.adapters.postgres.embedded.binaries import CACHE_ROOT, find_binaries
from tenantry.adapters.postgres.embedded.news import News
from tenantry.adapters.postgres.embedded.secrets_file import load_or_make
from tenantry.adapters.postgres.errors import (
    ClusterFailed,
    ClusterInUse,
    ClusterMismatch,
    ClusterNotRunning,
    ClusterUnsupported,
)
from tenantry.adapters.postgres.guardian import ports, processes
from tenantry.adapters.postgres.guardian.status import ClusterStatus, read_status
from tenantry.adapters.postgres.migrate import check_record, check_whole

START_TIMEOUT_S = 120.0  # recovery after a crash replays up to max_wal_size
WORD_DUE_S = 2.0  # from the guardian; later it is seen whether it can write one at all
CONNECT_TIMEOUT_S = 5.0
STOP_TIMEOUT_S = processes.FAST_SHUTDOWN_S + 2 * processes.IMMEDIATE_SHUTDOWN_S + 5.0
GUARDIAN_RESTARTS_MAX = 5
DATABASE = "tenantry"
_GUARDIAN = "tenantry.adapters.postgres.guardian"
_SOURCE_ROOT = str(Path(__file__).parents[4])  # where `tenantry` is imported from, absolute
_POLL_S = 0.01
_PASSWORDS = (initialise.SUPERUSER, *roles.LOGIN_ROLES)

Guardian = subprocess.Popen[bytes]
Role = Literal["superuser", "migrator", "app", "control", "operator"]


class EmbeddedCluster:
    """The cluster of one home. One process runs it; others may `attach` while it does.

    The process that starts it owns it: PostgreSQL ends with that process, however it ends.
    `cache_root` and `data_root` are used where we are root (the module's docstring says why).
    """

    def __init__(
        self,
        home: Path,
        *,
        bin_dir: Path | None = None,
        cache_root: Path = CACHE_ROOT,
        data_root: Path = place.DATA_ROOT,
    ) -> None:
        self._home = home.absolute()
        self._bin_dir = bin_dir
        self._cache_root = cache_root
        self._data_root = data_root
        self._guardian: Guardian | None = None
        self._watcher: threading.Thread | None = None
        self._news = News(self.status, self._refusal)
        self._turn = threading.Lock()  # of stopping and of bringing a guardian back
        self._stopping = False
        self._place: place.Place | None = None
        self._passwords: dict[str, str] = {}

    def start(self, *, upgrade: bool = True) -> None:
        """Bring the cluster up, make it where it is new, and wait until it answers.

        `upgrade`: else one that an older version made is refused with MigrationsMissing, its roles
        as they are.

        Raises ClusterInUse where another Tenantry runs it, ClusterMismatch where the data is
        not this home's or this PostgreSQL's, ClusterDiskFull, ClusterUnsupported, ClusterFailed.
        """
        if self._guardian is not None:
            return
        if not Path("/proc/self/stat").exists():
            raise ClusterUnsupported(
                "The embedded PostgreSQL needs Linux; set TENANTRY_DATABASE_URL instead."
            )
        initialise.check_home(self._home)
        account = database_account()
        binaries = find_binaries(account, self._bin_dir, self._cache_root)
        where = place.find_place(self._home, account, self._data_root)
        self._place = where
        lock = self._take_lock(where)
        try:
            place.take_over(where, account)
            where.failure_path.unlink(missing_ok=True)  # of the start before
            processes.end_leftovers(where.uuid, account.uid, where.data)
            if where.data.exists() and not where.secrets_path.exists():
                raise ClusterMismatch(
                    f"{where.secrets_path}, with the passwords of the database in "
                    f"{where.folder}, is gone. Restore it."
                )
            self._passwords = load_or_make(where.secrets_path, _PASSWORDS)
            password = self._passwords[initialise.SUPERUSER]
            initialise.prepare_data(where, account, binaries, password)
            orders = {
                "parent_pid": os.getpid(),
                "postgres": binaries.program("postgres"),
                "data": str(where.data),
                "uuid": where.uuid,
                "uid": account.uid,
                "gid": account.gid,
                "port": self._last_port(where),
                "socket_dir": str(place.socket_folder(where, account)),
                "status_path": str(where.status_path),
                "log_path": str(where.log_path),
            }
            self._stopping = False
            guardian = self._spawn(orders, lock)
        except BaseException as failure:
            self.note(failure)
            os.close(lock)
            raise
        self._watcher = threading.Thread(
            target=self._watch, args=(guardian, orders, lock), name="postgres-watch", daemon=True
        )
        self._watcher.start()
        self._news.start()
        try:
            self._await_ready()
            self._bootstrap(where, upgrade)
        except BaseException as failure:
            self.note(failure)
            self.stop()
            raise

    def stop(self) -> None:
        """Shut the server down cleanly and release the cluster; nothing where it is not ours."""
        self._news.stop()
        with self._turn:
            self._stopping = True
            guardian, self._guardian = self._guardian, None
        if guardian is None:
            return
        _dismiss(guardian)
        if self._watcher is not None:
            self._watcher.join(STOP_TIMEOUT_S)

    def attach(self) -> None:
        """Use the cluster that another process of this home runs.

        Raises ClusterNotRunning where none does, ClusterMismatch where it is another home's.
        """
        where = place.known_place(self._home)
        if where is not None:
            place.check_own(where)
        running = where is not None and place.is_held(where) and place.owner_is_alive(where)
        if where is None or not running or not where.secrets_path.exists():
            raise ClusterNotRunning(f"No Tenantry runs the database of {self._home}.")
        self._place = where
        self._passwords = load_or_make(where.secrets_path, _PASSWORDS)
        self._await_ready()

    def status(self) -> ClusterStatus | None:
        """Return the guardian's last word; None where the cluster never ran or it is gone."""
        where = self._place or place.known_place(self._home)
        said = read_status(where.status_path) if where is not None else None
        if said is None or said.state in ("failed", "stopped"):
            return said
        return said if processes.is_alive(said.guardian_pid) else None

    def note(self, failure: BaseException) -> None:
        """Keep why this start, of which we hold the lock, has failed: for `failed_start`."""
        if self._place is None or not isinstance(failure, Exception):
            return  # as for Ctrl-C
        with contextlib.suppress(OSError):  # a full disk may be the reason
            path = self._place.failure_path
            path.touch(mode=0o600)
            path.write_text(str(failure) or type(failure).__name__, encoding="utf-8")

    def failed_start(self) -> str | None:
        """Why the last start failed; None where it did not, or there was none."""
        where = self._place or place.known_place(self._home)
        if where is None or not where.failure_path.exists():
            return None
        return where.failure_path.read_text(encoding="utf-8")

    def failure(self) -> str | None:
        """Why the server that we run has ended for good; None while it runs or may come back."""
        said = self.status()
        if said is not None and said.state == "failed":
            return said.reason
        watched = self._watcher is None or self._watcher.is_alive() or self._stopping
        return None if watched else f"its guardian ended; see {self._home / 'postgres.log'}"

    def dsn(
        self, role: Role, *, database: str = DATABASE, over: Literal["socket", "tcp"] = "socket"
    ) -> str:
        """Return the URL by which a role logs in; it holds the role's password.

        The port can change when another program took it while the server restarted.
        """
        said = self.status()
        if said is None or said.state in ("failed", "stopped") or not self._passwords:
            raise ClusterNotRunning(f"The database of {self._home} is not running.")
        user = f"tenantry_{role}"
        login = f"{user}:{self._passwords[user]}"
        if over == "tcp":
            address = f"{ports.LOOPBACK}:{said.port}"
            return f"postgresql://{login}@{address}/{database}?sslmode=disable"
        socket = quote(said.socket_dir, safe="")
        return f"postgresql://{login}@/{database}?host={socket}&port={said.port}"

    @property
    def home(self) -> Path:
        """The data folder of Tenantry that this cluster belongs to."""
        return self._home

    @property
    def folder(self) -> Path | None:
        """Where the cluster lies, once it is known."""
        return self._place.folder if self._place else None

    def _refusal(self) -> str | None:
        """Why no connection can be made; empty: it is starting up, None: one was made. For a thread
        without a loop."""

        async def ask() -> None:
            connection = await dial.connect(self.dsn("app"), timeout=CONNECT_TIMEOUT_S)
            await connection.close(timeout=CONNECT_TIMEOUT_S)

        try:
            asyncio.run(ask())
        except asyncpg.CannotConnectNowError:
            return ""
        except Exception as refused:
            return str(refused) or type(refused).__name__
        return None

    def _take_lock(self, where: place.Place) -> int:
        """Take the lock; wait for the guardian of a Tenantry that has just ended."""
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while True:
            try:
                return place.take_lock(where)
            except ClusterInUse:
                if place.owner_is_alive(where) or time.monotonic() > deadline:
                    raise
            time.sleep(_POLL_S)

    def _spawn(self, orders: dict[str, object], lock: int) -> Guardian:
        assert self._place is not None
        self._place.status_path.unlink(missing_ok=True)
        with self._place.log_path.open("ab") as log:
            self._place.log_path.chmod(0o600)
            self._guardian = subprocess.Popen(  # noqa: S603 - our own module, no shell
                [sys.executable, "-P", "-m", _GUARDIAN, json.dumps(orders)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=(lock,),
                start_new_session=True,
                cwd="/",
                env={**os.environ, "PYTHONPATH": _SOURCE_ROOT},  # it needs nothing but us
            )
        return self._guardian

    def _watch(self, guardian: Guardian, orders: dict[str, object], lock: int) -> None:
        """Bring a killed guardian back, a bounded number of times; then close the lock."""
        restarts = 0
        try:
            while guardian.wait() < 0 and restarts < GUARDIAN_RESTARTS_MAX:
                _let_go(guardian)
                with self._turn:
                    if self._stopping:
                        return
                    said = self._place and read_status(self._place.status_path)
                    port = said.port if said else orders["port"]
                    guardian = self._spawn({**orders, "port": port}, lock)
                restarts += 1
        finally:
            os.close(lock)

    def _await_ready(self) -> None:
        began = time.monotonic()
        word_due = began + WORD_DUE_S
        while time.monotonic() < began + START_TIMEOUT_S:
            said = self.status()
            if said is not None and said.state == "ready":
                return
            ended = self._guardian is not None and self._guardian.poll() is not None
            if ended or (said is not None and said.state in ("failed", "stopped")):
                break
            if self._guardian is not None and time.monotonic() > word_due:
                initialise.check_writable(self._home)
                word_due += WORD_DUE_S
            time.sleep(_POLL_S)
        assert self._place is not None
        failed = self.status()
        reason = (failed and failed.reason) or f"it has ended; see {self._place.log_path}"
        raise initialise.disk_full_or(
            ClusterFailed(f"PostgreSQL did not start: {reason}"), self._place.folder
        )

    def _bootstrap(self, where: place.Place, upgrade: bool) -> None:
        """Make the database and the roles where this cluster has not seen their present text.

        Raises as `migrate` for a schema that is not ours to upgrade, whose roles stay as they are.
        """
        done = where.home / "postgres.bootstrapped"
        is_done = done.exists() and done.read_text(encoding="ascii") == roles.text_digest()
        if is_done and upgrade:
            return

        async def run() -> None:
            if not is_done:
                maintenance = self.dsn("superuser", database="postgres")
                await roles.ensure_database(maintenance, DATABASE)
            check = check_record if upgrade else check_whole
            await check(self.dsn("superuser"))
            if not is_done:
                await roles.bootstrap_roles(self.dsn("superuser"), self._passwords)

        _in_own_loop(run)
        done.write_text(roles.text_digest(), encoding="ascii")

    @staticmethod
    def _last_port(where: place.Place) -> int:
        said = read_status(where.status_path)
        return said.port if said else 0


def _dismiss(guardian: Guardian) -> None:
    """Close the pipe, which tells the guardian to end, and wait for it; kill it at the last."""
    _let_go(guardian)
    try:
        guardian.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        guardian.kill()
        guardian.wait()


def _let_go(guardian: Guardian) -> None:
    """Say a byte, which reaches it even where a forked child holds the pipe too, and close."""
    assert guardian.stdin is not None
    if guardian.stdin.closed:
        return
    with contextlib.suppress(BrokenPipeError):
        guardian.stdin.write(b".")
        guardian.stdin.close()


def _in_own_loop(work: Callable[[], object]) -> None:
    """Run a coroutine function to its end, whether or not the caller has a running loop."""
    failure: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(work())  # type: ignore[arg-type]
        except BaseException as reason:  # carried to the caller's thread
            failure.append(reason)

    thread = threading.Thread(target=run, name="postgres-bootstrap")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
