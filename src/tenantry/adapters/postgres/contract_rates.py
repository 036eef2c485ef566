"""Whether a contract can be in a currency: its limits are decided at a rate, and never at 1."""

from __future__ import annotations

from typing import Any

from tenantry.domain.contract import LIST_CURRENCY
from tenantry.domain.errors import BadRequest

_ANY = "SELECT EXISTS (SELECT FROM tenantry.exchange_rate WHERE base = $1 AND quote = $2)"


async def check_rate(connection: Any, currency: str) -> None:
    """Raises `BadRequest` where no rate into the currency is known."""
    if currency != LIST_CURRENCY and not await connection.fetchval(_ANY, LIST_CURRENCY, currency):
        raise BadRequest(
            f"No rate from {LIST_CURRENCY} to {currency} is known, and budgets need one: add it "
            f"first (`tenantry rates add {currency} …`)."
        )
