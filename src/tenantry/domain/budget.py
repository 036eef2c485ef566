"""A budget's words: whose spending it caps, how its limit is read, and the id it is called by.

A budget is known by its subject (`tenant`, `api_key:<id>`, `user:<hash>`, `run:<id>`), its period
and its basis. Its id says just these three, so that it can be kept, shown and given back.
"""

from __future__ import annotations

import base64
import binascii
import re
from decimal import Decimal
from typing import Final, Literal, NamedTuple, get_args

Scope = Literal["tenant", "api_key", "user", "run"]
Period = Literal["day", "month", "total"]
Basis = Literal["charge", "cost"]

PERIODS: Final[tuple[Period, ...]] = get_args(Period)
BASES: Final[tuple[Basis, ...]] = get_args(Basis)
RUN_WORDS: Final = "1 to 128 letters, digits and `_.:/-`"
_RUN = re.compile(r"[A-Za-z0-9_.:/-]{1,128}", re.ASCII)
_USER_HASH = re.compile(r"[0-9a-f]{32}", re.ASCII)
_API_KEY = re.compile(r"key_[0-9a-z]{26}", re.ASCII)
# Digits enough for any budget, few enough that sums with it stay exact.
_LIMIT = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?", re.ASCII)
_ID_PREFIX = "bud_"
_ID_CHARS_MAX = 256


class BudgetError(ValueError):
    """A budget's definition is wrong; the message names the field."""


class BudgetKey(NamedTuple):
    """What a budget of a tenant is known by."""

    subject: str
    period: str
    basis: str

    @property
    def id(self) -> str:
        text = " ".join(self).encode()
        return _ID_PREFIX + base64.urlsafe_b64encode(text).decode().rstrip("=")

    @property
    def scope(self) -> tuple[str, str]:
        """Scope and which of them: the subject's two parts."""
        scope, _, which = self.subject.partition(":")
        return scope, which


def key_from_id(text: str) -> BudgetKey | None:
    """The inverse of `BudgetKey.id`; None for what is no budget's id."""
    if not text.startswith(_ID_PREFIX) or len(text) > _ID_CHARS_MAX:
        return None
    encoded = text.removeprefix(_ID_PREFIX)
    try:
        parts = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        return None
    subject, _, rest = parts.partition(" ")
    period, _, basis = rest.partition(" ")
    if period not in PERIODS or basis not in BASES or "\x00" in subject:
        return None
    key = BudgetKey(subject, period, basis)
    return key if key.id == text else None


def limit_from(text: str) -> Decimal:
    """A limit in plain decimals, not negative; 0 blocks all. Raises `BudgetError`."""
    if not _LIMIT.fullmatch(text):
        raise BudgetError(
            "limit must be a plain decimal, not negative, of at most 12 digits a side"
        )
    return Decimal(text)


def subject_of(scope: Scope, which: str) -> str:
    """The subject that admission counts by; `which` is ignored for the tenant itself.

    Raises `BudgetError` for what no request could ever be of.
    """
    if scope == "tenant":
        return scope
    if scope == "user" and not _USER_HASH.fullmatch(which):
        raise BudgetError("a user's budget names the hash of the user, 32 hex digits")
    if scope == "run" and not is_run(which):
        raise BudgetError(f"a run is {RUN_WORDS}")
    if scope == "api_key" and not _API_KEY.fullmatch(which):
        raise BudgetError("an API key is named by its id, key_…")
    return f"{scope}:{which}"


def is_run(text: str) -> bool:
    """Whether a request could name such a run."""
    return _RUN.fullmatch(text) is not None
