"""The composition root: the only package that knows every adapter.

Owns: which implementation stands behind each port, for each kind of process.
Does not own: any logic.
"""

from tenantry.bootstrap.archive import run_with_archive
from tenantry.bootstrap.audit import LocalStores, local_stores
from tenantry.bootstrap.background import background
from tenantry.bootstrap.billing import issuer_of
from tenantry.bootstrap.capacity import workers_problems
from tenantry.bootstrap.commands import (
    BillAsked,
    delivery_counts,
    run_with_alerts,
    run_with_batches,
    run_with_bill,
    run_with_billing,
    run_with_control,
    run_with_corrections,
    run_with_desk,
    run_with_endpoints,
    run_with_gateway,
    run_with_keeper,
    run_with_keys,
    run_with_labels,
    run_with_ledger,
    run_with_margin_books,
    run_with_outlooks,
    run_with_sides,
)
from tenantry.bootstrap.database import attach, attached_or_started, database
from tenantry.bootstrap.deployment import examined_settings, operator_token, settings
from tenantry.bootstrap.failures import told
from tenantry.bootstrap.gateway import Gateway, gateway
from tenantry.bootstrap.holders import HostWatch
from tenantry.bootstrap.keys import key_facts
from tenantry.bootstrap.logs import log_events
from tenantry.bootstrap.papers import papers
from tenantry.bootstrap.reach_settings import file_problems
from tenantry.bootstrap.shared_costs import shared_costs_of
from tenantry.bootstrap.shredding import archive_signer, run_with_shredder
from tenantry.bootstrap.vector_settings import vectors_fact

__all__ = [
    "BillAsked",
    "Gateway",
    "HostWatch",
    "LocalStores",
    "archive_signer",
    "attach",
    "attached_or_started",
    "background",
    "database",
    "delivery_counts",
    "examined_settings",
    "file_problems",
    "gateway",
    "issuer_of",
    "key_facts",
    "local_stores",
    "log_events",
    "operator_token",
    "papers",
    "run_with_alerts",
    "run_with_archive",
    "run_with_batches",
    "run_with_bill",
    "run_with_billing",
    "run_with_control",
    "run_with_corrections",
    "run_with_desk",
    "run_with_endpoints",
    "run_with_gateway",
    "run_with_keeper",
    "run_with_keys",
    "run_with_labels",
    "run_with_ledger",
    "run_with_margin_books",
    "run_with_outlooks",
    "run_with_shredder",
    "run_with_sides",
    "settings",
    "shared_costs_of",
    "told",
    "vectors_fact",
    "workers_problems",
]
