"""What reaches Amazon: the model, and the buckets of batches."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from tenantry.adapters.batch_buckets.buckets import UriBuckets
from tenantry.adapters.bedrock.client import BedrockModel, uncounted, untold
from tenantry.adapters.bedrock.connections import Connections
from tenantry.adapters.bedrock.credentials import StaticCredentials
from tenantry.application.upstream import UpstreamRules
from tenantry.bootstrap.deployment import credentials_of
from tenantry.config import Settings
from tenantry.ports.clock import Clock
from tenantry.ports.model import Timeouts


def rules_of(config: Settings) -> UpstreamRules:
    timeouts = Timeouts(
        connect_timeout_ms=config.upstream_connect_timeout_ms,
        first_byte_timeout_ms=config.upstream_first_byte_timeout_ms,
        idle_timeout_ms=config.upstream_idle_timeout_ms,
        total_timeout_ms=config.upstream_total_timeout_ms,
    )
    return UpstreamRules(
        env=config.env, endpoint_url=config.bedrock_endpoint_url, timeouts=timeouts
    )


def model_of(
    config: Settings,
    clock: Clock,
    count: Callable[[str], None] = uncounted,
    skewed: Callable[[], None] = untold,
) -> BedrockModel:
    """To be closed by who asked for it. `count` is told what came of each attempt, `skewed` that
    Bedrock has another time than `clock`."""
    bundle = config.bedrock_ca_bundle
    connections = Connections(
        ca_pem=bundle.read_bytes() if bundle else None,
        max_connections=config.upstream_connections_max,
        max_total=config.upstream_connections_total_max,
    )
    return BedrockModel(
        StaticCredentials(credentials_of(config)), clock, connections, count, skewed
    )


def buckets_of(config: Settings) -> UriBuckets:
    """With the credentials that call the models; an account without any has no bucket."""
    keys = {
        account: {name: value for name, value in dataclasses.asdict(found).items() if value}
        for account, found in credentials_of(config).items()
    }
    return UriBuckets(keys, config.s3_folder)
