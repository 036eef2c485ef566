"""The ground: a data folder of the demo's own, and nothing that leads out of it.

Invariant: what somebody else set up is refused before anything is written.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.config import Settings, variable_of
from tenantry.entrypoints.demo.bucket_setting import lead_to_own_buckets, leads_elsewhere
from tenantry.entrypoints.demo.show import Failed

MARK: Final = "demo.json"  # also where everything listens, and the tenants with their keys
_NO_TENANTS: Final[Mapping[str, Any]] = {"tenants": []}
# What a deployment has, and a folder with settings alone has not.
_DEPLOYMENT: Final = ("control", "accounts", "cluster")
# What would have the demo write, or tell somebody, outside of its folder.
_OUTSIDE: Final = (
    "database_url",
    "key_store_url",
    "bedrock_endpoint_url",
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
    outside = [name for name in _OUTSIDE if getattr(config, name) is not None]
    outside += ["s3_folder"] if leads_elsewhere(config) else []
    outside += ["kms"] if config.kms != "local" else []
    if outside:
        raise Failed(
            f"the demo writes into a data folder of its own and tells nobody else: unset"
            f" {', '.join(_set_by(config, name) for name in outside)}; nothing was written"
        )
    is_new = not (config.home / MARK).exists()
    if is_new and any((config.home / name).exists() for name in _DEPLOYMENT):
        raise Failed(
            f"{config.home} is a deployment that the demo did not make; set {variable_of('home')}"
            " to another folder; nothing was written"
        )
    config.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if is_new:
        keep_mark(config.home, _NO_TENANTS)
    lead_to_own_buckets(config.home)
    return config.home


def _set_by(config: Settings, name: str) -> str:
    """What is to be taken away, a variable or a line of the settings file."""
    origin = config.origin(name)
    return f"{name} in {origin}" if origin.startswith("file ") else variable_of(name)


def keep_mark(home: Path, document: Mapping[str, Any]) -> None:
    """Whole or not at all, readable by its owner alone: keys are in it. Raises `Unavailable`."""
    DurableFiles().replace(home / MARK, json.dumps(document, indent=2).encode())


def read_mark(home: Path) -> Mapping[str, Any]:
    """What `keep_mark` wrote. Raises `Failed` that names the file where it is something else."""
    try:
        document = json.loads((home / MARK).read_bytes())
    except (OSError, ValueError) as problem:
        raise unreadable_mark(home, str(problem)) from None
    if not isinstance(document, dict):
        raise unreadable_mark(home, "it is no object")
    return document


def unreadable_mark(home: Path, why: str) -> Failed:
    return Failed(
        f"{home / MARK} cannot be read: {why}; write {json.dumps(_NO_TENANTS)} into it, and the"
        " tenants get new keys"
    )


def emulator_port(home: Path) -> int:
    """Where the emulator listened before, so that batch jobs on their way find it again; 0, which
    is any that is free, where that is not known or is taken."""
    try:
        port = urlsplit(str(read_mark(home).get("emulator_url", ""))).port or 0
    except ValueError:  # no port that there is
        return 0
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as whoever listens does
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port
