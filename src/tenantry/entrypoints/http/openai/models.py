"""The models that an API key may call, by each of the names that calls accept. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from tenantry.application.upstream import check_model, region_for
from tenantry.domain.catalogue import Catalogue
from tenantry.domain.errors import ModelNotFound, TenantryError
from tenantry.domain.price import PriceEdition, Unpriced
from tenantry.domain.tenant import Principal


@dataclass(frozen=True, slots=True)
class Choice:
    """What one API key chooses from today."""

    principal: Principal
    catalogue: Catalogue
    prices: PriceEdition
    today: date

    def all(self) -> list[dict[str, Any]]:
        """The catalogue's ids and aliases, the placement's profiles, and whatever else plan or API
        key name; those of them that a call would be admitted with."""
        found = (self._find(name) for name in dict.fromkeys(self._names()))
        return [model for model in found if model is not None]

    def one(self, name: str) -> dict[str, Any]:
        """Whatever a call may name, listed or not. Raises `ModelNotFound`, also for what is there
        and not for this API key."""
        model = self._find(name)
        if model is None:
            raise ModelNotFound(f"unknown model: {name[:200]}", param="model")
        return model

    def _names(self) -> Iterable[str]:
        for model in self.catalogue:
            yield model.id
            if model.alias:
                yield model.alias
        tenant = self.principal.tenant
        yield from tenant.placement.inference_profiles
        for allowed in (tenant.plan.models_allowed, self.principal.models_allowed):
            yield from sorted(allowed or ())

    def _find(self, name: str) -> dict[str, Any] | None:
        profiles = self.principal.tenant.placement.inference_profiles
        try:
            resolved = self.catalogue.resolve(name, profiles, today=self.today)
            check_model(self.principal, resolved)
            region = region_for(self.principal, resolved)
            self.prices.of(self.prices.key_in(resolved.price_key, region))
        except (TenantryError, Unpriced):
            return None
        owner = resolved.model.id.partition(".")[0]
        return {"id": name, "object": "model", "created": 0, "owned_by": owner}
