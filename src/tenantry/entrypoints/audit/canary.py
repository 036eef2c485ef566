"""A tenant that exists for one audit, and what is its alone."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from tenantry.entrypoints.audit.credentials import Credential, Key, bearer

TAG = "audit"  # of every request, so that usage tells whose it was
_LETTERS = "bcdfghjklmnpqrstvwxz"


@dataclass(slots=True)
class Canary:
    name: str  # a, b or c
    id: str
    tenant: str  # its name in the deployment
    key: Key  # with every scope
    account: str
    placement: str
    own_kms_key: bool
    secrets: set[str] = field(default_factory=set)  # no other canary's reply may hold one
    things: dict[str, str] = field(default_factory=dict)  # kind → a standing one

    def __post_init__(self) -> None:
        self.secrets |= {self.id, self.tenant, self.key.id, self.key.bearer, self.key.access_key_id}
        self.secrets.add(self.key.secret)

    @property
    def credential(self) -> Credential:
        return bearer(self.key.bearer)

    @property
    def tags(self) -> Mapping[str, str]:
        return {"x-tenantry-tags": f"{TAG}={self.name}"}

    def word(self) -> str:
        """A word that nobody else can have said."""
        made = "".join(secrets.choice(_LETTERS) for _ in range(16))
        self.secrets.add(made)
        return made
