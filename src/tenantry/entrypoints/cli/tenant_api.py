"""The gateway as a tenant's own programs reach it: with an API key, over HTTP."""

from __future__ import annotations

from typing import Any

import click

from tenantry.bootstrap.deployment import settings
from tenantry.entrypoints.api_client import Api, Reply


def tenant_api() -> Api:
    """Refuses without a key: an operator's rights alone do not open a tenant's content."""
    config = settings()
    if not config.api_key:
        raise click.ClickException(
            "set TENANTRY_API_KEY to a tenant's API key: an operator's rights do not open content"
        )
    return Api(config.url or f"http://127.0.0.1:{config.http_port}", config.api_key)


def done(reply: Reply) -> Reply:
    """The reply, where it is no refusal."""
    if reply.status >= 400:
        body: Any = reply.body
        detail = body.get("detail") or body.get("title") if isinstance(body, dict) else body
        raise click.ClickException(f"{detail} ({reply.status})")
    return reply
