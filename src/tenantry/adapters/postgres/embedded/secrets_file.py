"""The cluster's random passwords, in a file of mode 0600 in the home."""

import json
import os
import secrets
from pathlib import Path

from tenantry.adapters.postgres.errors import ClusterMismatch

_PASSWORD_BYTES = 24


def load_or_make(path: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Return a password for each name; made once and kept, safe inside a URL.

    Raises ClusterMismatch where the file is damaged: others would not be the database's.
    """
    try:
        known = _read(path)
    except FileNotFoundError:
        known = {}
    missing = [name for name in names if name not in known]
    if missing:
        known |= {name: secrets.token_urlsafe(_PASSWORD_BYTES) for name in missing}
        fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(known, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    return known


def _read(path: Path) -> dict[str, str]:
    try:
        known = json.loads(path.read_bytes())
    except ValueError:
        known = None
    if not isinstance(known, dict) or not all(isinstance(each, str) for each in known.values()):
        raise ClusterMismatch(
            f"{path} is damaged; it has the passwords of the embedded database, which nothing else"
            " has. Restore it from a backup of the home; where there is no database yet, delete it."
        )
    return known
