"""What the background worker works with."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from decimal import Decimal

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.postgres.alerts import PostgresAlerts
from tenantry.adapters.postgres.answers import PostgresExpiredAnswers
from tenantry.adapters.postgres.batches import PostgresBatchBook
from tenantry.adapters.postgres.connections import Databases, LoginDsnFor
from tenantry.adapters.postgres.deliveries import PostgresDeliveries
from tenantry.adapters.postgres.directory import PostgresDirectory
from tenantry.adapters.postgres.idempotency import PostgresExpiredKeys
from tenantry.adapters.postgres.keeper import PostgresLedgerKeeper
from tenantry.adapters.postgres.log_readings import PostgresLogReadings
from tenantry.adapters.postgres.partitions import extend
from tenantry.adapters.postgres.rollups import PostgresRollups
from tenantry.adapters.postgres.sessions import PostgresExpiredSessions
from tenantry.adapters.postgres.usage_hours import PostgresUsageHours
from tenantry.application.alert_rounds import alert_rounds
from tenantry.application.answer_store import answers_round
from tenantry.application.archiving import archive_round
from tenantry.application.batch_settling import BatchPorts
from tenantry.application.belonging import of_ours
from tenantry.application.billing import Billing
from tenantry.application.budget_rates import rates_round
from tenantry.application.clock_watch import CHECK_EVERY_S
from tenantry.application.delivery import delivery_rounds
from tenantry.application.idempotency_sweep import idempotency_round
from tenantry.application.invoice_numbers import numbers_round
from tenantry.application.invoice_run import billing_rounds
from tenantry.application.ledger_rounds import batch_round, ledger_rounds, partitions_round
from tenantry.application.rolling_up import rollups_rounds
from tenantry.application.round import Round, marked
from tenantry.application.sessions import sessions_round
from tenantry.application.shredding import shred_round
from tenantry.application.true_up import TrueUp
from tenantry.bootstrap.archive import archive_of
from tenantry.bootstrap.belonging import belonging_of
from tenantry.bootstrap.billing import billing_of, issuer_or_none
from tenantry.bootstrap.control_key import control_key_of
from tenantry.bootstrap.database import attach
from tenantry.bootstrap.deployment import clock_watch, objects_of, round_marks
from tenantry.bootstrap.failures import told
from tenantry.bootstrap.holders import holders_round, registered
from tenantry.bootstrap.invocation_logs import LogSources
from tenantry.bootstrap.outside import outside_of
from tenantry.bootstrap.shredding import shredder_of
from tenantry.bootstrap.upstream import buckets_of, model_of
from tenantry.config import Settings
from tenantry.domain.anomaly import Floor
from tenantry.ports.clock import Clock
from tenantry.ports.model import ModelPort


def _floor(config: Settings) -> Floor:
    return Floor(config.alert_floor_tokens, charge=Decimal(config.alert_floor_charge))


def _sweeps(config: Settings, databases: Databases) -> list[Round]:
    """What keeps small what is kept for a time only."""
    objects, belonging = objects_of(config), belonging_of(config, databases)
    return [
        idempotency_round(PostgresExpiredKeys(databases.control)),
        of_ours(belonging, answers_round(PostgresExpiredAnswers(databases.control), objects)),
        of_ours(belonging, sessions_round(PostgresExpiredSessions(databases.control), objects)),
    ]


def _of_the_books(config: Settings, databases: Databases, dsn_for: LoginDsnFor) -> list[Round]:
    """Room for the months to come, sums of those that are, and an end of those that were."""
    archive = archive_of(config, databases, dsn_for)
    return [
        partitions_round(lambda: extend(dsn_for("migrator"))),
        *rollups_rounds(PostgresRollups(databases.control)),
        archive_round(archive, config.archive_after_months),
    ]


def _of_invoices(config: Settings, billing: Billing, clock: Clock) -> list[Round]:
    after_s = config.invoice_after_h * 3_600
    book, contracts, issuer = billing.book, billing.contracts, billing.issuer
    return [
        rates_round(contracts),
        numbers_round(billing.numbers),
        *billing_rounds(book, contracts, clock, issuer, mode=config.invoice_run, after_s=after_s),
    ]


def _batch_ports(
    config: Settings,
    databases: Databases,
    keeper: PostgresLedgerKeeper,
    directory: PostgresDirectory,
    model: ModelPort,
) -> BatchPorts:
    book = PostgresBatchBook(databases.control)
    hold_s = config.unknown_hold_h * 3_600
    return BatchPorts(book, keeper, buckets_of(config), directory, model, hold_s)


@contextlib.asynccontextmanager
async def background(
    config: Settings,
    machine: Clock | None = None,
    on_roll: Callable[[], None] = lambda: None,
) -> AsyncIterator[list[Round]]:
    """The rounds of the background worker, over connections of its own. `machine`: its clock,
    before it is held to the database's. `on_roll` is told that the process must make place for a
    successor: a tenant key that it may have held is destroyed.
    """
    async with contextlib.AsyncExitStack() as held:
        dsn_for = attach(config)
        databases = await Databases.open(dsn_for, application="tenantry worker")
        held.push_async_callback(databases.close)
        holders = await held.enter_async_context(registered(databases, "background"))
        clock, watch = clock_watch(databases, machine or SystemClock(), "worker")
        await watch.check()
        model = model_of(config, clock)
        held.push_async_callback(model.close)
        key = await control_key_of(config, databases)
        keeper = PostgresLedgerKeeper(databases.control, databases.operator)
        directory = PostgresDirectory(
            databases.app, pepper=key.pepper, open_sealed=key.open, clock=clock
        )
        outside = await held.enter_async_context(
            delivery_rounds(
                PostgresDeliveries(databases.control),
                await held.enter_async_context(outside_of(config, databases, key, clock)),
                clock,
                keep=timedelta(days=config.notice_keep_days),
            )
        )
        alerts = PostgresAlerts(databases.control, clock)
        logs = LogSources(config, keeper)
        await logs.refresh()
        shredder = await held.enter_async_context(shredder_of(config, databases, dsn_for))
        rounds = [
            logs.round(),
            *ledger_rounds(
                keeper,
                TrueUp(keeper, directory, logs),
                clock,
                PostgresLogReadings(databases.control),
                hold=timedelta(hours=config.unknown_hold_h),
                estimate_after=timedelta(milliseconds=config.unknown_estimate_after_ms),
                log_poll_s=config.invocation_log_poll_ms / 1_000,
            ),
            *outside,
            *_of_invoices(
                config, billing_of(databases, issuer_or_none(config), config.home), clock
            ),
            Round("clock", CHECK_EVERY_S, watch.check),
            holders_round(holders, on_roll),
            shred_round(shredder, clock.monotonic),
            *alert_rounds(alerts, alerts, PostgresUsageHours(databases.control), _floor(config)),
            *_sweeps(config, databases),
            batch_round(
                _batch_ports(config, databases, keeper, directory, model),
                config.batch_poll_ms / 1_000,
            ),
            *_of_the_books(config, databases, dsn_for),
        ]
        marks = round_marks(config)
        held.callback(marks.forget)
        yield marked(rounds, marks, told)
