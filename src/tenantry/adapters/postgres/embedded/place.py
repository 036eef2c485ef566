"""Which cluster belongs to a home, where it lies, and who runs it now.

`$TENANTRY_HOME/cluster` holds `{"uuid", "path"}`; the cluster's folder has a mark, `cluster`, with
the same uuid and the home that it was last run from. As root the folder is
/var/lib/tenantry/<uuid>, else $TENANTRY_HOME/postgres (kept relative, so that a home can be moved).
Folder: `data/` PostgreSQL's, `run/` its socket, `lock` its runner.

A home that was moved goes on, for nothing is left where the mark says. A copy is refused for as
long as its original is there: it would write to the other's database, or end its processes, which
are known by the uuid.
"""

import contextlib
import dataclasses
import errno
import fcntl
import json
import os
import tempfile
import uuid as uuids
from pathlib import Path
from typing import Any

from tenantry.adapters.postgres.embedded.account import Account, make_passable
from tenantry.adapters.postgres.errors import ClusterInUse, ClusterMismatch
from tenantry.adapters.postgres.guardian import processes

DATA_ROOT = Path("/var/lib/tenantry")
_SOCKET_PATH_BYTES_MAX = 107  # sun_path of unix(7), less its closing zero
_SOCKET_NAME_BYTES = len("/.s.PGSQL.65535.lock")


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """A cluster's folders and files."""

    home: Path
    uuid: str
    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def mark(self) -> Path:
        return self.folder / "cluster"

    @property
    def status_path(self) -> Path:
        return self.home / "postgres.status"

    @property
    def failure_path(self) -> Path:
        return self.home / "postgres.failure"

    @property
    def log_path(self) -> Path:
        return self.home / "postgres.log"

    @property
    def secrets_path(self) -> Path:
        return self.home / "postgres.secrets"


def find_place(home: Path, account: Account, data_root: Path = DATA_ROOT) -> Place:
    """Return the home's cluster; name a new one where the home has none.

    Raises ClusterMismatch where the home's cluster is gone, not ours to use, or another home's.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    record = _read(home / "cluster") or _name_cluster(home, account, data_root)
    place = Place(home, record["uuid"], (home / record["path"]).absolute())
    if check_own(place) is None:
        if record.get("made"):
            raise ClusterMismatch(
                f"The database of {home} should lie in {place.folder} and is not there. Restore "
                f"it, or remove {home / 'cluster'} to begin with an empty one."
            )
        _make_folder(place, account)
        _write_mark(place, account)
        _write(home / "cluster", {**record, "made": True})
    return place


def check_own(place: Place) -> dict[str, Any] | None:
    """The mark of the home's cluster; None where there is no cluster yet, or any more.

    Raises ClusterMismatch where it is not ours to use, or another home's.
    """
    try:
        found = _read(place.mark)
    except PermissionError:
        raise ClusterMismatch(
            f"The database of {place.home} lies in {place.folder}, which this user may not read. "
            "It was made by another user (root?); run as that user or choose another "
            "TENANTRY_HOME."
        ) from None
    if found is None:
        return None
    if found.get("uuid") != place.uuid:
        raise ClusterMismatch(
            f"{place.home / 'cluster'} names the cluster {place.uuid}, but {place.folder} holds "
            f"{found.get('uuid')}. Each home has a database of its own."
        )
    theirs = Path(str(found.get("home", place.home)))
    if _is_there(place, theirs):
        own = f"{place.home / 'cluster'}" + (f" and {place.folder}" if _is_within(place) else "")
        raise ClusterMismatch(
            f"{place.home} is a copy of {theirs}, which is still there: both name the database "
            f"{place.uuid} in {place.folder}. Use {theirs}, or move it away where this home takes "
            "its place. A second deployment needs a database of its own: remove "
            f"{own} to begin with an empty one, or restore a dump into that."
        )
    return found


def take_over(place: Place, account: Account) -> None:
    """Write into the mark where the home is now. Who calls this holds the cluster's lock.

    Raises as `check_own` does: whose it is may have changed before the lock was ours.
    """
    found = check_own(place)
    if found is None or found.get("home") != str(place.home.resolve()):
        _write_mark(place, account)


def known_place(home: Path) -> Place | None:
    """Return the home's cluster as recorded, without making or checking anything."""
    record = _read(home / "cluster")
    if record is None:
        return None
    return Place(home, record["uuid"], (home / record["path"]).absolute())


def socket_folder(place: Place, account: Account) -> Path:
    """Return a folder of mode 0700 for the socket, short enough for a socket's address."""
    wanted = place.folder / "run"
    if len(os.fsencode(wanted)) + _SOCKET_NAME_BYTES > _SOCKET_PATH_BYTES_MAX:
        wanted = Path("/tmp") / f"tenantry-{account.uid}-{place.uuid[:13]}"  # noqa: S108 - checked
    wanted.mkdir(mode=0o700, exist_ok=True)
    found = wanted.lstat()
    if account.switched and found.st_uid == os.geteuid():
        os.chown(wanted, account.uid, account.gid)
        found = wanted.lstat()
    if wanted.is_symlink() or found.st_uid != account.uid or found.st_mode & 0o077:
        raise ClusterMismatch(f"{wanted} must belong to user {account.uid} with mode 0700.")
    return wanted


def take_lock(place: Place) -> int:
    """Return a descriptor that holds the cluster; the guardian inherits it and keeps it.

    Raises ClusterInUse while another process holds it.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(place.folder / "lock", flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as reason:
        owner = os.pread(descriptor, 64, 0).decode("ascii", "replace").split()
        os.close(descriptor)
        if reason.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        raise ClusterInUse(
            f"Another Tenantry (process {owner[0] if owner else 'unknown'}) runs the database "
            f"of {place.home}. Stop it, or choose another TENANTRY_HOME."
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()} {processes.start_ticks(os.getpid())}".encode(), 0)
    return descriptor


def is_held(place: Place) -> bool:
    """Whether a process holds the cluster: its Tenantry, or a guardian that is still ending it."""
    try:
        descriptor = os.open(place.folder / "lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def owner_is_alive(place: Place) -> bool:
    """Whether the process that holds the cluster lives (its guardian may outlive it a bit)."""
    try:
        words = (place.folder / "lock").read_text(encoding="ascii").split()
    except OSError:
        return False
    if len(words) != 2 or not words[0].isdecimal():
        return False
    pid = int(words[0])
    return processes.is_alive(pid) and str(processes.start_ticks(pid)) == words[1]


def _name_cluster(home: Path, account: Account, data_root: Path) -> dict[str, Any]:
    """Write the home's record, unless another start has just written it."""
    uuid = str(uuids.uuid4())
    path = str(data_root / uuid) if account.switched else "postgres"
    with tempfile.TemporaryDirectory(prefix=".cluster-", dir=home) as scratch:
        fresh = Path(scratch) / "cluster"
        _write(fresh, {"uuid": uuid, "path": path})
        with contextlib.suppress(FileExistsError):
            os.link(fresh, home / "cluster")
    record = _read(home / "cluster")
    assert record is not None
    return record


def _is_there(place: Place, theirs: Path) -> bool:
    """Whether another home than the place's own is still there with the same cluster."""
    try:
        if theirs.samefile(place.home):
            return False
        record = _read(theirs / "cluster")
    except (FileNotFoundError, NotADirectoryError):
        return False
    except PermissionError:
        # Another user's: neither its files nor processes are in reach, unless ours lie outside.
        return not _is_within(place)
    return record is not None and record.get("uuid") == place.uuid


def _is_within(place: Place) -> bool:
    """Whether the cluster lies in the home, and would be copied with it."""
    return place.folder.resolve().is_relative_to(place.home.resolve())


def _write_mark(place: Place, account: Account) -> None:
    _write(place.mark, {"uuid": place.uuid, "home": str(place.home.resolve())}, account)


def _make_folder(place: Place, account: Account) -> None:
    if account.switched:
        make_passable(place.folder.parent, 0o711)
    place.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if account.switched:
        os.chown(place.folder, account.uid, account.gid)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as reason:
        raise ClusterMismatch(f"{path} is not readable as JSON: {reason}") from reason
    if not isinstance(record, dict):
        raise ClusterMismatch(f"{path} does not hold a JSON object.")
    return record


def _write(path: Path, record: dict[str, Any], account: Account | None = None) -> None:
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with fresh.open("x", encoding="utf-8") as file:
        json.dump(record, file)
        file.flush()
        os.fsync(file.fileno())
    if account is not None and account.switched:
        os.chown(fresh, account.uid, account.gid)
    fresh.replace(path)
