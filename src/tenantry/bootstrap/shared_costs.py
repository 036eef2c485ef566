"""The bill of shared costs that a deployment's settings name."""

from __future__ import annotations

from pathlib import Path

from tenantry.domain.shared_costs import SharedCosts, shared_costs_from_toml

FILE_BYTES_MAX = 1_000_000


def shared_costs(path: Path | None) -> SharedCosts:
    """None: nothing beside tokens is known. Raises `SharedCostsError`, `OSError`."""
    if path is None:
        return SharedCosts()
    with path.open("rb") as file:
        return shared_costs_from_toml(file.read(FILE_BYTES_MAX).decode())
