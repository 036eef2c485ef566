"""From rows of API keys to what is told of them: never a secret. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenantry.domain.ids import ApiKeyId
from tenantry.domain.tenant import Scope
from tenantry.ports.control import KeyRow


def to_key_row(row: Mapping[str, Any]) -> KeyRow:
    allowed = row["models_allowed"]
    return KeyRow(
        id=ApiKeyId(row["api_key_id"]),
        name=row["name"],
        hint=row["hint"],
        scopes=frozenset(Scope(scope) for scope in row["scopes"]),
        models_allowed=None if allowed is None else frozenset(allowed),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )
