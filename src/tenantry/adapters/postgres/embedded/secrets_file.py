"""The cluster's random passwords, in a file of mode 0600 in the home."""

import json
import os
import secrets
from pathlib import Path

_PASSWORD_BYTES = 24


def load_or_make(path: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Return a password for each name; made once and kept, safe inside a URL."""
    try:
        known: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
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
