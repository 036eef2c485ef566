"""Invoicing over this deployment's database, with the issuer of its settings."""

from __future__ import annotations

import logging
from pathlib import Path

from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.objects.number_file import DiskNumbers
from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.contracts import PostgresContracts
from tenantry.adapters.postgres.invoice_book import PostgresInvoiceBook
from tenantry.adapters.postgres.invoice_numbers import PostgresSeries
from tenantry.adapters.postgres.tenant_invoices import PostgresTenantInvoices
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.application.billing import Billing
from tenantry.application.invoice_numbers import InvoiceNumbers
from tenantry.config import Settings, SettingsError
from tenantry.domain.party import Issuer, PartyError, issuer_from_toml

ISSUER_BYTES_MAX = 100_000
_log = logging.getLogger(__name__)


def billing_of(databases: Databases, issuer: Issuer | None, home: Path) -> Billing:
    """`home`: where the numbers that were given are kept, beside the database."""
    file = DiskNumbers(home / "control", DurableFiles())
    numbers = InvoiceNumbers(PostgresSeries(databases.control), file)
    return Billing(
        invoices=PostgresTenantInvoices(TenantWork(databases.app)),
        book=PostgresInvoiceBook(databases.control, numbers),
        contracts=PostgresContracts(databases.control),
        numbers=numbers,
        issuer=issuer,
    )


def issuer_of(config: Settings) -> Issuer | None:
    """Who issues invoices; None where no file is named. Raises `SettingsError`."""
    path = config.invoice_issuer
    return None if path is None else _read(path)


def issuer_or_none(config: Settings) -> Issuer | None:
    """As `issuer_of`, for processes that must run without one: what is wrong is logged."""
    try:
        return issuer_of(config)
    except SettingsError as problem:
        _log.error("no invoice will be made final: %s", problem)
        return None


def _read(path: Path) -> Issuer:
    try:
        with path.open("rb") as file:
            text = file.read(ISSUER_BYTES_MAX).decode("utf-8")
        return issuer_from_toml(text)
    except OSError as problem:
        raise SettingsError(f"invoice_issuer: {path}: {problem.strerror}") from None
    except (PartyError, UnicodeDecodeError) as problem:
        raise SettingsError(f"invoice_issuer: {path}: {problem}") from None
