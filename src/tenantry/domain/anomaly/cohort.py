"""What tenants in general show, for those too new to have shown it themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

# Window in hours → robust spread of a residual on the log scale, as the middle of the simulated
# tenants shows it; tests/simulation measures it anew.
WIDTHS: Mapping[int, float] = MappingProxyType({1: 0.5, 3: 0.36, 24: 0.24})
# Shares of the cohort's spread below which a tenant's own is luck and not calm. Of one week little
# can be known, and its hours have been compared with a single other week: twice the noise.
SHARE_NEW = 1.8
SHARE_KNOWN = 0.9


@dataclass(frozen=True, slots=True)
class CohortPrior:
    """The least spread to believe in. It fades while a tenant's own history grows."""

    widths: Mapping[int, float] = field(default_factory=lambda: WIDTHS)

    def width(self, hours: int, known: float) -> float:
        """`known`: the share of a full history that the tenant has, from 0 up."""
        new = max(0.0, 1.0 - known)
        return self.widths[hours] * (SHARE_KNOWN + new * (SHARE_NEW - SHARE_KNOWN))
