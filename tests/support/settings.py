"""Settings out of an environment that a test makes up."""

from __future__ import annotations

from collections.abc import Mapping

from tenantry.config import Settings, SettingsError, examine_settings


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """None: this process's own. Raises `SettingsError` with every problem that was found."""
    settings, problems = examine_settings(environ)
    if problems:
        raise SettingsError("\n".join(problems))
    return settings
