"""From the composition root's gateway to the services of one worker."""

from __future__ import annotations

import contextlib
from importlib.metadata import version

from tenantry.adapters.postgres.open_attempts import PostgresOpenAttempts
from tenantry.bootstrap.deployment import disks_of, round_marks
from tenantry.bootstrap.gateway import gateway
from tenantry.config import Settings
from tenantry.entrypoints.http.metrics import Counters
from tenantry.entrypoints.http.readiness import InThread, SharedQuestion
from tenantry.entrypoints.http.services import Services
from tenantry.ports.clock import Clock


async def make_services(
    config: Settings, counters: Counters, machine: Clock | None = None
) -> Services:
    """Opens what a worker needs; `Services.close` closes it. `machine`: its clock."""
    stack = contextlib.AsyncExitStack()
    opened = await stack.enter_async_context(
        gateway(config, machine, supervised=True, attempted=counters.attempted)
    )

    async def drain(seconds: float) -> None:
        await opened.drain(int(seconds * 1_000))

    disks = disks_of(config)
    check_room = InThread(disks.check_room)

    async def is_ready() -> None:
        await opened.ready()
        await check_room()

    ready = SharedQuestion(is_ready, opened.clock.monotonic)
    disk_free = SharedQuestion(InThread(disks.free_bytes), opened.clock.monotonic)
    alert_counts = SharedQuestion(opened.alerts.counts, opened.clock.monotonic)
    attempts = PostgresOpenAttempts(opened.databases.control)
    attempt_counts = SharedQuestion(attempts.counts, opened.clock.monotonic)
    marks = InThread(round_marks(config).read)
    last_rounds = SharedQuestion(marks, opened.clock.monotonic)
    for question in (ready, disk_free, alert_counts, attempt_counts, last_rounds):
        stack.push_async_callback(question.close)

    return Services(
        authenticator=opened.authenticator,
        directory=opened.directory,
        inference=opened.inference,
        guardrails=opened.guardrails,
        embeddings=opened.embeddings,
        library=opened.library,
        grounded=opened.grounded,
        answers=opened.answers,
        conversations=opened.conversations,
        reranker=opened.reranker,
        ledger=opened.ledger,
        labels=opened.labels,
        tenant_admin=opened.tenant_admin,
        billing=opened.billing,
        papers=opened.papers,
        margin_books=opened.margin_books,
        shared_costs=opened.shared_costs,
        idempotent=opened.idempotent,
        operator_once=opened.operator_once,
        control=opened.control,
        shreds=opened.shreds,
        exports=opened.taken_away.exports,
        erasure=opened.taken_away.erasure,
        alerts=opened.alerts,
        audits=opened.audits,
        outlooks=opened.outlooks,
        clock=opened.clock,
        clock_ahead=opened.clock.ahead,
        operator_token_sha256=opened.operator_token_sha256,
        ready=ready,
        disk_free=disk_free,
        alert_counts=alert_counts,
        attempt_counts=attempt_counts,
        last_rounds=last_rounds,
        env=config.env,
        version=version("tenantry"),
        drain=drain,
        close=stack.aclose,
        counters=counters,
    )
