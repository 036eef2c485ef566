"""Principals by how their API keys were presented, bounded, and dropped by tenant.

Owns: what is remembered, and which look-ups are a tenant's, so that dropping a tenant looks at no
other's. Does not own: for how long an entry is good.
Invariants: a tenant is in the index exactly while one of its look-ups is remembered.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from tenantry.domain.ids import TenantId
from tenantry.domain.tenant import Principal

Lookup = bytes | str  # a bearer's HMAC or an access key id


@dataclass(frozen=True, slots=True, repr=False)
class Known:
    principal: Principal
    secret: bytes | None  # opened only for SigV4
    loaded_at: float  # monotonic, in seconds


class KnownKeys:
    """At most `most` look-ups; those that nobody used for longest go first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[Lookup, Known] = OrderedDict()
        self._of_tenant: dict[TenantId, set[Lookup]] = {}

    def get(self, lookup: Lookup, *, since: float) -> Known | None:
        """What was loaded at `since` or later."""
        known = self._known.get(lookup)
        if known is None or known.loaded_at < since:
            return None
        self._known.move_to_end(lookup)
        return known

    def put(self, lookup: Lookup, known: Known) -> None:
        self._drop(lookup)
        self._known[lookup] = known
        self._of_tenant.setdefault(known.principal.tenant_id, set()).add(lookup)
        while len(self._known) > self._most:
            self._drop(next(iter(self._known)))

    def forget(self, tenant_id: TenantId) -> None:
        for lookup in self._of_tenant.pop(tenant_id, ()):
            del self._known[lookup]

    def _drop(self, lookup: Lookup) -> None:
        known = self._known.pop(lookup, None)
        if known is None:
            return
        lookups = self._of_tenant[known.principal.tenant_id]
        lookups.discard(lookup)
        if not lookups:
            del self._of_tenant[known.principal.tenant_id]
