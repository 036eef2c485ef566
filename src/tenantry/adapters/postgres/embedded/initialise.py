"""A data folder: made once, refused when it is another version's, its files kept ours."""

import contextlib
import os
import secrets
import shutil
from pathlib import Path

from tenantry.adapters.postgres.embedded import settings
from tenantry.adapters.postgres.embedded.account import Account, run_as
from tenantry.adapters.postgres.embedded.binaries import Binaries
from tenantry.adapters.postgres.embedded.place import Place
from tenantry.adapters.postgres.errors import ClusterDiskFull, ClusterFailed, ClusterMismatch
from tenantry.adapters.postgres.guardian.status import DISK_FULL, LOG_TROUBLE

SUPERUSER = "tenantry_superuser"
FREE_BYTES_MIN = 128 * 1024 * 1024  # a new cluster takes 40 MB and a WAL segment or two
HOME_FREE_BYTES_MIN = 16 * 1024 * 1024  # as much as the server's log may take
_PROBE_BYTES = 16_384  # more than the guardian's word has
_INITDB_TIMEOUT_S = 120


def prepare_data(place: Place, account: Account, binaries: Binaries, password: str) -> None:
    """Make the data folder where there is none, and write the managed settings.

    Raises ClusterMismatch (another major version), ClusterDiskFull, ClusterFailed.
    """
    check_disk(place.folder)
    try:
        _remove_halves(place.folder)
        if place.data.exists():
            _check_version(place.data, binaries)
        else:
            _initdb(place, account, binaries, password)
        _write_owned(place.data / "postgresql.conf", settings.to_conf(), account)
        _write_owned(place.data / "pg_hba.conf", settings.LOGIN_RULES, account)
    except OSError as reason:
        raise disk_full_or(ClusterFailed(str(reason)), place.folder) from reason


def check_disk(folder: Path) -> None:
    """Raises ClusterDiskFull where too little is left to start on."""
    _check_room(folder, FREE_BYTES_MIN)


def check_home(home: Path) -> None:
    """Raises ClusterDiskFull where the home, or where it will be made, has no room for the log."""
    found = next(folder for folder in (home, *home.parents) if folder.exists())
    _check_room(found, HOME_FREE_BYTES_MIN)


def _check_room(folder: Path, bytes_min: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < bytes_min:
        raise ClusterDiskFull(
            f"The disk of {folder} has {free // 2**20} MB left; the database needs "
            f"{bytes_min // 2**20} MB there to start."
        )


def check_writable(folder: Path) -> None:
    """Raises ClusterDiskFull or ClusterFailed where nothing can be written, and says why."""
    probe = folder / f".written-by-{os.getpid()}"
    try:
        probe.write_bytes(bytes(_PROBE_BYTES))
    except OSError as reason:
        said = f"{folder} cannot be written: {reason.strerror} (errno {reason.errno})"
        raise disk_full_or(ClusterFailed(said), folder) from reason
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)


def disk_full_or(otherwise: ClusterFailed, folder: Path) -> ClusterFailed | ClusterDiskFull:
    """Name a full disk for what it is. That of the log is another one than the server's."""
    said = [line for line in str(otherwise).splitlines() if LOG_TROUBLE not in line]
    if any(words in line for line in said for words in DISK_FULL):
        return ClusterDiskFull(f"The disk of {folder} is full: {otherwise}")
    return otherwise


def _remove_halves(folder: Path) -> None:
    """Remove what an initdb that was killed left; we hold the cluster's lock."""
    for half in folder.glob("data.*"):
        shutil.rmtree(half)
    for half in folder.glob("password.*"):
        half.unlink()


def _check_version(data: Path, binaries: Binaries) -> None:
    found = (data / "PG_VERSION").read_text(encoding="ascii").strip()
    if found == str(binaries.major):
        return
    newer = found.isdecimal() and int(found) > binaries.major
    raise ClusterMismatch(
        f"The database in {data} was written by PostgreSQL {found}, these programs are "
        f"PostgreSQL {binaries.major}. "
        + (
            "Install the Tenantry that wrote it, or a newer one."
            if newer
            else "Upgrade it with pg_upgrade, or restore a backup into a new TENANTRY_HOME."
        )
    )


def _initdb(place: Place, account: Account, binaries: Binaries, password: str) -> None:
    """Run initdb in a scratch folder and rename it, so that half a cluster is never seen."""
    mark = secrets.token_hex(4)
    scratch = place.folder / f"data.{mark}"
    password_file = place.folder / f"password.{mark}"
    _write_owned(password_file, password + "\n", account)
    locale = ["--locale=C"]
    if binaries.major >= 17:  # the first with locales of its own, the same on every system
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    try:
        command = [
            binaries.program("initdb"),
            *("--pgdata", str(scratch), "--username", SUPERUSER),
            *("--pwfile", str(password_file), "--auth", "scram-sha-256"),
            *("--encoding", "UTF8", *locale, "--data-checksums"),
        ]
        made = run_as(account, command, _INITDB_TIMEOUT_S)
        if made.returncode != 0:
            failed = ClusterFailed(f"initdb failed: {made.stderr.strip()[-2000:]}")
            raise disk_full_or(failed, place.folder)
        scratch.rename(place.data)
    finally:
        password_file.unlink(missing_ok=True)
        shutil.rmtree(scratch, ignore_errors=True)


def _write_owned(path: Path, text: str, account: Account) -> None:
    """Replace a file of PostgreSQL's; its folder may be another user's, so follow no link."""
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            if account.switched:
                os.fchown(file.fileno(), account.uid, account.gid)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
