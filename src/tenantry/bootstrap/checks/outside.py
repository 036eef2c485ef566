"""What is wrong with the settings of the sinks."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from urllib.parse import urlsplit

from tenantry.adapters.smtp.server import MailServer
from tenantry.adapters.smtp.sink import address
from tenantry.config import Settings, variable_of
from tenantry.domain.extras import extra_of
from tenantry.domain.webhook import check_secret

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
        check("alert_email_to", lambda: [address(each) for each in receivers(config)])
    if config.outside_ca_bundle is not None:
        check("outside_ca_bundle", config.outside_ca_bundle.read_bytes)
    if config.stripe_api_url is not None:
        check("stripe_api_url", lambda: check_url(config.stripe_api_url))
    if config.stripe_api_key is not None and importlib.util.find_spec("stripe") is None:
        problems.append(f"{variable_of('stripe_api_key')} needs {extra_of('stripe')}")
    return problems


def receivers(config: Settings) -> list[str]:
    """Of alerts by mail. Raises `ValueError`."""
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
