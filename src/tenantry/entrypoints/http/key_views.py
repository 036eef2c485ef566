"""The JSON of API keys. Pure; holds no secret but a key's own, once, when it is made."""

from __future__ import annotations

from typing import Any

from tenantry.ports.control import KeyRow, NewKey


def from_new_key(key: NewKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "key": key.bearer,
        "access_key_id": key.access_key_id,
        "secret_access_key": key.secret_access_key,
    }


def from_key_row(row: KeyRow) -> dict[str, Any]:
    models = row.models_allowed
    return {
        "id": row.id,
        "name": row.name,
        "hint": row.hint,
        "scopes": sorted(row.scopes),
        "models_allowed": None if models is None else sorted(models),
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "revoked_at": row.revoked_at,
    }
