"""The system user that PostgreSQL runs as: ourselves, or `tenantry` where we are root.

PostgreSQL refuses to run as root, so root needs a user that owns the data and nothing else.
"""

import dataclasses
import os
import pwd
import shutil
import subprocess
from pathlib import Path

from tenantry.adapters.postgres.errors import ClusterUnsupported
from tenantry.adapters.postgres.guardian import processes

SYSTEM_USER = "tenantry"
_ADMIN_PATH = "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin"
_USERADD_TIMEOUT_S = 30


@dataclasses.dataclass(frozen=True, slots=True)
class Account:
    """Who PostgreSQL runs as; `switched` says that it is not who we are."""

    uid: int
    gid: int
    switched: bool


def database_account() -> Account:
    """Return the account for PostgreSQL; as root, create `tenantry` where it is absent.

    Raises ClusterUnsupported where the user is absent and cannot be created, and where we are
    a user without a name, as a container's arbitrary uid.
    """
    if os.geteuid() != 0:
        _check_named(os.geteuid())
        return Account(os.geteuid(), os.getegid(), switched=False)
    entry = _lookup() or _create()
    if entry.pw_uid == 0:
        raise ClusterUnsupported(f"The system user {SYSTEM_USER} is root; PostgreSQL refuses that.")
    return Account(entry.pw_uid, entry.pw_gid, switched=True)


def run_as(
    account: Account, command: list[str], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run one of PostgreSQL's programs to its end as the account; the caller judges its status."""
    return subprocess.run(  # noqa: S603 - programs from a verified folder, no shell
        command,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        cwd="/",
        env=processes.PROGRAM_ENVIRONMENT,
        user=account.uid if account.switched else None,
        group=account.gid if account.switched else None,
        extra_groups=[] if account.switched else None,
    )


def make_passable(folder: Path, mode: int) -> None:
    """Make a folder that the account may pass through, whatever our umask says."""
    if folder.is_dir():
        return
    make_passable(folder.parent, mode)
    folder.mkdir(exist_ok=True)
    folder.chmod(mode)


def _check_named(uid: int) -> None:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        raise ClusterUnsupported(
            f"PostgreSQL runs under no user id without a name, and {uid} has none in /etc/passwd: "
            f"add one (useradd --uid {uid} …), or set TENANTRY_DATABASE_URL to your own server."
        ) from None


def _lookup() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        return None


def _create() -> pwd.struct_passwd:
    useradd = shutil.which("useradd", path=_ADMIN_PATH)
    if useradd is None:
        raise ClusterUnsupported(
            f"PostgreSQL refuses to run as root, and the system user {SYSTEM_USER} cannot be "
            "created because useradd is missing. Create the user, run Tenantry as an ordinary "
            "user, or set TENANTRY_DATABASE_URL."
        )
    made = subprocess.run(  # noqa: S603 - a fixed command, no shell
        [
            useradd,
            *("--system", "--user-group", "--no-create-home"),
            *("--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"),
            SYSTEM_USER,
        ],
        capture_output=True,
        text=True,
        timeout=_USERADD_TIMEOUT_S,
        check=False,
    )
    entry = _lookup()  # another start may have created it in the meantime
    if entry is None:
        raise ClusterUnsupported(
            f"PostgreSQL refuses to run as root, and the system user {SYSTEM_USER} could not be "
            f"created: {made.stderr.strip() or 'useradd gave no reason'}"
        )
    return entry
