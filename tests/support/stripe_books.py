"""An invoice of anna's that is in the books, and such as lie at Stripe already."""

import hashlib
from typing import Any

from tests.support.postgres import Database
from tests.support.stripe_shop import Shop, in_shop

NUMBER = "INV-2027-0001"
INVOICE_ID = f"inv_{0:026}"
SHA256 = hashlib.sha256(b"{}").hexdigest()
VOID = {"number": NUMBER}


async def in_books(shop: Shop, due: str = "142.38", currency: str = "USD") -> None:
    """Anna's invoice, as the books have it."""
    at = shop.clock.at
    await shop.world.as_superuser(
        "INSERT INTO tenantry.invoice (tenant_id, invoice_id, kind, number, series, series_number,"
        " period_start, period_end, watermark, issued_at, due_at, currency, total, credit, due,"
        " contract_version, posting_id, document, sha256) VALUES ($1, $2, 'invoice', $3, 'x', 1,"
        " $4, $4, $4, $4, $4, $5, $6::text::numeric, 0, $6::text::numeric, 1, gen_random_uuid(),"
        " '{}', sha256('{}'))",
        shop.world.anna.tenant_id,
        INVOICE_ID,
        NUMBER,
        at,
        currency,
        due,
    )


def in_booked_shop(database: Database, body: Any) -> None:
    """Anna's invoice is in the books, and taken out of them again: nothing was posted for it."""

    async def run(shop: Shop) -> None:
        await in_books(shop)
        await body(shop)
        await out_of_books(shop)

    in_shop(database, run)


async def out_of_books(shop: Shop) -> None:
    await shop.world.as_superuser(
        "SET session_replication_role = replica; DELETE FROM tenantry.invoice"
    )


def at_stripe(shop: Shop, **told: Any) -> dict[str, Any]:
    """One of that number that is open there, from before there were marks or with these."""
    made = {
        "id": f"in_x{len(shop.stand_in.invoices)}",
        "object": "invoice",
        "created": shop.stand_in.now_s - 3_600,
        "status": "open",
        "customer": "cus_anna",
        "currency": "usd",
        "collection_method": "send_invoice",
        "due_date": None,
    }
    amount, marks = told.pop("amount", 14_238), told.pop("marks", {})
    made |= told
    made["metadata"] = {"tenantry_invoice": NUMBER, **marks}
    shop.stand_in.invoices[made["id"]] = made
    shop.stand_in.items[f"ii_{made['id']}"] = {
        "id": f"ii_{made['id']}",
        "object": "invoiceitem",
        "customer": made["customer"],
        "invoice": made["id"],
        "amount": amount,
        "currency": made["currency"],
        "metadata": {},
    }
    return made
