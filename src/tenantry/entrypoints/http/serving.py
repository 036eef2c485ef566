"""What a supervisor and its workers agree on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from tenantry.entrypoints.http.metrics import Counters
from tenantry.entrypoints.http.open_files import ADMIN
from tenantry.entrypoints.http.wire.limits import WireLimits

if TYPE_CHECKING:
    from tenantry.entrypoints.http.services import Services

END_SLACK_S: Final = 5.0  # past both drains, before a worker is killed
ROLL: Final = "roll"  # said to a worker that has a successor
RENEWED: Final = "renewed"  # said to all of the TLS certificate

MakeServices: TypeAlias = "Callable[[Counters], Awaitable[Services]]"


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """Where to listen. Port 0 is any free one."""

    home: Path
    host: str = "127.0.0.1"
    http_port: int = 8080
    https_port: int = 8443
    admin_host: str = "127.0.0.1"
    admin_port: int = 9090
    workers: int = 1
    tls_names: tuple[str, ...] = ()
    drain_s: float = 30.0
    roll_drain_s: float = 900.0  # where a successor serves already, nobody need be cut off
    limits: WireLimits = field(default_factory=WireLimits)
    admin_connections: int = ADMIN  # of one worker
