"""The end user as an application names them, before the ledger's hash of the name."""

from __future__ import annotations

from typing import Final

from tenantry.domain.errors import BadRequest

USER_CHARS_MAX: Final = 256


def user_from(value: str | None, *, field: str = "x-tenantry-user") -> str | None:
    """1 to 256 printable characters, without the blanks around them. Raises `BadRequest`."""
    if value is None:
        return None
    if not value.strip() or len(value) > USER_CHARS_MAX or not value.isprintable():
        raise BadRequest(f"`{field}` must be 1 to {USER_CHARS_MAX} printable characters.")
    return value.strip()
