"""A data folder: made once, refused when it is another version's, its files kept ours."""

import os
import secrets
import shutil
from pathlib import Path

from tenantry.adapters.postgres.embedded import settings
from tenantry.adapters.postgres.embedded.account import Account, run_as
from tenantry.adapters.postgres.embedded.binaries import Binaries
from tenantry.adapters.postgres.embedded.place import Place
from tenantry.adapters.postgres.errors import ClusterDiskFull, ClusterFailed, ClusterMismatch

SUPERUSER = "tenantry_superuser"
FREE_BYTES_MIN = 128 * 1024 * 1024  # a new cluster takes 40 MB and a WAL segment or two
_INITDB_TIMEOUT_S = 120
_DISK_FULL = "No space left on device"


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
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES_MIN:
        raise ClusterDiskFull(
            f"The disk of {folder} has {free // 2**20} MB left; the database needs "
            f"{FREE_BYTES_MIN // 2**20} MB to start."
        )


def disk_full_or(otherwise: ClusterFailed, folder: Path) -> ClusterFailed | ClusterDiskFull:
    """Name a full disk for what it is."""
    if _DISK_FULL in str(otherwise):
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
