"""The charge as clients see it: exact, unrounded, without exponent."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from tenantry.domain.money import plain

CHARGE_HEADER: Final = "x-tenantry-charge"


def charge_text(charge: Decimal, currency: str) -> str:
    """`0.0315 USD`."""
    return f"{plain(charge)} {currency}"
