"""Clients for the endpoints of tenants, each pinned to one address, kept for the next delivery.

A client reads and parses every authority that the system trusts when it is built, which holds up
the loop of a worker for 5 to 15 ms. No connection is kept with it: each delivery has its own, to
the address that was checked for it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from pyreqwest.client import Client

from tenantry.adapters.webhook.sending import build_client
from tenantry.domain.ids import TenantId
from tenantry.ports.clock import Clock

CLIENTS_MAX: Final = 64  # 6 MB
CLIENT_MAX_S: Final = 600.0  # then it learns what the system has trusted since, and what no more
Pinned = tuple[str, str, int]  # name, address and port: see `build_client`


class PinnedClients:
    """Those of one worker; a tenant shares none with another, nor what waits for a connection."""

    def __init__(self, clock: Clock, ca_pem: bytes | None) -> None:
        self._clock = clock
        self._ca_pem = ca_pem
        self._clients: OrderedDict[tuple[TenantId, Pinned], tuple[Client, float]] = OrderedDict()

    def of(self, tenant_id: TenantId, pinned: Pinned) -> Client:
        """Nobody but `close` ends it: one that makes place for another serves whoever has it."""
        key, now_s = (tenant_id, pinned), self._clock.monotonic()
        client, end_s = self._clients.pop(key, (None, 0.0))
        if client is None or now_s >= end_s:
            client, end_s = build_client(self._ca_pem, pinned), now_s + CLIENT_MAX_S
        self._clients[key] = client, end_s
        if len(self._clients) > CLIENTS_MAX:
            self._clients.popitem(last=False)
        return client

    async def close(self) -> None:
        while self._clients:
            _, (client, _) = self._clients.popitem()
            await client.close()
