"""The sinks that the settings name."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from tenantry.adapters.keys.control_plane import ControlPlaneKey
from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.endpoints import PostgresEndpoints
from tenantry.adapters.smtp.server import MailServer
from tenantry.adapters.smtp.sink import MailSink
from tenantry.adapters.stripe.account import StripeAccount
from tenantry.adapters.stripe.sink import StripeSink
from tenantry.adapters.webhook.sinks import OperatorWebhook, TenantEndpoints
from tenantry.application.delivery import ALERTS, EVERYTHING, FOR_STRIPE, Outside
from tenantry.bootstrap.checks.outside import receivers
from tenantry.config import Settings
from tenantry.ports.clock import Clock
from tenantry.ports.delivery import Route, Sink


@contextlib.asynccontextmanager
async def outside_of(
    config: Settings, databases: Databases, key: ControlPlaneKey, clock: Clock
) -> AsyncIterator[Outside]:
    """The sinks of one worker; their connections and threads end with the block."""
    ca_pem = config.outside_ca_bundle.read_bytes() if config.outside_ca_bundle else None
    endpoints = PostgresEndpoints(
        databases.control, seal=key.seal, open_sealed=key.open, clock=clock
    )
    of_tenants = TenantEndpoints(endpoints, clock, ca_pem=ca_pem)
    sinks: dict[str, Sink] = {"endpoint": of_tenants}
    routes = []
    async with contextlib.AsyncExitStack() as held:
        held.push_async_callback(of_tenants.close)
        if config.webhook_url is not None:
            pair = (config.webhook_secret, config.webhook_secret_previous)
            secrets = [each for each in pair if each is not None]
            webhook = OperatorWebhook(config.webhook_url, secrets, clock, ca_pem=ca_pem)
            held.push_async_callback(webhook.close)
            sinks["webhook"] = webhook
            routes.append(Route("webhook", EVERYTHING))
        if config.smtp_url is not None:
            mail = MailSink(
                MailServer.from_url(config.smtp_url, config.outside_ca_bundle),
                config.alert_email_from or "",
                receivers(config),
                env=config.env,
            )
            held.callback(mail.close)
            sinks["mail"] = mail
            routes.append(Route("mail", ALERTS))
        if config.stripe_api_key is not None:
            stripe = StripeSink(
                StripeAccount(config.stripe_api_key, config.stripe_api_url),
                collection=config.stripe_collection,
                days_due=config.stripe_days_due,
            )
            held.callback(stripe.close)
            sinks["stripe"] = stripe
            routes.append(Route("stripe", FOR_STRIPE, linked=True))
        yield Outside(sinks, routes)
