"""What a search must find: brute force over the stored values, in 64 bits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tenantry.adapters.sealed.kernel import Planes


def values(planes: Planes) -> npt.NDArray[np.float64]:
    """Rows as they are stored: both planes over each row's scale."""
    whole = planes.high.astype(np.int64) * 256 + planes.low
    return whole * planes.scale.astype(np.float64)[:, None]
