"""The bill of shared costs that a deployment's settings name."""

from __future__ import annotations

from pathlib import Path

from tenantry.config import Settings, SettingsError, variable_of
from tenantry.domain.shared_costs import SharedCosts, shared_costs_from_toml

FILE_BYTES_MAX = 1_000_000


def shared_costs(path: Path | None) -> SharedCosts:
    """None: nothing beside tokens is known. Raises `SharedCostsError`, `OSError`."""
    if path is None:
        return SharedCosts()
    with path.open("rb") as file:
        return shared_costs_from_toml(file.read(FILE_BYTES_MAX).decode())


def shared_costs_of(config: Settings) -> SharedCosts:
    """Of the settings. Raises `SettingsError`: a report without them would show too much margin."""
    where = f"{variable_of('shared_costs')}: {config.shared_costs}"
    try:
        return shared_costs(config.shared_costs)
    except OSError as wrong:
        raise SettingsError(f"{where}: {wrong.strerror}") from None
    except ValueError as wrong:
        raise SettingsError(f"{where}: {wrong}") from None
