"""The operator's endpoint, and those of tenants."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pyreqwest.client import Client

from tenantry.adapters.webhook.clients import Pinned, PinnedClients
from tenantry.adapters.webhook.lookups import Lookups, Resolve, system_addresses
from tenantry.adapters.webhook.sending import Gone, build_client, post
from tenantry.adapters.webhook.signing import message, signed
from tenantry.domain.ids import TenantId
from tenantry.domain.webhook import BadEndpoint, is_public, tenant_url
from tenantry.ports.clock import Clock
from tenantry.ports.delivery import Delivery, DeliveryFailed
from tenantry.ports.endpoints import Endpoints


class OperatorWebhook:
    """One URL of the operator's, who may name any host."""

    def __init__(
        self, url: str, secrets: Sequence[str], clock: Clock, *, ca_pem: bytes | None = None
    ) -> None:
        self._url = url
        self._secrets = tuple(secrets)
        self._clock = clock
        self._ca_pem = ca_pem
        self._client: Client | None = None

    async def deliver(self, delivery: Delivery) -> None:
        body = message(delivery)
        headers = signed(delivery, body, self._secrets, self._clock.now())
        if self._client is None:
            self._client = build_client(self._ca_pem)
        await post(self._client, self._url, headers, body)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()


class TenantEndpoints:
    """Endpoints that tenants name, and so perhaps an attacker: https alone, to an address that is
    nobody's own network, and connected to that address and no other.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        clock: Clock,
        *,
        ca_pem: bytes | None = None,
        resolve: Resolve = system_addresses,
        allowed: Callable[[str], bool] = is_public,
    ) -> None:
        self._endpoints = endpoints
        self._clock = clock
        self._clients = PinnedClients(clock, ca_pem)
        self._lookups = Lookups(clock, resolve)
        self._allowed = allowed

    async def deliver(self, delivery: Delivery) -> None:
        endpoint_id = delivery.sink.partition(":")[2]
        endpoint = await self._endpoints.get(delivery.tenant_id, endpoint_id)
        if endpoint is None or endpoint.disabled_at is not None:
            raise DeliveryFailed("the endpoint is removed or disabled", final=True)
        body = message(delivery)
        headers = signed(delivery, body, endpoint.secrets, self._clock.now())
        pinned = await self._checked(delivery.tenant_id, endpoint.url)
        client = self._clients.of(delivery.tenant_id, pinned)
        try:
            await post(client, endpoint.url, headers, body)
        except Gone as gone:
            await self._endpoints.disable(delivery.tenant_id, endpoint_id, gone.message)
            raise

    async def close(self) -> None:
        await self._clients.close()

    async def _checked(self, tenant_id: TenantId, url: str) -> Pinned:
        """Name, address and port. One address that is not allowed condemns them all: whoever owns
        the name could have it asked again until the other one comes.
        """
        try:
            host, port = tenant_url(url)
        except BadEndpoint as wrong:
            raise DeliveryFailed(str(wrong), final=True) from None
        found = await self._lookups.addresses(tenant_id, host, port)
        if not all(self._allowed(address) for address in found):
            raise DeliveryFailed("the host's address is not a public one")
        return host, found[0], port
