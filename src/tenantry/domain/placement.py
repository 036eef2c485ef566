"""Where a tenant is answered: the pool's account or one of its own, and in which regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

PlacementKind = Literal["pool", "silo"]


@dataclass(frozen=True, slots=True)
class Placement:
    """Data, not code: account, regions, how the account's credentials are found, extra profiles.

    `endpoint_url` is None for Amazon Bedrock itself. `inference_profiles` maps an application
    inference profile's ARN to the catalogue's model id.
    """

    id: str
    kind: PlacementKind
    account: str  # 12 digits
    region: str  # where calls go unless the request names another that is allowed
    regions: frozenset[str] = frozenset()  # all regions that this placement can use
    endpoint_url: str | None = None
    inference_profiles: Mapping[str, str] = field(default_factory=dict)
    kms_key: Literal["shared", "own"] = "shared"
