"""What a sealed SigV4 secret is bound to."""

from __future__ import annotations

from tenantry.adapters.postgres.api_keys import secret_aad
from tenantry.domain.ids import ApiKeyId, TenantId


def test_a_secret_is_bound_to_its_tenant_and_its_row() -> None:
    bound = {
        secret_aad(TenantId(tenant), ApiKeyId(key))
        for tenant in ("tnt_a", "tnt_b")
        for key in ("key_a", "key_b")
    }
    assert len(bound) == 4
