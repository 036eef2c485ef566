"""The end user as an application names them, before the ledger's hash of the name.

Unicode writes many letters in two ways: `é` is one character, or `e` and an accent. Both are the
same name, so that each name is taken in one form, NFC; other forms say only where to look for what
was kept before that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from unicodedata import normalize

from tenantry.domain.errors import BadRequest

USER_CHARS_MAX: Final = 256
_DECOMPOSED_MAX: Final = 4  # characters that one may be written as
_GIVEN_CHARS_MAX: Final = USER_CHARS_MAX * _DECOMPOSED_MAX  # a longer one is too long in any form


def user_from(value: str | None, *, field: str = "x-tenantry-user") -> str | None:
    """1 to 256 printable characters in NFC, without the blanks around them. Raises `BadRequest`."""
    if value is None:
        return None
    name = value if len(value) > _GIVEN_CHARS_MAX else normalize("NFC", value)
    if not name.strip() or len(name) > USER_CHARS_MAX or not name.isprintable():
        raise BadRequest(f"`{field}` must be 1 to {USER_CHARS_MAX} printable characters.")
    return name.strip()


def spellings_from(value: str) -> Sequence[str]:
    """The name, then the other spellings that it may have been kept under before names were taken
    in one form: as it is given, and decomposed. Raises `BadRequest`.
    """
    name = user_from(value, field="user")
    assert name is not None
    return list(dict.fromkeys((name, value.strip(), *spellings_of(name))))


def spellings_of(name: str) -> Sequence[str]:
    """A name of `user_from`, then its decomposed spelling where that is another."""
    return list(dict.fromkeys((name, normalize("NFD", name))))
