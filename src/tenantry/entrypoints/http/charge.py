"""What an answer says of its money: the charge, exact and without exponent, and how far budgets
shortened it."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from tenantry.domain.money import plain

CHARGE_HEADER: Final = "x-tenantry-charge"
MAX_TOKENS_HEADER: Final = "x-tenantry-max-tokens"


def charge_text(charge: Decimal, currency: str) -> str:
    """`0.0315 USD`."""
    return f"{plain(charge)} {currency}"


def max_tokens_headers(max_tokens: int | None) -> dict[str, str]:
    """Where the output limit was lowered, what went upstream instead."""
    return {} if max_tokens is None else {MAX_TOKENS_HEADER: str(max_tokens)}
