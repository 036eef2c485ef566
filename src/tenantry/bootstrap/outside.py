"""The sinks that the settings name, and what is wrong with those settings."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

from tenantry.adapters.keys.control_plane import ControlPlaneKey
from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.endpoints import PostgresEndpoints
from tenantry.adapters.smtp.server import MailServer
from tenantry.adapters.smtp.sink import MailSink, address
from tenantry.adapters.stripe.account import StripeAccount
from tenantry.adapters.stripe.sink import StripeSink
from tenantry.adapters.webhook.sinks import OperatorWebhook, TenantEndpoints
from tenantry.application.delivery import ALERTS, EVERYTHING, FOR_STRIPE, Outside
from tenantry.config import Settings, variable_of
from tenantry.domain.webhook import check_secret
from tenantry.ports.clock import Clock
from tenantry.ports.delivery import Route, Sink

RECEIVERS_MAX = 20


def outside_problems(config: Settings) -> list[str]:
    """One line for each setting that a sink could not work with; none repeats a secret."""
    problems: list[str] = []

    def check(name: str, holds: Callable[[], object]) -> None:
        try:
            holds()
        except (ValueError, OSError) as wrong:
            problems.append(f"{variable_of(name)} {wrong}")

    if config.webhook_url is not None:
        check("webhook_url", lambda: check_url(config.webhook_url))
        if config.webhook_secret is None:
            problems.append(f"{variable_of('webhook_url')} needs {variable_of('webhook_secret')}")
    for name in ("webhook_secret", "webhook_secret_previous"):
        if (secret := getattr(config, name)) is not None:
            check(name, functools.partial(check_secret, secret))
    if config.smtp_url is not None:
        check("smtp_url", lambda: MailServer.from_url(config.smtp_url or ""))
        check("alert_email_from", lambda: address(config.alert_email_from or ""))
        check("alert_email_to", lambda: [address(each) for each in _receivers(config)])
    if config.outside_ca_bundle is not None:
        check("outside_ca_bundle", config.outside_ca_bundle.read_bytes)
    if config.stripe_api_url is not None:
        check("stripe_api_url", lambda: check_url(config.stripe_api_url))
    if config.stripe_api_key is not None and importlib.util.find_spec("stripe") is None:
        problems.append(f"{variable_of('stripe_api_key')} needs: pip install tenantry[stripe]")
    return problems


@contextlib.asynccontextmanager
async def outside_of(
    config: Settings, databases: Databases, key: ControlPlaneKey, clock: Clock
) -> AsyncIterator[Outside]:
    """The sinks of one worker; their connections and threads end with the block."""
    ca_pem = config.outside_ca_bundle.read_bytes() if config.outside_ca_bundle else None
    endpoints = PostgresEndpoints(
        databases.control, seal=key.seal, open_sealed=key.open, clock=clock
    )
    sinks: dict[str, Sink] = {"endpoint": TenantEndpoints(endpoints, clock, ca_pem=ca_pem)}
    routes = []
    async with contextlib.AsyncExitStack() as held:
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
                _receivers(config),
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


def _receivers(config: Settings) -> list[str]:
    found = [each.strip() for each in (config.alert_email_to or "").split(",")]
    if len(found) > RECEIVERS_MAX:
        raise ValueError(f"names more than {RECEIVERS_MAX} receivers")
    return found


def check_url(url: str | None) -> None:
    """Raises `ValueError` where it is no http or https URL."""
    try:
        parts = urlsplit(url or "")
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("must be an http or https URL")
