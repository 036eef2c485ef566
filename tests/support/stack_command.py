"""The command line, as a process of its own on a running stack's home."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

TIMEOUT_S = 60


def tenantry(
    home: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> subprocess.CompletedProcess[str]:
    """`tenantry …` with no setting but the home."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("TENANTRY_", "AWS_"))}
    return subprocess.run(
        [sys.executable, "-m", "tenantry.entrypoints.cli.main", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
        env={**clean, **(environment or {}), "TENANTRY_HOME": str(home)},
    )
