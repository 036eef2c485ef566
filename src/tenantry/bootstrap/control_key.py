"""That this home's `control/key` is the one its database is used with.

1. a start (`settle_control_key`) makes a key where the database was used with none, and notes its
   fingerprint in the same commit: of two new machines at once one is first, and the other refused
2. a database of before there were fingerprints takes that of a key which opens a secret of an
   existing API key, and of no other
3. `check_control_key` refuses the same before a start has changed anything in the database
4. whoever uses the key later, a worker or a command, looks (`control_key_of`) and writes nothing

With another key nothing would be damaged, but no API key would open: every request of every tenant
would be a 401, and API keys made meanwhile would be dead once the right one is back.
"""

from __future__ import annotations

from pathlib import Path

from tenantry.adapters.keys import control_plane
from tenantry.adapters.keys.control_plane import ControlPlaneKey
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.control_key import KnownKey, PostgresControlKey
from tenantry.config import Settings, SettingsError
from tenantry.domain.errors import Unavailable

_REMEDY = (
    "copy it from a machine of this deployment that serves, or from the backup of its"
    " <home>/control. Where it is lost for good, `tenantry migrate --new-control-key` goes on with"
    " another one, and every API key and webhook endpoint has to be made anew"
)


async def settle_control_key(config: Settings, databases: Databases, *, anew: bool = False) -> None:
    """The key is there and the database knows it. `anew`: whatever it knew before.

    Raises `SettingsError` where the database is used with another key; nothing was written then.
    """
    folder = config.home / "control"
    async with PostgresControlKey(databases.control).settling() as (known, noted):
        if anew:
            known = KnownKey(None)
        if not known.is_used:
            _make(folder)
        key = _load(folder, known)
        if key.fingerprint != known.fingerprint:
            noted.append(key.fingerprint)


def check_control_key(config: Settings, known: KnownKey, *, anew: bool = False) -> None:
    """Raises `SettingsError` where `settle_control_key` would. Writes nothing."""
    folder = config.home / "control"
    if anew:
        known = KnownKey(None)
    if known.is_used or (folder / "key").exists():
        _load(folder, known)


async def control_key_of(config: Settings, databases: Databases) -> ControlPlaneKey:
    """This home's key, which is the database's. Writes nothing.

    Raises `SettingsError` where the database is used with another one, or this home has none.
    """
    known = await PostgresControlKey(databases.control).known()
    return _load(config.home / "control", known)


def _make(folder: Path) -> None:
    try:
        control_plane.make(folder, DurableFiles())
    except OSError as refused:  # of this disk, not of the database
        raise SettingsError(f"{folder / 'key'}: {refused.strerror or refused}") from None


def _load(folder: Path, known: KnownKey) -> ControlPlaneKey:
    path = folder / "key"
    try:
        if known.is_used and not path.exists():
            raise SettingsError(
                f"{path} is not there, and API keys of this database open with it alone: {_REMEDY}"
            )
        key = control_plane.load(folder)
    except OSError as refused:
        raise SettingsError(f"{path}: {refused.strerror or refused}") from None
    except Unavailable as unfit:
        raise SettingsError(unfit.message) from None
    if not known.is_of(key.fingerprint, key.open):
        raise SettingsError(
            f"{path} is another one than this database is used with, and opens none of its API"
            f" keys: {_REMEDY}"
        )
    return key
