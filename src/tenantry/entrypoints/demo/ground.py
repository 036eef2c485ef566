"""The ground: a data folder of the demo's own, and nothing that leads out of it.

Invariant: what somebody else set up is refused before anything is written.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tenantry.config import Settings, variable_of
from tenantry.entrypoints.demo.show import Failed
from tenantry.entrypoints.demo.stage import buckets_of

MARK: Final = "demo.json"  # also where everything listens, and the tenants with their keys
# What a deployment has, and a folder with settings alone has not.
_DEPLOYMENT: Final = ("control", "accounts", "cluster")
# What would have the demo write, or tell somebody, outside of its folder.
_OUTSIDE: Final = (
    "database_url",
    "key_store_url",
    "bedrock_endpoint_url",
    "s3_folder",
    "invocation_log_url",
    "archive_folder",
    "pgvector_url",
    "opensearch_url",
    "pinecone_host",
    "weaviate_url",
    "weaviate_grpc_url",
    "webhook_url",
    "smtp_url",
    "stripe_api_key",
)


def claim(config: Settings) -> Path:
    """The home, marked as the demo's. Raises `Failed` where it is somebody else's."""
    own = {"s3_folder": buckets_of(config.home)}
    given = {name: getattr(config, name) for name in _OUTSIDE}
    outside = [
        variable_of(name) for name, it in given.items() if it is not None and it != own.get(name)
    ]
    outside += [variable_of("kms")] if config.kms != "local" else []
    if outside:
        raise Failed(
            f"the demo writes into a data folder of its own and tells nobody else: unset"
            f" {', '.join(outside)}; nothing was written"
        )
    mark = config.home / MARK
    if mark.exists():
        return config.home
    if any((config.home / name).exists() for name in _DEPLOYMENT):
        raise Failed(
            f"{config.home} is a deployment that the demo did not make; set {variable_of('home')}"
            " to another folder; nothing was written"
        )
    config.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark.touch(mode=0o600)
    mark.write_text(json.dumps({"tenants": []}), encoding="utf-8")
    return config.home


def emulator_port(home: Path) -> int:
    """Where the emulator listened before, so that batch jobs on their way find it again; 0, which
    is any that is free, where that is not known or is taken."""
    known = json.loads((home / MARK).read_text(encoding="utf-8")).get("emulator_url", "")
    port = urlsplit(known).port or 0
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as whoever listens does
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port
