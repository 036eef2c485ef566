"""What tenants in general show, for those too new to have shown it themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

# Window in hours → robust spread of a residual on the log scale, as the middle of the simulated
# tenants shows it; tests/simulation measures it anew.
WIDTHS: Mapping[int, float] = MappingProxyType({1: 0.45, 3: 0.36, 24: 0.27})
# Even after months a spread below this share of the cohort's is luck, not calm.
TRUST_MAX = 0.2


@dataclass(frozen=True, slots=True)
class CohortPrior:
    """The least spread to believe in. It fades while a tenant's own history grows."""

    widths: Mapping[int, float] = field(default_factory=lambda: WIDTHS)

    def width(self, hours: int, known: float) -> float:
        """`known`: the share of a full history that the tenant has, from 0 up."""
        fade = max(0.0, 1.0 - known)
        return self.widths[hours] * ((1.0 - TRUST_MAX) + fade)
