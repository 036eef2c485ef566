"""The gateway as a tenant's own programs reach it: with an API key, over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from tenantry.bootstrap.deployment import settings
from tenantry.config import Settings
from tenantry.entrypoints.api_client import Api, Reply


def tenant_api() -> Api:
    """Refuses without a key: an operator's rights alone do not open a tenant's content."""
    config = settings()
    if not config.api_key:
        raise click.ClickException(
            "set TENANTRY_API_KEY to a tenant's API key: an operator's rights do not open content"
        )
    url = config.url or f"http://127.0.0.1:{config.http_port}"
    return Api(url, config.api_key, _own_authority(config, url))


def _own_authority(config: Settings, url: str) -> Path | None:
    """The one that this home's gateway made itself, where the URL is that gateway's."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        return None
    from tenantry.entrypoints.http.tls import LOCAL_NAMES, local_tls

    own = local_tls(config.home).ca_bundle
    is_ours = parts.hostname in {*LOCAL_NAMES, *config.tls_names.lower().split()}
    return own if is_ours and own.is_file() else None


def done(reply: Reply) -> Reply:
    """The reply, where it is no refusal."""
    if reply.status >= 400:
        body: Any = reply.body
        detail = body.get("detail") or body.get("title") if isinstance(body, dict) else body
        raise click.ClickException(f"{detail} ({reply.status})")
    return reply
