"""From the composition root's gateway to the services of one worker."""

from __future__ import annotations

import contextlib

from tenantry import bootstrap
from tenantry.config import Settings
from tenantry.entrypoints.http.metrics import Counters
from tenantry.entrypoints.http.services import Services
from tenantry.ports.clock import Clock


async def make_services(
    config: Settings, counters: Counters, machine: Clock | None = None
) -> Services:
    """Opens what a worker needs; `Services.close` closes it. `machine`: its clock."""
    stack = contextlib.AsyncExitStack()
    gateway = await stack.enter_async_context(bootstrap.gateway(config, machine, supervised=True))

    async def drain(seconds: float) -> None:
        await gateway.drain(int(seconds * 1_000))

    return Services(
        authenticator=gateway.authenticator,
        directory=gateway.directory,
        inference=gateway.inference,
        guardrails=gateway.guardrails,
        embeddings=gateway.embeddings,
        library=gateway.library,
        answers=gateway.answers,
        conversations=gateway.conversations,
        reranker=gateway.reranker,
        ledger=gateway.ledger,
        labels=gateway.labels,
        tenant_admin=gateway.tenant_admin,
        billing=gateway.billing,
        papers=gateway.papers,
        margin_books=gateway.margin_books,
        shared_costs=gateway.shared_costs,
        idempotent=gateway.idempotent,
        operator_once=gateway.operator_once,
        control=gateway.control,
        shreds=gateway.shreds,
        exports=gateway.taken_away.exports,
        erasure=gateway.taken_away.erasure,
        alerts=gateway.alerts,
        audits=gateway.audits,
        outlooks=gateway.outlooks,
        clock=gateway.clock,
        operator_token_sha256=gateway.operator_token_sha256,
        ready=gateway.ready,
        drain=drain,
        close=stack.aclose,
        counters=counters,
    )
