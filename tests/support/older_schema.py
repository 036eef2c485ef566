"""The schema as a release of before left it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tenantry.adapters.postgres.migrate import MIGRATIONS_DIR


def migrations_before(number: str, tmp_path: Path) -> Path:
    """A folder with the migrations before that of four digits."""
    folder = tmp_path / "before"
    folder.mkdir()
    for path in MIGRATIONS_DIR.glob("*.sql"):
        if path.name < number:
            shutil.copy(path, folder)
    return folder
